"""Tables as they are given to the command: found, read, and their cells named by line."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.cli.terminal import CommandError, Terminal, listed
from acr_sklearn.datasets._csv_form import CsvForm, fields_of_header, is_csv, open_text
from acr_sklearn.datasets._tables import MAX_VALUES, read_table, table_files, table_name

__all__ = ["Reading", "Table", "find_files", "read_tables"]

_EXPECTED = ".csv, .csv.gz or .parquet files"


@dataclass(frozen=True)
class Reading:
    """How tables are read.

    Attributes
    ----------
    form : CsvForm
        How CSV files are written.
    missing_values : tuple of str
        Cells that stand for no value, beside empty ones and pandas' own list.
    """

    form: CsvForm
    missing_values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One file.

    Attributes
    ----------
    name : str
        Of the file, without its suffix.
    path : pathlib.Path
        The file.
    frame : pandas.DataFrame
        Its rows.
    reading : Reading
        How it was read.
    """

    name: str
    path: Path
    frame: Any
    reading: Reading

    def cell(self, row: int, column: str) -> str:
        """Name a cell as an editor shows it: file, line, column.

        Parameters
        ----------
        row : int
            Position among the rows.
        column : str
            Its name.

        Returns
        -------
        str
            The row, counted from 1, instead of the line for files without lines.
        """
        line = _line_of(self.path, row, self.reading.form) if is_csv(self.path) else None
        place = f"row {row + 1}" if line is None else f"line {line}"
        return f"{self.path}, {place}, column {column!r}"

    def texts(self, column: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Give a column as text without blanks around it.

        Parameters
        ----------
        column : str
            Its name.

        Returns
        -------
        texts : ndarray of shape (n_rows,), object
            Of str; empty where a value is missing.
        missing : ndarray of shape (n_rows,), bool
            Where one is.
        """
        values = self.frame[column]
        missing = values.isna().to_numpy(bool)
        texts = values.astype(str).str.strip().to_numpy(object)
        missing = missing | (texts == "")
        return np.where(missing, "", texts), missing

    def refuse_lack_of(self, columns: Sequence[str], why: str, remedy: str = "") -> None:
        """Refuse a file without some column.

        Parameters
        ----------
        columns : sequence of str
            What is needed.
        why : str
            What needs it, to stand behind "which".
        remedy : str, default=""
            What helps.

        Raises
        ------
        CommandError
            Naming what is missing and what is there.
        """
        if missing := [name for name in columns if name not in self.frame]:
            word = "column" if len(missing) == 1 else "columns"
            raise CommandError(
                f"{self.path}: no {word} {', '.join(map(repr, missing))}, which {why}. It has "
                f"{', '.join(map(repr, self.frame.columns))}{remedy and f'. {remedy}'}"
            )


def find_files(given: str, terminal: Terminal) -> list[tuple[str, Path]]:
    """Find the tables that a user means.

    Parameters
    ----------
    given : str
        A table, or a folder of tables.
    terminal : Terminal
        Told of what is left out.

    Returns
    -------
    list of (str, pathlib.Path)
        Names without suffixes, and files.

    Raises
    ------
    CommandError
        If it is neither.
    ValueError, OSError
        If a folder holds no tables, or some in another form, or may not be read.
    """
    path = Path(given)
    if path.is_dir():
        files = table_files(path, _EXPECTED)
        _tell_left_out(path, set(files.values()), terminal)
        return list(files.items())
    if not path.exists():
        raise CommandError(f"{path}: no such file or folder. Expected {_EXPECTED}, or a folder")
    if not is_csv(path) and path.suffix.lower() != ".parquet":
        raise CommandError(f"{path}: not named as a table. Expected {_EXPECTED}")
    return [(table_name(path), path)]


def _tell_left_out(folder: Path, read: set[Path], terminal: Terminal) -> None:
    shown = sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p not in read)
    names = [f"{p.name}/" if p.is_dir() else p.name for p in shown]
    if names:
        terminal.note(f"left out in {folder}: {listed(names)}")


def read_tables(
    files: Sequence[tuple[str, Path]], reading: Reading, text: Sequence[str], terminal: Terminal
) -> list[Table]:
    """Read files.

    Parameters
    ----------
    files : sequence of (str, pathlib.Path)
        From `find_files`.
    reading : Reading
        How.
    text : sequence of str
        Columns that stay as they are written, such as "007".
    terminal : Terminal
        Told of columns without a name, which are left out.

    Returns
    -------
    list of Table
        With what stands for no value as such.

    Raises
    ------
    ValueError, OSError
        If a file cannot be read.
    """
    tables = []
    for name, path in terminal.track(files, len(files), "read"):
        with path.open("rb"):  # says "permission denied" before a parser says anything else
            pass
        frame = read_table(path, "a table", form=reading.form, text=text, max_values=MAX_VALUES)
        unnamed = [c for c in frame.columns if c.startswith("Unnamed: ") or not c.strip()]
        if unnamed:
            terminal.note(f"{path}: a column without a name is left out")
            frame = frame.drop(columns=unnamed)
        for column in frame.columns if reading.missing_values else ():
            frame[column] = frame[column].mask(_stands_for_none(frame[column], reading))
        tables.append(Table(name, path, frame, reading))
    return tables


def _stands_for_none(column: Any, reading: Reading) -> Any:
    if column.dtype.kind in "biuf":
        return column.isin([float(v) for v in reading.missing_values if _is_number(v)])
    return column.astype(str).str.strip().isin(reading.missing_values)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _line_of(path: Path, row: int, form: CsvForm) -> int | None:
    """Find the line that a row begins on; None if the file cannot be followed."""
    sep, _ = fields_of_header(path, form)
    encoding = "utf-8-sig" if form.encoding.lower() in ("utf-8", "utf8") else form.encoding
    ends = [0]
    with open_text(path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline="") as file:
        reader = csv.reader(file, delimiter=sep)
        try:
            for fields in reader:
                # pandas passes over lines of blanks, but not over a single empty text in quotes.
                if not fields or (len(fields) == 1 and fields[0].isspace()):
                    ends[-1] = reader.line_num
                else:
                    ends.append(reader.line_num)
                if len(ends) == row + 3:  # before the header, the header, the rows up to this one
                    return list(pairwise(ends))[-1][0] + 1
        except (csv.Error, UnicodeError):
            return None
    return None
