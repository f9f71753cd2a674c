"""A file of maps that appears whole or not at all."""

from __future__ import annotations

import errno
import math
import os
import secrets
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from acr_sklearn._input.paths import read_path

__all__ = ["MapFile"]

_CHUNK = 2**20  # bytes written at a time where the system cannot reserve space by itself


class MapFile:
    """Write an ``.npy`` file beside its place, and move it there when it is complete.

    A context manager: whatever ends the block before `finish` leaves what was at the path. A
    process that is killed inside leaves a hidden ``.<name>.<letters>.part`` beside it, which may
    be deleted.

    Parameters
    ----------
    path : str or pathlib.Path
        Where the file goes; what a symbolic link points to is replaced, not the link.
    who : str
        For the messages.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If the path is there and is no plain file.
    """

    def __init__(self, path: str | Path, *, who: str):
        self._path = read_path(path, who=who, what="out").resolve()
        self._who = who
        self._part: Path | None = None
        self._maps: NDArray[Any] | None = None
        if not self._path.parent.is_dir():
            raise FileNotFoundError(
                f"{who} found no folder {self._path.parent} for out={str(path)!r}. Make it first."
            )
        if self._path.exists() and not self._path.is_file():
            raise ValueError(f"{who} got out={str(path)!r}, which is no file. Give a file's name.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove what was not finished."""
        self._maps = None
        if self._part is not None:
            self._part.unlink(missing_ok=True)

    def allocate(self, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        """Reserve the space of an array beside the path.

        Parameters
        ----------
        shape : tuple of int
            Of the array.
        dtype : str
            Of its values.

        Returns
        -------
        memmap of `shape`
            To be filled before `finish`.

        Raises
        ------
        OSError
            If the disk, or what the user may use of it, has too little space.
        """
        folder = self._path.parent
        self._part = folder / f".{self._path.name}.{secrets.token_hex(4)}.part"
        self._part.touch(exist_ok=False)
        if self._path.exists():  # the permissions of what is replaced
            shutil.copymode(self._path, self._part)
        size = math.prod(shape) * np.dtype(dtype).itemsize
        try:
            self._maps = open_memmap(self._part, mode="w+", dtype=np.dtype(dtype), shape=shape)
            # A map of unreserved space ends the process, by a signal, when the disk is full.
            with self._part.open("r+b") as file:
                _reserve(file.fileno(), self._part.stat().st_size)
        except OSError as error:
            free = shutil.disk_usage(folder).free
            raise OSError(
                error.errno,
                f"{self._who} cannot reserve {size:,} bytes for out={str(self._path)!r} "
                f"({error.strerror}); the disk has {free:,} free. Make room, choose another disk, "
                "or use dtype='float16' or a smaller map_size. What was there is unchanged",
            ) from error
        return self._maps

    def finish(self) -> NDArray[Any]:
        """Move the file to its path in one step.

        Returns
        -------
        memmap
            Of the file in its place.
        """
        assert isinstance(self._maps, np.memmap)
        assert self._part is not None
        self._maps.flush()
        self._maps = None  # some systems move no file that is mapped
        with self._part.open("r+b") as file:
            os.fsync(file.fileno())
        self._part.replace(self._path)
        self._part = None
        return open_memmap(self._path, mode="r+")


def _reserve(file: int, size: int) -> None:
    """Give a file its blocks; an OSError where there are too few."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file, 0, size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
        else:
            return
    # The header that is written over is there already: only what follows it needs zeros.
    start = os.lseek(file, min(size, _header_end(file)), os.SEEK_SET)
    while start < size:
        start += os.write(file, bytes(min(_CHUNK, size - start)))


def _header_end(file: int) -> int:
    head = os.read(file, 12)
    # Bytes 8 and 9 hold the header's length in version 1 of the format, which NumPy writes.
    return 10 + int.from_bytes(head[8:10], "little")
