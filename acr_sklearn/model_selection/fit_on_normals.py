"""A detector that is kept from known anomalies, or told of them, in refits of a search too."""

from __future__ import annotations

from inspect import signature
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MetaEstimatorMixin, OutlierMixin, _fit_context, clone
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_method_params, check_is_fitted

from acr_sklearn._input.domain_rows import is_domain_list
from acr_sklearn._input.known_anomalies import read_mask
from acr_sklearn._input.labels import read_is_normal
from acr_sklearn._input.numbers import count_rows
from acr_sklearn._input.validation import FOREIGN_ERRORS
from acr_sklearn.model_selection.normality import take_over_columns
from acr_sklearn.persistence.estimators import FileStorage

__all__ = ["FitOnNormals", "params_of_rows"]

# scikit-learn routes nothing to score_samples: there, parameters go on as they are.
_ROUTED = ("fit", "predict", "decision_function", "score")


def _detector_has(name: str) -> Any:
    return available_if(lambda self: hasattr(self.detector, name))


def params_of_rows(X: Any, fit_params: dict[str, Any], kept: Any, *, who: str) -> dict[str, Any]:
    """Take the entries of some rows from what has one per row.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The rows.
    fit_params : dict
        What fit was given beside them. Outliers stay whole, for they are rows of their own,
        however many there are.
    kept : ndarray of int or bool
        Which rows.
    who : str
        For the message.

    Returns
    -------
    dict
        Under the same names.

    Raises
    ------
    TypeError
        For what has an entry per row and no way to take some.
    """
    of_rows = {name: value for name, value in fit_params.items() if not _is_outliers(name)}
    try:
        taken: dict[str, Any] = _check_method_params(X, of_rows, indices=kept)
    except FOREIGN_ERRORS as error:
        names = ", ".join(of_rows)
        raise TypeError(f"{who} got {names} of which it cannot leave out rows: {error}") from error
    return {name: taken.get(name, value) for name, value in fit_params.items()}


def _is_outliers(name: str) -> bool:
    return name == "outliers" or name.endswith("__outliers")


def _refuse_lost_domains(fit_params: dict[str, Any]) -> None:
    """Refuse what a Pipeline's predict could not be given."""
    lost = [name for name in fit_params if name.endswith("__domains")]
    if lost:
        raise ValueError(
            f"FitOnNormals.fit_predict got {lost[0]}=, which a Pipeline takes in fit but, without "
            "metadata routing, not in predict: all domains would be one batch. Call fit, then "
            "predict once per domain, or switch metadata routing on."
        )


