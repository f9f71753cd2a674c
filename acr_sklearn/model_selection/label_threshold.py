"""A threshold set by labels: the cut that is best on labelled domains that fit did not see."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from acr_sklearn._input.labels import read_is_normal, read_labels
from acr_sklearn._input.parameters import RealInterval
from acr_sklearn.model_selection.contamination import ContaminationThreshold, labels_of_domains
from acr_sklearn.model_selection.fit_on_normals import FitOnNormals, params_of_rows
from acr_sklearn.model_selection.normality import (
    POLARITIES,
    column_of,
    final_detector,
    read_polarity,
    respond_by_domain,
    take_over_columns,
)
from acr_sklearn.thresholds import compact_scores

__all__ = ["LabelThreshold"]

#: Rounding of a mean of fractions: of .1 in each of three domains it is above .1. One row more
#: makes a larger difference.
_ROUNDING = 1e-12

#: Of each cut, from the counts of anomalies called, normal rows called, and of both there are.
_Measure = Callable[[NDArray[Any], NDArray[Any], int, int], NDArray[Any]]


def _f1(hits: NDArray[Any], alarms: NDArray[Any], n_anomalies: int, _n: int) -> NDArray[Any]:
    return np.asarray(2 * hits / (hits + alarms + n_anomalies))


def _balanced_accuracy(
    hits: NDArray[Any], alarms: NDArray[Any], n_anomalies: int, n_normals: int
) -> NDArray[Any]:
    return np.asarray((hits / n_anomalies + 1 - alarms / n_normals) / 2)


def _right_above(scores: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut halfway between scores and the next of all levels, which ascend."""
    above = np.append(levels[1:], np.nextafter(levels[-1], np.inf))
    high = above[np.searchsorted(levels, scores)]
    middle = scores / 2 + high / 2
    # Between neighbours among floating-point numbers there is none.
    return np.where(scores < middle, middle, high)


def _best_of_all(
    domains: list[tuple[NDArray[np.float64], NDArray[np.float64]]],
    levels: NDArray[np.float64],
    measure: _Measure,
) -> tuple[float, float]:
    """Find the lowest cut of those with the largest mean of a measure over domains.

    Parameters
    ----------
    domains : list of (ndarray, ndarray)
        Sorted scores of the anomalies and of the normal rows of each.
    levels : ndarray
        Distinct scores of all rows, ascending.
    measure : callable
        Falls, or stays, with every false alarm.

    Returns
    -------
    cut : float
        Rows that score below it are flagged.
    value : float
        Mean of the measure there.
    """
    # Between one anomaly and the next, a higher cut flags nothing but normal rows. The lowest
    # flags no row.
    found = np.unique(np.concatenate([abnormal for abnormal, _ in domains]))
    cuts = np.append(levels[0], _right_above(found, levels))
    total = np.zeros(len(cuts))
    for abnormal, usual in domains:
        hits, alarms = np.searchsorted(abnormal, cuts), np.searchsorted(usual, cuts)
        total += measure(hits, alarms, len(abnormal), len(usual))
    best = int(np.argmax(total))
    return float(cuts[best]), float(total[best] / len(domains))


