"""Rows of feature maps: which positions make one domain, and what their scores are held against.

Feature maps have the shape (n_images, channels, height, width); the vector at one position of one
image is a row. A domain is all images at one position, as in the paper, or at a small block of
positions, or everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from acr_sklearn._input.validation import FOREIGN_ERRORS, LARGEST_SINGLE, plain_array

__all__ = [
    "centred_by_region",
    "compressed",
    "in_parts",
    "pool_maps",
    "read_maps",
    "read_products",
    "region_rows",
    "regions_of",
]


def read_maps(maps: Any, *, who: str, least: int = 2) -> NDArray[Any]:
    """Check the feature maps of one product.

    Parameters
    ----------
    maps : ndarray of shape (n_images, channels, height, width)
        Any float type; a memory map is read in parts.
    who : str
        For the messages.
    least : int, default=2
        Images that are needed.

    Returns
    -------
    ndarray of shape (n_images, channels, height, width)
        The same.

    Raises
    ------
    ValueError
        For another shape, fewer images, or values that are not finite.
    """
    # A memory map stays one.
    maps = plain_array(maps, who=who, what="feature maps")
    try:
        maps = maps if isinstance(maps, np.ndarray) else np.asarray(maps)
    except FOREIGN_ERRORS as error:
        raise ValueError(
            f"{who} got feature maps of type {type(maps).__name__} that are no array: {error}."
        ) from error
    if maps.ndim != 4 or maps.dtype.kind != "f":
        raise ValueError(
            f"{who} got {maps.dtype} values of shape {maps.shape}; feature maps are floats of "
            "shape (n_images, channels, height, width). FeatureExtractor makes them from images."
        )
    if least < 2 and 0 in maps.shape:
        raise ValueError(
            f"{who} got feature maps of shape {maps.shape}, which hold nothing. Leave them out."
        )
    if 0 in maps.shape or len(maps) < least:
        raise ValueError(
            f"{who} got feature maps of {len(maps)} image(s), shape {maps.shape}; images are "
            "compared with one another, so a product needs at least 2. Score the images of a "
            "product together."
        )
    for start in range(0, len(maps), 64):
        # Whitening squares them in single precision.
        peaks = np.abs(maps[start : start + 64]).max(axis=(1, 2, 3)).astype(np.float64)
        odd = ~(peaks <= LARGEST_SINGLE)
        if odd.any():
            found = "values beyond 1e15" if np.isfinite(peaks[odd][0]) else "NaN or infinity"
            raise ValueError(
                f"{who} got feature maps with {found}, first in image "
                f"{start + int(np.argmax(odd))}. Repair the image or leave it out."
            )
    return maps


def read_products(X: Any, *, who: str) -> list[NDArray[Any]]:
    """Check the feature maps of several products.

    Parameters
    ----------
    X : list of array-like of shape (n_images, channels, height, width)
        One per product.
    who : str
        For the messages.

    Returns
    -------
    list of ndarray of shape (n_images, channels, height, width)
        The same.

    Raises
    ------
    ValueError
        For fewer than 2 products, different numbers of channels, or maps that `read_maps` refuses.
    """
    if not isinstance(X, list | tuple) or len(X) < 2:
        got = f"{len(X)}" if isinstance(X, list | tuple) else type(X).__name__
        raise ValueError(
            f"{who} got {got}; it needs a list of the feature maps of at least 2 products, each of "
            "shape (n_images, channels, height, width)."
        )
    products = [read_maps(x, who=f"{who}, product {i}") for i, x in enumerate(X)]
    for number, maps in enumerate(products):
        if maps.shape[1] != products[0].shape[1]:
            raise ValueError(
                f"{who} got maps of different channels: product 0 has {products[0].shape[1]}, "
                f"product {number} has {maps.shape[1]}. Extract all with the same layers."
            )
    return products


def pool_maps(maps: NDArray[Any], side: int) -> NDArray[Any]:
    """Average every position with its neighbours.

    Parameters
    ----------
    maps : ndarray of shape (n_images, channels, height, width)
        Feature maps.
    side : int
        Of the square that is averaged, odd; what it has beyond the border is left out.

    Returns
    -------
    ndarray of the shape and dtype of `maps`
        A copy in memory, or `maps` for a side of 1.
    """
    if side == 1:
        return maps
    pooled = np.empty(maps.shape, maps.dtype)
    for image, values in enumerate(maps):
        x = torch.from_numpy(np.array(values, np.float32))
        pooled[image] = F.avg_pool2d(x, side, 1, side // 2, count_include_pad=False).numpy()
    return pooled


def centred_by_region(
    scores: NDArray[np.float64], regions: list[NDArray[np.int64]]
) -> NDArray[np.float64]:
    """Take each region's own median off, and divide by the spread that all have in common.

    Parameters
    ----------
    scores : ndarray of shape (n_positions, n_images), float64
        Of every row.
    regions : list of ndarray of int
        Flat positions of each region.

    Returns
    -------
    ndarray of shape (n_positions, n_images), float64
        In units of 1.4826 times the median absolute deviation: a position where normal images are
        hard to describe does not outshout the others.
    """
    centred = np.empty_like(scores)
    for positions in regions:
        centred[positions] = scores[positions] - np.median(scores[positions])
    spread = 1.4826 * np.median(np.abs(centred))
    return centred / (spread if spread > 0 else 1.0)


def compressed(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Let high scores count by their logarithm, as lengths do.

    Parameters
    ----------
    scores : ndarray of float64
        Centred, in units of their spread.

    Returns
    -------
    ndarray of the shape of `scores`, float64
        Above 0 log(1 + score), below the score itself: in the same order, without a jump or kink.
    """
    return np.log1p(np.maximum(scores, 0)) + np.minimum(scores, 0)


