"""Outliers for tasks of patches: noise on features, and pulls towards other positions and surfaces.

The recipe is ours; copies with Gaussian noise are the paper's for MVTec AD (Li et al., NeurIPS
2023), and a local defect moves a feature vector part of the way towards something foreign.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["PATCH_OUTLIERS", "OutlierBank", "make_patch_outliers"]

PATCH_OUTLIERS = ("mixed", "noise", "positions", "surfaces")
#: Least and largest part of the way, or multiple of the spread of a position's rows.
_STRENGTH = (0.05, 0.6)


def make_patch_outliers(
    rows: Tensor, foreign: Tensor, kind: str, rng: np.random.Generator
) -> Tensor:
    """Make one outlier from every row of some positions of a product.

    Parameters
    ----------
    rows : Tensor of shape (n_positions, n_rows, channels)
        Normal rows.
    foreign : Tensor of shape (n_foreign, channels)
        Rows of other products.
    kind : {"mixed", "noise", "positions", "surfaces"}
        Gaussian noise, a pull towards a row of any of these positions, or towards one of another
        product; "mixed" has as many of each.
    rng : numpy.random.Generator
        Decides all.

    Returns
    -------
    Tensor of the shape of `rows`
        Outliers of each position, in its units.
    """
    n_positions, n_rows, _ = rows.shape
    shape = (n_positions, n_rows, 1)
    kinds = PATCH_OUTLIERS[1:]
    chosen = torch.from_numpy(
        rng.integers(3, size=shape)
        if kind == "mixed"
        else np.full(shape, kinds.index(kind), dtype=np.int64)
    )
    spread = rows.std(dim=1, keepdim=True)
    noise = torch.from_numpy(rng.standard_normal(rows.shape, dtype=np.float32)) * spread
    place = torch.from_numpy(rng.integers(n_positions, size=shape[:2]))
    image = torch.from_numpy(rng.integers(n_rows, size=shape[:2]))
    other = foreign[torch.from_numpy(rng.integers(len(foreign), size=shape[:2]))]
    pull = torch.where(chosen == 1, rows[place, image], other) - rows
    strength = torch.from_numpy(rng.uniform(*_STRENGTH, size=shape).astype(np.float32))
    return rows + strength * torch.where(chosen == 0, noise, pull)


class OutlierBank:
    """Outliers made beforehand, an `OutlierSource`.

    Parameters
    ----------
    outliers : list of ndarray of shape (n_outliers, n_features)
        Of each domain.
    """

    def __init__(self, outliers: list[NDArray[np.float32]]):
        self.outliers = outliers

    def sample(
        self, X: NDArray[Any], domain_index: int, n: int, rng: np.random.Generator
    ) -> NDArray[Any]:
        """Draw outliers of a domain.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
            Not used: the outliers are there.
        domain_index : int
            Which domain.
        n : int
            How many rows are wanted.
        rng : numpy.random.Generator
            Source of all randomness.

        Returns
        -------
        ndarray of shape (n, n_features)
            Drawn with replacement.
        """
        own = self.outliers[domain_index]
        return own[rng.integers(len(own), size=n)]
