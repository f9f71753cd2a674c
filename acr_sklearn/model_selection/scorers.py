"""Scorers for batches of unseen domains: each domain by itself, anomalies as what is looked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.metrics import get_scorer
from sklearn.utils import _safe_indexing
from sklearn.utils.metadata_routing import MetadataRequest

from acr_sklearn._input.labels import read_is_normal
from acr_sklearn._input.numbers import count_rows
from acr_sklearn.metrics.detection import (
    OneLabelError,
    anomaly_average_precision,
    anomaly_roc_auc,
    measure_by_domain,
    refused_in_search,
)
from acr_sklearn.model_selection.normality import (
    column_of,
    domain_parts,
    normality_response,
    read_polarity,
)

__all__ = [
    "PerDomainScorer",
    "anomaly_average_precision_scorer",
    "anomaly_roc_auc_scorer",
]

_METHODS = ("predict", "decision_function", "score_samples")
_UNKNOWN = ("raise", "one domain")


class PerDomainScorer:
    """Score each domain of a test fold as a batch of its own, and average over the domains.

    A detector of unseen domains compares the rows of a batch with one another. Scored in one
    batch, rows of several domains say nothing about anomalies; so the rows of each domain are
    taken out, given to the estimator in a call of their own, and measured by themselves.

    Called as ``scorer(estimator, X, y, domains=...)``, the scorer fits every `scoring` parameter
    of scikit-learn. It gets to know the domains in one of these ways, the first that applies:

    1. `domains_from`, a column of X or a function of X;
    2. `domains`, with metadata routing on: ``search.fit(X, y, domains=site)`` reaches scorer and
       detector alike, without further calls;
    3. the estimator's own `domain_column`, when the estimator is the detector itself.

    Parameters
    ----------
    metric : str, scorer or callable
        A scorer's name such as "balanced_accuracy", a scorer made by `sklearn.metrics.make_scorer`,
        or a function ``metric(y_true, values)`` of labels 1 (normal) and -1 and of what
        `response_method` gives.
    response_method : {"predict", "decision_function", "score_samples"}, default="predict"
        For a function: what it is given. High scores are those of normal rows, and predictions
        are 1 and -1, for PyOD's detectors too.
    domains_from : str, int, callable or None, default=None
        Name or position of the column of X that holds the domains, or a function from X to one
        label per row. With metadata routing off this is the only way through a Pipeline.
    if_unknown : {"raise", "one domain"}, default="raise"
        What to do when nothing says which domain a row is from. "one domain" takes all rows as
        one, which is right where each test fold is a domain (``LeaveOneGroupOut``).

    Raises
    ------
    ValueError
        When a parameter cannot be used, see above. When called: for labels other than 1 and -1
        (PyOD's are 0 and 1), when domains are unknown, or when no domain has both labels. The last
        stops a search too, whose every mean would be nan, unless its `error_score` is a number.

    Warns
    -----
    ACRWarning
        When called, for domains with one label only. They are left out.

    See Also
    --------
    NormalTrainSplit : The folds of such a search.
    anomaly_roc_auc_scorer : Ready-made.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import IsolationForest
    >>> from acr_sklearn import PerDomainScorer
    >>> X, y, site = np.array([[0], [1], [9], [5], [6], [0]]), [1, 1, -1] * 2, list("aaabbb")
    >>> detector = IsolationForest(random_state=0).fit(X)
    >>> scorer = PerDomainScorer("roc_auc")
    >>> sorted(scorer.by_domain(detector, X, y, domains=site))
    ['a', 'b']
    """

    def __init__(
        self,
        metric: str | Callable[..., Any],
        *,
        response_method: str = "predict",
        domains_from: str | int | Callable[[Any], Any] | None = None,
        if_unknown: str = "raise",
    ) -> None:
        words = isinstance(response_method, str) and isinstance(if_unknown, str)
        if not words or response_method not in _METHODS or if_unknown not in _UNKNOWN:
            raise ValueError(
                f"PerDomainScorer got response_method={response_method!r}, "
                f"if_unknown={if_unknown!r}. The first can be one of {_METHODS}, the second one of "
                f"{_UNKNOWN}."
            )
        # A name that is none is an error here, not a column of nan at the end of a search.
        try:
            self._scorer = get_scorer(metric) if isinstance(metric, str) else metric
        except ValueError as error:
            raise ValueError(f"PerDomainScorer got metric={metric!r}: {error}") from error
        if not callable(self._scorer):
            raise ValueError(
                f"PerDomainScorer got metric={metric!r}. It needs a scorer's name, a scorer, or a "
                "function of y_true and predictions."
            )
        self.metric = metric
        self.response_method = response_method
        self.domains_from = domains_from
        self.if_unknown = if_unknown
        # With routing on, `domains` arrives without set_score_request.
        self._request: bool | str | None = True

    def __repr__(self) -> str:
        metric = self.metric if isinstance(self.metric, str) else self._scorer
        name = getattr(metric, "__name__", None) or repr(metric)
        changed = [
            f"{key}={getattr(self, key)!r}"
            for key, default in (
                ("response_method", "predict"),
                ("domains_from", None),
                ("if_unknown", "raise"),
            )
            if getattr(self, key) != default
        ]
        return f"PerDomainScorer({', '.join([name, *changed])})"

    @property
    def scores_per_domain(self) -> bool:
        """Whether domains can reach this scorer under the present configuration."""
        routed = bool(get_config()["enable_metadata_routing"]) and bool(self._request)
        return self.domains_from is not None or routed

    def __call__(
        self, estimator: Any, X: Any, y: ArrayLike, *, domains: ArrayLike | None = None
    ) -> float:
        """Score an estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Rows of one or more domains.
        y : array-like of shape (n_samples,)
            1 for a normal row, -1 for an anomalous one.
        domains : array-like of shape (n_samples,), default=None
            Label of each row's domain.

        Returns
        -------
        float
            Mean over the domains.
        """
        try:
            values = self.by_domain(estimator, X, y, domains=domains)
        except OneLabelError as error:
            refusal: float = refused_in_search(error)
            return refusal
        return float(np.mean(list(values.values())))

    def by_domain(
        self, estimator: Any, X: Any, y: ArrayLike, *, domains: ArrayLike | None = None
    ) -> dict[Any, float]:
        """Score an estimator on each domain.

        Parameters
        ----------
        estimator : estimator
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Rows of one or more domains.
        y : array-like of shape (n_samples,)
            1 for a normal row, -1 for an anomalous one.
        domains : array-like of shape (n_samples,), default=None
            Label of each row's domain.

        Returns
        -------
        dict of label to float
            One number per domain that has both labels, sorted by label.
        """
        who = "PerDomainScorer"
        n_rows = count_rows(X, who=who)
        normal = read_is_normal(y, n_rows, who=who)
        found = self._find_domains(estimator, X, domains)

        def measure(rows: NDArray[np.int64]) -> float:
            labels = np.where(normal[rows], 1, -1)
            return self._measure(estimator, _safe_indexing(X, rows), labels)

        parts = domain_parts(n_rows, found, who=who)
        return dict(measure_by_domain(normal, parts, measure, who=who, stacklevel=4))

    def _find_domains(self, estimator: Any, X: Any, domains: Any) -> Any:
        if callable(self.domains_from):
            return self.domains_from(X)
        column = self.domains_from
        if column is None and domains is not None:
            return domains
        if column is None:
            inner = getattr(estimator, "estimator", estimator)  # of a FrozenEstimator
            column = getattr(inner, "domain_column", None)
        if column is not None:
            return column_of(X, column, who="PerDomainScorer")
        if self.if_unknown == "one domain":
            return None
        raise ValueError(
            "PerDomainScorer was not told which domain a row is from. With metadata routing on, "
            "pass domains= to the search or to cross_validate; with routing off no label can "
            "reach a scorer, so give it domains_from=, a column of X or a function of X. Where "
            "each test fold is one domain, if_unknown='one domain' or a ready-made scorer will do."
        )

    def _measure(self, estimator: Any, X: Any, y: NDArray[np.int64]) -> float:
        polarity = read_polarity(estimator, "auto", who="PerDomainScorer")
        if _is_scorer(self._scorer):
            if polarity == "anomaly":
                raise ValueError(
                    f"PerDomainScorer got the scorer {self.metric!r} for a PyOD detector, whose "
                    "labels are 0 and 1 and whose scores are high for anomalies: the result would "
                    "be wrong without a word. Wrap it in ContaminationThreshold(detector), or "
                    "pass a function, as anomaly_roc_auc_scorer does."
                )
            return float(self._scorer(estimator, X, y))
        values = normality_response(estimator, X, self.response_method, polarity=polarity)
        return float(self._scorer(y, values))

    def get_metadata_routing(self) -> MetadataRequest:
        """Say what metadata the scorer asks for.

        Returns
        -------
        MetadataRequest
            `domains`, unless `set_score_request` said otherwise.
        """
        request = MetadataRequest(owner=self)
        request.score.add_request(param="domains", alias=self._request)
        return request

    def set_score_request(self, *, domains: bool | str | None = True) -> Self:
        """Ask for the domains under another name, or not at all.

        Parameters
        ----------
        domains : bool, str or None, default=True
            As in scikit-learn: a str is the name to take them from, False asks for none, and None
            makes it an error to pass them.

        Returns
        -------
        PerDomainScorer
            Itself.
        """
        self._request = domains
        return self

    def _accept_sample_weight(self) -> bool:
        # Searches ask every scorer while metadata routing is off.
        return False


def _is_scorer(metric: Callable[..., Any]) -> bool:
    """Whether it is called with an estimator, as made by make_scorer, and not with labels."""
    if hasattr(metric, "_score_func"):
        return True
    return next(iter(inspect.signature(metric).parameters), "") == "estimator"


#: ROC AUC with anomalies positive, mean over domains where these are known, for detectors of
#: scikit-learn, PyOD and this package.
anomaly_roc_auc_scorer: PerDomainScorer = PerDomainScorer(
    anomaly_roc_auc, response_method="score_samples", if_unknown="one domain"
)
#: Average precision with anomalies positive, otherwise the same.
anomaly_average_precision_scorer: PerDomainScorer = PerDomainScorer(
    anomaly_average_precision, response_method="score_samples", if_unknown="one domain"
)
