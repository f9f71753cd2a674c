"""What our scores are held against: methods that see the unlabelled batch alone.

Each takes feature maps of shape (n_images, channels, height, width) and the channels of every
layer, and returns one anomaly score per image and position, high = abnormal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from torch import Tensor

Maps = NDArray[np.floating]


def padim(maps: Maps, _layers: Sequence[int]) -> Maps:
    """Mahalanobis distance to a Gaussian per position, fitted on the batch.

    As PaDiM (Defard et al., ICPR 2021) regularises it: 0.01 on the diagonal of the covariance of
    the features as they are.
    """
    n, channels, height, width = maps.shape
    rows = maps.transpose(2, 3, 0, 1).reshape(-1, n, channels).astype(np.float64)
    rows -= rows.mean(axis=1, keepdims=True)
    covariance = rows.transpose(0, 2, 1) @ rows / (n - 1) + 0.01 * np.eye(channels)
    inverse = np.linalg.inv(covariance)
    lengths = np.sqrt(np.einsum("pni,pij,pnj->pn", rows, inverse, rows, optimize=True))
    return lengths.T.reshape(n, height, width)


def gaussian(maps: Maps, _layers: Sequence[int]) -> Maps:
    """The same with standardised features and the shrinkage of Ledoit and Wolf.

    A batch has fewer images than there are channels, so much depends on the regularisation.
    """
    n, _, height, width = maps.shape
    scores = np.empty((n, height, width))
    for y, x in np.ndindex(height, width):
        rows = _standardised(maps[:, :, y, x])
        scores[:, y, x] = np.sqrt(LedoitWolf().fit(rows).mahalanobis(rows))
    return scores


def pooled_gaussian(maps: Maps, _layers: Sequence[int]) -> Maps:
    """The same with one Gaussian for all positions, for surfaces look alike everywhere."""
    n, channels, height, width = maps.shape
    rows = _standardised(maps.transpose(0, 2, 3, 1).reshape(-1, channels))
    return np.sqrt(LedoitWolf().fit(rows).mahalanobis(rows)).reshape(n, height, width)


def _standardised(rows: Maps) -> Maps:
    rows = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    return rows / np.maximum(rows.std(axis=0), 1e-12)


def mutual(maps: Maps, layers: Sequence[int], *, share: float = 0.3) -> Maps:
    """Mutual scoring: how far each patch is from the nearest patch of the other images.

    In the manner of MuSc (Li et al., ICLR 2024): every other image is asked for its nearest patch,
    and the mean of the smallest 30 % of the answers counts; averaged over the layers and over
    neighbourhoods of 1, 3 and 5 positions. Written from the paper.
    """
    x = torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32))
    parts = []
    for layer in x.split(list(layers), dim=1):
        for side in (1, 3, 5):
            near = F.avg_pool2d(layer, side, 1, side // 2, count_include_pad=False)
            parts.append(_mutual_distance(F.normalize(near, dim=1), share))
    return torch.stack(parts).mean(dim=0).numpy()


def _mutual_distance(x: Tensor, share: float) -> Tensor:
    n, _, height, width = x.shape
    rows = x.flatten(2).transpose(1, 2)
    counted = max(1, round(share * (n - 1)))
    scores = torch.empty(n, height * width)
    flat = rows.flatten(0, 1).T.contiguous()
    for i in range(n):
        # Vectors of length 1: the nearest patch of an image is the one of largest product.
        closest = (rows[i] @ flat).view(height * width, n, -1).amax(dim=2)
        distances = (2 - 2 * closest).clamp_min(0).sqrt()
        distances[:, i] = torch.inf
        scores[i] = distances.topk(counted, dim=1, largest=False).values.mean(dim=1)
    return scores.view(n, height, width)


def memory_bank(maps: Maps, layers: Sequence[int], *, n_neighbors: int = 5) -> Maps:
    """Mean distance to the nearest patches among all other images of the batch.

    As PatchCore (Roth et al., CVPR 2022) with the batch as its own memory.
    """
    x = torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32))
    x = torch.cat([F.normalize(layer, dim=1) for layer in x.split(list(layers), dim=1)], dim=1)
    n, _, height, width = x.shape
    rows = x.flatten(2).transpose(1, 2)
    scores = torch.empty(n, height * width)
    for i in range(n):
        bank = torch.cat([rows[:i], rows[i + 1 :]]).flatten(0, 1)
        distances = torch.cdist(rows[i], bank)
        scores[i] = distances.topk(n_neighbors, largest=False).values.mean(dim=1)
    return scores.view(n, height, width).numpy()


#: The one rival that is given the deviations too, as ours is.
WHOLE = "Gaussian, our maps"
RIVALS = {
    "Gaussian per position": gaussian,
    WHOLE: gaussian,
    "Gaussian as PaDiM": padim,
    "Gaussian, pooled": pooled_gaussian,
    "mutual (MuSc)": mutual,
    "kNN memory bank": memory_bank,
}
