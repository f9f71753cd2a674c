"""Tensors and texts in one safetensors file that knows its own SHA-256."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

__all__ = ["pack", "unpack"]

#: Bytes of the header, which holds all texts; safetensors' own limit.
_LARGEST_HEADER = 100_000_000
#: Where the digest stands in the header. Inside a text the quotes would be escaped, so this is
#: found nowhere else.
_FIELD = b'"sha256":"%s"'
_BLANK = b"0" * 64


def pack(texts: dict[str, str], tensors: dict[str, NDArray[Any]]) -> bytes:
    """Put tensors and texts into one file.

    Parameters
    ----------
    texts : dict of str
        Metadata of the file, without "sha256".
    tensors : dict of ndarray
        Contiguous, of the types that safetensors has.

    Returns
    -------
    bytes
        A safetensors file, whose metadata hold under "sha256" the digest of all its bytes with
        the digest's own 64 digits as zeros.
    """
    plain = safetensors.numpy.save(tensors)
    end = 8 + int.from_bytes(plain[:8], "little")
    # safetensors writes texts in an order of its own in every process; ours is that of `texts`.
    header = {"__metadata__": texts | {"sha256": _BLANK.decode()}, **json.loads(plain[8:end])}
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    data = bytearray(len(head).to_bytes(8, "little") + head + plain[end:])
    place = _place_of_digest(data, _BLANK)
    data[place : place + 64] = hashlib.sha256(data).hexdigest().encode()
    return bytes(data)


def unpack(data: bytearray) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Take a file apart, if it is whole.

    Parameters
    ----------
    data : bytearray
        The file.

    Returns
    -------
    texts : dict of str
        Metadata, without the digest.
    tensors : dict of ndarray
        Copies, which may be written to.

    Raises
    ------
    ValueError
        With what is wrong, to stand behind the name of the file.
    """
    texts = _texts(data)
    digest = texts.pop("sha256", None)
    if digest is None or "format" not in texts:
        raise ValueError("is a safetensors file, but none that save has written")
    place = _place_of_digest(data, digest.encode())
    whole = hashlib.sha256(data[:place])
    whole.update(_BLANK)
    whole.update(memoryview(data)[place + 64 :])
    if whole.hexdigest() != digest:
        raise ValueError(
            "is damaged: its SHA-256 is not the one written in it. Copy or save it anew"
        )
    try:
        found = safetensors.numpy.load(bytes(data))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"holds tensors that cannot be read ({error})") from error
    return texts, {name: np.array(tensor) for name, tensor in found.items()}


def _texts(data: bytearray) -> dict[str, str]:
    """Metadata of a safetensors file, read before anything else of it is believed."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 10 or not 2 <= size <= min(len(data) - 8, _LARGEST_HEADER):
        raise ValueError("is no safetensors file, or is cut short: its header does not fit into it")
    try:
        header = json.loads(data[8 : 8 + size].decode())
        texts = header["__metadata__"]
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError("is no safetensors file with metadata, or is damaged") from error
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("has metadata that are no texts")
    return texts


def _place_of_digest(data: bytearray, digest: bytes) -> int:
    end = 8 + int.from_bytes(data[:8], "little")
    place = data.find(_FIELD % digest, 8, end)
    if place < 0 or len(digest) != 64:
        raise ValueError("is damaged: its SHA-256 is none")
    return place + len(_FIELD) - 3
