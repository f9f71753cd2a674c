"""From scores of patches to maps of pixels and scores of images."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

__all__ = ["image_scores", "upsample_maps"]

#: Images that are enlarged at a time.
_IMAGES = 32


def upsample_maps(
    patch_scores: NDArray[np.floating], image_size: tuple[int, int], sigma: float
) -> NDArray[np.float32]:
    """Enlarge score maps to the size of the images and smooth them.

    Parameters
    ----------
    patch_scores : ndarray of shape (n_images, map_height, map_width)
        High = abnormal.
    image_size : (int, int)
        Height and width in pixels.
    sigma : float
        Standard deviation of the Gaussian smoothing in pixels; 0 for none.

    Returns
    -------
    ndarray of shape (n_images, height, width), float32
        Bilinear between the centres of patches, flat beyond the outermost.
    """
    maps = np.empty((len(patch_scores), *image_size), np.float32)
    for start in range(0, len(maps), _IMAGES):
        part = np.array(patch_scores[start : start + _IMAGES], np.float32)
        large = F.interpolate(
            torch.from_numpy(part)[:, None], tuple(image_size), mode="bilinear", align_corners=False
        )
        maps[start : start + _IMAGES] = gaussian_filter(
            large[:, 0].numpy(), (0, sigma, sigma), mode="nearest"
        )
    return maps


def image_scores(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    """Score images by their most anomalous pixel.

    Parameters
    ----------
    maps : ndarray of shape (n_images, height, width)
        High = abnormal.

    Returns
    -------
    ndarray of shape (n_images,), float64
        High = abnormal.
    """
    return maps.max(axis=(1, 2)).astype(np.float64)
