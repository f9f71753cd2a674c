"""Positions of feature maps as domains, and scores of positions as maps of anomaly."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter


class NoisyRows:
    """Outliers of a position: its own rows with Gaussian noise.

    Parameters
    ----------
    noise : float
        Standard deviation, in the units of the features.
    """

    def __init__(self, noise: float):
        self.noise = noise

    def sample(
        self, X: np.ndarray, domain_index: int, n: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Return `n` noisy rows of the domain; see acr_sklearn.tasks.outliers.OutlierSource."""
        rows = X[rng.permutation(len(X))[:n]] if n <= len(X) else X[rng.integers(len(X), size=n)]
        return with_noise(rows, self.noise, rng)


def with_noise(rows: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Return noisy copies."""
    return rows + np.float32(noise) * rng.standard_normal(rows.shape, dtype=np.float32)


def position_rows(features: np.ndarray, positions: np.ndarray) -> list[np.ndarray]:
    """Return, for each of the positions, one row of channels per picture.

    Parameters
    ----------
    features : ndarray of shape (n, channels, height, width)
    positions : int array
        Places in a map read line by line.
    """
    n, channels = features.shape[:2]
    flat = features.reshape(n, channels, -1)
    return [np.asarray(flat[:, :, place], dtype=np.float32) for place in positions]


def anomaly_maps(
    detector: Any, features: np.ndarray, *, noise: float, copies: bool, rng: np.random.Generator
) -> np.ndarray:
    """Score every position of all pictures as one batch.

    Parameters
    ----------
    detector : fitted detector
    features : ndarray of shape (n, channels, height, width)
    noise : float
    copies : bool
        Whether a batch also holds a noisy copy of every row, which is not reported.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (n, height, width)
        High = abnormal.
    """
    n, _, height, width = features.shape
    maps = np.empty((n, height, width))
    for line in range(height):  # a line of positions at a time, to bound the memory
        batches = position_rows(features, np.arange(line * width, (line + 1) * width))
        if copies:
            batches = [np.concatenate([rows, with_noise(rows, noise, rng)]) for rows in batches]
        scores = detector.score_samples(batches).reshape(width, -1)[:, :n]
        maps[:, line] = -scores.T
    return maps


def smooth_maps(maps: np.ndarray, size: int, sigma: float) -> np.ndarray:
    """Enlarge maps to the size of the pictures (bilinear), and smooth them."""
    large = torch.nn.functional.interpolate(
        torch.from_numpy(maps)[:, None], size=(size, size), mode="bilinear", align_corners=False
    )
    return np.stack([gaussian_filter(one, sigma) for one in large[:, 0].numpy()])