def regions_of(height: int, width: int, kind: str, size: int) -> list[NDArray[np.int64]]:
    """Share out the positions of a map.

    Parameters
    ----------
    height, width : int
        Of the map.
    kind : {"position", "neighborhood", "pooled"}
        Each position by itself, blocks of `size` x `size`, or all together.
    size : int
        Side of a block.

    Returns
    -------
    list of ndarray of int
        Flat positions of each region; every position is in one.
    """
    positions = np.arange(height * width)
    if kind == "pooled":
        return [positions]
    side = 1 if kind == "position" else size
    block = (positions // width // side) * width + positions % width // side
    return [np.flatnonzero(block == number) for number in np.unique(block)]


def in_parts(
    regions: list[NDArray[np.int64]], n_images: int, max_rows: int
) -> list[list[NDArray[np.int64]]]:
    """Group regions that fit into memory together, and cut those that do not fit alone.

    Parameters
    ----------
    regions : list of ndarray of int
        Flat positions of each region.
    n_images : int
        Rows per position.
    max_rows : int
        Most rows of a group, but never less than one position.

    Returns
    -------
    list of list of ndarray of int
        A region that is cut has its positions dealt out in turn, so that every piece has all
        images, everywhere on the map: a batch is never cut across images.
    """
    most = max(1, max_rows // n_images)
    parts: list[list[NDArray[np.int64]]] = []
    for region in regions:
        n_cuts = -(-len(region) // most)
        for start in range(n_cuts):
            own = region[start::n_cuts]
            if not parts or sum(map(len, parts[-1])) + len(own) > most:
                parts.append([])
            parts[-1].append(own)
    return parts


def region_rows(maps: NDArray[Any], positions: NDArray[np.int64]) -> Tensor:
    """Rows of all images at some positions.

    Parameters
    ----------
    maps : ndarray of shape (n_images, channels, height, width)
        Feature maps.
    positions : ndarray of int
        Flat positions.

    Returns
    -------
    Tensor of shape (n_positions, n_images, channels), float32
        A copy.
    """
    y, x = np.unravel_index(positions, maps.shape[2:])
    # Image by image, so that of a memory map no more than one image is read beyond what is kept.
    rows = np.empty((len(positions), len(maps), maps.shape[1]), np.float32)
    for image, values in enumerate(maps):
        rows[:, image] = values[:, y, x].T
    return torch.from_numpy(rows)
