"""Who calls: a fold of a search or of a validation, the steps of pipelines, a user's line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any
from weakref import WeakSet

from sklearn import get_config
from sklearn.utils.parallel import Parallel

__all__ = [
    "SearchFold",
    "calling_fold",
    "is_clone_for_a_repeated_fit",
    "is_cross_validated",
    "is_repeated_fit",
    "users_stacklevel",
    "ways_to_pass_domains",
]

#: Where `cross_validate` and its kin live, and what they call for a fold, in whatever process.
_VALIDATION = "sklearn.model_selection._validation"
_FOLDS = ("_fit_and_score", "_fit_and_predict")
#: What stands between a user's line and ours.
_BETWEEN = ("acr_sklearn", "sklearn", "joblib", "contextlib", "functools")
#: Calls of these that have cloned an estimator already; gone with the call.
_BEGUN: WeakSet[Parallel] = WeakSet()


@dataclass(frozen=True)
class SearchFold:
    """Fold of a search that is being fitted or scored.

    Attributes
    ----------
    number, n_folds : int
        Which fold, counted from 0, and of how many.
    candidate : int
        Which setting of the parameters, counted from 0.
    error_score : float or str
        What the search takes instead of a score when there is none.
    scores_train_rows : bool
        Whether the test rows have been scored already.
    """

    number: int
    n_folds: int
    candidate: int
    error_score: Any
    scores_train_rows: bool


def calling_fold() -> SearchFold | None:
    """Find the fold of a search that the caller runs in.

    An estimator and a scorer are told nothing of it. It is read from scikit-learn's call, which is
    the same in a process of its own.

    Returns
    -------
    SearchFold or None
        None outside of a search, and in ``cross_validate``.
    """
    for frame in _frames_of_sklearn():
        if frame.f_code.co_name == "_fit_and_score":
            return _read_fold(frame.f_locals)
    return None


def _read_fold(given: dict[str, Any]) -> SearchFold | None:
    folds, candidates = given.get("split_progress"), given.get("candidate_progress")
    if folds is None or candidates is None:
        return None
    return SearchFold(
        number=int(folds[0]),
        n_folds=int(folds[1]),
        candidate=int(candidates[0]),
        error_score=given.get("error_score"),
        scores_train_rows="test_scores" in given,
    )


def is_cross_validated() -> bool:
    """Say whether a fold of `cross_validate`, or of its kin, is being fitted.

    Returns
    -------
    bool
        False in a search and outside of scikit-learn.
    """
    return any(
        frame.f_code.co_name in _FOLDS and _read_fold(frame.f_locals) is None
        for frame in _frames_of_sklearn()
    )


def is_clone_for_a_repeated_fit(original: bool) -> bool:
    """Say whether a clone is made for a fold of `cross_validate` that is not the first one.

    What fits a fold is told nothing of the others, and may run in a process of its own. But the
    clones are made where the folds are dealt out, one after another.

    Parameters
    ----------
    original : bool
        What was found for the estimator that is cloned, which a clone within a fold inherits.

    Returns
    -------
    bool
        False for the first clone of a call.
    """
    frames = iter(_frames_of_sklearn())
    for frame in frames:
        if frame.f_globals["__name__"].startswith("sklearn.model_selection."):
            if (frame.f_globals["__name__"], frame.f_code.co_name) != (_VALIDATION, "<genexpr>"):
                return original
            break
    dealing: FrameType | None = sys._getframe(1)
    while dealing is not None and not isinstance(dealing.f_locals.get("self"), Parallel):
        dealing = dealing.f_back
    if dealing is None:
        return original
    call = dealing.f_locals["self"]
    begun = call in _BEGUN
    _BEGUN.add(call)
    return begun


def is_repeated_fit(clone: bool = False) -> bool:
    """Say whether a search or a validation has fitted before.

    Parameters
    ----------
    clone : bool, default=False
        What `is_clone_for_a_repeated_fit` said of the estimator.

    Returns
    -------
    bool
        True for all but the first candidate on the first fold; False outside of both.
    """
    for frame in _frames_of_sklearn():
        name, module = frame.f_code.co_name, frame.f_globals["__name__"]
        if name in _FOLDS:
            fold = _read_fold(frame.f_locals)
            return clone or (fold is not None and (fold.number, fold.candidate) != (0, 0))
        if name == "fit" and module == "sklearn.model_selection._search":
            return True  # the refit on all rows
    return False


def ways_to_pass_domains() -> str:
    """Name the keyword that brings the domains to a detector's fit from where the user stands.

    Returns
    -------
    str
        "domains=" for a detector by itself and with metadata routing on, else with the names of
        the steps of the pipelines that are being fitted, outermost first: "step__domains=".
    """
    if get_config()["enable_metadata_routing"]:
        return "domains="
    steps: list[str] = []
    for frame in _frames_of_sklearn():
        pipeline = frame.f_locals.get("self")
        fits = frame.f_code.co_name.startswith("fit")
        if fits and pipeline is not None and hasattr(pipeline, "steps"):
            steps.append(str(pipeline.steps[-1][0]))
    return "__".join([*reversed(steps), "domains="])


def users_stacklevel() -> int:
    """Count the calls up to the user's line, through pipelines and searches.

    Returns
    -------
    int
        For `warnings.warn` in the function that asks.
    """
    level, frame = 1, sys._getframe(1)
    while str(frame.f_globals.get("__name__", "")).partition(".")[0] in _BETWEEN:
        if frame.f_back is None:
            break
        level, frame = level + 1, frame.f_back
    return level


def _frames_of_sklearn() -> Iterator[FrameType]:
    """Yield the calls of scikit-learn's that have not returned, the latest first."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        if str(frame.f_globals.get("__name__", "")).startswith("sklearn."):
            yield frame
