"""Who of scikit-learn calls: a fold of a search, its last fit, the steps of pipelines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from sklearn import get_config

__all__ = ["SearchFold", "calling_fold", "is_repeated_fit", "ways_to_pass_domains"]


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


def is_repeated_fit() -> bool:
    """Say whether a search has fitted before: all but the first candidate on the first fold.

    Returns
    -------
    bool
        False outside of a search.
    """
    for frame in _frames_of_sklearn():
        name, module = frame.f_code.co_name, frame.f_globals["__name__"]
        if name == "_fit_and_score":
            fold = _read_fold(frame.f_locals)
            return fold is not None and (fold.number, fold.candidate) != (0, 0)
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


def _frames_of_sklearn() -> Iterator[FrameType]:
    """Yield the calls of scikit-learn's that have not returned, the latest first."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        if str(frame.f_globals.get("__name__", "")).startswith("sklearn."):
            yield frame
