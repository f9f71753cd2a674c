"""From what users pass (lists, arrays, frames, labels) to rows and a domain index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from acr_sklearn._input.labels import distinct_labels, read_labels, shown_label
from acr_sklearn._input.validation import (
    column_names,
    explained,
    plain_array,
    read_table,
    refuse_odd_cells,
    settle_domain_column,
)

__all__ = ["DomainRows", "as_domain_list", "changed_parameters", "is_domain_list", "read_rows"]


@dataclass(frozen=True)
class DomainRows:
    """Rows with the domain that each comes from.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_network_features), float32 or float64
        What the network sees: the domain column, if any, is taken out.
    index : ndarray of shape (n_rows,), int64
        Domain of each row, as a position in `labels`.
    labels : ndarray of shape (n_domains,)
        The domains' names, sorted where they can be; 0..n_domains-1 for a list.
    named : bool
        Whether the caller said which domain a row belongs to.
    """

    rows: NDArray[Any]
    index: NDArray[np.int64]
    labels: NDArray[Any]
    named: bool

    @classmethod
    def one(cls, rows: Any) -> Self:
        """Rows of one batch, or what holds them in chunks; their index is one number in memory."""
        index = np.broadcast_to(np.zeros((), np.int64), len(rows))
        return cls(rows, index, np.arange(1), named=False)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Rows of each domain, shape (n_domains,)."""
        if len(self.labels) == 1:
            return np.array([len(self.rows)])
        return np.bincount(self.index, minlength=len(self.labels)).astype(np.int64)

    def batches(self) -> list[NDArray[np.int64]]:
        """Positions of each domain's rows in `rows`, one array per domain, in row order."""
        if len(self.labels) == 1:
            return [np.arange(len(self.rows))]
        order = np.argsort(self.index, kind="stable")
        return np.split(order, np.cumsum(self.sizes)[:-1])


def as_domain_list(X: Any) -> tuple[list[Any], list[Any] | None] | None:
    """Take apart what holds one data set per domain.

    Parameters
    ----------
    X : object
        A list or tuple of arrays of at least 2 axes, a mapping from names to data sets, an object
        array of 2-D arrays, or a nested tensor. A list of lists of numbers stays one 2-D X, as
        everywhere in scikit-learn.

    Returns
    -------
    parts : list
        The data sets, of whatever shape.
    names : list or None
        Their names in a mapping.

    Or None for everything else.
    """
    if isinstance(X, Mapping) and not hasattr(X, "shape"):  # sparse matrices of keys
        return list(X.values()), list(X.keys())
    if getattr(X, "is_nested", False) is True:
        return list(X.unbind()), None
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim in (1, 3):
        X = list(X)
    if isinstance(X, list | tuple) and any(len(_shape(item) or ()) >= 2 for item in X):
        return list(X), None
    return None


def is_domain_list(X: object) -> bool:
    """Whether `X` is several data sets rather than one 2-D X; see `as_domain_list`."""
    return as_domain_list(X) is not None


def _is_row(item: Any) -> bool:
    return isinstance(item, list | tuple) or len(_shape(item) or ()) == 1


def _shape(item: object) -> tuple[int, ...] | None:
    shape = None if getattr(item, "is_nested", False) is True else getattr(item, "shape", None)
    return tuple(shape) if isinstance(shape, tuple | list) else None


