"""The door to pandas: parquet and CSV files as frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.datasets._csv_form import (
    PLAIN,
    CsvForm,
    badly_encoded,
    check_columns,
    fields_of_header,
    is_csv,
    refuse_repeated,
    unlike_header,
)
from acr_sklearn.datasets._files import (
    FormError,
    LimitError,
    checked_parsing,
    data_files,
    need_file,
)

__all__ = [
    "MAX_VALUES",
    "advice",
    "as_numbers",
    "as_times",
    "column_numbers",
    "make_frame",
    "read_table",
    "row_order",
    "table_files",
    "table_name",
]

MAX_VALUES = 50_000_000  # 400 MB in float64
_SUFFIXES = (".csv", ".csv.gz", ".parquet")
#: A time of day, and behind it a zone.
_ZONED = re.compile(r".*[T ]\d\d.*(Z|[-+]\d\d(:?\d\d)?)", re.IGNORECASE)
_OTHER_TABLES = (".arrow", ".feather", ".ods", ".pq", ".tsv", ".xls", ".xlsx")


def table_name(path: Path) -> str:
    """Name of the domain that a file holds: without .csv, .csv.gz or .parquet."""
    return Path(path.stem).stem if path.name.lower().endswith(".csv.gz") else path.stem


def table_files(folder: Path, expected: str) -> dict[str, Path]:
    """Find the tables of a folder.

    Parameters
    ----------
    folder : pathlib.Path
        Hidden files, folders in it, and files that hold no tables are passed over.
    expected : str
        For the messages.

    Returns
    -------
    dict
        From `table_name` to file, in the order of the names.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no table in it.
    ValueError
        If two tables have one name, or one is in a form that is not read.
    """
    paths: dict[str, Path] = {}
    found = data_files(folder, _SUFFIXES, _OTHER_TABLES, expected)
    for path in sorted((p for p in found if p.is_file()), key=table_name):
        if (name := table_name(path)) in paths:
            raise ValueError(
                f"{folder} has {paths[name].name} and {path.name}. Expected one file per "
                "domain: rename or remove one."
            )
        paths[name] = path
    if not paths:
        raise FileNotFoundError(f"No tables in {folder}. Expected {expected}.")
    return paths


def read_table(
    path: Path,
    expected: str,
    columns: Sequence[str] | None = None,
    *,
    form: CsvForm = PLAIN,
    text: Sequence[str] = (),
    max_values: int | None = None,
    n_rows: int | None = None,
) -> Any:
    """Read a table.

    Parameters
    ----------
    path : pathlib.Path
        Named .parquet, .csv or .csv.gz, in upper or lower case.
    expected : str
        For the message.
    columns : sequence of str or None, default=None
        Which columns to keep, in this order; None for all.
    form : CsvForm, default=PLAIN
        How a CSV file is written.
    text : sequence of str, default=()
        Columns of a CSV file that stay as they are written, such as "007"; they need not be there.
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
        if not is_csv(path):
            _check_parquet(path, columns, max_values)
            # Only what is wanted is unpacked; what is missing is named below.
            names = None if columns is None else _parquet_names(path)
            wanted = None if names is None else [n for n in columns or () if n in names]
            frame = pandas.read_parquet(path, engine="pyarrow", columns=wanted)
        else:
            limit = n_rows, max_values
            frame = _read_csv(pandas, path, form, dict.fromkeys(text, str), limit)
        frame.columns = [str(name) for name in frame.columns]
        if not frame.columns.is_unique:
            raise ValueError("two columns of one name")
        missing = [name for name in columns or () if name not in frame]
        if missing:
            there = frame.columns if is_csv(path) else _parquet_names(path)
            raise ValueError(f"no column {', '.join(missing)} among {', '.join(there)}")
        if len(frame) == 0:
            raise FormError("it has a header and no rows: fetch it again, or leave it out")
    return frame if columns is None else frame[list(columns)]


def _check_parquet(path: Path, columns: Sequence[str] | None, max_values: int | None) -> None:
    """Hold what the file's own description says against the limits, before it is unpacked."""
    about = import_module("pyarrow.parquet").ParquetFile(path).metadata
    n_columns = about.num_columns if columns is None else len(columns)
    check_columns(n_columns)
    if max_values is not None and about.num_rows * n_columns > max_values:
        raise LimitError(
            f"{about.num_rows:,} rows x {n_columns:,} columns, and the limit is {max_values:,} "
            "values: split the file, or write fewer columns"
        )


def _parquet_names(path: Path) -> list[str]:
    return [str(name) for name in import_module("pyarrow.parquet").read_schema(path).names]


def _read_csv(
    pandas: Any,
    path: Path,
    form: CsvForm,
    types: dict[str, Any],
    limits: tuple[int | None, int | None],
) -> Any:
    n_rows, max_values = limits
    sep, n_columns = fields_of_header(path, form)
    limit = n_rows if max_values is None else n_rows or max_values // n_columns + 1
    packed = "gzip" if path.suffix.lower() == ".gz" else None
    given = {"sep": sep, "encoding": form.encoding, "compression": packed, "low_memory": False}
    try:
        # Fails where a line has more fields than the header; otherwise pandas would take those
        # in front for names of rows, and the columns would shift.
        head = pandas.read_csv(path, header=None, nrows=2, dtype=str, **given)
        refuse_repeated(head.iloc[0].dropna().tolist())
        frame = pandas.read_csv(path, decimal=form.decimal, nrows=limit, dtype=types, **given)
    except UnicodeError as error:
        raise FormError(badly_encoded(path, form)) from error
    except pandas.errors.EmptyDataError as error:
        raise FormError("it is empty: fetch it again, or leave it out") from error
    except pandas.errors.ParserError as error:
        raise FormError(unlike_header(str(error), form)) from error
    if max_values is not None and len(frame) * n_columns > max_values:
        raise LimitError(
            f"more rows of {n_columns:,} columns than the limit of {max_values:,} values allows: "
            "split the file"
        )
    return frame


