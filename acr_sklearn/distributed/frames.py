"""Tables of pandas, polars and Arrow: their columns, their numbers, and columns put beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.labels import is_missing
from acr_sklearn._input.validation import FOREIGN_ERRORS

__all__ = ["beside", "codes_of", "kind_of", "names_of", "values_of"]

_KINDS = {
    ("pandas", "DataFrame"): "pandas",
    ("polars", "DataFrame"): "polars",
    ("pyarrow", "Table"): "arrow",
}


def kind_of(frame: Any, *, who: str) -> str:
    """Tell which library a table is of, by its class alone: none has to be installed.

    Parameters
    ----------
    frame : object
        What a user passed.
    who : str
        For the message.

    Returns
    -------
    {"pandas", "polars", "arrow"}
        The library.

    Raises
    ------
    TypeError
        For everything else.
    """
    for ancestor in type(frame).__mro__:
        kind = _KINDS.get((ancestor.__module__.partition(".")[0], ancestor.__name__))
        if kind is not None:
            return kind
    raise TypeError(
        f"{who} got a {type(frame).__module__}.{type(frame).__name__}. It needs a pandas or polars "
        "DataFrame or a pyarrow Table in memory (collect a LazyFrame first); frames of Dask and "
        "Spark and relations of DuckDB have score_dask, score_spark and score_duckdb."
    )


def names_of(frame: Any, *, who: str) -> list[Any]:
    """Give the names of the columns.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        The table.
    who : str
        For the message.

    Returns
    -------
    list
        In the order of the table.

    Raises
    ------
    TypeError
        For what is no table.
    """
    return list(frame.column_names if kind_of(frame, who=who) == "arrow" else frame.columns)


def values_of(frame: Any, names: Sequence[Any], *, who: str) -> Any:
    """Take columns out as one table of numbers, in single precision where all of them are.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        The table.
    names : sequence
        Which columns, in which order.
    who : str
        For the message.

    Returns
    -------
    pandas.DataFrame or ndarray of shape (n_rows, n_names)
        Not checked; a null is NaN.
    """
    kind = kind_of(frame, who=who)
    if kind == "pandas":
        return frame[list(names)]
    if kind == "polars":
        return frame.select(names).to_numpy()
    if not names:
        return np.empty((frame.num_rows, 0))
    return np.column_stack([frame[name].to_numpy() for name in names])


def codes_of(
    frame: Any, name: Any, *, who: str
) -> tuple[list[Any], NDArray[np.int64], NDArray[np.bool_]]:
    """Give a number to each distinct value of a column; null and NaN are one value.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        The table.
    name : hashable
        Of the column.
    who : str
        For the message.

    Returns
    -------
    distinct : list
        In the order of appearance; None for null.
    index : ndarray of shape (n_rows,), int64
        Which of them each row has.
    missing : ndarray of shape (n_rows,), bool
        Whether it is null.

    Raises
    ------
    ValueError
        For values that cannot be told apart by hash, such as lists.
    """
    kind = kind_of(frame, who=who)
    if kind == "arrow":
        values, places = _dictionary(frame[name])
    else:
        column = frame[name]
        values, places = column.tolist() if kind == "pandas" else column.to_list(), None
    code: dict[Any, int] = {}
    try:
        each = [code.setdefault(value, len(code)) for value in values]
        missing = np.array([is_missing(value) for value in code], dtype=bool)
    except FOREIGN_ERRORS as error:
        raise ValueError(
            f"{who} cannot tell domains apart by column {name!r}: {error}. Use numbers, strings or "
            "dates as names of domains."
        ) from error
    index = np.array(each, dtype=np.int64)
    index = index if places is None else index[places]
    # Every NaN is a value of its own so far, and a dictionary may hold values that no row has.
    renamed = np.arange(len(code))
    renamed[missing] = renamed[missing].min(initial=len(code))
    used, index = np.unique(renamed[index], return_inverse=True)
    kept = list(code)
    distinct = [None if missing[i] else kept[i] for i in used]
    of_rows = missing[used][index] if len(used) else np.zeros(0, bool)
    return distinct, index.astype(np.int64), of_rows


def _dictionary(column: Any) -> tuple[list[Any], NDArray[np.int64]]:
    """Distinct values of an Arrow column, null last, and the place of each row's."""
    if not len(column):
        return [None], np.empty(0, np.int64)
    encoded = column.combine_chunks()
    encoded = encoded.chunk(0) if hasattr(encoded, "chunk") else encoded
    encoded = encoded if hasattr(encoded, "indices") else encoded.dictionary_encode()
    values = encoded.dictionary.to_pylist()
    places = encoded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    return [*values, None], places.astype(np.int64)


def beside(
    frame: Any, carried: Sequence[Any], columns: Mapping[str, NDArray[Any]], *, who: str
) -> Any:
    """Put new columns beside some of a table's own.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
        The table; stays as it is.
    carried : sequence
        Names of its columns that are kept.
    columns : mapping from str to ndarray of shape (n_rows,)
        The new ones.
    who : str
        For the message.

    Returns
    -------
    of the class of `frame`
        With its index, in pandas.
    """
    kind = kind_of(frame, who=who)
    if kind == "pandas":
        return frame[list(carried)].assign(**columns)
    if kind == "polars":
        new = type(frame)(dict(columns))
        return frame.select(carried).hstack(new) if carried else new
    table = frame.select(list(carried))
    if not carried:
        return type(frame).from_pydict(dict(columns))
    for name, values in columns.items():
        table = table.append_column(name, [values])
    return table
