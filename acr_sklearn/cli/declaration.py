"""What a model's file says of the tables it was trained on, so that new ones are read alike."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from acr_sklearn.cli.terminal import CommandError

__all__ = [
    "CATEGORY",
    "DATES",
    "FORMAT",
    "NUMBER",
    "NUMBERS",
    "OTHER",
    "ZONED",
    "Column",
    "Declaration",
]

#: Raised by one when a declaration of the next version could not be read by the version before.
FORMAT = 2
NUMBER, CATEGORY = "number", "category"
#: What times are written as; files of format 1 tell nothing of times.
TIMES = NUMBERS, DATES, ZONED = "numbers", "dates without a time zone", "dates with a time zone"
_SINCE_2 = ("time_column", "time_kind")
#: Stands for the categories that are rare, or that fit did not see.
OTHER = "other"


@dataclass(frozen=True)
class Column:
    """A column that the detector sees.

    Attributes
    ----------
    name : str
        In the tables.
    kind : {"number", "category"}
        What its cells are.
    kept : tuple of str
        Categories that have a feature of their own.
    """

    name: str
    kind: str
    kept: tuple[str, ...] = ()

    def features(self) -> list[str]:
        """Names of the features that it becomes."""
        if self.kind == NUMBER:
            return [self.name]
        return [f"{self.name}={value}" for value in (*self.kept, OTHER)]


@dataclass(frozen=True)
class Declaration:
    """How tables become rows of features.

    Attributes
    ----------
    columns : tuple of Column
        In the order of the features.
    domain_column, known_column : str or None
        Columns of fit with the domain of a row, and with whether it is a known anomaly.
    keys : tuple of str
        Columns that are carried into the scores.
    ignored : tuple of str
        Columns that are none of these.
    missing : {"fill", "refuse"}
        What happens to cells without a value.
    missing_values : tuple of str
        Cells that stand for no value.
    fallback : tuple of float
        What fills a feature of which a batch has no value at all.
    files : tuple of (str, int)
        Names of the training files, and their rows.
    time_column : str or None
        Column with the time of each row, which is carried into the scores too.
    time_kind : {"numbers", "dates without a time zone", "dates with a time zone"} or None
        What its times are.
    """

    columns: tuple[Column, ...]
    domain_column: str | None = None
    known_column: str | None = None
    keys: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    missing: str = "fill"
    missing_values: tuple[str, ...] = ()
    fallback: tuple[float, ...] = ()
    files: tuple[tuple[str, int], ...] = ()
    time_column: str | None = None
    time_kind: str | None = None

    def features(self) -> list[str]:
        """Names of all features."""
        return [feature for column in self.columns for feature in column.features()]

    def text_columns(self) -> tuple[str, ...]:
        """Columns whose cells stay as they are written."""
        named = [c.name for c in self.columns if c.kind == CATEGORY] + list(self.keys)
        others = [c for c in (self.domain_column, self.known_column) if c is not None]
        return (*named, *others)

    def to_text(self) -> str:
        """Write the declaration as JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str, where: str) -> Declaration:
        """Read what `to_text` wrote.

        Parameters
        ----------
        text : str
            JSON.
        where : str
            The file, for the message.

        Returns
        -------
        Declaration
            As it was.

        Raises
        ------
        CommandError
            For a later format, and for what `to_text` has not written.
        """
        try:
            found = json.loads(text)
            number = found.pop("format")
            if type(number) is int and number > FORMAT:
                raise CommandError(
                    f"{where}: its columns are declared in format {number}; this version reads "
                    f"formats up to {FORMAT}. Update acr-sklearn"
                )
            if number == 1:
                found = dict.fromkeys(_SINCE_2) | found
            found["columns"] = tuple(_column(one) for one in found["columns"])
            found["files"] = tuple((_text(name), int(rows)) for name, rows in found["files"])
            found["fallback"] = tuple(map(float, found["fallback"]))
            for name in ("keys", "ignored", "missing_values"):
                found[name] = tuple(map(_text, found[name]))
            if found.keys() != {field.name for field in fields(cls)}:
                raise ValueError("other entries than it has")
            declaration = cls(**found)
            if not _is_whole(declaration):
                raise ValueError("entries that do not fit together")
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise CommandError(
                f"{where}: what it says of its columns cannot be read ({error}). It was not "
                "written by acr-sklearn fit, or was changed since"
            ) from error
        return declaration


def _column(given: dict[str, Any]) -> Column:
    return Column(_text(given["name"]), _text(given["kind"]), tuple(map(_text, given["kept"])))


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{given!r} is no text")
    return given


def _is_whole(declaration: Declaration) -> bool:
    kinds = {column.kind for column in declaration.columns}
    named = (declaration.domain_column, declaration.known_column, declaration.time_column)
    return (
        kinds <= {NUMBER, CATEGORY}
        and all(name is None or isinstance(name, str) for name in named)
        and declaration.time_kind in (*TIMES, None)
        and (declaration.time_kind is None) == (declaration.time_column is None)
        and declaration.missing in ("fill", "refuse")
        and len(declaration.fallback) == len(declaration.features())
        and all(map(math.isfinite, declaration.fallback))
    )
