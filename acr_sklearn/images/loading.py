"""From what users call images to stacks of colours, with every complaint about them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.pillow import open_picture, open_pillow
from acr_sklearn._input.validation import FOREIGN_ERRORS, plain_array

__all__ = ["image_stacks"]


def image_stacks(images: Any, batch_size: int, *, who: str) -> Iterator[NDArray[np.float32]]:
    """Read images a few at a time.

    Parameters
    ----------
    images : array-like of shape (n_images, channels, height, width), or sequence
        A sequence holds arrays of shape (channels, height, width), or (height, width) for grey
        ones, or paths of picture files. Whole numbers are read as 0 to 255, floats as 0 to 1.
    batch_size : int
        Images per stack.
    who : str
        For the messages.

    Yields
    ------
    ndarray of shape (n, 3, height, width), float32
        In [0, 1]; the one channel of grey images three times.

    Raises
    ------
    ValueError
        For images that differ in size or in channels, that hold no numbers in the range of
        colours, or files that are no pictures.
    """
    _require_images(images, who)
    first: tuple[int, ...] | None = None
    for start in range(0, len(images), batch_size):
        stack = []
        for position in range(start, min(start + batch_size, len(images))):
            image = _read_one(images[position], position, who)
            first = first or image.shape
            _require_alike(image.shape, first, position, who)
            stack.append(image)
        colours = np.stack(stack)
        yield np.repeat(colours, 3, axis=1) if colours.shape[1] == 1 else colours


def _require_images(images: Any, who: str) -> None:
    if isinstance(images, np.ndarray) and images.ndim != 4:
        raise ValueError(
            f"{who} got an array of shape {images.shape}; images are (n_images, channels, height, "
            "width). Add the missing axis, or pass a list of images."
        )
    # A memoryview of several dimensions gives no parts.
    if isinstance(images, str | Path | memoryview) or not (
        hasattr(images, "__len__") and hasattr(images, "__getitem__")
    ):
        raise TypeError(
            f"{who} got {type(images).__name__}; images are an array, or a list of arrays or paths."
        )
    if len(images) == 0:
        raise ValueError(f"{who} got no images. Pass at least one.")


def _read_one(image: Any, position: int, who: str) -> NDArray[np.float32]:
    if isinstance(image, str | Path):
        image = _read_file(Path(image), who)
    try:
        values = np.asarray(plain_array(image, who=who, what=f"image {position}"))
    except FOREIGN_ERRORS as error:
        raise ValueError(f"{who}: image {position} is no array: {error}") from error
    values = values[None] if values.ndim == 2 else values
    if values.ndim != 3 or values.shape[0] not in (1, 3):
        hint = (
            "Move the channels first. " if values.ndim == 3 and values.shape[-1] in (1, 3) else ""
        )
        raise ValueError(
            f"{who}: image {position} has shape {values.shape}; it needs (3, height, width) for "
            f"colour or (1, height, width) for grey. {hint}Drop an alpha channel."
        )
    if values.dtype.kind in "iu":
        colours = values.astype(np.float32) / np.float32(255)
    elif values.dtype.kind == "f":
        with np.errstate(over="ignore"):  # refused below as infinite
            colours = values.astype(np.float32)
    else:
        raise ValueError(
            f"{who}: image {position} holds {values.dtype}; it needs whole numbers from 0 to 255 "
            "or floats from 0 to 1."
        )
    if not np.isfinite(colours).all():
        raise ValueError(f"{who}: image {position} holds NaN or infinity. Repair or leave it out.")
    if colours.min() < -1e-3 or colours.max() > 1 + 1e-3:
        raise ValueError(
            f"{who}: image {position} has values from {values.min()} to {values.max()}; it needs "
            "whole numbers from 0 to 255 or floats from 0 to 1. Do not standardise images: the "
            "extractor does."
        )
    return colours


def _read_file(path: Path, who: str) -> NDArray[np.uint8]:
    pillow = open_pillow(f"{who} got paths; reading pictures needs", "images")
    try:
        with open_picture(pillow, path) as picture:
            grey = picture.mode in ("1", "L", "I;16")
            values = np.asarray(picture.convert("L" if grey else "RGB"))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{who} found no picture {str(path)!r}.") from error
    except (pillow.UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ValueError(
            f"{who} cannot read {str(path)!r} as a picture: {error}. Replace it or leave it out."
        ) from error
    return values if values.ndim == 2 else values.transpose(2, 0, 1)


def _require_alike(shape: tuple[int, ...], first: tuple[int, ...], position: int, who: str) -> None:
    if shape[0] != first[0]:
        kinds = {1: "grey", 3: "colour"}
        raise ValueError(
            f"{who} got a mixture of grey and colour images: image 0 is {kinds[first[0]]}, image "
            f"{position} is {kinds[shape[0]]}. Convert all to one kind."
        )
    if shape[1:] != first[1:]:
        raise ValueError(
            f"{who} got images of different sizes: image 0 has {first[1]} x {first[2]} pixels, "
            f"image {position} has {shape[1]} x {shape[2]}. Resize them to one size first."
        )
