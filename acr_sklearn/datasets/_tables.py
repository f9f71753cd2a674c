"""The door to pandas: parquet and CSV files as frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.datasets._files import LimitError, checked_parsing, need_file

__all__ = ["MAX_COLUMNS", "column_numbers", "read_table"]

MAX_COLUMNS = 10_000
_MAX_HEADER = 2**22  # bytes
_SEPARATORS = (";", "\t", "|", ",")


def read_table(
    path: Path,
    expected: str,
    columns: Sequence[str] | None = None,
    *,
    sep: str = ",",
    decimal: str = ".",
    max_values: int | None = None,
    n_rows: int | None = None,
) -> Any:
    """Read a table.

    Parameters
    ----------
    path : pathlib.Path
        Named .parquet or .csv, in upper or lower case.
    expected : str
        For the message.
    columns : sequence of str or None, default=None
        Which columns to keep, in this order; None for all.
    sep : str, default=","
        What separates the fields of a CSV file.
    decimal : str, default="."
        The decimal point of a CSV file.
    max_values : int or None, default=None
        Rows times columns that a table may have; None takes any number of rows.
    n_rows : int or None, default=None
        Rows of a CSV file to read, None for all.

    Returns
    -------
    pandas.DataFrame
        With columns named by strings.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If pandas or pyarrow is not installed.
    ValueError
        If the file is no table, is truncated, has no rows, lacks a column, is larger than the
        limits, has two columns of one name, or its lines have more fields than the header names.
    """
    pandas = _pandas()
    need_file(path, expected)
    with checked_parsing(path, expected):
        if path.suffix.lower() == ".parquet":
            _check_parquet(path, columns, max_values)
            # Only what is wanted is unpacked; what is missing is named below.
            names = None if columns is None else _parquet_names(path)
            wanted = None if names is None else [n for n in columns or () if n in names]
            frame = pandas.read_parquet(path, engine="pyarrow", columns=wanted)
        else:
            frame = _read_csv(pandas, path, sep, decimal, max_values, n_rows)
        frame.columns = [str(name) for name in frame.columns]
        if not frame.columns.is_unique:
            raise ValueError("two columns of one name")
        missing = [name for name in columns or () if name not in frame]
        if missing:
            there = _parquet_names(path) if path.suffix.lower() == ".parquet" else frame.columns
            raise ValueError(f"no column {', '.join(missing)} among {', '.join(there)}")
        if len(frame) == 0:
            raise ValueError("no rows")
    return frame if columns is None else frame[list(columns)]


def _check_parquet(path: Path, columns: Sequence[str] | None, max_values: int | None) -> None:
    """Hold what the file's own description says against the limits, before it is unpacked."""
    about = import_module("pyarrow.parquet").ParquetFile(path).metadata
    n_columns = about.num_columns if columns is None else len(columns)
    _check_columns(n_columns)
    if max_values is not None and about.num_rows * n_columns > max_values:
        raise LimitError(
            f"{about.num_rows:,} rows x {n_columns:,} columns, and the limit is {max_values:,} "
            "values: split the file, or write fewer columns"
        )


def _parquet_names(path: Path) -> list[str]:
    return [str(name) for name in import_module("pyarrow.parquet").read_schema(path).names]


def _check_columns(n_columns: int) -> None:
    if n_columns > MAX_COLUMNS:
        raise LimitError(
            f"{n_columns:,} columns, and the limit is {MAX_COLUMNS:,}: write those that are "
            "features into a file of their own"
        )


def _read_csv(
    pandas: Any, path: Path, sep: str, decimal: str, max_values: int | None, n_rows: int | None
) -> Any:
    with path.open("rb") as file:
        header = file.readline(_MAX_HEADER)
    if len(header) == _MAX_HEADER:
        raise ValueError(f"a first line of more than {_MAX_HEADER:,} bytes, no header")
    text = header.decode("utf-8-sig", "replace")
    n_columns = text.count(sep) + 1
    _check_columns(n_columns)
    for other in _SEPARATORS:
        if text.count(other) > text.count(sep):
            raise ValueError(
                f"the fields of its header seem separated by {other!r}, not {sep!r}: pass "
                f"sep={other!r}, and decimal=',' if its numbers have decimal commas"
            )
    limit = n_rows if max_values is None else n_rows or max_values // n_columns + 1
    try:
        # Fails where a line has more fields than the header; otherwise pandas would take those
        # in front for names of rows, and the columns would shift.
        pandas.read_csv(path, header=None, nrows=2, sep=sep)
        frame = pandas.read_csv(path, sep=sep, decimal=decimal, nrows=limit)
    except pandas.errors.ParserError as error:
        raise ValueError(f"{error}; see sep= and decimal= if its numbers have commas") from error
    if max_values is not None and len(frame) * n_columns > max_values:
        raise LimitError(
            f"more rows of {n_columns:,} columns than the limit of {max_values:,} values allows: "
            "split the file"
        )
    return frame


def column_numbers(frame: Any, name: str, path: Path) -> NDArray[np.float64]:
    """Return a column as numbers, also from text; missing values are nan.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table.
    name : str
        Of the column.
    path : pathlib.Path
        Where the table came from, for the message.

    Returns
    -------
    ndarray of shape (n_samples,)
        The values.

    Raises
    ------
    ValueError
        If a value is no number, or the column holds times.
    """
    pandas = _pandas()
    if frame[name].dtype.kind in "mM":
        raise ValueError(
            f"{path}, column {name!r} holds times ({frame[name].dtype}). Expected a column of "
            "numbers: write hours since a start, or the hour of the day, or leave the column out."
        )
    if frame[name].dtype.kind in "biuf" and isinstance(frame[name].dtype, np.dtype):
        return np.asarray(frame[name].to_numpy(np.float64))
    numbers = pandas.to_numeric(frame[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    text = frame[name].astype(str).str.lower()
    missing = frame[name].isna() | text.isin(["nan", "none", ""])
    bad = np.isnan(numbers) & ~missing.to_numpy(bool)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"{path}, column {name!r}, row {row}: {frame[name].iloc[row]!r} is not a number. "
            f"Expected a column of numbers: {_advice(str(frame[name].iloc[row]))}encode categories "
            "first, or leave the column out."
        )
    return np.asarray(numbers)


def _advice(value: str) -> str:
    """Return what helps if the value is a number, or several, written in another way."""
    if re.fullmatch(r"\s*[-+]?[\d.]*,\d+([eE][-+]?\d+)?\s*", value):
        return "pass decimal=',' if that is a decimal comma, "
    for sep in (";", "\t", "|", " "):
        if re.fullmatch(rf"[-+\d.,eE]+({re.escape(sep)}[-+\d.,eE]*)+", value):
            return f"pass sep={sep!r} if these are several fields, "
    return ""


def _pandas() -> Any:
    try:
        import pandas as pd

        import_module("pyarrow")  # what pandas reads parquet files with
    except ImportError as error:
        raise ImportError(
            "Reading tables needs pandas and pyarrow, which are not both installed: "
            "pip install 'acr-sklearn[datasets]'."
        ) from error
    return pd
