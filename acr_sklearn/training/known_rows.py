"""Which training rows new ones are compared with, and the signs that come of it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acr_sklearn.networks.signs import RowSigns
from acr_sklearn.training.distillation import Distilled

__all__ = ["fit_signs", "whitening_of"]

#: Added to variances, those of standardized features being one: directions in which rows hardly
#: vary are not blown up. Directions at most: wider rows keep those in which they vary most.
_RIDGE, _MOST_DIRECTIONS = 0.05, 256


def fit_signs(
    rows: NDArray[np.float64], distilled: Distilled, most: int, rng: np.random.Generator
) -> RowSigns:
    """Measure the signs of abnormality over normal rows.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        Standardized training rows.
    distilled : Distilled
        What the networks learnt of them.
    most : int
        Rows that new ones are compared with, drawn from the distinct ones.
    rng : numpy.random.Generator
        Draws them.

    Returns
    -------
    RowSigns
        In double precision, in units of their spread over the training rows.
    """
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    chosen = np.sort(rng.permutation(len(distinct))[:most])
    with torch.no_grad():
        signs = RowSigns(
            torch.from_numpy(distinct[chosen]),
            torch.from_numpy(counts[chosen] == 1),
            whitening_of(torch.from_numpy(rows)),
            distilled.level,
            distilled.variational,
        )
        signs.standardize(torch.from_numpy(rows[rng.permutation(len(rows))[: 4 * most]]))
    return signs.eval()


def whitening_of(rows: Tensor) -> Tensor:
    """Return the matrix that makes features uncorrelated, (n_features, n_directions)."""
    variances, axes = torch.linalg.eigh(torch.atleast_2d(torch.cov(rows.T)))
    kept = slice(-_MOST_DIRECTIONS, None)
    return axes[:, kept] / (variances[kept].clamp_min(0) + _RIDGE).sqrt()
