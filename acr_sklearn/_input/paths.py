"""Paths of files and folders, told from what is none."""

from __future__ import annotations

import os
import reprlib
from pathlib import Path
from typing import Any

__all__ = ["read_path"]


def read_path(given: Any, *, who: str, what: str) -> Path:
    """Read the name of a file or folder, which need not be there.

    Parameters
    ----------
    given : str or os.PathLike
        What the user passed.
    who, what : str
        For the messages.

    Returns
    -------
    pathlib.Path
        A path that the file system can be asked about.

    Raises
    ------
    TypeError
        For what is no path.
    ValueError
        For names that no file can have: too long, or with a NUL in them.
    """
    needs = "It needs the name of a file or folder: a string or a pathlib.Path"
    if not isinstance(given, str | os.PathLike):
        raise TypeError(f"{who} got {what}={reprlib.repr(given)}. {needs}.")
    try:
        path = Path(given)
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return path
    except (OSError, TypeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"{who} got {what}={reprlib.repr(given)}: {why}. {needs}.") from error
    return path
