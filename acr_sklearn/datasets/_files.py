"""Files that are what they claim to be, or an error that names the file and what was expected.

The parsers below these functions fail in many ways on a wrong or truncated file. Here each of
them becomes a FileNotFoundError or a ValueError in the user's terms.
"""

from __future__ import annotations

import gzip
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.datasets._pickles import plain_content

__all__ = [
    "MAX_BYTES",
    "FormError",
    "LimitError",
    "checked_parsing",
    "data_files",
    "need_bytes",
    "need_file",
    "need_folder",
    "read_idx",
    "read_npy",
    "read_npz",
    "read_pickle",
    "subfolders",
]

# What NumPy, gzip, zipfile, pickle, pandas (whose errors are ValueErrors), pyarrow (ValueErrors
# and OSErrors) and Pillow (OSErrors and, for broken PNG, SyntaxErrors) raise on bad bytes. Among
# the RuntimeErrors are those of what is nested too deeply and of what is not implemented.
_PARSER_ERRORS = (
    OSError,
    ValueError,
    EOFError,
    SyntaxError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    ImportError,
    RuntimeError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
_IDX_UINT8 = 0x08
_MAX_RATIO = 1040  # more than the 1032 bytes into which deflate can turn one
MAX_BYTES = 8 * 2**30  # of values that are read at once; as float32 rows they take four times that
_ARCHIVE_FOLDER = "__MACOSX"  # what macOS adds to the archives that it packs


class LimitError(ValueError):
    """A file asks for more memory or time than a reader gives."""


class FormError(ValueError):
    """A file is written in another way than it was read: its reader has a setting for that."""


def need_file(path: Path, expected: str) -> Path:
    """Return `path`, or say which file is missing and what it should be."""
    if not path.is_file():
        raise FileNotFoundError(f"No file {path}. Expected {expected}.")
    return path


def need_folder(path: Path, expected: str) -> Path:
    """Return `path`, or say which folder is missing and what it should hold."""
    if not path.is_dir():
        raise FileNotFoundError(f"No folder {path}. Expected {expected}.")
    return path


def subfolders(path: Path, expected: str) -> list[Path]:
    """Return the folders in a folder by name, hidden ones left out; an error if there are none."""
    found = [p for p in _shown(path, expected) if p.is_dir()]
    if not found:
        raise FileNotFoundError(f"No folders in {path}. Expected {expected}.")
    return found


def data_files(
    folder: Path, suffixes: Collection[str], similar: Collection[str], expected: str
) -> list[Path]:
    """Return the files of a folder that a reader takes; refuse those that it would pass over.

    Parameters
    ----------
    folder : pathlib.Path
        Hidden files in it, such as the "._x.png" of macOS, are left out.
    suffixes : collection of str
        Of the files to return, such as ".png" or ".csv.gz"; upper and lower case are the same.
    similar : collection of str
        Suffixes of files that hold data of that kind in a form that is not read. So does any file
        with one of `suffixes` before its last suffix, such as "x.csv.bz2".
    expected : str
        For the message.

    Returns
    -------
    list of pathlib.Path
        By name; empty if there are none.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If there is data that would be left out.
    """
    found = []
    for path in _shown(folder, expected):
        *_, before, last = ["", "", *map(str.lower, path.suffixes)]
        if last in suffixes or f"{before}{last}" in suffixes:
            found.append(path)
        elif path.is_file() and (last in similar or before in suffixes):
            raise ValueError(
                f"{path} would be left out: only {' and '.join(suffixes)} files are read. Expected "
                f"{expected}. Convert or unpack it, or move it out of the folder."
            )
    return found


def _shown(path: Path, expected: str) -> list[Path]:
    """Return what is in a folder by name, without what the system hides there."""
    there = need_folder(path, expected).iterdir()
    return sorted(p for p in there if not p.name.startswith(".") and p.name != _ARCHIVE_FOLDER)


@contextmanager
def checked_parsing(path: Path, expected: str, *also: type[Exception]) -> Iterator[None]:
    """Turn whatever a parser raises inside, `also` among it, into a ValueError about the file."""
    errors: tuple[type[Exception], ...] = (*_PARSER_ERRORS, *also)
    try:
        yield
    except (FormError, LimitError) as error:  # nothing is wrong that fetching it would cure
        raise ValueError(f"{path} cannot be read: {error}.") from error
    except MemoryError as error:
        raise ValueError(
            f"{path} cannot be read: it asks for more memory than there is ({error}). If "
            f"it is not, or no longer, {expected}, fetch or unpack it again; if it is, this "
            "machine is too small for it."
        ) from error
    except errors as error:
        raise ValueError(
            f"{path} cannot be read: it is not, or no longer, {expected} "
            f"({type(error).__name__}: {error}). Fetch or unpack it again."
        ) from error


def need_bytes(n_bytes: int, what: str) -> None:
    """Refuse what would take more memory than any set that is read here."""
    if n_bytes > MAX_BYTES:
        raise LimitError(
            f"{what} asks for {n_bytes:,} bytes of memory; the limit is {MAX_BYTES:,}: take a part "
            "of the rows, or smaller pictures"
        )


def _array_size(file: IO[bytes]) -> int:
    """Return the bytes of an .npy file's values; refuse types that are not plain."""
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f"version {version} of the format, which plain arrays do not need")
    shape, _, dtype = read[version](file)
    if dtype.kind not in "biufSU":
        raise ValueError(f"values of type {dtype}; only b, i, u, f, S, U are read")
    if any(n < 0 for n in shape):
        raise ValueError(f"a shape {shape}")
    return math.prod(shape) * dtype.itemsize


