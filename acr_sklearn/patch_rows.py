"""Rows of feature maps: which positions make one domain, and how its rows are whitened.

Feature maps have the shape (n_images, channels, height, width); the vector at one position of one
image is a row. A domain is all images at one position, as in the paper, or at a small block of
positions, or everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = [
    "Whitening",
    "fit_whitening",
    "in_parts",
    "read_maps",
    "read_products",
    "region_rows",
    "regions_of",
]

#: Added to correlations, so that channels without variance do not decide.
_RIDGE = 1e-3
#: Share of a row's own direction that others are taken to fill at the least.
_LEAST_REST = 1e-3
#: Rows that are read at a time while statistics are gathered.
_READ_ROWS = 2**16


def read_maps(maps: Any, *, who: str) -> NDArray[Any]:
    """Check the feature maps of one product.

    Parameters
    ----------
    maps : ndarray of shape (n_images, channels, height, width)
        Any float type; a memory map is read in parts.
    who : str
        For the messages.

    Returns
    -------
    ndarray of shape (n_images, channels, height, width)
        The same.

    Raises
    ------
    ValueError
        For another shape, a single image, or values that are not finite.
    """
    maps = maps if isinstance(maps, np.ndarray) else np.asarray(maps)
    if maps.ndim != 4 or maps.dtype.kind != "f":
        raise ValueError(
            f"{who} got {maps.dtype} values of shape {maps.shape}; feature maps are floats of "
            "shape (n_images, channels, height, width). FeatureExtractor makes them from images."
        )
    if 0 in maps.shape or len(maps) < 2:
        raise ValueError(
            f"{who} got feature maps of {len(maps)} image(s), shape {maps.shape}; images are "
            "compared with one another, so a product needs at least 2. Score the images of a "
            "product together."
        )
    for start in range(0, len(maps), 64):
        odd = ~np.isfinite(maps[start : start + 64]).all(axis=(1, 2, 3))
        if odd.any():
            raise ValueError(
                f"{who} got feature maps with NaN or infinity, first in image "
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


@dataclass(frozen=True)
class Whitening:
    """How the rows of one product vary, wherever they are.

    Attributes
    ----------
    spread : Tensor of shape (channels,)
        Standard deviation around the mean of the own position.
    correlation : Tensor of shape (channels, channels)
        Of the rows so centred.
    shrinkage : float
        Weight of `correlation` in the covariance of one region; the rest is the region's own.
    """

    spread: Tensor
    correlation: Tensor
    shrinkage: float

    def whiten(self, rows: Tensor, others: Tensor | None = None) -> Tensor:
        """Bring regions to mean zero and a covariance near the identity.

        Parameters
        ----------
        rows : Tensor of shape (n_regions, n_rows, channels)
            All rows of some regions; these decide.
        others : Tensor of shape (n_regions, n_others, channels) or None, default=None
            What is whitened instead, if given: rows that had no part in the covariance.

        Returns
        -------
        Tensor of the shape of what is whitened
            The length of a row is its Mahalanobis distance by the covariance of the other rows:
            with its own part in it, no row of few could be longer than the root of their number,
            however far off it lies. Directions are those of the covariance of all.
        """
        mean = rows.mean(dim=1, keepdim=True)
        centred = (rows - mean) / self.spread
        own = centred.transpose(1, 2) @ centred / rows.shape[1]
        root = torch.linalg.cholesky(torch.lerp(own, self.correlation, self.shrinkage))
        if others is not None:
            centred = (others - mean) / self.spread
        white = torch.linalg.solve_triangular(root, centred.transpose(1, 2), upper=False).mT
        if others is not None:
            return white
        # Sherman and Morrison: without x, x'Sx becomes x'Sx / (1 - w x'Sx) where x weighed w.
        share = white.square().sum(dim=2, keepdim=True) * (1 - self.shrinkage) / rows.shape[1]
        return white / (1 - share).clamp_min(_LEAST_REST).sqrt()


def fit_whitening(maps: NDArray[Any], shrinkage: float) -> Whitening:
    """Measure how rows vary around the mean of their position, over all positions.

    Parameters
    ----------
    maps : ndarray of shape (n_images, channels, height, width)
        Of one product.
    shrinkage : float
        In (0, 1].

    Returns
    -------
    Whitening
        Ready to whiten regions.
    """
    channels = maps.shape[1]
    products = torch.zeros(channels, channels, dtype=torch.float64)
    count = 0
    for rows in _chunks(maps):
        centred = (rows - rows.mean(dim=1, keepdim=True)).flatten(0, 1)
        products += (centred.mT @ centred).double()
        count += len(centred)
    covariance = products / count
    spread = covariance.diagonal().sqrt()
    spread = torch.where(spread > 0, spread, torch.ones_like(spread))
    correlation = covariance / spread[:, None] / spread + _RIDGE * torch.eye(channels)
    return Whitening(spread.float(), correlation.float(), shrinkage)


def _chunks(maps: NDArray[Any]) -> Iterator[Tensor]:
    """All rows, some positions at a time."""
    n_positions = maps.shape[2] * maps.shape[3]
    step = max(1, _READ_ROWS // len(maps))
    for start in range(0, n_positions, step):
        yield region_rows(maps, np.arange(start, min(start + step, n_positions)))
