"""How a CSV file is written: what its name, its header and its bytes say, and how to pass it."""

from __future__ import annotations

import codecs
import gzip
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from acr_sklearn.datasets._files import FormError, LimitError

__all__ = [
    "MAX_COLUMNS",
    "PLAIN",
    "CsvForm",
    "badly_encoded",
    "check_columns",
    "fields_of_header",
    "is_csv",
    "open_text",
    "refuse_repeated",
    "unlike_header",
]

MAX_COLUMNS = 10_000
_MAX_HEADER = 2**22  # bytes
_SEPARATORS = (";", "\t", "|", ",")
_BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def _keyword(name: str, value: str) -> str:
    """Write a setting as a keyword argument of Python."""
    return f"{name}={value!r}"


@dataclass(frozen=True)
class CsvForm:
    """How CSV files are written.

    Attributes
    ----------
    sep : str or None, default=","
        What separates fields; None takes the one that the header has most of.
    decimal : str, default="."
        The decimal point.
    encoding : str, default="utf-8"
        Of the text; a mark in front of UTF-8 counts for nothing.
    option : callable
        From the name of one of these and a value to what a user would write, for messages.
    """

    sep: str | None = ","
    decimal: str = "."
    encoding: str = "utf-8"
    option: Callable[[str, str], str] = _keyword


PLAIN = CsvForm()


def is_csv(path: Path) -> bool:
    """Whether a file is read as CSV, by its name."""
    return path.name.lower().endswith((".csv", ".csv.gz"))


def open_text(path: Path) -> BinaryIO:
    """Open a CSV file, plain or packed, for reading."""
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path))
    return path.open("rb")


def check_columns(n_columns: int) -> None:
    """Refuse a table that is wider than any that is read here."""
    if n_columns > MAX_COLUMNS:
        raise LimitError(
            f"{n_columns:,} columns, and the limit is {MAX_COLUMNS:,}: write those that are "
            "features into a file of their own"
        )


def fields_of_header(path: Path, form: CsvForm) -> tuple[str, int]:
    """Look at the header: what separates its fields, and how many there are."""
    with open_text(path) as file:
        header = file.readline(_MAX_HEADER)
    if len(header) == _MAX_HEADER:
        raise ValueError(f"a first line of more than {_MAX_HEADER:,} bytes, no header")
    text = header.decode(form.encoding, "replace")
    counts = {other: text.count(other) for other in _SEPARATORS}
    most = max(counts, key=lambda other: counts[other])
    sep = form.sep or (most if counts[most] else ",")
    n_columns = text.count(sep) + 1
    check_columns(n_columns)
    if counts[most] > text.count(sep):
        raise FormError(
            f"the fields of its header seem separated by {most!r}, not {sep!r}: pass "
            f"{form.option('sep', most)}, and {form.option('decimal', ',')} if its numbers have "
            "decimal commas"
        )
    return sep, n_columns


def refuse_repeated(names: list[str]) -> None:
    """Two columns of one name would become two of different names."""
    for name, number in Counter(names).items():
        if number > 1:
            raise FormError(f"{number} columns have the name {name!r}: rename or remove some")


def badly_encoded(path: Path, form: CsvForm) -> str:
    """Say where a file is no text in the encoding that it was read by, and what helps."""
    with open_text(path) as file:
        for mark, encoding in _BYTE_ORDER_MARKS.items():
            if file.read(2) == mark and form.encoding.lower().replace("_", "-") != encoding:
                return (
                    f"it seems to be {encoding.upper()}: pass {form.option('encoding', encoding)}"
                )
            file.seek(0)
        number = _first_bad_line(file, form.encoding)
    other = "cp1252" if form.encoding.lower().startswith("utf") else "utf-8"
    return (
        f"line {number} is no text in {form.encoding}: pass {form.option('encoding', other)}, or "
        "the name of the encoding that it was written in"
    )


def _first_bad_line(file: BinaryIO, encoding: str) -> int:
    number = 0
    for line in file:
        number += 1
        try:
            line.decode(encoding)
        except UnicodeError:
            break
    return number


def unlike_header(error: str, form: CsvForm) -> str:
    """Say what a parser meant that found a line of other fields than the header."""
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", error)
    what = f"of its lines one is not like the others ({error.strip()})"
    if found is not None:
        what = f"line {found[2]} has {found[3]} fields, and those before it {found[1]}"
    return (
        f"{what}: correct it, or see {form.option('sep', ';')} and {form.option('decimal', ',')} "
        "if its numbers have commas"
    )