def read_npy(path: Path, expected: str, *, mmap: bool = False) -> NDArray[Any]:
    """Read an array from an .npy file, without unpickling; `mmap` leaves it on disk."""
    need_file(path, expected)
    with checked_parsing(path, expected):
        with path.open("rb") as file:
            if file.read(2) == b"PK":
                raise ValueError("an archive of arrays, not one array")
            file.seek(0)
            size = _array_size(file)
            there = path.stat().st_size - file.tell()
        if there < size:
            raise ValueError(f"its header says {size:,} bytes of values; it has {there:,}")
        if not mmap:
            need_bytes(size, "its header")
        array: NDArray[Any] = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    return array


def read_npz(path: Path, names: tuple[str, ...], expected: str) -> dict[str, NDArray[Any]]:
    """Read the named arrays from an .npz file, without unpickling."""
    need_file(path, expected)
    with checked_parsing(path, expected), path.open("rb") as file:
        if file.read(6) == b"\x93NUMPY":
            raise ValueError("a single array, not an archive")
        with zipfile.ZipFile(file) as archive:
            there = [member.removesuffix(".npy") for member in archive.namelist()]
            missing = [name for name in names if name not in there]
            if missing:
                raise ValueError(f"no {', '.join(missing)} among {', '.join(there[:20])}")
            members = {name: _member(archive, name) for name in names}
            need_bytes(sum(member.file_size for member in members.values()), "it")
            return {name: _member_array(archive, member) for name, member in members.items()}


def _member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Return where an array is in its archive; refuse one that cannot be as large as it says."""
    try:
        member = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise ValueError(f"its member {name} is not named {name}.npy, so it is no array") from None
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name}.npy is packed in a way that NumPy does not use")
    if member.file_size > _MAX_RATIO * member.compress_size:
        raise ValueError(
            f"{name}.npy says that {member.compress_size:,} bytes unpack to {member.file_size:,}"
        )
    with archive.open(member) as file:
        size = _array_size(file)
        head = file.tell()
    if head + size != member.file_size:
        raise ValueError(
            f"the header of {name}.npy says {size:,} bytes of values; it has "
            f"{member.file_size - head:,}"
        )
    return member


def _member_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):  # at the end the checksum is compared
            raise ValueError(f"{member.filename} goes on behind its array")
    return array


def read_idx(path: Path, n_dims: int, expected: str) -> NDArray[np.uint8]:
    """Read an idx file of unsigned bytes, the format of MNIST, plain or gzipped.

    Parameters
    ----------
    path : pathlib.Path
        Without ".gz"; where the plain file is not there, the one with it is read.
    n_dims : int
        Dimensions it must have: 3 for images, 1 for labels.
    expected : str
        For the message.

    Returns
    -------
    ndarray of uint8
        With `n_dims` dimensions.
    """
    packed = path.with_name(f"{path.name}.gz")
    if not path.is_file() and packed.is_file():
        path = packed
    need_file(path, f"{expected}, plain or with .gz")
    with (
        checked_parsing(path, expected),
        path.open("rb") as plain,
        gzip.open(plain) if path is packed else nullcontext(plain) as file,
    ):
        size = 4 + 4 * n_dims
        head = file.read(size)
        if head[:4] != bytes([0, 0, _IDX_UINT8, n_dims]):
            raise ValueError(
                f"it begins with {head[:4].hex() or 'nothing'}, "
                f"not 0000{_IDX_UINT8:02x}{n_dims:02x}"
            )
        shape = tuple(np.frombuffer(head, ">u4", offset=4, count=n_dims).tolist())
        n_values = math.prod(shape)  # of whole numbers that cannot overflow
        says = f"its header says {shape}, so {size + n_values:,} bytes"
        need_bytes(n_values, "its header")
        there = path.stat().st_size
        if path is packed:  # more than it can hold is refused before any of it is unpacked
            there = min(size + n_values, _MAX_RATIO * there)
        if there != size + n_values:
            raise ValueError(f"{says}; it has {there:,}{' at most' if path is packed else ''}")
        content = file.read(n_values)
        rest = len(file.read(1))  # no more is unpacked than tells that there is more
        if len(content) != n_values or rest:
            more = "more" if rest else f"{size + len(content):,}"
            raise ValueError(f"{says}; it has {more}")
        return np.frombuffer(content, np.uint8).reshape(shape)


def read_pickle(path: Path, keys: tuple[str, ...], expected: str) -> dict[str, Any]:
    """Read the named entries of a pickled dict of data, also from a pickle of Python 2."""
    need_file(path, expected)
    with checked_parsing(path, expected):
        need_bytes(path.stat().st_size, "the file")
        content = plain_content(path.read_bytes())
        missing = [key for key in keys if key not in content]
        if missing:
            raise ValueError(f"no {', '.join(missing)} among {', '.join(list(content)[:20])}")
    return {key: content[key] for key in keys}