def make_frame(columns: dict[str, Any]) -> Any:
    """Make a frame of columns.

    Parameters
    ----------
    columns : dict
        Values by name, one for each row.

    Returns
    -------
    pandas.DataFrame
        With these columns, in their order.

    Raises
    ------
    ImportError
        If pandas or pyarrow is not installed.
    """
    return _pandas().DataFrame(columns)


def column_numbers(frame: Any, name: str, path: Path, remedy: str = "") -> NDArray[np.float64]:
    """Return a column as numbers, also from text; missing values are nan.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table.
    name : str
        Of the column.
    path : pathlib.Path
        Where the table came from, for the message.
    remedy : str, default=""
        How the caller leaves a column out, for the message.

    Returns
    -------
    ndarray of shape (n_samples,)
        The values.

    Raises
    ------
    ValueError
        If a value is no number, or the column holds times.
    """
    if frame[name].dtype.kind in "mM":
        raise ValueError(
            f"{path}, column {name!r} holds times ({frame[name].dtype}). Expected a column of "
            "numbers: write hours since a start, or the hour of the day, or leave the column out"
            f"{remedy}."
        )
    numbers, bad = as_numbers(frame[name])
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"{path}, column {name!r}, row {row}: {frame[name].iloc[row]!r} is not a number. "
            f"Expected a column of numbers: {advice(str(frame[name].iloc[row]))}encode categories "
            f"first, or leave the column out{remedy}."
        )
    return numbers


def as_numbers(column: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read a column as numbers, also from text.

    Parameters
    ----------
    column : pandas.Series
        Without times.

    Returns
    -------
    numbers : ndarray of shape (n_samples,)
        The values; nan where one is missing or no number.
    bad : ndarray of shape (n_samples,)
        Where there is something that is no number.
    """
    if column.dtype.kind in "biuf" and isinstance(column.dtype, np.dtype):
        return np.asarray(column.to_numpy(np.float64)), np.zeros(len(column), bool)
    found = _pandas().to_numeric(column, errors="coerce")
    numbers = np.asarray(found.to_numpy(np.float64, na_value=np.nan))
    text = column.astype(str).str.lower()
    missing = column.isna() | text.isin(["nan", "none", ""])
    return numbers, np.isnan(numbers) & ~missing.to_numpy(bool)


def as_times(column: Any) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]:
    """Read a column as times.

    Parameters
    ----------
    column : pandas.Series
        Of numbers, of dates in text (ISO 8601), or of times.

    Returns
    -------
    values : ndarray of shape (n_samples,)
        Numbers, or time stamps, those with a zone in UTC.
    zoned : ndarray of shape (n_samples,), bool
        Where a zone is given.
    bad : ndarray of shape (n_samples,), bool
        Where a value is missing or no time.
    """
    kind, none = column.dtype.kind, np.zeros(len(column), bool)
    if kind in "biu" and isinstance(column.dtype, np.dtype):
        return column.to_numpy(), none, none
    if kind == "m":
        column = column.dt.total_seconds()
    if kind == "M":
        zoned, stamps = np.full(len(column), column.dt.tz is not None), column
        stamps = stamps.dt.tz_convert("UTC") if column.dt.tz is not None else stamps
    else:
        numbers, bad = as_numbers(column)
        if bad.sum() <= np.isfinite(numbers).sum() or not bad.any():
            return numbers, none, bad | ~np.isfinite(numbers)
        text = column.astype(object).where(column.notna(), "").astype(str).str.strip()
        zoned = text.str.fullmatch(_ZONED).to_numpy(bool)
        # What begins otherwise is missing, or a word such as "now".
        text = text.where(text.str.match(r"\d"))
        stamps = _pandas().to_datetime(text, format="ISO8601", errors="coerce", utc=True)
    values = stamps.dt.tz_localize(None).to_numpy()
    return values, zoned, np.isnat(values)


def row_order(frame: Any, name: str, path: Path) -> NDArray[np.int64]:
    """Put rows in the order of time, equal times as they stand.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table.
    name : str
        Of the column with the times.
    path : pathlib.Path
        Where the table came from, for the message.

    Returns
    -------
    ndarray of shape (n_samples,)
        Positions of the rows, the earliest first.

    Raises
    ------
    ValueError
        If a time is missing, or neither a number nor a date, or if some have a zone and some none.
    """
    times, zoned, bad = as_times(frame[name])
    odd = bad if bad.any() else zoned != zoned[0]
    if odd.any():
        row = int(np.flatnonzero(odd)[0])
        what = "is no time" if bad.any() else "and others differ in having a time zone"
        raise ValueError(
            f"{path}, column {name!r}, row {row}: {frame[name].iloc[row]!r} {what}. Expected "
            "numbers, or dates such as 2026-01-31 or 2026-01-31T08:00, in every row."
        )
    return np.argsort(times, kind="stable")


def advice(value: str, form: CsvForm = PLAIN) -> str:
    """Return what helps if the value is a number, or several, written in another way."""
    if re.fullmatch(r"\s*[-+]?[\d.]*,\d+([eE][-+]?\d+)?\s*", value):
        return f"pass {form.option('decimal', ',')} if that is a decimal comma, "
    for sep in (";", "\t", "|", " "):
        if re.fullmatch(rf"[-+\d.,eE]+({re.escape(sep)}[-+\d.,eE]*)+", value):
            return f"pass {form.option('sep', sep)} if these are several fields, "
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