def _most_found(
    abnormal: list[NDArray[np.float64]],
    usual: list[NDArray[np.float64]],
    levels: NDArray[np.float64],
    limit: float,
) -> tuple[float, float]:
    """Find the lowest cut of those that find most while false alarms stay within a limit.

    Parameters
    ----------
    abnormal, usual : list of ndarray
        Sorted scores of the anomalies and of the normal rows of each domain.
    levels : ndarray
        Distinct scores of all rows, ascending.
    limit : float
        Largest mean over the domains of the fraction of normal rows flagged.

    Returns
    -------
    cut : float
        Rows that score below it are flagged.
    found : float
        Mean fraction of anomalies flagged.
    """
    # The lowest cut that flags a given anomaly is right above it: rows that tie are flagged too.
    last = np.unique(np.concatenate(abnormal))

    def flagged(domains: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        fractions = np.zeros(len(last))
        for rows in domains:
            fractions += np.searchsorted(rows, last, side="right") / len(rows)
        return fractions / len(domains)

    largest = min(limit + _ROUNDING, np.nextafter(1, 0))
    within = int(np.sum(flagged(usual) <= largest))
    if not within:
        return float(levels[0]), 0.0
    # A normal row scores higher, for not all of them are flagged.
    cut = _right_above(last[within - 1 : within], levels)[0]
    return float(cut), float(flagged(abnormal)[within - 1])


class LabelThreshold(ContaminationThreshold):
    """Cut the scores of a detector where it is best by labels of domains that fit did not see.

    Around ``FitOnNormals(detector)`` the domains are left out in turn: a clone is fitted on the
    others and scores the domains left out. The threshold is the cut of these scores that is best
    in the mean over the domains, and the detector is then fitted on all. Around
    ``FrozenEstimator(detector)`` nothing is trained: give fit domains that the detector did not
    see.

    The answers are scikit-learn's (1 and -1, high scores for normal rows) whatever the wrapped
    detector's are.

    Parameters
    ----------
    detector : FitOnNormals or sklearn.frozen.FrozenEstimator
        Around a detector, or a Pipeline that ends with one.
    metric : {"f1", "balanced_accuracy", "cost", "recall"}, default="f1"
        What is best: F1 and balanced accuracy with anomalies as positives, the least cost of
        false alarms and missed anomalies, or the largest fraction of anomalies found under a
        limit of false alarms.
    miss_cost : float, default=10.0
        What a missed anomaly costs, in false alarms; for "cost" alone.
    max_false_alarm_rate : float, default=0.01
        Largest fraction of normal rows that may be flagged, in the mean over the domains left out,
        those without anomalies among them; in [0, 1), for "recall" alone. Of cuts that find as
        many anomalies it is the one with the fewest false alarms.
    cv : int, cross-validation splitter, iterable or None, default=5
        How domains are left out: an int means that many folds of whole domains, or one for each
        domain if there are fewer; None means 5. Folds that have rows of one domain on both sides
        are refused. Not used around a frozen detector.
    polarity : {"auto", "normal", "anomaly"}, default="auto"
        As in `ContaminationThreshold`.

    Attributes
    ----------
    detector_ : estimator
        The fitted detector; the frozen one itself if it is frozen.
    offset_ : float
        Rows that score below it are predicted as anomalies.
    best_value_ : float
        The metric at that cut, in the mean over labelled domains left out; of "cost" minus the
        cost per row, in the mean over all domains; of "recall" 0 where the limit lets none be
        found, and nothing is flagged.
    polarity_ : {"normal", "anomaly"}
        Which rows score high with `detector_`.

    See Also
    --------
    ContaminationThreshold : A threshold without labels.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import IsolationForest
    >>> from acr_sklearn.model_selection import FitOnNormals, LabelThreshold
    >>> rng = np.random.default_rng(0)
    >>> X, y, site = rng.normal(size=(300, 2)), np.ones(300, int), np.repeat([0, 1, 2], 100)
    >>> X[::20], y[::20] = X[::20] + 9, -1
    >>> forest = FitOnNormals(IsolationForest(random_state=0))
    >>> LabelThreshold(forest).fit(X, y, domains=site).predict([[0, 0], [9, 9]])
    array([ 1, -1])
    """

    best_value_: float
    offset_: float
    detector_: Any
    polarity_: str

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "detector": [HasMethods(["fit"])],
        "metric": [StrOptions({"f1", "balanced_accuracy", "cost", "recall"})],
        "miss_cost": [Interval(Real, 0, None, closed="neither")],
        "max_false_alarm_rate": [RealInterval(0, 1, closed="left")],
        "cv": ["cv_object"],
        "polarity": [StrOptions(set(POLARITIES))],
    }

    def __init__(
        self,
        detector: Any,
        *,
        metric: str = "f1",
        miss_cost: float = 10.0,
        max_false_alarm_rate: float = 0.01,
        cv: Any = 5,
        polarity: str = "auto",
    ) -> None:
        self.detector = detector
        self.metric = metric
        self.miss_cost = miss_cost
        self.max_false_alarm_rate = max_false_alarm_rate
        self.cv = cv
        self.polarity = polarity

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Any, y: Any = None, *, domains: ArrayLike | None = None, **fit_params: Any
    ) -> Self:
        """Set the threshold on domains left out, and fit the detector on all.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Normal rows and labelled anomalies.
        y : array-like of shape (n_samples,)
            1 for a normal row, -1 for an anomalous one.
        domains : array-like of shape (n_samples,), default=None
            Label of each row's domain. Passed on to a detector whose fit takes it, unless it has a
            `domain_column`; None takes them from that column of `X`, where there is one.
        **fit_params : dict
            As in `ContaminationThreshold.fit`.

        Returns
        -------
        self : object
            With the threshold set.

        Raises
        ------
        ValueError
            For a detector that would learn anomalies as normal, without `y` or domains to leave
            out, for a `cv` that parts a domain, and where no domain has rows of both labels.
        """
        who = f"{type(self).__name__}.fit"
        polarity = read_polarity(self.detector, self.polarity, who=who)
        if not isinstance(self.detector, FitOnNormals | FrozenEstimator):
            raise ValueError(
                f"{who} got a {type(self.detector).__name__}, which would learn the anomalies of "
                "fit as normal rows. Wrap it: FitOnNormals(detector), or FrozenEstimator(detector) "
                "if it is fitted, on other domains than these."
            )
        normal = read_is_normal(y, None, who=who)
        named = labels_of_domains(domains, fit_params)
        column = getattr(final_detector(self.detector), "domain_column", None)
        if column is not None:
            named = column_of(X, column, who=who) if named is None else named
            # The detector reads them off X, and refuses to be told twice.
            domains = None
            fit_params = {k: v for k, v in fit_params.items() if not k.endswith("__domains")}
        index = np.zeros(len(normal), np.int64)
        if named is not None:
            index = read_labels(named, len(normal), who=who)[1]
        scores = self._scores_left_out(X, y, domains, fit_params, (index, polarity))
        offset, value = self._best_cut(scores, normal, index, who)
        detector = clone(self.detector)
        detector.fit(X, y, **self._params_for_detector(detector, domains, fit_params))
        self.detector_, self.polarity_ = detector, polarity
        self.offset_, self.best_value_ = offset, value
        self.calibration_scores_: NDArray[np.float64] = compact_scores(scores[normal])
        take_over_columns(self, detector)
        return self

    def _scores_left_out(
        self,
        X: Any,
        y: Any,
        domains: ArrayLike | None,
        fit_params: dict[str, Any],
        by: tuple[NDArray[np.int64], str],
    ) -> NDArray[np.float64]:
        """Score every row by a detector that has not seen its domain."""
        index, polarity = by
        who = f"{type(self).__name__}.fit"
        if isinstance(self.detector, FrozenEstimator):
            return self._finite(
                respond_by_domain(
                    self.detector, X, index, "score_samples", polarity=polarity, who=who
                )
            )
        scores = np.full(len(index), np.nan)
        params = fit_params if domains is None else {**fit_params, "domains": domains}
        for train, test in self._splits(X, y, index, who):
            own = params_of_rows(X, params, train, who=who)
            part = {k: v for k, v in own.items() if k != "domains"}
            detector = clone(self.detector)
            given = self._params_for_detector(detector, own.get("domains"), part)
            detector.fit(_safe_indexing(X, train), _safe_indexing(y, train), **given)
            rows = _safe_indexing(X, test)
            scores[test] = respond_by_domain(
                detector, rows, index[test], "score_samples", polarity=polarity, who=who
            )
        return self._finite(scores)

    def _splits(self, X: Any, y: Any, index: NDArray[np.int64], who: str) -> Any:
        n_domains = len(np.unique(index))
        cv = 5 if self.cv is None else self.cv
        if not isinstance(cv, int | np.integer):
            folds = list(check_cv(cv).split(X, y, index))
            for number, (train, test) in enumerate(folds):
                if np.intersect1d(index[train], index[test]).size:
                    raise ValueError(
                        f"{who} got a cv whose fold {number} has rows of one domain both to train "
                        "on and to set the threshold on. Leave out whole domains: pass their "
                        "labels as domains=, and an int or LeaveOneGroupOut() as cv."
                    )
            return folds
        if n_domains < 2:
            raise ValueError(
                f"{who} got rows of one domain, and none is left to set a threshold on. Pass the "
                "label of each row's domain as domains=."
            )
        n_folds = min(int(cv), n_domains)
        fold, rows = index * n_folds // n_domains, np.arange(len(index))
        return [(rows[fold != i], rows[fold == i]) for i in range(n_folds)]

    def _finite(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if not np.isfinite(scores).all():
            raise ValueError(
                f"{type(self).__name__}.fit got scores that are not finite, or rows that no fold "
                "of cv leaves out. Scale the features first; let every row be in one test fold."
            )
        return scores

    def _best_cut(
        self,
        scores: NDArray[np.float64],
        normal: NDArray[np.bool_],
        index: NDArray[np.int64],
        who: str,
    ) -> tuple[float, float]:
        domains = [
            (np.sort(scores[own & ~normal]), np.sort(scores[own & normal]))
            for own in (index == domain for domain in np.unique(index))
        ]
        # A domain without either tells nothing of how both are told apart.
        judged = [(abnormal, usual) for abnormal, usual in domains if len(abnormal) and len(usual)]
        if not judged:
            raise ValueError(
                f"{who} got no domain with both normal rows (1) and anomalies (-1) in y, and no "
                "threshold can be judged. Label anomalies in at least one domain."
            )
        levels = np.unique(scores)
        if self.metric == "recall":
            parts = [rows for rows, _ in judged], [rows for _, rows in domains if len(rows)]
            return _most_found(*parts, levels, float(self.max_false_alarm_rate))
        # False alarms and misses cost the same in a domain that has rows of one label.
        return _best_of_all(domains if self.metric == "cost" else judged, levels, self._measure())

    def _measure(self) -> _Measure:
        if self.metric == "cost":
            return self._saved
        return {"f1": _f1, "balanced_accuracy": _balanced_accuracy}[self.metric]

    def _saved(
        self, hits: NDArray[Any], alarms: NDArray[Any], n_anomalies: int, n_normals: int
    ) -> NDArray[Any]:
        cost = alarms + self.miss_cost * (n_anomalies - hits)
        return np.asarray(-cost / (n_anomalies + n_normals))
