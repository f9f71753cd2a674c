"""The way between a list of data sets and one 2-D X with a domain label per row."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing

from acr_sklearn._input.domain_rows import as_domain_list, is_domain_list
from acr_sklearn._input.labels import read_labels
from acr_sklearn._input.numbers import count_rows
from acr_sklearn._input.validation import FOREIGN_ERRORS, plain_array

__all__ = ["concat_domains", "split_domains"]


def concat_domains(
    data_sets: Sequence[Any], *, labels: Iterable[Any] | None = None
) -> tuple[Any, NDArray[Any]]:
    """Turn a list of data sets into one 2-D X and a domain label per row.

    A Pipeline or a search takes one 2-D X, never the list that a detector's fit also takes.

    Parameters
    ----------
    data_sets : list or mapping of array-like of shape (n_samples_i, n_features)
        One data set per domain: NumPy arrays or DataFrames.
    labels : array-like of shape (n_domains,), default=None
        One distinct label per data set; 0, 1, 2, ... when None, or a mapping's names.

    Returns
    -------
    X : ndarray or DataFrame of shape (n_samples, n_features)
        The rows of all data sets, in order: a DataFrame if all data sets are DataFrames of one
        library (pandas or polars), which keeps its index, an array otherwise.
    domains : ndarray of shape (n_samples,)
        The label of the data set that each row comes from.

    Raises
    ------
    ValueError
        If an element is not 2-D or has no row, if columns differ, or if labels do not fit.

    See Also
    --------
    split_domains : The way back.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn.model_selection import concat_domains
    >>> X, domains = concat_domains([np.ones((2, 3)), np.zeros((1, 3))], labels=["a", "b"])
    >>> X.shape, domains.tolist()
    ((3, 3), ['a', 'a', 'b'])
    """
    several = as_domain_list(data_sets)
    if several is not None:
        data_sets, own = several
        labels = own if labels is None else labels
    _check_data_sets(data_sets)
    count = len(data_sets)
    try:
        names = list(range(count) if labels is None else labels)
    except FOREIGN_ERRORS as error:
        raise TypeError(
            f"concat_domains got labels of type {type(labels).__name__}. Give one label for each "
            f"of the {count} data sets."
        ) from error
    if len(names) != count:
        raise ValueError(
            f"concat_domains got {len(names)} labels for {count} data sets. Give one label each."
        )
    distinct, position = read_labels(names, count, who="concat_domains", what="labels")
    if len(distinct) < count:
        twice = distinct[int(np.argmax(np.bincount(position)))]
        raise ValueError(
            f"concat_domains got the label {twice!s} twice. Give every data set its own: rows "
            "of one label are one domain."
        )
    sizes = [int(data_set.shape[0]) for data_set in data_sets]
    library = _common_frame_library(data_sets)
    X = _stacked(data_sets, library)
    return X, np.repeat(distinct[position], sizes)


def _check_data_sets(data_sets: Sequence[Any]) -> None:
    if not isinstance(data_sets, list | tuple) or not data_sets:
        got = f"{data_sets}" if isinstance(data_sets, list | tuple) else type(data_sets).__name__
        raise ValueError(f"concat_domains got {got}. It needs a list: one 2-D array per domain.")
    for position, data_set in enumerate(data_sets):
        who = f"concat_domains got element {position}"
        shape: tuple[int, ...] = getattr(data_set, "shape", ())
        if not is_domain_list([data_set]) or issparse(data_set) or shape[0] == 0:
            raise ValueError(
                f"{who} of type {type(data_set).__name__}, shape {shape}. Every element must be a "
                "dense array or DataFrame of shape (n_samples, n_features) with at least one row."
            )
        if shape[1] != data_sets[0].shape[1]:
            raise ValueError(
                f"{who} with {shape[1]} columns, element 0 with {data_sets[0].shape[1]}. "
                "All domains must share the same features."
            )
    frames = [i for i, data_set in enumerate(data_sets) if hasattr(data_set, "columns")]
    for position in frames[1:]:
        first = frames[0]
        for a, b in zip(data_sets[first].columns, data_sets[position].columns, strict=True):
            if a != b:
                raise ValueError(
                    f"concat_domains got element {position} with column {b!r} where element "
                    f"{first} has {a!r}. All domains need the same columns in the same order."
                )


def _stacked(data_sets: Sequence[Any], library: ModuleType | None) -> Any:
    # Polars has errors of its own for columns of different types.
    foreign = (
        *FOREIGN_ERRORS,
        getattr(getattr(library, "exceptions", None), "PolarsError", TypeError),
    )
    try:
        if library is not None:
            return library.concat(data_sets)
        plain = [plain_array(part, who="concat_domains", what="a data set") for part in data_sets]
        return np.concatenate(list(map(np.asarray, plain)))
    except foreign as error:
        raise TypeError(f"concat_domains got data sets that it cannot join: {error}") from error


def _common_frame_library(data_sets: Sequence[Any]) -> ModuleType | None:
    # Whoever passes a frame has imported its library; neither is a dependency of this package.
    for library in map(sys.modules.get, ("pandas", "polars")):
        frame = getattr(library, "DataFrame", None)
        if frame is not None and all(isinstance(data_set, frame) for data_set in data_sets):
            return library
    return None


def split_domains(values: Any, domains: Any) -> Any:
    """Cut one value per row back into one piece per domain.

    The inverse of `concat_domains`, for scores as for X itself. The answer has the form of
    `domains`: a dict for labels and for a mapping, a list for a list of data sets.

    Parameters
    ----------
    values : array-like of shape (n_samples,) or (n_samples, n_columns)
        What to cut: scores, predictions, labels or rows.
    domains : array-like of shape (n_samples,), list or mapping of array-like
        The label of each row's domain, in any order; or the list or mapping of data sets of shape
        (n_samples_i, n_features) that was scored.

    Returns
    -------
    dict of label to piece, or list of pieces
        A piece holds the values of one domain, in the order of their rows; its type is that of
        `values`. Labels come sorted, as in the detector's `domains_`.

    Raises
    ------
    ValueError
        If the number of values is not the number of labels, or of rows in the list.

    See Also
    --------
    concat_domains : The way there.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn.model_selection import split_domains
    >>> split_domains([0.1, 0.2, 0.3], ["b", "a", "b"])
    {'a': [0.2], 'b': [0.1, 0.3]}
    >>> split_domains([0.1, 0.2, 0.3], [np.ones((2, 5)), np.ones((1, 5))])
    [[0.1, 0.2], [0.3]]
    """
    values = plain_array(values, who="split_domains", what="values")
    count = count_rows(values, who="split_domains", what="values")
    several = as_domain_list(domains)
    if several is None:
        labels, index = read_labels(domains, count, who="split_domains")
        pieces = _cut(values, index, len(labels))
        # Plain Python labels where they exist; a datetime64 would turn into a bare number.
        keys = labels.tolist() if labels.dtype.kind in "biufUSO" else list(labels)
        return dict(zip(keys, pieces, strict=True))
    data_sets, names = several
    sizes = [count_rows(rows, who="split_domains", what="a data set") for rows in data_sets]
    if sum(sizes) != count:
        raise ValueError(
            f"split_domains got {count} values for {len(sizes)} data sets with {sum(sizes)} rows "
            "together. It needs one value per row: pass the list that was scored."
        )
    cut = _cut(values, np.repeat(np.arange(len(sizes)), sizes), len(sizes))
    return cut if names is None else dict(zip(names, cut, strict=True))


def _cut(values: Any, index: NDArray[np.int64], count: int) -> list[Any]:
    order = np.argsort(index, kind="stable")
    cuts = np.cumsum(np.bincount(index, minlength=count))[:-1]
    try:
        return [_safe_indexing(values, rows) for rows in np.split(order, cuts)]
    except FOREIGN_ERRORS as error:
        raise TypeError(
            f"split_domains got values of type {type(values).__name__}, which cannot be cut by "
            "rows. Pass an array, a DataFrame or a list."
        ) from error
