"""A file that is written whole or not at all, and read only if it is a plain one."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import Any

from acr_sklearn._input.paths import read_path

__all__ = ["LARGEST_FILE", "read_whole", "write_whole"]

#: Bytes beyond which no file is read.
LARGEST_FILE = 2**34


def write_whole(given: Any, data: bytes, *, who: str) -> None:
    """Write a file beside its place and move it there in one step.

    A process that is killed leaves the old file or the new one, and at worst a hidden
    ``.<name>.<letters>.part`` beside it, which may be deleted.

    Parameters
    ----------
    given : str or os.PathLike
        Where the file goes, exactly; what a symbolic link points to is replaced, not the link.
    data : bytes
        All of it.
    who : str
        For the messages.

    Raises
    ------
    OSError
        When the file system refuses: no such folder, no permission, no space.
    """
    path = read_path(given, who=who, what="path")
    part: Path | None = None
    try:
        path = path.resolve()
        if path.exists() and not path.is_file():
            # OSError makes IsADirectoryError of the number of that.
            number = errno.EISDIR if path.is_dir() else errno.EINVAL
            raise OSError(number, "it is no plain file")
        # In the same folder, so that it can be moved in one step.
        part = path.parent / f".{path.name[:200]}.{secrets.token_hex(4)}.part"
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():  # the permissions of what is replaced
            shutil.copymode(path, part)
        part.replace(path)
        part = None
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError of pathlib's
        reason = getattr(error, "strerror", None) or str(error)
        kind = type(error) if isinstance(error, OSError) else OSError
        raise kind(
            getattr(error, "errno", None),
            f"{who} cannot write {str(given)!r}: {reason}. What was there is unchanged; name a "
            "file in a folder that exists, may be written to and has room",
        ) from error
    finally:
        if part is not None:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a move last through a power cut, where folders can be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_whole(given: Any, *, who: str) -> bytearray:
    """Read a plain file.

    Parameters
    ----------
    given : str or os.PathLike
        Its name.
    who : str
        For the messages.

    Returns
    -------
    bytearray
        What is in it.

    Raises
    ------
    OSError
        When the file system refuses.
    ValueError
        For what is no plain file, or too large to be one of ours.
    """
    path = read_path(given, who=who, what="path")
    # Not blocking: a pipe without a writer would wait for one for ever.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags)
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise ValueError(f"{who} got {str(given)!r}, which is no plain file.")
            if found.st_size > LARGEST_FILE:
                raise ValueError(
                    f"{who} got {str(given)!r} of {found.st_size:,} bytes; files of more than "
                    f"{LARGEST_FILE:,} are not read. It was not written by save."
                )
            data = bytearray(found.st_size)
            with os.fdopen(handle, "rb", closefd=False) as file:
                read = file.readinto(data)
        finally:
            os.close(handle)
    except (MemoryError, OSError) as error:
        kind = type(error) if isinstance(error, OSError) else OSError
        reason = getattr(error, "strerror", None) or "it is larger than free memory"
        raise kind(
            getattr(error, "errno", None),
            f"{who} cannot read {str(given)!r}: {reason}. Check the path",
        ) from error
    del data[read:]
    return data
