"""Whitening of patches: how the rows of one product vary, leave-one-out.

The Gaussian per position is PaDiM's (Defard et al., ICPR 2021); its covariance is shrunk towards
what all positions have in common, and a row has no part in the one that it is measured by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acr_sklearn.images.patches import region_rows

__all__ = ["Whitening", "fit_whitening", "log_lengths"]

#: Added to correlations, so that channels without variance do not decide.
_RIDGE = 1e-3
#: Fraction of a row's own direction that others are taken to fill at the least.
_LEAST_REST = 1e-3
#: Added to lengths: a row at the mean of its region has none, and zero no logarithm.
_TINY = 1e-6
#: Rows that are read at a time while statistics are gathered.
_READ_ROWS = 2**16


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
        fraction = white.square().sum(dim=2, keepdim=True) * (1 - self.shrinkage) / rows.shape[1]
        return white / (1 - fraction).clamp_min(_LEAST_REST).sqrt()

    def whiten_each(self, regions: list[Tensor]) -> list[Tensor]:
        """Whiten regions, together where they are of one size.

        Parameters
        ----------
        regions : list of Tensor of shape (n_samples, channels)
            All rows of each region.

        Returns
        -------
        list of Tensor of shape (n_samples, channels)
            See `whiten`.
        """
        if len({len(rows) for rows in regions}) == 1:
            return list(self.whiten(torch.stack(regions)))
        return [self.whiten(rows[None])[0] for rows in regions]


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


def log_lengths(
    maps: NDArray[Any], parts: list[list[NDArray[np.int64]]], shrinkage: float
) -> NDArray[np.float64]:
    """Measure every row by the others of its region: logarithms of lengths of whitened rows.

    Parameters
    ----------
    maps : ndarray of shape (n_images, channels, height, width)
        Of one product.
    parts : list of list of ndarray of int
        Flat positions of each region, regions grouped as they fit into memory together.
    shrinkage : float
        In (0, 1].

    Returns
    -------
    ndarray of shape (n_positions, n_images), float64
        High = far off.
    """
    whitening = fit_whitening(maps, shrinkage)
    found = np.empty((maps.shape[2] * maps.shape[3], len(maps)))
    for part in parts:
        rows = region_rows(maps, np.concatenate(part)).split([len(region) for region in part])
        white = whitening.whiten_each([own.flatten(0, 1) for own in rows])
        for positions, own in zip(part, white, strict=True):
            found[positions] = own.norm(dim=1).reshape(len(positions), -1).numpy()
    return np.log(found + _TINY)


def _chunks(maps: NDArray[Any]) -> Iterator[Tensor]:
    """All rows, some positions at a time."""
    n_positions = maps.shape[2] * maps.shape[3]
    step = max(1, _READ_ROWS // len(maps))
    for start in range(0, n_positions, step):
        yield region_rows(maps, np.arange(start, min(start + step, n_positions)))
