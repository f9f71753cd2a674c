"""A threshold of one's own around a detector, without training it again."""

from __future__ import annotations

from inspect import signature
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    OutlierMixin,
    _fit_context,
    clone,
)
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.validation import check_is_fitted

from acr_sklearn._input.domain_rows import is_domain_list
from acr_sklearn._input.known_anomalies import read_mask
from acr_sklearn._input.numbers import count_rows
from acr_sklearn._input.parameters import RealInterval
from acr_sklearn.model_selection.domain_lists import concat_domains
from acr_sklearn.model_selection.normality import (
    POLARITIES,
    read_polarity,
    respond_by_domain,
    take_over_columns,
)
from acr_sklearn.persistence.estimators import FileStorage
from acr_sklearn.thresholds import compact_scores, contamination_offset

__all__ = ["ContaminationThreshold", "labels_of_domains"]


class ContaminationThreshold(FileStorage, MetaEstimatorMixin, OutlierMixin, BaseEstimator):
    """Cut the scores of a detector at a contamination of your own choice.

    Fits a clone of the detector, scores the rows of fit and puts the threshold where the lowest
    `contamination` of them lie. Around ``FrozenEstimator(detector)`` nothing is trained: fit only
    sets the threshold, so that a search over `contamination` costs scoring and no training.

    The answers are scikit-learn's (1 and -1, high scores for normal rows) whatever the wrapped
    detector's are.

    Parameters
    ----------
    detector : estimator
        A detector, a Pipeline that ends with one, or a `sklearn.frozen.FrozenEstimator` of these.
    contamination : float or "auto", default=0.1
        Fraction of the rows of fit below the threshold, in (0, 0.5]. "auto" puts it below all but
        the outliers among their scores, see `acr_sklearn.thresholds.mad_offset`.
    polarity : {"auto", "normal", "anomaly"}, default="auto"
        Which rows score high. "auto" knows scikit-learn's OutlierMixin ("normal") and PyOD's
        BaseDetector ("anomaly"), and refuses every other class.

    Attributes
    ----------
    detector_ : estimator
        The fitted detector; the frozen one itself if it is frozen.
    offset_ : float
        Rows that score below it are predicted as anomalies.
    polarity_ : {"normal", "anomaly"}
        Which rows score high with `detector_`.
    n_features_in_ : int
        Columns of `X`, where the detector counts them.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where the detector keeps them.

    See Also
    --------
    PerDomainScorer : A score by labels, as a search over `contamination` needs.

    Notes
    -----
    Rows of several domains need `domains`: each domain is then scored in a call of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import IsolationForest
    >>> from sklearn.frozen import FrozenEstimator
    >>> from acr_sklearn import ContaminationThreshold
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> frozen = FrozenEstimator(IsolationForest(random_state=0).fit(X))
    >>> cut = ContaminationThreshold(frozen, contamination=0.05).fit(X)
    >>> int((cut.predict(X) == -1).sum())
    10
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "detector": [HasMethods(["fit"])],
        "contamination": [RealInterval(0, 0.5, closed="right"), StrOptions({"auto"})],
        "polarity": [StrOptions(set(POLARITIES))],
    }
    # Consumed here, for the threshold, and passed on to a detector that asks for it.
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"domains": True}
    __metadata_request__predict: ClassVar[dict[str, bool]] = {"domains": True}
    __metadata_request__decision_function: ClassVar[dict[str, bool]] = {"domains": True}

    def __init__(
        self, detector: Any, *, contamination: float | str = 0.1, polarity: str = "auto"
    ) -> None:
        self.detector = detector
        self.contamination = contamination
        self.polarity = polarity

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Any, y: Any = None, *, domains: ArrayLike | None = None, **fit_params: Any
    ) -> Self:
        """Fit the detector, unless it is frozen, and set the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Normal rows.
        y : array-like of shape (n_samples,), default=None
            Passed on to the detector; detectors of outliers ignore it.
        domains : array-like of shape (n_samples,), default=None
            Label of each row's domain. Passed on to a detector whose fit takes it.
        **fit_params : dict
            Passed on to the detector's fit: with metadata routing off under the names that it
            takes (``acr__domains=`` for a Pipeline with a step "acr"), with routing on as routed.
            Rows that ``known_anomalies=`` marks have no part in the threshold.

        Returns
        -------
        self : object
            With the threshold set.

        Raises
        ------
        ValueError
            When ``polarity="auto"`` does not know the detector's class, when scores are not
            finite, or when all rows are marked as known anomalies.
        """
        who = f"{type(self).__name__}.fit"
        polarity = read_polarity(self.detector, self.polarity, who=who)
        detector = clone(self.detector)
        detector.fit(X, y, **self._params_for_detector(detector, domains, fit_params))
        domains = labels_of_domains(domains, fit_params)
        scores = self._scores_of_normals(detector, X, domains, fit_params, polarity)
        if not np.isfinite(scores).all():
            raise ValueError(
                f"{who} got scores that are not finite from {type(self.detector).__name__}. "
                "Scale the features first, for example with StandardScaler."
            )
        self.detector_: Any = detector
        self.polarity_ = polarity
        self.offset_: float = contamination_offset(scores, self.contamination)
        self.calibration_scores_: NDArray[np.float64] = compact_scores(scores)
        take_over_columns(self, detector)
        return self

    def _scores_of_normals(
        self, detector: Any, X: Any, domains: Any, fit_params: dict[str, Any], polarity: str
    ) -> NDArray[np.float64]:
        """Score the rows of fit without those that are marked as known anomalies."""
        who = f"{type(self).__name__}.fit"
        known = _known_anomalies(fit_params)
        if known is not None:
            table = X
            if is_domain_list(X):
                table, domains = concat_domains(X)
            n_rows = count_rows(table, who=who)
            kept = np.flatnonzero(~read_mask(known, X, n_rows, who=who))
            if not len(kept):
                raise ValueError(
                    f"{who} got known_anomalies that mark all {n_rows} rows. The threshold is set "
                    "on normal rows: give it some that are not marked."
                )
            X = _safe_indexing(table, kept)
            domains = None if domains is None else _safe_indexing(domains, kept)
        return respond_by_domain(detector, X, domains, "score_samples", polarity=polarity, who=who)

    def _params_for_detector(
        self, detector: Any, domains: ArrayLike | None, fit_params: dict[str, Any]
    ) -> dict[str, Any]:
        given = fit_params if domains is None else {**fit_params, "domains": domains}
        if _routing_enabled():
            return dict(process_routing(self, "fit", **given).detector.fit)
        # A Pipeline takes them under the name of its step, other detectors not at all.
        return given if _takes_domains(detector) else fit_params

    def score_samples(self, X: Any, *, domains: ArrayLike | None = None) -> NDArray[np.float64]:
        """Score rows; the higher, the more normal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to score.
        domains : array-like of shape (n_samples,), default=None
            Label of each row's domain; each domain is scored in a call of its own.

        Returns
        -------
        ndarray of shape (n_samples,), float64
            The detector's scores, their sign turned if anomalies score high with it.
        """
        check_is_fitted(self)
        return respond_by_domain(
            self.detector_,
            X,
            domains,
            "score_samples",
            polarity=self.polarity_,
            who=f"{type(self).__name__}.score_samples",
        )

    def decision_function(self, X: Any, *, domains: ArrayLike | None = None) -> NDArray[np.float64]:
        """Score rows relative to the threshold; negative for anomalies.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to score.
        domains : array-like of shape (n_samples,), default=None
            As in `score_samples`.

        Returns
        -------
        ndarray of shape (n_samples,), float64
            ``score_samples(X) - offset_``.
        """
        return self.score_samples(X, domains=domains) - self.offset_

    def predict(self, X: Any, *, domains: ArrayLike | None = None) -> NDArray[np.int64]:
        """Label rows as normal or anomalous.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to label.
        domains : array-like of shape (n_samples,), default=None
            As in `score_samples`.

        Returns
        -------
        ndarray of shape (n_samples,), int64
            1 for normal rows, -1 for anomalies.
        """
        below = self.decision_function(X, domains=domains) < 0
        return np.where(below, -1, 1).astype(np.int64)

    def fit_predict(
        self, X: Any, y: Any = None, *, domains: ArrayLike | None = None, **fit_params: Any
    ) -> NDArray[np.int64]:
        """Fit, then label the rows of fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            As in `fit`.
        y : array-like of shape (n_samples,), default=None
            As in `fit`.
        domains : array-like of shape (n_samples,), default=None
            As in `fit`.
        **fit_params : dict
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,), int64
            1 for normal rows, -1 for anomalies.
        """
        self.fit(X, y, domains=domains, **fit_params)
        return self.predict(X, domains=labels_of_domains(domains, fit_params))

    def get_metadata_routing(self) -> MetadataRouter:
        """Say what this estimator consumes and passes on.

        Returns
        -------
        MetadataRouter
            It asks for `domains` itself, and passes on what the detector's fit asks for.
        """
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(
                detector=self.detector,
                method_mapping=MethodMapping().add(caller="fit", callee="fit"),
            )
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.detector)
        tags.input_tags = inner.input_tags
        tags.non_deterministic = inner.non_deterministic
        return tags


def _takes_domains(detector: Any) -> bool:
    """Whether fit takes `domains` by that name, or passes what it is given on to one that does."""
    parameters = signature(detector.fit).parameters
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()) and not hasattr(
        detector, "steps"
    ):
        inner = getattr(detector, "__dict__", {}).get("detector")
        return inner is not None and _takes_domains(inner)
    return "domains" in parameters


def _known_anomalies(fit_params: dict[str, Any]) -> Any:
    """Take the mask from where the detector, or a pipeline's step, gets it."""
    found = [
        value
        for name, value in fit_params.items()
        if name == "known_anomalies" or name.endswith("__known_anomalies")
    ]
    return found[0] if len(found) == 1 else None


def labels_of_domains(domains: ArrayLike | None, fit_params: dict[str, Any]) -> Any:
    """Take the labels from where a pipeline's step gets them, when they are not named as such.

    Parameters
    ----------
    domains : array-like of shape (n_samples,) or None
        As passed to fit.
    fit_params : dict
        What else was passed.

    Returns
    -------
    array-like of shape (n_samples,) or None
        The labels, None where there are none.
    """
    if domains is not None:
        return domains
    found = [value for name, value in fit_params.items() if name.endswith("__domains")]
    return found[0] if len(found) == 1 else None
