"""A folder of tables, one domain a file."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.paths import read_path
from acr_sklearn.datasets._csv_form import CsvForm, is_csv
from acr_sklearn.datasets._lists import listed_names
from acr_sklearn.datasets._tables import (
    MAX_VALUES,
    column_numbers,
    read_table,
    row_order,
    table_files,
    table_name,
)
from acr_sklearn.datasets.domain_data import DomainData, LabelledDomain

__all__ = ["load_folder"]

_EXPECTED = "a folder of .csv, .csv.gz or .parquet files, one domain each"


@dataclass(frozen=True)
class _Reading:
    """How every file of a folder is read."""

    label: str | None
    columns: tuple[str, ...] | None
    drop: tuple[str, ...]
    time: str | None
    form: CsvForm
    missing: str

    @property
    def no_features(self) -> tuple[str, ...]:
        """Columns that may be there and are no features."""
        return self.drop if self.time is None else (*self.drop, self.time)

    def table(self, path: Path, n_rows: int | None = None) -> Any:
        return read_table(path, "a table", form=self.form, max_values=MAX_VALUES, n_rows=n_rows)


def load_folder(
    folder: str | PathLike[str],
    *,
    label: str | None = None,
    test: Sequence[str] = (),
    groups: Mapping[str, str] | None = None,
    columns: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    time: str | None = None,
    sep: str = ",",
    decimal: Literal[".", ","] = ".",
    encoding: str = "utf-8",
    missing: Literal["raise", "keep"] = "raise",
) -> DomainData:
    """Read a folder of CSV or parquet files, one domain a file.

    Parameters
    ----------
    folder : path
        With <domain>.csv (a header line, commas), <domain>.csv.gz or <domain>.parquet. All have
        the same columns of numbers, in any order; the first file by name decides theirs. Upper and
        lower case of the suffix are the same, and hidden files are left out.
    label : str or None, default=None
        Column with 1 for normal rows and -1 for anomalies. It is no feature. None takes every
        row for normal.
    test : sequence of str, default=()
        Names of the domains to test on. Without `label`, and where a file lacks that column,
        they are unlabelled: their y is None. All other files are training domains, of which the
        normal rows are kept.
    groups : mapping of str to str or None, default=None
        Group of each test domain, such as {"north": "near", "island": "far"}, for reports on
        domains together. Those not named, and all with None, are of the group "test".
    columns : sequence of str or None, default=None
        The features, in this order; other columns are left out. None takes all but the label.
    drop : sequence of str, default=()
        Columns that are no features, such as a row number or a date.
    time : str or None, default=None
        Column of times, as numbers, dates (ISO 8601, such as 2026-01-31 or 2026-01-31T08:00) or
        times of parquet. The rows of every domain are put in its order, equal times as they stand
        in the file. It is no feature.
    sep : str, default=","
        One character that separates the fields of CSV files, such as ";".
    decimal : {".", ","}, default="."
        The decimal point of CSV files.
    encoding : str, default="utf-8"
        Of CSV files, such as "cp1252" or "utf-16".
    missing : {"raise", "keep"}, default="raise"
        Whether an empty cell is an error or becomes nan. A label may never be missing.

    Returns
    -------
    DomainData
        Domains in the order of their names, test domains as given. Values are as in the files, in
        float64: in float32, large numbers that differ in their last digits, such as times in
        milliseconds, would become equal.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, it holds no tables, or none of a name in `test`.
    ImportError
        If pandas or pyarrow is not installed.
    TypeError
        If `test`, `columns` or `drop` is no list of strings, `groups` no mapping of strings.
    ValueError
        If `groups` names what is no test domain, or there is no such `encoding`; if a file cannot
        be read, has other columns than the first, values that are missing, infinite, times or no
        numbers, labels other than 1 and -1, or a `time` that is missing or cannot be read; if
        there are no columns but the label; if a CSV file seems to have another `sep` or
        `decimal`; if a table has more than 10,000 columns or 50 million values; if two files have
        one name; if a table is in a form that is not read, such as .xlsx; if nothing is left to
        train on.

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
    of_group = _groups(groups, test)
    paths = table_files(read_path(folder, who="load_folder", what="folder"), _EXPECTED)
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
    reading = _reading(label, columns, drop, time, _form(sep, decimal, encoding), missing)
    features = _features(first, reading, is_test=table_name(first) in test)
    load = partial(_load, features=features, reading=reading, first=first)
    train = []
    for name in seen:
        rows, y = load(paths[name])
        assert y is not None  # only test domains may lack labels
        if not (y == 1).any():
            raise ValueError(f"{paths[name]} has no normal rows to train on; leave it out.")
        train.append(rows[y == 1])
    tests = [
        LabelledDomain(name, of_group[name], partial(load, paths[name], is_test=True))
        for name in test
    ]
    return DomainData(train, seen, tests, feature_names=tuple(features))


