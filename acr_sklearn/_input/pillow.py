"""The only door to Pillow, which opens when a picture is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["open_picture", "open_pillow"]

# Formats that hold pixels. Others are programs (Pillow hands EPS to Ghostscript) or containers.
_FORMATS = (
    *("PNG", "JPEG", "MPO", "BMP", "DIB", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF"),
    *("TGA", "PCX"),
)


def open_pillow(reason: str, extra: str) -> Any:
    """Import Pillow, or say what needs it.

    Parameters
    ----------
    reason : str
        Beginning of the message.
    extra : str
        Of the package, that brings it along.

    Returns
    -------
    module
        ``PIL.Image``; it holds `UnidentifiedImageError` too.

    Raises
    ------
    ImportError
        When Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            f"{reason} Pillow, which is not installed: pip install 'acr-sklearn[{extra}]'."
        ) from error
    return Image


def open_picture(image_module: Any, path: Path) -> Any:
    """Open a picture file, its pixels still packed.

    Parameters
    ----------
    image_module : module
        Of `open_pillow`.
    path : pathlib.Path
        Of the picture.

    Returns
    -------
    PIL.Image.Image
        To be used in a with statement.

    Raises
    ------
    OSError
        If it is no picture of a known format.
    ValueError
        If it has more pixels than Pillow's MAX_IMAGE_PIXELS, at which Pillow itself only warns.
    """
    image_module.init()
    known = [name for name in _FORMATS if name in image_module.OPEN]
    limit = image_module.MAX_IMAGE_PIXELS
    too_large = (image_module.DecompressionBombError, image_module.DecompressionBombWarning)
    advice = "scale it down, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust the file"
    try:
        picture = image_module.open(path, formats=known)
    except too_large as error:
        raise ValueError(f"more than {limit:,} pixels, Pillow's limit; {advice}") from error
    if limit is not None and picture.width * picture.height > limit:
        picture.close()
        raise ValueError(
            f"{picture.width:,} x {picture.height:,} pixels, and Pillow's limit is {limit:,}; "
            f"{advice}"
        )
    return picture
