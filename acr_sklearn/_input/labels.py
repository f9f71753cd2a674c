"""Domain labels: any hashable values in, distinct labels and an index out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import column_or_1d

__all__ = ["read_is_normal", "read_labels", "read_y"]


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
    if hasattr(domains, "numpy"):
        domains = np.asarray(domains)  # a tensor's elements would each be a label of its own
    shape = getattr(domains, "shape", None)
    if isinstance(domains, str | bytes | Mapping | AbstractSet) or not hasattr(domains, "__len__"):
        raise ValueError(
            f"{who} got {what}={domains!r}. It needs one label per row, {n_rows} in all."
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
    dtype = getattr(domains, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "biuSUMm":
        values = np.asarray(domains)
        missing = np.isnat(values) if dtype.kind in "Mm" else np.zeros(n_rows, bool)
        labels, index = np.unique(values, return_inverse=True)
    else:
        labels, index, missing = _encode_hashables(list(domains), who, what)
    if missing.any():
        raise ValueError(
            f"{who} got {int(missing.sum())} missing labels (NaN or None) in {what}, first at row "
            f"{int(np.argmax(missing))}. Drop these rows or give their domain a name."
        )
    if len(labels) == 2 and set(labels.tolist()) == {1, -1}:
        raise ValueError(
            f"{who} got {what} whose only values are 1 and -1: that looks like y, the "
            "normal/anomaly labels. Pass the label of the data set each row comes from; if the two "
            "domains really have these names, rename them (for example to 'a' and 'b')."
        )
    return labels, index.astype(np.int64, copy=False)


def _encode_hashables(
    values: list[Any], who: str, what: str
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.bool_]]:
    missing = np.array([_is_missing(value) for value in values], dtype=bool)
    try:
        distinct = list(dict.fromkeys(values))
    except TypeError as error:
        bad = next(type(value).__name__ for value in values if not isinstance(value, Hashable))
        raise ValueError(
            f"{who} got {what} that hold a value of type {bad}, which cannot be hashed. "
            "Use numbers, strings, dates or tuples of them as labels."
        ) from error
    if not missing.any():
        # Labels of mixed types have no order: the order of appearance is kept.
        with suppress(TypeError):
            distinct = sorted(distinct)
    code = {value: i for i, value in enumerate(distinct)}
    index = np.fromiter((code[value] for value in values), np.int64, len(values))
    if distinct and len({type(value) for value in distinct}) == 1 and _is_scalar(distinct[0]):
        return np.asarray(distinct), index, missing
    labels = np.empty(len(distinct), dtype=object)
    labels[:] = distinct
    return labels, index, missing


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float | np.generic)


def _is_missing(value: object) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, tuple):
        return any(_is_missing(part) for part in value)
    is_number = isinstance(value, float | np.floating | np.datetime64 | np.timedelta64)
    return is_number and bool(value != value)


def read_y(y: Any, n_rows: int, *, who: str) -> NDArray[Any]:
    """Read one normal/anomaly label per row, or one vector of them per domain.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or list of such
        Labels; their values are for the caller to judge.
    n_rows : int
        How many are needed.
    who : str
        For the message.

    Returns
    -------
    ndarray of shape (n_rows,)
        The labels.

    Raises
    ------
    ValueError
        When there are more or fewer.
    """
    if isinstance(y, list | tuple) and any(np.ndim(part) == 1 for part in y):
        y = np.concatenate([np.asarray(part) for part in y])
    labels = np.asarray(y)
    if labels.shape != (n_rows,):
        raise ValueError(f"{who} got y of shape {labels.shape}; X has {n_rows} rows.")
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
    labels = column_or_1d(y)
    if n_rows is not None and len(labels) != n_rows:
        raise ValueError(f"{who} got {len(labels)} labels in y for {n_rows} rows.")
    # Compared as Python objects: NumPy would take the string "-1" for the number.
    found = set(labels.tolist())
    if labels.dtype.kind == "b" or not found <= {1, -1}:
        names = sorted(set(map(repr, found)))
        some = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise ValueError(
            f"{who} got the labels {some} in y. {needs}. "
            "PyOD's labels (0 normal, 1 anomalous): np.where(y == 1, -1, 1)."
        )
    return np.asarray(labels == 1, dtype=bool)
