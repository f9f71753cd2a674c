"""Anomalies that the caller knows: taken out of the training rows before anything looks at them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.callers import users_stacklevel
from acr_sklearn._input.domain_rows import DomainRows, as_domain_list
from acr_sklearn._input.labels import shown_label
from acr_sklearn._input.validation import FOREIGN_ERRORS, plain_array
from acr_sklearn.exceptions import NoKnownAnomaliesWarning

__all__ = ["KnownAnomalies", "TrainingRows", "read_mask", "take_out_known", "with_outliers"]

_HINT = "Labels 1 and -1 make one by y == -1, 0 and 1 by y == 1."


@dataclass(frozen=True)
class KnownAnomalies:
    """Rows that are known to be anomalies of their domain.

    Attributes
    ----------
    rows : ndarray of shape (n_anomalies, n_features)
        In the users' units.
    index : ndarray of shape (n_anomalies,), int64
        Domain of each, as a position in the labels of the training rows.
    """

    rows: NDArray[Any]
    index: NDArray[np.int64]


@dataclass(frozen=True)
class TrainingRows(DomainRows):
    """Normal rows to train on, with what is known to be abnormal.

    Attributes
    ----------
    known : KnownAnomalies or None
        None where no row was marked.
    """

    known: KnownAnomalies | None = None


def take_out_known(data: DomainRows, known_anomalies: Any, X: Any, *, who: str) -> TrainingRows:
    """Part the rows of fit into normal ones and known anomalies.

    Parameters
    ----------
    data : DomainRows
        All rows.
    known_anomalies : array-like of shape (n_rows,), list or mapping of such, or None
        True for rows that are known to be anomalies.
    X : object
        What the rows were read from, to hold a list or mapping of masks against.
    who : str
        For the messages.

    Returns
    -------
    TrainingRows
        The normal rows of every domain, in their order, and the others aside.

    Raises
    ------
    ValueError
        For what is no boolean mask of the rows, and for a domain without a normal row.

    Warns
    -----
    NoKnownAnomaliesWarning
        For a mask that is nowhere True: the fit is the one without it.
    """
    if known_anomalies is None:
        return TrainingRows(data.rows, data.index, data.labels, data.named)
    marked = read_mask(known_anomalies, X, len(data.rows), who=who)
    if not marked.any():
        warnings.warn(
            f"{who} got known_anomalies that mark none of the {len(marked)} rows, so the fit is "
            "the one without known_anomalies=. Mark the rows that are known to be anomalies.",
            NoKnownAnomaliesWarning,
            stacklevel=users_stacklevel(),
        )
        return TrainingRows(data.rows, data.index, data.labels, data.named)
    _refuse_domains_without_normals(data, marked, who)
    known = KnownAnomalies(data.rows[marked], np.ascontiguousarray(data.index[marked]))
    rows, index = data.rows[~marked], np.ascontiguousarray(data.index[~marked])
    return TrainingRows(rows, index, data.labels, data.named, known)


def with_outliers(data: TrainingRows, outliers: NDArray[Any] | None) -> TrainingRows:
    """Add rows that belong to no normal domain to the known anomalies of all domains.

    Parameters
    ----------
    data : TrainingRows
        With or without known anomalies.
    outliers : ndarray of shape (n_outliers, n_features) or None
        In the users' units.

    Returns
    -------
    TrainingRows
        Each outlier is known to one domain, in turn: what is learnt from those of some domains is
        then judged on others.
    """
    if outliers is None:
        return data
    index = np.arange(len(outliers)) % len(data.labels)
    rows = outliers.astype(data.rows.dtype)
    if data.known is not None:
        rows = np.concatenate([data.known.rows, rows])
        index = np.concatenate([data.known.index, index])
    return replace(data, known=KnownAnomalies(rows, index))


def _refuse_domains_without_normals(data: DomainRows, marked: NDArray[np.bool_], who: str) -> None:
    normal = np.bincount(data.index[~marked], minlength=len(data.labels))
    if normal.all():
        return
    where = "all rows"
    if len(data.labels) > 1:
        where = f"all rows of domain {shown_label(data.labels[int(np.argmin(normal))])}"
    raise ValueError(
        f"{who} got known_anomalies that mark {where}. What is normal is learnt from normal "
        "rows, and an anomaly is one beside those of its domain: leave the domain out, or pass "
        "its rows as outliers=."
    )


def read_mask(known: Any, X: Any, n_rows: int, *, who: str) -> NDArray[np.bool_]:
    """Read which rows are marked as known anomalies.

    Parameters
    ----------
    known : array-like of shape (n_rows,), list or mapping of such
        True for rows that are known to be anomalies.
    X : object
        What the rows were read from, to hold a list or mapping of masks against.
    n_rows : int
        Rows of `X`, of all data sets together.
    who : str
        For the messages.

    Returns
    -------
    ndarray of shape (n_rows,), bool
        One truth value per row.

    Raises
    ------
    ValueError
        For what is no boolean mask of the rows.
    """
    several = as_domain_list(X)
    if isinstance(known, Mapping):
        names = None if several is None else several[1]
        if names is None or set(names) != set(known):
            raise ValueError(
                f"{who} got known_anomalies as a mapping whose names are not those of X. Give "
                "one boolean mask for each data set, under its name; a mask that is False "
                "everywhere where no anomaly is known."
            )
        known = [known[name] for name in names]
        return _joined(known, several, who, [f"domain {shown_label(name)}" for name in names])
    if isinstance(known, list | tuple) and any(_is_vector(part) for part in known):
        if several is None or len(known) != len(several[0]):
            there = "one table" if several is None else f"{len(several[0])} data sets"
            raise ValueError(
                f"{who} got known_anomalies as a list of {len(known)} masks, and {there} as X. "
                "Give one boolean mask per data set in the order of X, or one entry per row."
            )
        return _joined(known, several, who, [f"element {i}" for i in range(len(known))])
    return _boolean(known, n_rows, who, "known_anomalies")


def _is_vector(part: Any) -> bool:
    return hasattr(part, "__len__") and not isinstance(part, str | bytes)


def _joined(known: Any, several: Any, who: str, places: list[str]) -> NDArray[np.bool_]:
    parts = zip(known, several[0], places, strict=True)
    return np.concatenate(
        [_boolean(mask, len(X), who, f"known_anomalies, {place},") for mask, X, place in parts]
    )


def _boolean(mask: Any, n_rows: int, who: str, what: str) -> NDArray[np.bool_]:
    """Read one mask; other numbers than truth values are refused, for 1 might mean normal."""
    needs = f"It needs one True or False per row, {n_rows} in all"
    if isinstance(mask, str | bytes) or not hasattr(mask, "__len__"):
        raise ValueError(f"{who} got {what} of type {type(mask).__name__}. {needs}.")
    if isinstance(mask, np.ma.MaskedArray) or hasattr(mask, "detach"):
        mask = plain_array(mask, who=who, what=what)
    try:
        values = np.asarray(mask)
    except FOREIGN_ERRORS as error:
        raise ValueError(f"{who} got {what} that is no mask: {error}. {needs}.") from error
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (n_rows,):
        raise ValueError(
            f"{who} got {what} of shape {values.shape}, and {n_rows} rows. {needs}: True for a "
            "known anomaly."
        )
    if values.dtype == object and all(isinstance(value, bool | np.bool_) for value in values):
        values = values.astype(bool)
    if values.dtype != bool:
        raise ValueError(
            f"{who} got {what} of {_kind(values)}. {needs}: True for a known anomaly. {_HINT}"
        )
    return values


def _kind(values: NDArray[Any]) -> str:
    if values.dtype == object:
        odd = next(v for v in values if not isinstance(v, bool | np.bool_))
        return f"values of type {type(odd).__name__}"
    return f"dtype {values.dtype}"
