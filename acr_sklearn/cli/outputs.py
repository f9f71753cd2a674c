"""Files that the command writes: checked before the work, written whole, safe in spreadsheets."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from acr_sklearn.cli.terminal import CommandError
from acr_sklearn.datasets._csv_form import is_csv
from acr_sklearn.persistence.whole_file import write_whole

__all__ = ["check_output", "write_table"]

#: A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def check_output(given: str, inputs: Iterable[Path], *, table: bool = False) -> None:
    """Refuse a place to write to before any work is done.

    Parameters
    ----------
    given : str
        The file to be written.
    inputs : iterable of pathlib.Path
        Files and folders that are read.
    table : bool, default=False
        Whether a table goes there.

    Raises
    ------
    CommandError
        If the folder is not there or may not be written to, if the file would replace one that is
        read, or if it would be read as one more table the next time.
    """
    path = Path(given)
    if table and not is_csv(path) and path.suffix.lower() != ".parquet":
        raise CommandError(f"{path}: scores go to a .csv, .csv.gz or .parquet file")
    if path.is_dir():
        raise CommandError(f"{path}: is a folder. Name a file to be written")
    if not path.parent.is_dir():
        raise CommandError(f"{path}: there is no folder {path.parent}. Make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise CommandError(f"{path}: the folder {path.parent} may not be written to")
    for source in inputs:
        if path.resolve() == source.resolve() or (path.exists() and _are_same(path, source)):
            raise CommandError(f"{path}: is in use for something else. Write to another file")
        if table and source.is_dir() and path.parent.samefile(source):
            raise CommandError(
                f"{path}: in {source} it would be read as one more table the next time. Write it "
                "to another folder"
            )


def _are_same(path: Path, other: Path) -> bool:
    """Whether two names lead to one file, as hard links do."""
    return other.exists() and path.samefile(other)


def write_table(frame: Any, given: str, *, who: str) -> None:
    """Write a table, whole or not at all.

    Parameters
    ----------
    frame : pandas.DataFrame
        With columns of numbers, and of texts as objects.
    given : str
        A .csv, .csv.gz or .parquet file.
    who : str
        The command, for messages.

    Raises
    ------
    OSError
        When the file system refuses.
    """
    if not is_csv(Path(given)):
        held = io.BytesIO()
        frame.to_parquet(held, engine="pyarrow", index=False)
        write_whole(given, held.getvalue(), who=who)
        return
    safe = frame.copy()
    for name in safe.columns[[kind.kind == "O" for kind in safe.dtypes]]:
        safe[name] = [_as_text(value) for value in safe[name]]
    safe.columns = [_as_text(name) for name in safe.columns]
    data = safe.to_csv(index=False, lineterminator="\n").encode("utf-8")
    packed = given.lower().endswith(".gz")
    write_whole(given, gzip.compress(data, mtime=0) if packed else data, who=who)


def _as_text(value: Any) -> Any:
    """Put an apostrophe before what a spreadsheet would compute; numbers stay as they are."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        try:
            np.float64(value)
        except ValueError:
            return f"'{value}"
    return value
