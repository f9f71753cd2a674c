"""What any detector says of rows, turned so that high means normal, one domain at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import OutlierMixin
from sklearn.utils import _safe_indexing

from acr_sklearn._input.domain_rows import is_domain_list
from acr_sklearn._input.labels import read_labels
from acr_sklearn.model_selection.domain_lists import concat_domains

__all__ = [
    "POLARITIES",
    "column_of",
    "domain_parts",
    "final_detector",
    "normality_response",
    "read_polarity",
    "respond_by_domain",
    "scored_rows",
    "take_over_columns",
    "unwrapped",
]

#: Which rows score high.
POLARITIES = ("auto", "normal", "anomaly")


def unwrapped(estimator: Any) -> Iterator[Any]:
    """Yield an estimator, and what is inside it, from the outside in.

    Parameters
    ----------
    estimator : estimator
        Frozen, a pipeline, a search, a set threshold, or a detector.

    Yields
    ------
    estimator
        The last one is the detector; fitted ones are taken where there are any.
    """
    yield estimator
    while (inner := _unwrapped_once(estimator)) is not estimator:
        estimator = inner
        yield estimator


def final_detector(estimator: Any) -> Any:
    """Return the innermost estimator, see `unwrapped`."""
    return list(unwrapped(estimator))[-1]


def read_polarity(estimator: Any, polarity: str, *, who: str) -> str:
    """Decide whether normal or anomalous rows score high.

    Parameters
    ----------
    estimator : estimator
        A detector, or what is wrapped around one.
    polarity : {"auto", "normal", "anomaly"}
        "auto" asks the detector's class.
    who : str
        For the message.

    Returns
    -------
    {"normal", "anomaly"}
        Which rows score high.

    Raises
    ------
    ValueError
        When the class does not say, or for another `polarity`.
    """
    if polarity not in POLARITIES:
        raise ValueError(f"{who} got polarity={polarity!r}. It can be one of {POLARITIES}.")
    if polarity != "auto":
        return polarity
    for part in unwrapped(estimator):
        # PyOD comes first: it carries scikit-learn's tag of an outlier detector, with its own sign.
        if _is_pyod(part):
            return "anomaly"
        if isinstance(part, OutlierMixin):
            return "normal"
    raise ValueError(
        f"{who} cannot tell which rows score high with {type(part).__name__}: it is neither a "
        "scikit-learn OutlierMixin (high = normal) nor a PyOD BaseDetector (high = anomalous). "
        "Say so: ContaminationThreshold(detector, polarity='normal') or polarity='anomaly'."
    )


def _unwrapped_once(estimator: Any) -> Any:
    # A frozen estimator forwards every attribute, so it must not be asked for those below.
    if type(estimator).__name__ == "FrozenEstimator":
        return estimator.estimator
    if hasattr(estimator, "steps"):
        return estimator.steps[-1][1]
    for name in ("best_estimator_", "detector_", "estimator", "detector"):
        inner = getattr(estimator, "__dict__", {}).get(name)
        if hasattr(inner, "fit"):
            return inner
    return estimator


def _is_pyod(estimator: Any) -> bool:
    # By name, for PyOD is no dependency of this package.
    ancestors = type(estimator).__mro__
    return any(c.__name__ == "BaseDetector" and c.__module__.startswith("pyod.") for c in ancestors)


def normality_response(estimator: Any, X: Any, method: str, *, polarity: str) -> NDArray[Any]:
    """Ask a detector about rows, in scikit-learn's terms.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : array-like of shape (n_samples, n_features)
        One batch.
    method : {"predict", "decision_function", "score_samples"}
        Which answer; a score is taken from the other of the two methods where this one is missing.
    polarity : {"normal", "anomaly"}
        Which rows score high with this estimator; "anomaly" means PyOD's conventions.

    Returns
    -------
    ndarray of shape (n_samples,)
        Predictions 1 (normal) and -1, or scores that are high for normal rows. PyOD's
        "decision_function" comes with its threshold taken off.
    """
    if method == "predict":
        labels = np.asarray(estimator.predict(X))
        return labels if polarity == "normal" else np.where(labels == 1, -1, 1)
    if polarity == "normal":
        other = {"decision_function": "score_samples", "score_samples": "decision_function"}
        name = method if hasattr(estimator, method) else other[method]
        return np.asarray(getattr(estimator, name)(X), dtype=np.float64)
    name = "decision_function" if hasattr(estimator, "decision_function") else "score_samples"
    scores = -np.asarray(getattr(estimator, name)(X), dtype=np.float64)
    if method == "decision_function":
        scores += float(getattr(final_detector(estimator), "threshold_", 0.0))
    return scores


def domain_parts(n_rows: int, domains: Any, *, who: str) -> Iterator[tuple[Any, NDArray[np.int64]]]:
    """Yield each domain's label and the positions of its rows, sorted by label.

    Parameters
    ----------
    n_rows : int
        How many labels are needed.
    domains : array-like of shape (n_samples,) or None
        None makes all rows one domain, with the label None.
    who : str
        For the messages.

    Yields
    ------
    label : object
        A plain Python object where NumPy has one for it.
    rows : ndarray of int
        Positions, ascending.
    """
    if domains is None:
        yield None, np.arange(n_rows)
        return
    labels, index = read_labels(domains, n_rows, who=who)
    for position, label in enumerate(labels):
        plain = label.item() if isinstance(label, np.generic) else label
        yield plain, np.flatnonzero(index == position)


def respond_by_domain(
    estimator: Any, X: Any, domains: Any, method: str, *, polarity: str, who: str
) -> NDArray[np.float64]:
    """Ask about each domain as a batch of its own.

    Needs no `domains` argument of the estimator, so it works through a pipeline with metadata
    routing off and with detectors that know nothing of domains.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : array-like of shape (n_samples, n_features)
        Rows of one or more domains.
    domains : array-like of shape (n_samples,) or None
        None makes one call with all rows.
    method, polarity : str
        As in `normality_response`.
    who : str
        For the messages.

    Returns
    -------
    ndarray of shape (n_samples,), float64
        In the order of the rows.
    """
    if domains is None:
        return normality_response(estimator, X, method, polarity=polarity).astype(np.float64)
    n_rows = int(X.shape[0]) if hasattr(X, "shape") else len(X)
    answers = np.empty(n_rows)
    for _, rows in domain_parts(n_rows, domains, who=who):
        part = _safe_indexing(X, rows)
        answers[rows] = normality_response(estimator, part, method, polarity=polarity)
    return answers


def scored_rows(
    estimator: Any, X: Any, domains: Any, method: str, *, who: str
) -> tuple[NDArray[np.float64], Any]:
    """Score rows in every form that a detector takes, each domain as a batch of its own.

    Parameters
    ----------
    estimator : estimator
        Fitted; whose polarity is known.
    X : array-like of shape (n_samples, n_features) or list of such
        Rows of one or more domains; the arrays of a list are domains 0, 1, 2, ...
    domains : array-like of shape (n_samples,) or None
        None takes the detector's own `domain_column`, where it has one.
    method : {"decision_function", "score_samples"}
        Which score.
    who : str
        For the messages.

    Returns
    -------
    scores : ndarray of shape (n_samples,)
        High for normal rows.
    domains : array-like of shape (n_samples,) or None
        The labels that were used.

    Raises
    ------
    ValueError
        When `domains` come with a list or beside a domain column, or the polarity is unknown.
    """
    polarity = read_polarity(estimator, "auto", who=who)
    column = getattr(estimator, "domain_column", None)
    if domains is not None and (column is not None or is_domain_list(X)):
        raise ValueError(
            f"{who} got domains= although "
            + ("X is a list of data sets." if column is None else f"domain_column={column!r}.")
            + " Say once which domain a row belongs to."
        )
    if is_domain_list(X):
        X, domains = concat_domains(X)
    if column is not None:
        domains = column_of(X, column, who=who)
    return respond_by_domain(estimator, X, domains, method, polarity=polarity, who=who), domains


def column_of(X: Any, column: str | int, *, who: str) -> Any:
    """Take one column, by name or position, out of a frame or an array."""
    if isinstance(column, str):
        names = list(getattr(X, "columns", []))
        if column not in names:
            raise ValueError(
                f"{who} found no column {column!r} in X of type {type(X).__name__}. "
                + (f"Columns: {', '.join(map(str, names))}." if names else "Pass a DataFrame.")
            )
        return X[column]
    width = X.shape[1] if len(getattr(X, "shape", ())) == 2 else 0
    is_place = isinstance(column, int | np.integer) and not isinstance(column, bool)
    if not is_place or not -width <= column < width:
        raise ValueError(
            f"{who} found no column {column!r} in X of type {type(X).__name__} with {width} "
            "columns. Give a column's name or position."
        )
    return X.iloc[:, column] if hasattr(X, "iloc") else X[:, column]


def take_over_columns(model: Any, detector: Any) -> None:
    """Set what a fitted detector knows of the columns of X, and remove what an earlier one knew.

    Parameters
    ----------
    model : estimator
        What is around the detector.
    detector : estimator
        Fitted.
    """
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(detector, name):
            setattr(model, name, getattr(detector, name))
        else:
            model.__dict__.pop(name, None)
