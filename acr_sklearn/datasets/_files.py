"""Files that are what they claim to be, or an error that names the file and what was expected.

The parsers below these functions fail in many ways on a wrong or truncated file. Here each of
them becomes a FileNotFoundError or a ValueError in the user's terms.
"""

from __future__ import annotations

import gzip
import pickle
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "checked_parsing",
    "need_file",
    "need_folder",
    "read_idx",
    "read_npy",
    "read_npz",
    "read_pickle",
    "subfolders",
]

# What NumPy, gzip, zipfile, pickle, pandas (whose errors are ValueErrors), pyarrow (ValueErrors
# and OSErrors) and Pillow (OSErrors and, for broken PNG, SyntaxErrors) raise on bad bytes.
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
    zipfile.BadZipFile,
    pickle.UnpicklingError,
    zlib.error,
)
_IDX_UINT8 = 0x08


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
    need_folder(path, expected)
    found = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not found:
        raise FileNotFoundError(f"No folders in {path}. Expected {expected}.")
    return found


@contextmanager
def checked_parsing(path: Path, expected: str) -> Iterator[None]:
    """Turn whatever a parser raises inside into a ValueError about the file."""
    try:
        yield
    except _PARSER_ERRORS as error:
        raise ValueError(
            f"{path} cannot be read: it is not, or no longer, {expected} "
            f"({type(error).__name__}: {error}). Fetch or unpack it again."
        ) from error


def read_npy(path: Path, expected: str, *, mmap: bool = False) -> NDArray[Any]:
    """Read an array from an .npy file, without unpickling; `mmap` leaves it on disk."""
    need_file(path, expected)
    with checked_parsing(path, expected):
        array: NDArray[Any] = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("an archive of arrays, not one array")
    return array


def read_npz(path: Path, names: tuple[str, ...], expected: str) -> dict[str, NDArray[Any]]:
    """Read the named arrays from an .npz file, without unpickling."""
    need_file(path, expected)
    # Opened here, because NumPy leaves the file open when its content is no archive.
    with checked_parsing(path, expected), path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("a single array, not an archive")
        missing = [name for name in names if name not in archive]
        if missing:
            raise ValueError(f"no {', '.join(missing)} among {', '.join(archive)}")
        return {name: archive[name] for name in names}


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
    with checked_parsing(path, expected):
        content = path.read_bytes()
        if path is packed:
            content = gzip.decompress(content)
        head = 4 + 4 * n_dims
        if content[:4] != bytes([0, 0, _IDX_UINT8, n_dims]):
            raise ValueError(
                f"it begins with {content[:4].hex() or 'nothing'}, "
                f"not 0000{_IDX_UINT8:02x}{n_dims:02x}"
            )
        shape = np.frombuffer(content[:head], ">u4", offset=4, count=n_dims)
        n_values = int(np.prod(shape, dtype=np.int64))
        if len(content) != head + n_values:
            raise ValueError(
                f"its header says {tuple(shape.tolist())}, so {head + n_values:,} bytes; "
                f"it has {len(content):,}"
            )
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles dicts, lists, strings, numbers and arrays; a pickle may otherwise run any code."""

    def find_class(self, module: str, name: str) -> Any:
        """Allow what NumPy's arrays are made of, under NumPy's old and new module names."""
        # What arrays are rebuilt by, up to protocol 4 and from 5 on.
        rebuild, frombuffer = (np.empty(0).__reduce_ex__(protocol)[0] for protocol in (2, 5))
        allowed: dict[tuple[str, str], Any] = {
            ("numpy.core.multiarray", "_reconstruct"): rebuild,
            ("numpy._core.multiarray", "_reconstruct"): rebuild,
            ("numpy.core.numeric", "_frombuffer"): frombuffer,
            ("numpy._core.numeric", "_frombuffer"): frombuffer,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes in protocol 2
            return _encode_latin1
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which data does not need")
        return allowed[module, name]


def _encode_latin1(text: str, _encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


def read_pickle(path: Path, keys: tuple[str, ...], expected: str) -> dict[str, Any]:
    """Read the named entries of a pickled dict of data, also from a pickle of Python 2."""
    need_file(path, expected)
    with checked_parsing(path, expected), path.open("rb") as file:
        # latin1 is the one encoding that lets Python 2's byte strings, arrays among them, through.
        content = _ArrayUnpickler(file, encoding="latin1").load()
        if not isinstance(content, dict):
            raise ValueError(f"a {type(content).__name__}, not a dict")
        content = {k.decode("latin1") if isinstance(k, bytes) else k: v for k, v in content.items()}
        missing = [key for key in keys if key not in content]
        if missing:
            raise ValueError(f"no {', '.join(missing)} among {', '.join(map(str, content))}")
    return {key: content[key] for key in keys}
