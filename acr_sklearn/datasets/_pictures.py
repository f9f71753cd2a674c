"""Picture files as arrays of bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.pillow import open_picture, open_pillow
from acr_sklearn.datasets._files import checked_parsing, data_files, need_file

__all__ = ["list_pictures", "read_mask", "read_picture"]

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def list_pictures(folder: Path, expected: str, suffixes: tuple[str, ...] = (".png",)) -> list[Path]:
    """Return pictures of a folder by name; an error if there are none, or some of other kinds."""
    found = data_files(folder, suffixes, set(_PICTURES) - set(suffixes), expected)
    if not found:
        raise FileNotFoundError(
            f"No {' or '.join(suffixes)} files in {folder}. Expected {expected}."
        )
    return found


def read_picture(
    path: Path,
    mode: Literal["L", "RGB"],
    *,
    side: int | None = None,
    resize: int | None = None,
    crop: int | None = None,
    filter_name: Literal["bicubic", "lanczos", "nearest"] = "bicubic",
) -> NDArray[np.uint8]:
    """Read a picture.

    Parameters
    ----------
    path : pathlib.Path
        Any format that Pillow knows.
    mode : {"L", "RGB"}
        Grey or colour; other pictures of 8 bits are converted.
    side : int or None, default=None
        Width and height that the file must have; None for any.
    resize : int or None, default=None
        Length of the shorter side afterwards.
    crop : int or None, default=None
        Side of a square taken from the centre after that.
    filter_name : {"bicubic", "lanczos", "nearest"}, default="bicubic"
        How to resize.

    Returns
    -------
    ndarray of shape (channels, height, width), uint8
        0 to 255.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If Pillow is not installed.
    ValueError
        If the file is no picture, is truncated, has more than 8 bits a value, or a size that
        does not fit.
    """
    picture = _open(path, mode)
    if side is not None and picture.size != (side, side):
        raise ValueError(f"{path} is {_by(picture)} pixels. Expected {side} x {side}.")
    values = np.asarray(_fit(picture, path, resize, crop, filter_name), dtype=np.uint8)
    return values[None] if values.ndim == 2 else np.ascontiguousarray(values.transpose(2, 0, 1))


def read_mask(
    path: Path,
    of: Path,
    *,
    resize: int | None = None,
    crop: int | None = None,
    numbered: bool = False,
) -> NDArray[np.bool_]:
    """Read the mask of a picture, resized (to the nearest pixel) and cropped like it.

    Parameters
    ----------
    path : pathlib.Path
        Any format that Pillow knows.
    of : pathlib.Path
        The picture.
    resize, crop : int or None, default=None
        As of `read_picture`.
    numbered : bool, default=False
        Whether defects are numbered, so that any value but 0 is one.

    Returns
    -------
    ndarray of shape (height, width), bool
        Where the mask is not 0.

    Raises
    ------
    FileNotFoundError
        If one of the files is missing.
    ImportError
        If Pillow is not installed.
    ValueError
        If the file is no picture or is truncated, is not as large as its picture, is too small for
        the crop, or, unless `numbered`, has other values than 0 and 255 or 0 and 1.
    """
    mask, picture = _open(path, "L", as_numbers=numbered), _open(of)
    if mask.size != picture.size:
        raise ValueError(
            f"{path} is {_by(mask)} pixels, and {of}, of which it is the mask, {_by(picture)}. "
            "Expected one size: fetch the mask again, or scale it to its picture."
        )
    levels = set(np.unique(np.asarray(mask)).tolist())
    if not (numbered or levels <= {0, 255} or levels <= {0, 1}):
        odd = sorted(levels - {0, 1, 255}) or [1, 255]
        raise ValueError(
            f"{path} has the values {', '.join(map(str, odd[:5]))}. Expected a mask of 0 and 255, "
            "or of 0 and 1: set what is anomalous to 255 and all else to 0."
        )
    return np.asarray(_fit(mask, path, resize, crop, "nearest")) > 0


def _open(path: Path, mode: str | None = None, *, as_numbers: bool = False) -> Any:
    """Return a Pillow image of 8 bits, converted to `mode`; None reads no more than its header.

    `as_numbers` takes the numbers of a palette's colours for what they are.
    """
    image_module = open_pillow("Reading pictures needs", "datasets")
    need_file(path, "a picture")
    with (
        checked_parsing(path, "a complete picture"),
        open_picture(image_module, path) as opened,
    ):
        deep = opened.mode.startswith(("I", "F"))
        if as_numbers and opened.mode == "P":
            picture = image_module.fromarray(np.asarray(opened))
        else:
            picture = opened if mode is None or deep else opened.convert(mode)
    if deep:  # Pillow would cut what is above 255
        raise ValueError(
            f"{path} has more than 8 bits a pixel (Pillow's mode {picture.mode}). Expected values "
            "from 0 to 255: scale it to 8 bits first, as fits its range."
        )
    return picture


def _fit(picture: Any, path: Path, resize: int | None, crop: int | None, filter_name: str) -> Any:
    """Resize the shorter side, then crop the centre."""
    if resize is not None:
        factor = resize / min(picture.size)
        width, height = (max(resize, round(factor * side)) for side in picture.size)
        resampling = open_pillow("Reading pictures needs", "datasets").Resampling
        picture = picture.resize((width, height), getattr(resampling, filter_name.upper()))
    if crop is not None:
        width, height = picture.size
        if min(width, height) < crop:
            raise ValueError(
                f"{path} is {_by(picture)} pixels, too small to crop to {crop}. Expected a "
                "larger picture: give a larger size, or a smaller crop."
            )
        left, top = round((width - crop) / 2), round((height - crop) / 2)
        picture = picture.crop((left, top, left + crop, top + crop))
    return picture


def _by(picture: Any) -> str:
    return " x ".join(map(str, picture.size))
