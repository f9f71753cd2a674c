"""The only door to Pillow, which opens when a picture is read."""

from __future__ import annotations

from typing import Any

__all__ = ["open_pillow"]


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
