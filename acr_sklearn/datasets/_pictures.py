"""Picture files as arrays of bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._pillow import open_pillow
from acr_sklearn.datasets._files import checked_parsing, need_file

__all__ = ["list_pictures", "read_picture"]


def list_pictures(folder: Path, expected: str) -> list[Path]:
    """Return the .png files of a folder by name; an error if there are none."""
    found = sorted(p for p in folder.glob("*.png") if not p.name.startswith("."))
    if not found:
        raise FileNotFoundError(f"No .png files in {folder}. Expected {expected}.")
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
        Grey or colour; other pictures are converted.
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
        If the file is no picture, is truncated, or has a size that does not fit.
    """
    image_module = open_pillow("Reading pictures needs", "datasets")
    need_file(path, "a picture")
    with checked_parsing(path, "a complete picture"), image_module.open(path) as opened:
        picture = opened.convert(mode)
    width, height = picture.size
    if side is not None and (width, height) != (side, side):
        raise ValueError(f"{path} is {width} x {height} pixels. Expected {side} x {side}.")
    if resize is not None:
        factor = resize / min(picture.size)
        width, height = (max(resize, round(factor * side)) for side in picture.size)
        how = getattr(image_module.Resampling, filter_name.upper())
        picture = picture.resize((width, height), how)
    if crop is not None:
        width, height = picture.size
        if min(width, height) < crop:
            raise ValueError(
                f"{path} is {width} x {height} pixels, too small to crop to {crop}. Expected a "
                "larger picture: give a larger size, or a smaller crop."
            )
        left, top = round((width - crop) / 2), round((height - crop) / 2)
        picture = picture.crop((left, top, left + crop, top + crop))
    values = np.asarray(picture, dtype=np.uint8)
    return values[None] if values.ndim == 2 else np.ascontiguousarray(values.transpose(2, 0, 1))
