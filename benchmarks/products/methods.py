"""A memory bank and PaDiM of a few references, and AUROC of pictures and pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from surfaces.few_shot import memory_bank

from acr_sklearn import FewShotSegmenter
from acr_sklearn.datasets import MVTecProduct
from acr_sklearn.images.anomaly_maps import upsample_maps

Maps = NDArray[np.floating]
Method = Callable[[Maps, Maps], Maps]  # (references, maps) -> scores of positions, high = abnormal

OURS, BANK, PADIM = "FewShotSegmenter", "memory bank", "PaDiM"
#: Pictures scored together: ours takes time for the references of each call; the distances of the
#: rivals would not fit in memory else.
_AT_ONCE, _AT_ONCE_RIVALS = 32, 4
_RIDGE = 0.01


def padim(references: Maps, maps: Maps) -> Maps:
    """Mahalanobis distance to a Gaussian per position, 0.01 on the diagonal of its covariance.

    Few references span few directions: what lies in these is taken off the squared length, so that
    no matrix of all channels is made.
    """
    n, channels, height, width = references.shape
    own, rows = (
        part.transpose(2, 3, 0, 1).reshape(height * width, -1, channels).astype(np.float64)
        for part in (references, maps)
    )
    center = own.mean(1, keepdims=True)
    own, rows = own - center, rows - center
    inner = own @ own.transpose(0, 2, 1) + _RIDGE * max(1, n - 1) * np.eye(n)
    along = rows @ own.transpose(0, 2, 1)
    inside = np.einsum(
        "pni,pni->pn", along, np.linalg.solve(inner, along.transpose(0, 2, 1)).transpose(0, 2, 1)
    )
    squares = (np.square(rows).sum(2) - inside) / _RIDGE
    return np.sqrt(np.maximum(squares, 0)).T.reshape(len(maps), height, width)


def by_parts(method: Method, n_at_once: int = _AT_ONCE_RIVALS) -> Method:
    """Score a few pictures at a time."""

    def score(references: Maps, maps: Maps) -> Maps:
        starts = range(0, len(maps), n_at_once)
        return np.concatenate([method(references, maps[i : i + n_at_once]) for i in starts])

    return score


def methods(train: list[Maps], settings: dict[str, Any], seed: int) -> dict[str, Method]:
    """Train ours, and name all."""
    segmenter = FewShotSegmenter(random_state=seed, **settings).fit(train)

    def ours(references: Maps, maps: Maps) -> Maps:
        return segmenter.adapt(references).patch_scores(maps)

    return {OURS: by_parts(ours, _AT_ONCE), BANK: by_parts(memory_bank()), PADIM: by_parts(padim)}


def evaluate(product: MVTecProduct, scores: Maps, sigma: float) -> dict[str, float]:
    """AUROC of pictures by the maxima of their maps, and of all pixels."""
    maps = upsample_maps(scores, (product.crop, product.crop), sigma)
    return {
        "image_auroc": float(roc_auc_score(product.y == -1, maps.max(axis=(1, 2)))),
        "pixel_auroc": float(roc_auc_score(product.masks().ravel(), maps.ravel())),
    }
