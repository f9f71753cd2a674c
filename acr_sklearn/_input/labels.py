"""Domain labels: any hashable values in, distinct labels and an index out."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import column_or_1d

from acr_sklearn._input.validation import FOREIGN_ERRORS, plain_array

__all__ = [
    "distinct_labels",
    "is_missing",
    "read_is_normal",
    "read_labels",
    "read_y",
    "shown_label",
]


def read_labels(
    domains: Any, n_rows: int, *, who: str, what: str = "domains"
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Turn one hashable label per row into sorted distinct labels and an index.

    Parameters
    ----------
    domains : array-like of shape (n_rows,)
        Labels: numbers, strings, dates, tuples, or a mixture.
    n_rows : int
        How many are needed.
    who, what : str
        For the messages.

    Returns
    -------
    labels : ndarray of shape (n_domains,)
        Sorted; in order of first appearance when the labels cannot be compared.
    index : ndarray of shape (n_rows,), int64
        ``labels[index]`` are the row's labels.

    Raises
    ------
    ValueError
        Wrong length, missing labels, or labels that look like y.
    """
    domains = _plain_labels(domains, who, what)
    shape = getattr(domains, "shape", None)
    if isinstance(domains, str | bytes | Mapping | AbstractSet) or not hasattr(domains, "__len__"):
        raise ValueError(
            f"{who} got {what}={reprlib.repr(domains)}. It needs one label per row, {n_rows} in "
            "all."
        )
    if shape is not None and len(shape) != 1:
        raise ValueError(
            f"{who} got {what} of shape {tuple(shape)}. It needs a 1-D array of {n_rows} labels."
        )
    if len(domains) != n_rows:
        raise ValueError(
            f"{who} got {len(domains)} labels in {what} for {n_rows} rows. "
            "It needs exactly one label per row."
        )
    labels, index = distinct_labels(domains, who=who, what=what)
    if len(labels) == 2 and set(labels.tolist()) == {1, -1}:
        raise ValueError(
            f"{who} got {what} whose only values are 1 and -1: that looks like y, the "
            "normal/anomaly labels. Pass the label of the data set each row comes from; if the two "
            "domains really have these names, rename them (for example to 'a' and 'b')."
        )
    return labels, index


