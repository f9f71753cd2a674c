"""A detector under PyOD's names and signs."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf
from scipy.stats import binom
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted

from acr_sklearn._input.domain_rows import read_rows
from acr_sklearn._input.parameters import RealInterval
from acr_sklearn._input.validation import column_names, refuse_other_names

__all__ = ["PyODAdapter"]


class PyODAdapter(BaseEstimator):
    """A fitted detector under PyOD's names and signs: high = abnormal, labels 0 and 1.

    `fit` trains nothing: like the detectors of PyOD it is given the rows that are to be judged, and
    holds them as the batch. New rows are scored one by one beside these.

    Parameters
    ----------
    detector : ZeroShotACRDetector, ResADDetector or OutlierSynthesisDetector
        Fitted.
    contamination : float, default=0.1
        Fraction of the rows of `fit` that are labelled 1, in (0, 0.5].

    Attributes
    ----------
    decision_scores_ : ndarray of shape (n_samples,)
        Anomaly scores of the rows of `fit`, as one batch.
    threshold_ : float
        Rows that score above it are labelled 1.
    labels_ : ndarray of shape (n_samples,)
        1 for outliers among the rows of `fit`, else 0.
    n_features_in_ : int
        Columns of the rows of `fit`, a domain column among them.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of these columns, where `fit` saw a DataFrame whose names are strings.
    """

    def __init__(self, detector: Any, contamination: float = 0.1):
        self.detector = detector
        self.contamination = contamination

    def __sklearn_clone__(self) -> Self:
        """Clone without the batch, but with the fitted detector: there is nothing to fit anew."""
        return type(self)(self.detector, self.contamination)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Hold rows as the batch, and score them in it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of one domain, mostly normal; with the domain column where the detector has one.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : object
            Fitted.

        Raises
        ------
        ValueError
            For input that cannot be scored.
        """
        constraints = {"contamination": [RealInterval(0, 0.5, closed="right")]}
        given = {"contamination": self.contamination}
        validate_parameter_constraints(constraints, given, caller_name=type(self).__name__)
        function = self.detector.as_function(X)
        self.decision_scores_: Any = -self.detector.score_samples(X)
        self.n_features_in_: Any = self.detector.n_features_in_
        self.function_ = function
        self._keep_names(X)
        self.threshold_: float = float(
            np.percentile(self.decision_scores_, 100 * (1 - float(self.contamination)))
        )
        self.labels_: Any = (self.decision_scores_ > self.threshold_).astype(np.int64)
        self._mu, self._sigma = self.decision_scores_.mean(), self.decision_scores_.std()
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Score rows one by one beside the batch of `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the columns of `fit`; in a DataFrame in the same order. A domain column is
            left out: all rows are judged beside the one batch of `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            High for abnormal rows.

        Raises
        ------
        ValueError
            For rows of other features, and for what holds no finite numbers.
        """
        check_is_fitted(self)
        who = f"{type(self).__name__}.decision_function"
        refuse_other_names(X, getattr(self, "feature_names_in_", None), who=who)
        if getattr(self.detector, "domain_column", None) is not None:
            X = read_rows(self.detector, X, None, reset=False, method="decision_function").rows
        scores: NDArray[np.float64] = self.function_(X)
        return scores

    def predict(self, X: Any, return_confidence: bool = False) -> Any:
        """Label rows by `threshold_`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        return_confidence : bool, default=False
            Whether `predict_confidence` is returned too.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            1 for outliers, else 0.
        confidence : ndarray of shape (n_samples,)
            Only if `return_confidence`.
        """
        labels = (self.decision_function(X) > self.threshold_).astype(np.int64)
        return (labels, self.predict_confidence(X)) if return_confidence else labels

    def fit_predict(self, X: Any, y: Any = None) -> NDArray[np.int64]:
        """Hold rows as the batch, and label them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            As in `fit`.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        ndarray of shape (n_samples,)
            `labels_`.
        """
        return self.fit(X).labels_

    def predict_proba(self, X: Any, method: str = "linear", return_confidence: bool = False) -> Any:
        """Bring scores to [0, 1] as PyOD does.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        method : {"linear", "unify"}, default="linear"
            By the range of `decision_scores_`, or by the normal distribution of their mean and
            deviation.
        return_confidence : bool, default=False
            Whether `predict_confidence` is returned too.

        Returns
        -------
        scores : ndarray of shape (n_samples, 2)
            For normal and abnormal. No probabilities in any strict sense.
        confidence : ndarray of shape (n_samples,)
            Only if `return_confidence`.

        Raises
        ------
        ValueError
            For another method.
        """
        scores = self.decision_function(X)
        if method == "linear":
            low = self.decision_scores_.min()
            reach = self.decision_scores_.max() - low
            outlying = (scores - low) / (reach if reach > 0 else 1.0)
        elif method == "unify":
            spread = self._sigma if self._sigma > 0 else 1.0
            outlying = erf((scores - self._mu) / (spread * np.sqrt(2)))
        else:
            raise ValueError(
                f"{type(self).__name__}.predict_proba got method={method!r}. Use 'linear' or "
                "'unify'."
            )
        outlying = np.clip(outlying, 0, 1)
        both = np.stack([1 - outlying, outlying], axis=1)
        return (both, self.predict_confidence(X)) if return_confidence else both

    def predict_confidence(self, X: Any) -> NDArray[np.float64]:
        """Say how sure each label is under resampled rows of the batch (ExCeeD), as PyOD does.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            In [0, 1]: with p = (1 + k) / (2 + n) for k of n scores of the batch at most the row's,
            the probability that the row would get its label from another batch of n rows (Perini,
            Vercruyssen, Davis, ECML 2020).
        """
        scores, n = self.decision_function(X), len(self.decision_scores_)
        below = np.searchsorted(np.sort(self.decision_scores_), scores, side="right")
        probability = (1 + below) / (2 + n)
        n_normal = n - int(n * float(self.contamination))
        confidence = 1 - binom.cdf(n_normal, n, probability)
        labels = scores > self.threshold_
        found: NDArray[np.float64] = np.where(labels, confidence, 1 - confidence)
        return found

    def _keep_names(self, X: Any) -> None:
        names = column_names(X) or []
        if names and all(isinstance(name, str) for name in names):
            self.feature_names_in_: NDArray[Any] = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether a batch is held."""
        return hasattr(self, "function_")
