"""From what users pass (lists, arrays, frames, labels) to rows and a domain index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from acr_sklearn._input.labels import read_labels

__all__ = ["DomainRows", "changed_parameters", "is_domain_list", "read_rows"]

_FLOATS = [np.float64, np.float32]
#: More of anything that is counted fits into no memory.
_LARGEST_COUNT = 2**31 - 1


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
    def one(cls, rows: Any) -> DomainRows:
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


def is_domain_list(X: object) -> bool:
    """Whether `X` is a list or tuple of 2-D arrays rather than one 2-D X.

    A list of lists of numbers stays one 2-D X, as everywhere in scikit-learn.
    """
    return isinstance(X, list | tuple) and any(len(getattr(item, "shape", ())) == 2 for item in X)


def read_rows(
    estimator: BaseEstimator,
    X: Any,
    domains: ArrayLike | None,
    *,
    reset: bool,
    method: str,
) -> DomainRows:
    """Validate the input of one public method.

    Parameters
    ----------
    estimator : BaseEstimator
        Whose feature names and counts are checked, or set when `reset`.
    X : array-like of shape (n_rows, n_features) or list of such
        One 2-D X, or one 2-D array per domain.
    domains : array-like of shape (n_rows,) or None
        Label of each row's domain; refused with a list and with a `domain_column`.
    reset : bool
        True in fit: what is seen defines `n_features_in_` and `feature_names_in_`.
    method : str
        Name of the public method, for the messages.

    Returns
    -------
    DomainRows
        At least one row; sizes of the domains are for the caller to judge.

    Raises
    ------
    ValueError
        With who, what, why and the remedy, for every input that cannot be used.
    """
    who = f"{type(estimator).__name__}.{method}"
    column = getattr(estimator, "domain_column", None)
    if column is not None and (domains is not None or is_domain_list(X)):
        other = "domains=" if domains is not None else "a list of data sets"
        raise ValueError(
            f"{who} got {other} although domain_column={column!r} already says which domain a "
            "row belongs to. Pass one 2-D X without domains=, or set domain_column=None."
        )
    if is_domain_list(X):
        if domains is not None:
            raise ValueError(
                f"{who} got a list of {len(X)} data sets together with domains=. In a list every "
                "array is a domain of its own: drop domains=, or concatenate the arrays "
                "(concat_domains) and pass one label per row."
            )
        return _read_list(estimator, X, reset=reset, who=who)
    if isinstance(X, list | tuple) and len(X) == 0:
        raise ValueError(
            f"{who} got an empty {type(X).__name__}. It needs one 2-D array per domain, "
            "or one 2-D X with domains=."
        )
    if column is not None:
        X, domains = _take_domain_column(estimator, X, column, reset=reset, who=who)
        rows = _numbers(who, check_array, X, estimator=estimator, input_name="X")
    else:
        rows = _numbers(who, validate_data, estimator, X, reset=reset)
    if domains is None:
        return DomainRows.one(rows)
    what = "domains" if column is None else f"domain column {column!r}"
    labels, index = read_labels(domains, len(rows), who=who, what=what)
    return DomainRows(rows, index, labels, named=True)


def _numbers(who: str, check: Callable[..., Any], *args: Any, **options: Any) -> NDArray[Any]:
    """Run one of scikit-learn's checks, and say more where X does not hold numbers."""
    try:
        return check(*args, dtype=_FLOATS, **options)
    except (TypeError, ValueError) as error:
        kinds = ("could not convert", "argument must be", "promote", "inhomogeneous")
        if not any(kind in str(error) for kind in kinds):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"{who} got an X that is not a table of numbers: {error}. Encode categories and dates "
            "first; a column with the domain's label is named by domain_column."
        ) from error


def _read_list(estimator: BaseEstimator, X: Sequence[Any], *, reset: bool, who: str) -> DomainRows:
    widths = []
    for position, item in enumerate(X):
        shape = getattr(item, "shape", None)
        if shape is None or len(shape) != 2:
            got = f"shape {tuple(shape)}" if shape is not None else type(item).__name__
            raise ValueError(
                f"{who} got a list of data sets whose element {position} is not a 2-D array "
                f"({got}). Every element must have shape (n_rows, n_features)."
            )
        if shape[0] == 0:
            raise ValueError(
                f"{who} got a list of data sets whose element {position} has no rows. "
                "Leave empty data sets out."
            )
        widths.append(int(shape[1]))
    odd = [i for i, width in enumerate(widths) if width != widths[0]]
    if odd:
        raise ValueError(
            f"{who} got data sets of different widths: element 0 has {widths[0]} features, "
            f"element {odd[0]} has {widths[odd[0]]}. All domains must share the same features."
        )
    parts = []
    # The first part defines names and count in fit; each further one is held to them.
    for position, item in enumerate(X):
        first = reset and position == 0
        try:
            parts.append(validate_data(estimator, item, dtype=_FLOATS, reset=first))
        except ValueError as error:
            raise ValueError(f"{who}, element {position} of the list: {error}") from error
    index = np.repeat(np.arange(len(parts), dtype=np.int64), [len(part) for part in parts])
    return DomainRows(np.concatenate(parts), index, np.arange(len(parts)), named=True)


def _take_domain_column(
    estimator: BaseEstimator, X: Any, column: str | int, *, reset: bool, who: str
) -> tuple[Any, ArrayLike]:
    names = list(getattr(X, "columns", []))
    if not hasattr(X, "shape"):
        X = np.asarray(X, dtype=object)
    if len(X.shape) != 2:
        raise ValueError(f"{who} with domain_column needs a 2-D X, got shape {tuple(X.shape)}.")
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
        place = names.index(column)
    else:
        place = int(column)
        if not -X.shape[1] <= place < X.shape[1]:
            raise ValueError(
                f"{who} got domain_column={place} but X has {X.shape[1]} columns. "
                f"Give a position from 0 to {X.shape[1] - 1}."
            )
        place %= X.shape[1]
    # Counts and names include the domain column; its values never meet the numeric checks.
    validate_data(estimator, X, skip_check_array=True, reset=reset)
    if X.shape[1] < 2:
        raise ValueError(
            f"{who} got an X whose only column is the domain column {column!r}. "
            "It needs at least one feature beside it."
        )
    keep = [i for i in range(X.shape[1]) if i != place]
    if names and hasattr(X, "iloc"):
        return X.iloc[:, keep], X.iloc[:, place]
    if names:  # polars and other frames that speak the same few words
        return X[[names[i] for i in keep]], X[names[place]]
    return X[:, keep], X[:, place]


def are_counts(given: Any) -> bool:
    """Tell whether a parameter is a sequence of positive whole numbers, and not empty.

    Parameters
    ----------
    given : object
        What the user gave.

    Returns
    -------
    bool
        Strings are none, arrays may be.
    """
    # A set has no order, and bool is an int to Python only.
    if isinstance(given, str | bytes | set | frozenset | Mapping) or not isinstance(
        given, Iterable
    ):
        return False
    items = list(given)
    if any(isinstance(n, bool) or not isinstance(n, int | np.integer) for n in items):
        return False
    return bool(items) and all(1 <= n <= _LARGEST_COUNT for n in items)


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