def _groups(groups: Mapping[str, str] | None, test: Sequence[str]) -> dict[str, str]:
    """Group of every test domain."""
    given = {} if groups is None else groups
    if not isinstance(given, Mapping) or not all(isinstance(v, str) for v in given.values()):
        raise TypeError(
            f"load_folder got groups={groups!r}. It needs the group of test domains by their "
            "names, such as groups={'north': 'near'}."
        )
    if odd := [name for name in given if name not in test]:
        raise ValueError(
            f"load_folder got groups= for {odd[0]!r}, which is no test domain. Name it in test=, "
            "or leave it out of groups=."
        )
    return {name: given.get(name, "test") for name in test}


def _form(sep: str, decimal: str, encoding: str) -> CsvForm:
    who = "load_folder"
    if decimal not in (".", ","):
        raise ValueError(f"{who} got decimal={decimal!r}; choose from {('.', ',')}.")
    if not isinstance(sep, str) or len(sep) != 1 or sep == decimal or sep in '"\r\n':
        raise ValueError(
            f"{who} got sep={sep!r} with decimal={decimal!r}. Give one character that is not the "
            "decimal point, such as ';'."
        )
    try:
        "".encode(encoding)
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(
            f"{who} got encoding={encoding!r}, which names no encoding of text. Give one such as "
            "'utf-8', 'cp1252' or 'utf-16'."
        ) from error
    return CsvForm(sep, decimal, encoding)


def _reading(
    label: str | None,
    columns: Sequence[str] | None,
    drop: Sequence[str],
    time: str | None,
    form: CsvForm,
    missing: str,
) -> _Reading:
    who = "load_folder"
    if missing not in ("raise", "keep"):
        raise ValueError(f"{who} got missing={missing!r}; choose from {('raise', 'keep')}.")
    chosen: tuple[str, ...] | None = None
    if columns is not None:
        chosen = tuple(listed_names(columns, who=who, name="columns", example="pressure"))
    dropped = tuple(listed_names(drop, who=who, name="drop", example="date"))
    others = (*dropped, label, time)
    if both := [name for name in chosen or () if name in others]:
        raise ValueError(
            f"{who} got {both[0]!r} in columns= and in drop= or as label= or time=. Name it in one "
            "of them."
        )
    return _Reading(label, chosen, dropped, time, form, missing)


def _features(path: Path, reading: _Reading, *, is_test: bool) -> list[str]:
    """Return the columns that are features, as the first file has them."""
    label = reading.label
    there = [str(name) for name in reading.table(path, n_rows=2).columns]
    wanted = [("columns", name) for name in reading.columns or ()]
    wanted += [("drop", name) for name in reading.drop]
    if reading.time is not None:
        wanted.append(("time", reading.time))
    if label is not None and not is_test:
        wanted.append(("label", label))
    for argument, name in wanted:
        if name not in there:
            raise ValueError(
                f"{path} has no column {name!r}, named in {argument}=. It has {', '.join(there)}."
            )
    if reading.columns is not None:
        return list(reading.columns)
    features = [name for name in there if name != label and name not in reading.no_features]
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
    wanted = [*features, *(name for name in (label, reading.time) if name is not None)]
    missing = [name for name in wanted if name not in frame]
    extra = [name for name in frame.columns if name not in (*wanted, *reading.drop)]
    if missing or (extra and reading.columns is None):
        lacks = f"lacks {', '.join(missing)}" if missing else f"also has {', '.join(extra)}"
        raise ValueError(f"{path} {lacks}. Expected the columns of {first}: {', '.join(wanted)}.")
    order = np.arange(len(frame))
    if reading.time is not None:
        order = row_order(frame, reading.time, path)
    rows = np.empty((len(frame), len(features)))
    for place, name in enumerate(features):
        rows[:, place] = _numbers(frame, name, path, reading)
    rows = rows[order]
    if label is None:
        return rows, None if is_test else np.ones(len(frame), np.int8)
    return rows, _labels(frame, label, path, reading)[order]


def _numbers(frame: Any, name: str, path: Path, reading: _Reading) -> NDArray[np.float64]:
    """Return a column; refuse what is not finite, or missing unless that is to be kept."""
    numbers = column_numbers(frame, name, path, _ways_out(name, reading))
    if reading.form.decimal == "," and is_csv(path) and frame[name].dtype.kind == "O":
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


def _ways_out(name: str, reading: _Reading) -> str:
    """How a column is kept from being a feature, for messages."""
    if name == reading.label:
        return ""
    if reading.columns is not None:
        return f": take {name!r} out of columns=, or name it in time= if rows are ordered by it"
    return (
        f" by drop=[{name!r}], name the features in columns=, or pass time={name!r} if rows are "
        "ordered by it"
    )


def _labels(frame: Any, label: str, path: Path, reading: _Reading) -> NDArray[np.int8]:
    y = _numbers(frame, label, path, reading)
    if odd := sorted(set(np.unique(y).tolist()) - {1.0, -1.0}):
        raise ValueError(
            f"{path}, column {label!r}: found {odd[0]:g}. Expected the labels 1 (normal) and -1 "
            "(anomaly). Where 0 is normal and 1 an anomaly, write 1 - 2 * label; where 1 is "
            "normal and 0 an anomaly, 2 * label - 1."
        )
    return y.astype(np.int8)
