"""Cross-validation over domains: trained on normal rows, tested on what training never saw."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator, Sized
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import BaseCrossValidator, check_cv

from acr_sklearn._input.labels import read_is_normal, read_labels
from acr_sklearn._input.numbers import count_rows
from acr_sklearn.exceptions import ACRWarning, PooledDomainsWarning

__all__ = ["NormalTrainSplit"]

_POOLED = ("warn", "raise", "ignore")
_ANOMALIES = ("drop", "known")


class NormalTrainSplit(BaseCrossValidator):
    """Train on normal rows only, test on normal and anomalous ones.

    A detector is trained on normal data, yet a search over its parameters needs labelled
    anomalies to score. This splitter wraps another one: the rows with ``y == -1`` are left out
    of every train fold, every test fold is kept as it is.

    Wrap ``LeaveOneGroupOut()`` with the domains as groups: a test fold is then one domain that
    training never saw, and one batch. In a batch that mixes domains no anomaly stands out. Folds
    of several domains, such as those of ``GroupKFold``, need a `PerDomainScorer`.

    A test fold with one kind of label only cannot tell detectors apart: most metrics are nan on
    it, and one nan makes the mean of a whole search nan. Such folds are left out.

    Parameters
    ----------
    cv : int, cross-validation splitter or iterable, default=5
        The splitter to wrap. An int means that many folds stratified by `y`, so that each test
        fold has its fraction of anomalies; an iterable yields pairs (train, test) of positions.
    pooled : {"warn", "raise", "ignore"}, default="warn"
        What to do when a test fold holds several `groups` and the `scoring` of the search that
        asks for the folds is not a `PerDomainScorer` that gets to know the domains. "ignore" is
        for detectors that keep domains apart by themselves, as with `domain_column`, and for
        detectors that score rows one by one.
    anomalies : {"drop", "known"}, default="drop"
        What becomes of the rows with ``y == -1`` in train folds. "known" leaves them in, for a fit
        that is told of them: `FitOnNormals` with its own ``anomalies="known"``, or a detector that
        gets ``known_anomalies=`` from the search. **Everything else would learn them as normal.**

    Raises
    ------
    ValueError
        If `cv`, `pooled` or `anomalies` is none of these.

    See Also
    --------
    FitOnNormals : Tells a detector of known anomalies, or keeps them from it; a search compares.
    PerDomainScorer : Scores each domain of a test fold as a batch of its own.

    Examples
    --------
    >>> from sklearn.model_selection import LeaveOneGroupOut
    >>> from acr_sklearn.model_selection import NormalTrainSplit
    >>> X, y, site = [[1], [2], [3], [4]], [1, -1, 1, -1], ["a", "a", "b", "b"]
    >>> folds = NormalTrainSplit(LeaveOneGroupOut()).split(X, y, groups=site)
    >>> [(train.tolist(), test.tolist()) for train, test in folds]
    [([2], [0, 1]), ([0], [2, 3])]
    """

    # A search then hands `groups` on: by itself with routing off, as routed metadata with it on.
    __metadata_request__split: ClassVar[dict[str, bool]] = {"groups": True}

    def __init__(self, cv: Any = 5, pooled: str = "warn", anomalies: str = "drop") -> None:
        cv = _read_cv(cv)
        if not isinstance(pooled, str) or pooled not in _POOLED:
            raise ValueError(
                f"NormalTrainSplit got pooled={pooled!r}. It can be 'warn', 'raise' or 'ignore'."
            )
        if not isinstance(anomalies, str) or anomalies not in _ANOMALIES:
            raise ValueError(
                f"NormalTrainSplit got anomalies={anomalies!r}. It can be 'drop' or 'known'."
            )
        self.cv = cv
        self.pooled = pooled
        self.anomalies = anomalies

    def split(
        self, X: Any, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield train folds, by default without anomalies, and test folds with them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,)
            1 for a normal row, -1 for an anomalous one.
        groups : array-like of shape (n_samples,), default=None
            Handed to the wrapped splitter, usually the domain of each row.

        Yields
        ------
        train : ndarray of shape (n_train_samples,)
            Positions of the normal rows of the wrapped splitter's train fold, and with
            ``anomalies="known"`` of the anomalous ones too.
        test : ndarray of shape (n_test_rows,)
            Positions of the rows of its test fold, unchanged. Folds whose test rows are all
            normal or all anomalous are left out.

        Raises
        ------
        ValueError
            If `y` is not made of 1 and -1, if a train fold has no normal row, if no test fold
            has both labels, or, with ``pooled="raise"``, if a test fold would be scored as one
            batch of several domains.

        Warns
        -----
        PooledDomainsWarning
            Instead of that last error, with ``pooled="warn"``.
        ACRWarning
            Once, for test folds that are left out; names their groups.
        """
        if y is None:
            raise ValueError(
                "NormalTrainSplit.split got no y. It needs 1 for normal and -1 for anomalous rows; "
                "without labelled anomalies use the wrapped splitter itself."
            )
        who = "NormalTrainSplit.split"
        normal = read_is_normal(y, count_rows(X, who=who), who=who)
        index = None
        if groups is not None and self.pooled != "ignore" and not _scored_per_domain():
            index = read_labels(groups, len(normal), who="NormalTrainSplit.split", what="groups")[1]
        folds = self._folds(X, y, groups, normal)
        for number, train, _ in folds:
            if not normal[train].any():
                raise ValueError(
                    f"NormalTrainSplit.split got y == -1 in all {len(train)} rows of train fold "
                    f"{number}. A detector trains on normal rows: use other folds, or leave out "
                    "the domains that hold anomalies only."
                )
        usable = [fold for fold in folds if _has_both(normal[fold[2]])]
        _report_left_out(folds, usable, groups)
        for number, train, test in usable:
            if index is not None and (several := len(np.unique(index[test]))) > 1:
                self._complain(number, several)
                index = None  # once is enough
            yield train if self.anomalies == "known" else train[normal[train]], test

    def get_n_splits(
        self, X: Any = None, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> int:
        """Return the number of folds that `split` yields.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), default=None
            The rows, for splitters that count by them.
        y : array-like of shape (n_samples,), default=None
            1 for a normal row, -1 for an anomalous one.
        groups : array-like of shape (n_samples,), default=None
            The domain of each row, for splitters that count by it.

        Returns
        -------
        int
            Number of folds with both labels in the test rows; without `y`, that of the wrapped
            splitter.
        """
        if y is None:
            return int(self._splitter(y).get_n_splits(X, y, groups))
        normal = read_is_normal(y, None, who="NormalTrainSplit.get_n_splits")
        rows = np.zeros((len(normal), 1)) if X is None else X
        return sum(_has_both(normal[test]) for _, _, test in self._folds(rows, y, groups, normal))

    @property
    def random_state(self) -> Any:
        """That of the wrapped splitter: a halving search asks whether its folds repeat."""
        return getattr(self.cv, "random_state", 0)

    @property
    def shuffle(self) -> bool:
        """Whether the wrapped splitter shuffles; one that has no say in it counts as shuffling."""
        return bool(getattr(self.cv, "shuffle", True))

    def _complain(self, number: int, several: int) -> None:
        message = (
            f"NormalTrainSplit.split made test fold {number} of {several} groups, and the scorer "
            "would score them as one batch: differences between domains drown those between "
            "normal and anomalous rows. Wrap LeaveOneGroupOut(), or pass a PerDomainScorer as "
            "scoring (with metadata routing off give it domains_from=); set pooled='ignore' if "
            "each domain is scored by itself all the same."
        )
        if self.pooled == "raise":
            raise ValueError(message)
        warnings.warn(message, PooledDomainsWarning, stacklevel=3)

    def _folds(
        self, X: Any, y: ArrayLike, groups: Any, normal: NDArray[np.bool_]
    ) -> list[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
        # Searches also take boolean masks from an iterable of folds.
        rows = np.arange(len(normal))
        folds = self._splitter(y).split(X, y, groups)
        return [(number, rows[train], rows[test]) for number, (train, test) in enumerate(folds)]

    def _splitter(self, y: ArrayLike | None) -> Any:
        # classifier=True is scikit-learn's word for "stratify by y"; it concerns an int only.
        return check_cv(self.cv, y, classifier=True)


def _read_cv(given: Any) -> Any:
    """Refuse what is no number of folds, no splitter and no folds."""
    whole = isinstance(given, int | np.integer) and not isinstance(given, bool)
    if whole and 2 <= given <= np.iinfo(np.intp).max:
        return int(given)
    if given is None:
        return given  # five folds, as everywhere in scikit-learn
    if all(callable(getattr(given, name, None)) for name in ("split", "get_n_splits")):
        if not isinstance(given, type):
            return given
    elif isinstance(given, Iterable) and not isinstance(given, str | bytes):
        # A generator would be used up after the first round of a search. A 0-d array is iterable
        # by its own word only.
        folds = list(given) if getattr(given, "ndim", 1) else []
        if folds and all(map(_is_pair, folds)):
            return folds
    raise ValueError(
        f"NormalTrainSplit got cv={given!r}. It needs a number of folds from 2, a splitter of "
        "sklearn.model_selection, or pairs (train, test) of positions."
    )


def _is_pair(fold: object) -> bool:
    # A 0-d tensor has a length by its own word only.
    return isinstance(fold, Sized) and getattr(fold, "ndim", 1) > 0 and len(fold) == 2


def _has_both(normal: NDArray[np.bool_]) -> bool:
    return bool(normal.any() and not normal.all())


def _report_left_out(folds: list[Any], usable: list[Any], groups: Any) -> None:
    if not usable:
        raise ValueError(
            f"NormalTrainSplit.split got {len(folds)} test folds, none with both normal rows (1) "
            "and anomalies (-1), so that no detector can be told from another. Label anomalies "
            "in at least one domain, or use larger folds with a PerDomainScorer."
        )
    kept = {number for number, _, _ in usable}
    left_out = [(number, test) for number, _, test in folds if number not in kept]
    if not left_out:
        return
    names = [f"fold {number}" for number, _ in left_out]
    if groups is not None:
        labels = np.asarray(groups)
        found = [labels[test].tolist() for _, test in left_out]
        names = list(dict.fromkeys(f"group {label!r}" for part in found for label in part))
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    warnings.warn(
        f"NormalTrainSplit.split left out {len(left_out)} of {len(folds)} test folds, whose rows "
        f"have one kind of label only: {', '.join(names[:5])}{more}. Their scores would be nan; "
        "label anomalies there to have them count.",
        ACRWarning,
        stacklevel=3,
    )


def _scored_per_domain() -> bool:
    """Whether the search that asks for the folds scores domain by domain.

    A splitter is told nothing of the scorer. It is read from the caller: `scoring`, a public
    parameter of scikit-learn's functions and searches. Where none is found the answer is no.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        if not frame.f_globals.get("__name__", "").startswith("sklearn."):
            continue
        scoring = frame.f_locals.get("scoring")
        if scoring is None:
            scoring = getattr(frame.f_locals.get("self"), "scoring", None)
        if scoring is not None:
            scorers = list(scoring.values()) if isinstance(scoring, dict) else [scoring]
            return all(getattr(scorer, "scores_per_domain", False) for scorer in scorers)
    return False
