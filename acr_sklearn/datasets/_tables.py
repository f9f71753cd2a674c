"""The door to pandas: parquet and CSV files as frames."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.datasets._files import checked_parsing, need_file

__all__ = ["column_numbers", "read_table"]


def read_table(path: Path, expected: str, columns: Sequence[str] | None = None) -> Any:
    """Read a table.

    Parameters
    ----------
    path : pathlib.Path
        Named .parquet or .csv, in upper or lower case.
    expected : str
        For the message.
    columns : sequence of str or None, default=None
        Which columns to keep, in this order; None for all.

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
        If the file is no table, is truncated, has no rows, lacks a column, or its lines have
        more fields than the header names.
    """
    pandas = _pandas()
    need_file(path, expected)
    with checked_parsing(path, expected):
        if path.suffix.lower() == ".parquet":
            frame = pandas.read_parquet(path, engine="pyarrow")
        else:
            # Fails where a line has more fields than the header; otherwise pandas would take those
            # in front for names of rows, and the columns would shift.
            pandas.read_csv(path, header=None, nrows=2)
            frame = pandas.read_csv(path)
        frame.columns = [str(name) for name in frame.columns]
        missing = [name for name in columns or () if name not in frame]
        if missing:
            raise ValueError(f"no column {', '.join(missing)} among {', '.join(frame.columns)}")
        if len(frame) == 0:
            raise ValueError("no rows")
    return frame if columns is None else frame[list(columns)]


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
    numbers = pandas.to_numeric(frame[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    text = frame[name].astype(str).str.lower()
    missing = frame[name].isna() | text.isin(["nan", "none", ""])
    bad = np.isnan(numbers) & ~missing.to_numpy(bool)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"{path}, column {name!r}, row {row}: {frame[name].iloc[row]!r} is not a number. "
            "Expected a column of numbers: encode categories first, or leave the column out."
        )
    return np.asarray(numbers)


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
