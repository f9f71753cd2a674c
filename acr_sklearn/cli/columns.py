"""Columns of tables: which are features and of what kind, and their cells as numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.validation import LARGEST
from acr_sklearn.cli.declaration import CATEGORY, NUMBER, Column, Declaration
from acr_sklearn.cli.tables import Table
from acr_sklearn.cli.terminal import CommandError, as_option
from acr_sklearn.datasets._tables import advice, as_numbers

__all__ = [
    "Choices",
    "choose_columns",
    "domains_of",
    "features_of",
    "known_of",
    "pooled_categories",
]

#: Share of the rows that a category needs for a feature of its own, and features at most.
_RARE, _MOST_KEPT = 0.05, 20
#: From this share of cells that are no numbers on, a column holds text.
_TEXT = 0.5
_DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([T ].*)?|\d{1,2}:\d\d(:\d\d.*)?")
_YES = frozenset({"1", "1.0", "true", "t", "yes", "y"})
_NO = frozenset({"0", "0.0", "false", "f", "no", "n", ""})


@dataclass(frozen=True)
class Choices:
    """What a user says of the columns.

    Attributes
    ----------
    columns : tuple of str
        The features; empty for all that are nothing else.
    ignore, keys : tuple of str
        Columns that are no features, and those of them that are carried into the scores.
    categories : tuple of str
        Features whose cells are names, whatever they look like.
    domain_column, known_column : str or None
        Columns with the domain, and with whether a row is a known anomaly.
    time_column : str or None
        Column with the time, carried into the scores too.
    """

    columns: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    domain_column: str | None = None
    known_column: str | None = None
    time_column: str | None = None

    def needed(self) -> list[str]:
        """Columns that every table needs, beside the features."""
        others = (self.domain_column, self.known_column, self.time_column)
        return [*self.keys, *(c for c in others if c is not None)]

    def no_features(self) -> list[str]:
        """Columns that are no features."""
        return [*self.ignore, *self.needed()]

    def as_written(self) -> tuple[str, ...]:
        """Columns whose cells stay as they are written."""
        others = [c for c in (self.domain_column, self.known_column) if c is not None]
        return (*self.keys, *self.categories, *others)


def choose_columns(tables: Sequence[Table], choices: Choices) -> tuple[Column, ...]:
    """Find the features and their kinds.

    Parameters
    ----------
    tables : sequence of Table
        To be trained on. The first decides the order.
    choices : Choices
        What the user says.

    Returns
    -------
    tuple of Column
        Categories with none kept as yet where they were not read as text.

    Raises
    ------
    CommandError
        For a table with other columns than the first, and a column that is no feature.
    """
    first = tables[0]
    first.refuse_lack_of(
        [*choices.no_features(), *choices.columns, *choices.categories], "an option names"
    )
    out = set(choices.no_features())
    names = list(choices.columns) or [str(c) for c in first.frame.columns if c not in out]
    if not names:
        raise CommandError(f"{first.path}: no column is left to be a feature")
    if both := [name for name in names if name in out]:
        raise CommandError(f"column {both[0]!r} is named both as a feature and as none")
    if odd := [name for name in choices.categories if name not in names]:
        raise CommandError(f"column {odd[0]!r} is named as a category, but is no feature")
    for table in tables[1:]:
        table.refuse_lack_of([*names, *choices.needed()], f"{first.path} has")
        extra = [c for c in table.frame.columns if c not in names and c not in out]
        if extra and not choices.columns:
            raise CommandError(
                f"{table.path}: has a column {extra[0]!r} that {first.path} lacks. Leave it out "
                f"by {as_option('ignore', extra[0])}, or name all features by --columns"
            )
    chosen = tuple(_column(tables, name, name in choices.categories) for name in names)
    _refuse_equal_names(Declaration(chosen).features())
    return chosen


def _refuse_equal_names(features: list[str]) -> None:
    for name, number in Counter(features).items():
        if number > 1:
            raise CommandError(f"{number} features have the name {name!r}. Rename a column")


def _column(tables: Sequence[Table], name: str, is_category: bool) -> Column:
    if is_category or _kind(tables, name) == CATEGORY:
        return Column(name, CATEGORY, _kept(tables, name))
    return Column(name, NUMBER)


def _kind(tables: Sequence[Table], name: str) -> str:
    n_values = n_bad = 0
    first_bad: tuple[Table, int] | None = None
    for table in tables:
        if table.frame[name].dtype.kind in "mM":
            raise CommandError(f"{table.path}, column {name!r}: {_no_dates(name)}")
        numbers, bad = as_numbers(table.frame[name])
        n_values += int((bad | ~np.isnan(numbers)).sum())
        n_bad += int(bad.sum())
        if first_bad is None and bad.any():
            first_bad = table, int(np.flatnonzero(bad)[0])
    if n_values == 0:
        raise CommandError(
            f"column {name!r} has no value in any file. Leave it out by {as_option('ignore', name)}"
        )
    if first_bad is None:
        return NUMBER
    table, row = first_bad
    value = str(table.frame[name].iloc[row])
    if n_bad < _TEXT * n_values:
        raise CommandError(
            f"{_no_number(table, row, name, value)}, {as_option('category', name)} if the cells "
            f"are names, {as_option('ignore', name)} to leave the column out"
        )
    if _DATE.fullmatch(value.strip()):
        raise CommandError(f"{table.cell(row, name)}: {value!r}: {_no_dates(name)}")
    return CATEGORY


def _no_dates(name: str) -> str:
    return (
        "dates and times are no features. Name them as the times of rows by "
        f"{as_option('time-column', name)}, carry them along as text by {as_option('key', name)}, "
        f"leave them out by {as_option('ignore', name)}, or write hours since a start, or the hour "
        "of the day"
    )


def _no_number(table: Table, row: int, name: str, value: str) -> str:
    helps = advice(value, table.reading.form)
    return (
        f"{table.cell(row, name)}: {value!r} is not a number, as others in this column are. "
        f"Correct it, {helps}or pass {as_option('missing-value', value.strip())} if it stands for "
        "no value"
    )


def _kept(tables: Sequence[Table], name: str) -> tuple[str, ...]:
    """Choose the categories that have a feature of their own."""
    counts: Counter[str] = Counter()
    for table in tables:
        texts, missing = table.texts(name)
        counts.update(texts[~missing].tolist())
    if not counts:
        raise CommandError(
            f"column {name!r} has no value in any file. Leave it out by {as_option('ignore', name)}"
        )
    n_values = counts.total()
    kept = [value for value, n in counts.most_common(_MOST_KEPT) if n >= _RARE * n_values]
    if not kept:
        raise CommandError(
            f"column {name!r} has {len(counts):,} different texts in {n_values:,} rows, none of "
            f"them in {_RARE:.0%}: it names rows and no kinds of them. Carry it into the scores by "
            f"{as_option('key', name)}, or leave it out by {as_option('ignore', name)}"
        )
    return tuple(kept)


def features_of(table: Table, declaration: Declaration) -> dict[str, NDArray[np.float64]]:
    """Turn a table into features.

    Parameters
    ----------
    table : Table
        With all columns of the declaration, in any order, and maybe others.
    declaration : Declaration
        Of the model.

    Returns
    -------
    dict of ndarray of shape (n_rows,)
        By name; nan where a value is missing.

    Raises
    ------
    CommandError
        For a column that is not there, and for a cell that is no finite number where one should
        be, or missing where none may be.
    """
    table.refuse_lack_of([c.name for c in declaration.columns], "the model was trained on")
    found: dict[str, NDArray[np.float64]] = {}
    for column in declaration.columns:
        if column.kind == NUMBER:
            found[column.name] = _numbers(table, column.name)
        else:
            found |= _one_hot(table, column)
        missing = np.isnan(found[column.features()[0]])
        if declaration.missing == "refuse" and missing.any():
            row = int(np.flatnonzero(missing)[0])
            raise CommandError(
                f"{table.cell(row, column.name)}: a value is missing, and the model was told to "
                "refuse that. Fill it, or train with --missing fill"
            )
    return found


def _numbers(table: Table, name: str) -> NDArray[np.float64]:
    if table.frame[name].dtype.kind in "mM":
        raise CommandError(f"{table.path}, column {name!r}: holds times, and numbers in training")
    numbers, bad = as_numbers(table.frame[name])
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise CommandError(_no_number(table, row, name, str(table.frame[name].iloc[row])))
    if np.isinf(numbers).any():
        row = int(np.flatnonzero(np.isinf(numbers))[0])
        raise CommandError(
            f"{table.cell(row, name)}: the value is infinite. Write a number, or nothing"
        )
    if (large := np.abs(numbers) > LARGEST).any():
        row = int(np.flatnonzero(large)[0])
        raise CommandError(
            f"{table.cell(row, name)}: {numbers[row]:.3g} is too large to compute with. Change the "
            f"unit of the column, or pass {as_option('missing-value', f'{numbers[row]:g}')} if it "
            "stands for no value"
        )
    return numbers


def _one_hot(table: Table, column: Column) -> dict[str, NDArray[np.float64]]:
    texts, missing = table.texts(column.name)
    *own, other = column.features()
    found = {f: texts == value for f, value in zip(own, column.kept, strict=True)}
    found[other] = ~np.isin(texts, column.kept)
    return {name: np.where(missing, np.nan, hot) for name, hot in found.items()}


def pooled_categories(table: Table, column: Column) -> Counter[str]:
    """Count the rows of each category that has no feature of its own.

    Parameters
    ----------
    table : Table
        With the column.
    column : Column
        Of the model; one of numbers has none.

    Returns
    -------
    Counter
        Of str.
    """
    if column.kind == NUMBER:
        return Counter()
    texts, missing = table.texts(column.name)
    return Counter(texts[~missing & ~np.isin(texts, column.kept)].tolist())


def domains_of(table: Table, column: str | None) -> NDArray[Any]:
    """Name the domain of each row: what the column says, or the file's name.

    Parameters
    ----------
    table : Table
        Any.
    column : str or None
        With the names of domains.

    Returns
    -------
    ndarray of shape (n_rows,), object
        Of str.

    Raises
    ------
    CommandError
        For a row without a domain.
    """
    if column is None:
        return np.full(len(table.frame), table.name, object)
    texts, missing = table.texts(column)
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        raise CommandError(f"{table.cell(row, column)}: no domain. Every row needs one")
    return texts


def known_of(table: Table, column: str) -> NDArray[np.bool_]:
    """Read which rows are known anomalies.

    Parameters
    ----------
    table : Table
        With the column.
    column : str
        1, true or yes for known anomalies; 0, false, no or nothing for all other rows.

    Returns
    -------
    ndarray of shape (n_rows,), bool
        True for known anomalies.

    Raises
    ------
    CommandError
        For any other cell.
    """
    texts, _ = table.texts(column)
    lower = np.array([text.lower() for text in texts.tolist()], object)
    odd = ~np.isin(lower, [*_YES, *_NO])
    if odd.any():
        row = int(np.flatnonzero(odd)[0])
        raise CommandError(
            f"{table.cell(row, column)}: {texts[row]!r} does not say whether the row is a known "
            "anomaly. Expected 1, true or yes for known anomalies; 0, false, no or nothing for "
            "all others"
        )
    return np.isin(lower, list(_YES))