def read_rows(
    estimator: BaseEstimator,
    X: Any,
    domains: ArrayLike | None,
    *,
    reset: bool,
    method: str,
    allow_nan: bool = False,
) -> DomainRows:
    """Validate the input of one public method.

    Parameters
    ----------
    estimator : BaseEstimator
        Whose feature names and counts are checked, or set when `reset`.
    X : array-like of shape (n_rows, n_features), list or mapping of such
        One 2-D X, or one 2-D array per domain.
    domains : array-like of shape (n_rows,) or None
        Label of each row's domain; refused with a list and with a `domain_column`.
    reset : bool
        True in fit: what is seen defines `n_features_in_` and `feature_names_in_`.
    method : str
        Name of the public method, for the messages.
    allow_nan : bool, default=False
        Let missing values pass.

    Returns
    -------
    DomainRows
        At least one row; sizes of the domains are for the caller to judge.

    Raises
    ------
    ValueError, TypeError
        With who, what, why and the remedy, for every input that cannot be used.
    """
    who = f"{type(estimator).__name__}.{method}"
    column = getattr(estimator, "domain_column", None)
    several = as_domain_list(X)
    if column is not None and (domains is not None or several is not None):
        other = "domains=" if domains is not None else "a list of data sets"
        raise ValueError(
            f"{who} got {other} although domain_column={column!r} already says which domain a "
            "row belongs to. Pass one 2-D X without domains=, or set domain_column=None."
        )
    if column is None:
        settle_domain_column(estimator, None, reset=reset, who=who)
    if several is not None:
        if domains is not None:
            raise ValueError(
                f"{who} got a {type(X).__name__} of {len(several[0])} data sets together with "
                "domains=. Every data set is a domain of its own: drop domains=, or concatenate "
                "the arrays (concat_domains) and pass one label per row."
            )
        return _read_list(estimator, *several, reset=reset, who=who, allow_nan=allow_nan)
    if isinstance(X, list | tuple) and len(X) == 0:
        raise ValueError(
            f"{who} got an empty {type(X).__name__}. It needs one 2-D array per domain, "
            "or one 2-D X with domains=."
        )
    names = column_names(X)
    if column is not None:
        X, domains, names = _take_domain_column(estimator, X, column, reset=reset, who=who)
    rows = read_table(estimator, X, who=who, reset=reset if column is None else None)
    if domains is None:
        refuse_odd_cells(rows, who=who, names=names, allow_nan=allow_nan)
        return DomainRows.one(rows)
    what = "domains" if column is None else f"domain column {column!r}"
    labels, index = read_labels(domains, len(rows), who=who, what=what)
    refuse_odd_cells(
        rows,
        who=who,
        names=names,
        domain_of=lambda row: shown_label(labels[index[row]]),
        allow_nan=allow_nan,
    )
    return DomainRows(rows, index, labels, named=True)


def _read_list(
    estimator: BaseEstimator,
    X: list[Any],
    names: list[Any] | None,
    *,
    reset: bool,
    who: str,
    allow_nan: bool,
) -> DomainRows:
    places = [
        f"element {i}" if names is None else f"domain {shown_label(names[i])}"
        for i in range(len(X))
    ]
    _check_shapes(X, places, names is not None, who)
    parts = []
    # The first part defines names and count in fit; each further one is held to them.
    of_the = " of the list" if names is None else ""
    for position, (item, place) in enumerate(zip(X, places, strict=True)):
        one = f"{who}, {place}{of_the}:"
        rows = read_table(estimator, item, who=one, reset=reset and position == 0)
        refuse_odd_cells(rows, who=one, names=column_names(item), allow_nan=allow_nan)
        parts.append(rows)
    rows, sizes = np.concatenate(parts), [len(part) for part in parts]
    if names is None:
        labels, index = np.arange(len(parts)), np.arange(len(parts))
    else:
        labels, index = distinct_labels(names, who=who, what="names of the data sets")
    return DomainRows(rows, np.repeat(index.astype(np.int64), sizes), labels, named=True)