class FitOnNormals(FileStorage, MetaEstimatorMixin, OutlierMixin, BaseEstimator):
    """Train a detector on the rows with ``y == 1``; tell it of those with ``y == -1``, or not.

    A search refits its best candidate on all rows that it was given, known anomalies included,
    and a detector ignores `y`: it learns the anomalies as normal. Around the detector, this class
    keeps them out of every fit, that of ``best_estimator_`` too. Scoring is the detector's own.

    A detector that learns from known anomalies can be told of them instead. Whether that pays on
    domains never seen is for a search to say: over ``anomalies``, with
    ``NormalTrainSplit(LeaveOneGroupOut(), anomalies="known")`` as its `cv`.

    Parameters
    ----------
    detector : estimator
        A detector, or a Pipeline that ends with one.
    anomalies : {"drop", "known"}, default="drop"
        "drop" leaves the rows with ``y == -1`` out. "known" passes them on, marked by the
        detector's fit argument `known_anomalies`, beside those that a mask passed to fit marks;
        the steps before it in a Pipeline see them too.

    Attributes
    ----------
    detector_ : estimator
        The detector, fitted on normal rows.
    n_features_in_ : int
        Columns of `X`, where the detector counts them.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where the detector keeps them.

    See Also
    --------
    NormalTrainSplit : Keeps known anomalies out of the train folds, but not out of the refit.

    Examples
    --------
    >>> from sklearn.ensemble import IsolationForest
    >>> from acr_sklearn.model_selection import FitOnNormals
    >>> X, y = [[0.0], [0.1], [0.2], [9.0]], [1, 1, 1, -1]
    >>> model = FitOnNormals(IsolationForest(random_state=0)).fit(X, y)
    >>> model.detector_.max_samples_
    3
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "detector": [HasMethods(["fit"])],
        "anomalies": [StrOptions({"drop", "known"})],
    }

    def __init__(self, detector: Any, *, anomalies: str = "drop") -> None:
        self.detector = detector
        self.anomalies = anomalies

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: ArrayLike | None = None, **fit_params: Any) -> Self:
        """Fit a clone of the detector on the normal rows, or on all with the anomalies marked.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,), default=None
            1 for a normal row, -1 for an anomalous one. Without it all rows are used.
        **fit_params : dict
            Passed on to the detector's fit; what has one entry per row, such as ``domains=``,
            loses the entries of the anomalous rows, ``outliers=`` does not. With metadata
            routing on, as routed.

        Returns
        -------
        self : object
            With the detector fitted.

        Raises
        ------
        ValueError
            If `y` is not made of 1 and -1, one per row, if no row is normal, if there is a `y`
            with a list of data sets, or if a detector to be told of anomalies takes none.
        """
        if y is not None and is_domain_list(X):
            raise ValueError(
                f"FitOnNormals.fit got a {type(X).__name__} of data sets together with y. Rows are "
                "left out of one table: join the data sets (concat_domains), and pass the labels "
                "of their rows as y, those of their domains as domains=."
            )
        if y is not None:
            n_rows = count_rows(X, who="FitOnNormals.fit")
            normal = read_is_normal(y, n_rows, who="FitOnNormals.fit")
            if not normal.any():
                raise ValueError(
                    f"FitOnNormals.fit got y == -1 in all {n_rows} rows. A detector trains on "
                    "normal rows: give it some with y == 1."
                )
            if self.anomalies == "known":
                if not normal.all():
                    name, marked = self._name_of_mask(), ~normal
                    if (known := fit_params.get(name)) is not None:
                        marked |= read_mask(known, X, n_rows, who="FitOnNormals.fit")
                    fit_params = {**fit_params, name: marked}
            else:
                kept = np.flatnonzero(normal)
                fit_params = params_of_rows(X, fit_params, kept, who="FitOnNormals.fit")
                X, y = _safe_indexing(X, kept), np.ones(len(kept), dtype=np.int64)
        self.detector_: Any = clone(self.detector).fit(X, y, **self._routed("fit", fit_params))
        take_over_columns(self, self.detector_)
        return self

    def _name_of_mask(self) -> str:
        """Name the argument of fit that marks known anomalies, or refuse a detector without it."""
        last, prefix = self.detector, ""
        # A Pipeline passes on what bears the name of a step; routed metadata bear their own.
        while hasattr(last, "steps"):
            name, last = last.steps[-1]
            prefix += f"{name}__"
        if "known_anomalies" not in signature(last.fit).parameters:
            raise ValueError(
                "FitOnNormals.fit with anomalies='known' passes known anomalies on, but "
                f"{type(last).__name__}.fit has no argument known_anomalies. Set "
                "anomalies='drop', or use a detector that learns from them."
            )
        return "known_anomalies" if _routing_enabled() else f"{prefix}known_anomalies"

    @_detector_has("predict")
    def predict(self, X: Any, **params: Any) -> Any:
        """Label rows as the detector does.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to label.
        **params : dict
            Passed on, such as ``domains=``.

        Returns
        -------
        ndarray of shape (n_samples,)
            1 for normal rows, -1 for anomalies.
        """
        return self._ask("predict", X, params)

    @_detector_has("decision_function")
    def decision_function(self, X: Any, **params: Any) -> Any:
        """Score rows relative to the detector's threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to score.
        **params : dict
            Passed on, such as ``domains=``.

        Returns
        -------
        ndarray of shape (n_samples,)
            Negative for anomalies.
        """
        return self._ask("decision_function", X, params)

    @_detector_has("score_samples")
    def score_samples(self, X: Any, **params: Any) -> Any:
        """Score rows; the higher, the more normal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to score.
        **params : dict
            Passed on, such as ``domains=``.

        Returns
        -------
        ndarray of shape (n_samples,)
            The detector's scores.
        """
        return self._ask("score_samples", X, params)

    def fit_predict(self, X: Any, y: ArrayLike | None = None, **fit_params: Any) -> Any:
        """Fit on the normal rows, then label all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            As in `fit`.
        y : array-like of shape (n_samples,), default=None
            As in `fit`.
        **fit_params : dict
            As in `fit`; those that the detector's predict takes go there too.

        Returns
        -------
        ndarray of shape (n_samples,)
            1 for normal rows, -1 for anomalies.
        """
        if not _routing_enabled():
            _refuse_lost_domains(fit_params)
        self.fit(X, y, **fit_params)
        if _routing_enabled():
            known = self.get_metadata_routing().consumes("predict", fit_params)
        else:
            known = signature(self.detector_.predict).parameters
        return self.predict(X, **{k: v for k, v in fit_params.items() if k in known})

    @_detector_has("score")
    def score(self, X: Any, y: ArrayLike, **params: Any) -> float:
        """Give the detector's own score, as a search without `scoring` asks for it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to score.
        y : array-like of shape (n_samples,)
            1 for a normal row, -1 for an anomalous one.
        **params : dict
            Passed on, such as ``domains=``.

        Returns
        -------
        float
            Of `ZeroShotACRDetector` the mean area under the ROC curve over domains.
        """
        check_is_fitted(self)
        # As it is: what makes a search stop is no number.
        score: float = self.detector_.score(X, y, **self._routed("score", params))
        return score

    def _ask(self, method: str, X: Any, params: dict[str, Any]) -> Any:
        check_is_fitted(self)
        return getattr(self.detector_, method)(X, **self._routed(method, params))

    def _routed(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method not in _ROUTED or not _routing_enabled():
            return params
        return dict(process_routing(self, method, **params).detector[method])

    def get_metadata_routing(self) -> MetadataRouter:
        """Say what this estimator passes on.

        Returns
        -------
        MetadataRouter
            What the detector asks for, method by method.
        """
        mapping = MethodMapping()
        for method in _ROUTED:
            mapping.add(caller=method, callee=method)
        return MetadataRouter(owner=self).add(detector=self.detector, method_mapping=mapping)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.detector)
        tags.input_tags = inner.input_tags
        tags.non_deterministic = inner.non_deterministic
        return tags