def _plain_labels(domains: Any, who: str, what: str) -> Any:
    """Tensors become arrays, records tuples, and masked labels missing ones."""
    if isinstance(domains, np.ma.MaskedArray):
        labels = np.array(domains.data, dtype=object)
        labels[np.ma.getmaskarray(domains)] = None
        return labels
    if hasattr(domains, "detach"):
        # A tensor's elements would each be a label of its own.
        domains = plain_array(domains, who=who, what=what)
    dtype = getattr(domains, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind == "V" and np.ndim(domains) == 1:
        return domains.tolist()
    return domains


def distinct_labels(values: Any, *, who: str, what: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Sort the distinct labels out of a sequence of them.

    Parameters
    ----------
    values : array-like of shape (n_rows,)
        Hashable values.
    who, what : str
        For the messages.

    Returns
    -------
    labels : ndarray of shape (n_domains,)
        Sorted; in order of first appearance when the labels cannot be compared. Of a NumPy type
        where that holds every one of them as it is, else of Python objects.
    index : ndarray of shape (n_rows,), int64
        ``labels[index]`` are the values.

    Raises
    ------
    ValueError
        For missing labels, and for what cannot be hashed.
    """
    dtype = getattr(values, "dtype", None)
    typed = isinstance(dtype, np.dtype) and dtype.kind in "biuSUMm"
    if typed:
        values = np.asarray(values)
        missing = np.isnat(values) if values.dtype.kind in "Mm" else np.zeros(len(values), bool)
    else:
        values = [_label(value, row, who, what) for row, value in enumerate(values)]
        missing = np.array([is_missing(value) for value in values], dtype=bool)
    if missing.any():
        raise ValueError(
            f"{who} got {int(missing.sum())} missing labels (NaN or None) in {what}, first at row "
            f"{int(np.argmax(missing))}. Drop these rows or give their domain a name."
        )
    if typed:
        labels, index = np.unique(values, return_inverse=True)
        return labels, index.astype(np.int64, copy=False)
    return _encode_hashables(values, who, what)


def shown_label(label: object) -> str:
    """Label of a domain as messages show it, without NumPy's type around it."""
    with suppress(*FOREIGN_ERRORS):
        return repr(label.item() if isinstance(label, np.generic) else label)
    return f"of type {type(label).__name__}"


#: Deeper tuples are no labels: hashing and comparing them would end Python's stack.
_DEEPEST = 16


def _label(value: Any, row: int, who: str, what: str) -> Any:
    """Take the number out of a tensor, and refuse bottomless tuples."""
    if (
        hasattr(value, "detach")
        and hasattr(value, "item")
        and len(getattr(value, "shape", (0,))) == 0
    ):
        return value.item()
    level, depth = [value], 0
    while depth <= _DEEPEST and any(isinstance(part, tuple) for part in level):
        level = [p for part in level if isinstance(part, tuple) for p in part]
        depth += 1
    if depth > _DEEPEST:
        raise ValueError(
            f"{who} got {what} whose row {row} holds a tuple nested deeper than {_DEEPEST} levels. "
            "Use numbers, strings, dates or flat tuples of them as labels."
        )
    return value


def _encode_hashables(
    values: list[Any], who: str, what: str
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    try:
        # NumPy's scalars warn when they are compared with numbers that they cannot hold.
        with np.errstate(all="ignore"):
            distinct = list(dict.fromkeys(values))
    except FOREIGN_ERRORS as error:
        row = next((i for i, value in enumerate(values) if not _is_label(value)), 0)
        raise ValueError(
            f"{who} got {what} that hold in row {row} a value of type "
            f"{type(values[row]).__name__}, which cannot be hashed. Use numbers, strings, dates or "
            "tuples of them as labels."
        ) from error
    with np.errstate(all="ignore"):
        # Labels of mixed types have no order: the order of appearance is kept.
        with suppress(*FOREIGN_ERRORS):
            distinct = sorted(distinct)
        code = {value: i for i, value in enumerate(distinct)}
        index = np.fromiter((code[value] for value in values), np.int64, len(values))
    return _held_as_they_are(distinct), index


def _held_as_they_are(distinct: list[Any]) -> NDArray[Any]:
    """Array of labels, of a NumPy type only where that changes none: it drops a closing NUL."""
    if distinct and len({type(value) for value in distinct}) == 1 and _is_scalar(distinct[0]):
        with suppress(*FOREIGN_ERRORS):
            typed = np.asarray(distinct)
            back = list(typed) if isinstance(distinct[0], np.generic) else typed.tolist()
            if all(type(a) is type(b) and a == b for a, b in zip(back, distinct, strict=True)):
                return typed
    labels = np.empty(len(distinct), dtype=object)
    for i, value in enumerate(distinct):
        labels[i] = value
    return labels


def _is_label(value: object) -> bool:
    try:
        hash(value), repr(value)
    except FOREIGN_ERRORS:
        return False
    return True


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float | np.generic)


def is_missing(value: object) -> bool:
    """Whether a label is None, NaN, or another library's word for either."""
    if value is None or value is np.ma.masked or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, tuple):
        return any(is_missing(part) for part in value)
    if isinstance(value, Decimal):  # a signalling NaN cannot even be compared
        return value.is_nan()
    is_number = isinstance(value, float | complex | np.inexact | np.datetime64 | np.timedelta64)
    return is_number and bool(value != value)


def read_y(y: Any, n_rows: int, *, who: str, like: Any = None) -> NDArray[Any]:
    """Read one normal/anomaly label per row, or one vector of them per domain.

    Parameters
    ----------
    y : array-like of shape (n_rows,), list or mapping of such
        Labels; their values are for the caller to judge.
    n_rows : int
        How many are needed.
    who : str
        For the message.
    like : mapping or other, default=None
        X; a mapping's order is that of its rows.

    Returns
    -------
    ndarray of shape (n_rows,)
        The labels.

    Raises
    ------
    ValueError
        When there are more or fewer, or when they are no labels.
    """
    if isinstance(y, Mapping):
        if not isinstance(like, Mapping) or set(like) != set(y):
            raise ValueError(
                f"{who} got y as a mapping whose names are not those of X. Give one vector of "
                "labels for each data set, under its name."
            )
        y = [y[name] for name in like]
    if isinstance(y, np.ma.MaskedArray) or hasattr(y, "detach"):
        y = plain_array(y, who=who, what="y")
    try:
        if isinstance(y, list | tuple) and any(np.ndim(part) == 1 for part in y):
            y = np.concatenate([np.asarray(part) for part in y])
        labels = np.asarray(y)
    except FOREIGN_ERRORS as error:
        raise ValueError(
            f"{who} got a y that is no vector of labels: {error}. It needs one number per row."
        ) from error
    if labels.shape != (n_rows,):
        raise ValueError(f"{who} got y of shape {labels.shape}; X has {n_rows} rows.")
    if labels.dtype == object and (bad := [x for x in labels if not _is_label(x)]):
        raise ValueError(
            f"{who} got y with a value of type {type(bad[0]).__name__}; it needs 1 for normal rows "
            "and -1 for anomalies."
        )
    return labels


def read_is_normal(y: Any, n_rows: int | None, *, who: str) -> NDArray[np.bool_]:
    """Read normal/anomaly labels, and refuse every other kind.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        1 for normal rows, -1 for anomalies.
    n_rows : int or None
        How many are needed; None takes any number.
    who : str
        For the messages.

    Returns
    -------
    ndarray of shape (n_rows,), bool
        Which rows are normal.

    Raises
    ------
    ValueError
        For any label but 1 and -1: with PyOD's 0 and 1 a score would come out upside down.
    """
    needs = "It needs 1 for normal and -1 for anomalous rows"
    if y is None:
        raise ValueError(f"{who} got no y. {needs}.")
    if isinstance(y, np.ma.MaskedArray) or hasattr(y, "detach"):
        y = plain_array(y, who=who, what="y")
    try:
        labels = column_or_1d(y)
        # Compared as Python objects: NumPy would take the string "-1" for the number.
        found = set(labels.tolist())
    except FOREIGN_ERRORS as error:
        raise ValueError(
            f"{who} got a y of type {type(y).__name__} that is no vector of labels: {error}. "
            f"{needs}."
        ) from error
    if n_rows is not None and len(labels) != n_rows:
        raise ValueError(f"{who} got {len(labels)} labels in y for {n_rows} rows.")
    if labels.dtype.kind == "b" or not found <= {1, -1}:
        names = sorted(set(map(shown_label, found)))
        some = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise ValueError(
            f"{who} got the labels {some} in y. {needs}. "
            "PyOD's labels (0 normal, 1 anomalous): np.where(y == 1, -1, 1)."
        )
    return np.asarray(labels == 1, dtype=bool)