def _check_shapes(X: list[Any], places: list[str], is_mapping: bool, who: str) -> None:
    """Refuse elements that are no rows of features, and rows of different widths."""
    kind = "mapping" if is_mapping else "list"
    if not X:
        raise ValueError(f"{who} got an empty mapping. It needs one 2-D array per domain.")
    widths = []
    for item, place in zip(X, places, strict=True):
        shape = _shape(item)
        if is_mapping and isinstance(item, list | tuple) and item and _is_row(item[0]):
            shape = (len(item), len(item[0]))
        if shape is None or len(shape) != 2:
            got = f"shape {shape}" if shape is not None else type(item).__name__
            hint = ""
            if shape is not None and len(shape) > 2:
                hint = (
                    " Images become rows by x.reshape(len(x), -1), and backbone='conv' takes "
                    "their shape as input_shape."
                )
            elif is_mapping:
                hint = " A mapping names domains; columns are named by a DataFrame."
            raise ValueError(
                f"{who} got a {kind} of data sets whose {place} is not a 2-D array ({got}). "
                f"Every element must have shape (n_rows, n_features).{hint}"
            )
        if shape[0] == 0:
            raise ValueError(
                f"{who} got a {kind} of data sets whose {place} has no rows. "
                "Leave empty data sets out."
            )
        widths.append(int(shape[1]))
    odd = [i for i, width in enumerate(widths) if width != widths[0]]
    if odd:
        raise ValueError(
            f"{who} got data sets of different widths: {places[0]} has {widths[0]} features, "
            f"{places[odd[0]]} has {widths[odd[0]]}. All domains must share the same features."
        )


def _take_domain_column(
    estimator: BaseEstimator, X: Any, column: str | int, *, reset: bool, who: str
) -> tuple[Any, ArrayLike, list[Any]]:
    """Features, domains, and the names (else the positions) of the feature columns."""
    X = plain_array(X, who=who, what="X")
    names = column_names(X) or []
    if not names and not (hasattr(X, "shape") and hasattr(X, "__getitem__")):
        X = _object_array(X, who)
    if len(X.shape) != 2:
        raise ValueError(f"{who} with domain_column needs a 2-D X, got shape {tuple(X.shape)}.")
    place = _place_of(column, names, X.shape[1], who)
    settle_domain_column(estimator, place, reset=reset, who=who)
    # Counts and names include the domain column; its values never meet the numeric checks.
    try:
        validate_data(estimator, X, skip_check_array=True, reset=reset)
    except (TypeError, ValueError) as error:
        raise explained(error, X, who) from error
    if X.shape[1] < 2:
        raise ValueError(
            f"{who} got an X whose only column is the domain column {column!r}. "
            "It needs at least one feature beside it."
        )
    keep = [i for i in range(X.shape[1]) if i != place]
    kept = [names[i] for i in keep] if names else list(keep)
    if names and hasattr(X, "iloc"):
        return X.iloc[:, keep], X.iloc[:, place], kept
    if names:  # polars and other frames that speak the same few words
        return X[kept], X[names[place]], kept
    return X[:, keep], X[:, place], kept


def _place_of(column: str | int, names: list[Any], width: int, who: str) -> int:
    """Position of the domain column."""
    if isinstance(column, str):
        if not names:
            raise ValueError(
                f"{who} got domain_column={column!r} but an X without column names. Pass a "
                "DataFrame, or give the column's position: after a scaler only an index works."
            )
        if column not in names:
            raise ValueError(
                f"{who} found no column {column!r} in X. Columns: {', '.join(map(str, names))}."
            )
        return names.index(column)
    place = int(column)
    if not -width <= place < width:
        raise ValueError(
            f"{who} got domain_column={place} but X has {width} columns. "
            f"Give a position from 0 to {width - 1}."
        )
    return place % width


def _object_array(X: Any, who: str) -> NDArray[Any]:
    try:
        return np.asarray(X, dtype=object)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{who} got an X of type {type(X).__name__} whose rows differ in length: {error}. "
            "Pass a DataFrame or a 2-D array."
        ) from error


def changed_parameters(estimator: BaseEstimator) -> frozenset[str]:
    """Name the parameters that differ from their defaults.

    Parameters
    ----------
    estimator : BaseEstimator
        With keyword parameters.

    Returns
    -------
    frozenset of str
        Names.
    """
    defaults = {k: p.default for k, p in signature(type(estimator).__init__).parameters.items()}
    given = estimator.get_params(deep=False)
    return frozenset(name for name in given if _differs(given[name], defaults[name]))


def _differs(value: Any, default: Any) -> bool:
    try:
        return value is not default and bool(value != default)
    except ValueError:  # an array has no single truth value, and no default is one
        return True
