"""A folder of tables, one domain a file."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.paths import read_path
from acr_sklearn.datasets._files import data_files
from acr_sklearn.datasets._lists import listed_names
from acr_sklearn.datasets._tables import column_numbers, read_table
from acr_sklearn.datasets.domain_data import DomainData, LabelledDomain

__all__ = ["load_folder"]

_EXPECTED = "a folder of .csv or .parquet files, one domain each"
_MAX_VALUES = 50_000_000  # 400 MB in float64
_SUFFIXES = (".csv", ".parquet")
_OTHER_TABLES = (".arrow", ".feather", ".ods", ".pq", ".tsv", ".xls", ".xlsx")


@dataclass(frozen=True)
class _Reading:
    """How every file of a folder is read."""

    label: str | None
    columns: tuple[str, ...] | None
    drop: tuple[str, ...]
    sep: str
    decimal: str
    missing: str

    def table(self, path: Path, n_rows: int | None = None) -> Any:
        return read_table(
            path,
            "a table",
            sep=self.sep,
            decimal=self.decimal,
            max_values=_MAX_VALUES,
            n_rows=n_rows,
        )


def load_folder(
    folder: str | PathLike[str],
    *,
    label: str | None = None,
    test: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    sep: str = ",",
    decimal: Literal[".", ","] = ".",
    missing: Literal["raise", "keep"] = "raise",
) -> DomainData:
    """Read a folder of CSV or parquet files, one domain a file.

    Parameters
    ----------
    folder : path
        With <domain>.csv (a header line, commas) or <domain>.parquet. All have the same columns
        of numbers, in any order; the first file by name decides theirs. Upper and lower case of
        the suffix are the same, and hidden files are left out.
    label : str or None, default=None
        Column with 1 for normal rows and -1 for anomalies. It is no feature. None takes every
        row for normal.
    test : sequence of str, default=()
        Names of the domains to test on. Without `label`, and where a file lacks that column,
        they are unlabelled: their y is None. All other files are training domains, of which the
        normal rows are kept.
    columns : sequence of str or None, default=None
        The features, in this order; other columns are left out. None takes all but the label.
    drop : sequence of str, default=()
        Columns that are no features, such as a row number or a date.
    sep : str, default=","
        One character that separates the fields of CSV files, such as ";".
    decimal : {".", ","}, default="."
        The decimal point of CSV files.
    missing : {"raise", "keep"}, default="raise"
        Whether an empty cell is an error or becomes nan. A label may never be missing.

    Returns
    -------
    DomainData
        Domains in the order of their names, test domains as given and with the group "test".
        Values are as in the files, in float64: in float32, large numbers that differ in their
        last digits, such as times in milliseconds, would become equal.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, it holds no tables, or none of a name in `test`.
    ImportError
        If pandas or pyarrow is not installed.
    TypeError
        If `test`, `columns` or `drop` is no list of strings.
    ValueError
        If a file cannot be read, has other columns than the first, values that are missing,
        infinite, times or no numbers, or labels other than 1 and -1; if there are no columns but
        the label; if a CSV file seems to have another `sep` or `decimal`; if a table has more
        than 10,000 columns or 50 million values; if two files have one name; if a table is in a
        form that is not read, such as .csv.gz; if nothing is left to train on.

    Warns
    -----
    UserWarning
        If the first column has no name, as a row number that pandas wrote, and is a feature.

    Examples
    --------
    >>> from acr_sklearn.datasets import load_folder
    >>> data = load_folder("sites", label="fault", test=["north"])  # doctest: +SKIP
    >>> detector.fit(data.train)  # doctest: +SKIP
    """
    test = listed_names(test, who="load_folder", name="test", example="north")
    paths = _tables(read_path(folder, who="load_folder", what="folder"))
    for name in test:
        if name not in paths:
            raise FileNotFoundError(
                f"No {name}.csv or {name}.parquet in {folder}, named in test=. It has "
                f"{', '.join(paths)}."
            )
    seen = [name for name in paths if name not in test]
    if not seen:
        raise ValueError(
            f"load_folder: test names every file of {folder}; none is left to train on."
        )
    first = next(iter(paths.values()))
    reading = _reading(label, columns, drop, sep, decimal, missing)
    features = _features(first, reading, is_test=first.stem in test)
    load = partial(_load, features=features, reading=reading, first=first)
    train = []
    for name in seen:
        rows, y = load(paths[name])
        assert y is not None  # only test domains may lack labels
        if not (y == 1).any():
            raise ValueError(f"{paths[name]} has no normal rows to train on; leave it out.")
        train.append(rows[y == 1])
    return DomainData(
        train,
        seen,
        [LabelledDomain(name, "test", partial(load, paths[name], is_test=True)) for name in test],
        feature_names=tuple(features),
    )


def _tables(folder: Path) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    found = data_files(folder, _SUFFIXES, _OTHER_TABLES, _EXPECTED)
    for path in sorted(found, key=lambda p: p.stem):
        if path.stem in paths:
            raise ValueError(
                f"{folder} has {paths[path.stem].name} and {path.name}. Expected one file per "
                "domain: rename or remove one."
            )
        paths[path.stem] = path
    if not paths:
        raise FileNotFoundError(f"No tables in {folder}. Expected {_EXPECTED}.")
    return paths


def _reading(
    label: str | None,
    columns: Sequence[str] | None,
    drop: Sequence[str],
    sep: str,
    decimal: str,
    missing: str,
) -> _Reading:
    who = "load_folder"
    for name, value, allowed in (
        ("decimal", decimal, (".", ",")),
        ("missing", missing, ("raise", "keep")),
    ):
        if value not in allowed:
            raise ValueError(f"{who} got {name}={value!r}; choose from {allowed}.")
    if not isinstance(sep, str) or len(sep) != 1 or sep == decimal or sep in '"\r\n':
        raise ValueError(
            f"{who} got sep={sep!r} with decimal={decimal!r}. Give one character that is not the "
            "decimal point, such as ';'."
        )
    chosen: tuple[str, ...] | None = None
    if columns is not None:
        chosen = tuple(listed_names(columns, who=who, name="columns", example="pressure"))
    dropped = tuple(listed_names(drop, who=who, name="drop", example="date"))
    if both := [name for name in chosen or () if name in dropped or name == label]:
        raise ValueError(
            f"{who} got {both[0]!r} in columns= and in drop= or as label=. Name it in one of them."
        )
    return _Reading(label, chosen, dropped, sep, decimal, missing)


def _features(path: Path, reading: _Reading, *, is_test: bool) -> list[str]:
    """Return the columns that are features, as the first file has them."""
    label = reading.label
    there = [str(name) for name in reading.table(path, n_rows=2).columns]
    wanted = [("columns", name) for name in reading.columns or ()]
    wanted += [("drop", name) for name in reading.drop]
    if label is not None and not is_test:
        wanted.append(("label", label))
    for argument, name in wanted:
        if name not in there:
            raise ValueError(
                f"{path} has no column {name!r}, named in {argument}=. It has {', '.join(there)}."
            )
    if reading.columns is not None:
        return list(reading.columns)
    features = [name for name in there if name != label and name not in reading.drop]
    if not features:
        raise ValueError(
            f"{path} has no columns but the label {label!r}. Expected columns of numbers beside "
            "it, the features of the rows."
        )
    if features[0] == there[0] and re.fullmatch(r"Unnamed: 0|\s*", there[0]):
        warnings.warn(
            f"load_folder takes the first column of {path}, which has no name, for a feature "
            f"{there[0]!r}. If it numbers the rows, as DataFrame.to_csv writes them, pass "
            f"drop=[{there[0]!r}], or write the files with index=False.",
            UserWarning,
            stacklevel=3,
        )
    return features


def _load(
    path: Path, features: list[str], reading: _Reading, first: Path, *, is_test: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.int8] | None]:
    frame = reading.table(path)
    label = reading.label
    if label is not None and is_test and label not in frame:
        label = None
    wanted = [*features, *([label] if label is not None else [])]
    missing = [name for name in wanted if name not in frame]
    extra = [name for name in frame.columns if name not in (*wanted, *reading.drop)]
    if missing or (extra and reading.columns is None):
        lacks = f"lacks {', '.join(missing)}" if missing else f"also has {', '.join(extra)}"
        raise ValueError(f"{path} {lacks}. Expected the columns of {first}: {', '.join(wanted)}.")
    rows = np.empty((len(frame), len(features)))
    for place, name in enumerate(features):
        rows[:, place] = _numbers(frame, name, path, reading)
    if label is None:
        return rows, None if is_test else np.ones(len(frame), np.int8)
    return rows, _labels(frame, label, path, reading)


def _numbers(frame: Any, name: str, path: Path, reading: _Reading) -> NDArray[np.float64]:
    """Return a column; refuse what is not finite, or missing unless that is to be kept."""
    numbers = column_numbers(frame, name, path)
    if reading.decimal == "," and path.suffix.lower() == ".csv" and frame[name].dtype.kind == "O":
        odd = frame[name].astype(str).str.contains(".", regex=False).to_numpy(bool)
        if odd.any():  # what pandas left as text: it may be thousands, or a decimal point
            row = int(np.flatnonzero(odd)[0])
            raise ValueError(
                f"{path}, column {name!r}, row {row}: {frame[name].iloc[row]!r} has a point. "
                "Expected decimal commas, as decimal=',' says: pass decimal='.', or remove the "
                "points of thousands."
            )
    kept = reading.missing == "keep" and name != reading.label
    bad = np.isinf(numbers) if kept else ~np.isfinite(numbers)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        is_missing = np.isnan(numbers[row])
        what = "a value is missing" if is_missing else "a value is infinite"
        advice = "pass missing='keep', or fill" if is_missing else "fill"
        raise ValueError(
            f"{path}, column {name!r}, row {row}: {what}. Expected complete columns of numbers: "
            f"{advice} or drop such rows first."
        )
    return numbers


def _labels(frame: Any, label: str, path: Path, reading: _Reading) -> NDArray[np.int8]:
    y = _numbers(frame, label, path, reading)
    if odd := sorted(set(np.unique(y).tolist()) - {1.0, -1.0}):
        raise ValueError(
            f"{path}, column {label!r}: found {odd[0]:g}. Expected the labels 1 (normal) and -1 "
            "(anomaly). Where 0 is normal and 1 an anomaly, write 1 - 2 * label; where 1 is "
            "normal and 0 an anomaly, 2 * label - 1."
        )
    return y.astype(np.int8)
