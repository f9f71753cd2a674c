"""A few normal patches of a surface as references: ours, a memory bank, and PaDiM of the same ones.

Every method sees the first normal patches of a batch and scores the others, one by one. Features
are those of the batches, deviations included, for all methods.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn import FewShotSegmenter, ResADDetector
from surfaces.defects import Batch
from surfaces.run import DEVIATIONS, LAYERS, SIGMA, Prepared, evaluate, to_pixels

Maps = NDArray[np.floating]
Method = Callable[[Maps, Maps], Maps]  # (references, maps) -> scores of positions, high = abnormal

OURS, BANK, SCALED_BANK, PADIM = (
    "FewShotSegmenter",
    "memory bank",
    "memory bank, scaled",
    "PaDiM of the references",
)
#: Ours without a part of it.
ABLATIONS: dict[str, dict[str, Any]] = {
    "without residuals": {"residual": "none"},
    "without constraintor": {"constraintor": False},
    "without the invariant term": {"invariance": 0.0},
}
MEASURES = ("image_auroc", "pixel_auroc", "pixel_ap", "pro")
#: Chosen on the first eight validation surfaces.
SETTINGS: dict[str, Any] = {
    "levels": (*LAYERS.values(), *DEVIATIONS.values()),
    "regions": "position",
    "outliers": "mixed",
    "sigma": SIGMA,
}


def memory_bank(scale: Maps | float = 1.0) -> Method:
    """Distance to the nearest vector of any position of any reference, in units of `scale`."""

    def score(references: Maps, maps: Maps) -> Maps:
        known, rows = (_rows(part) / scale for part in (references, maps))
        squares = np.square(rows).sum(1)[:, None] + np.square(known).sum(1) - 2 * rows @ known.T
        return np.sqrt(np.maximum(squares.min(1), 0)).reshape(len(maps), *maps.shape[2:])

    return score


def padim(references: Maps, maps: Maps) -> Maps:
    """Mahalanobis distance to a Gaussian per position, 0.01 on the diagonal of its covariance."""
    n, channels, height, width = references.shape
    own, rows = (
        part.transpose(2, 3, 0, 1).reshape(height * width, -1, channels).astype(np.float64)
        for part in (references, maps)
    )
    center = own.mean(1, keepdims=True)
    own, rows = own - center, rows - center
    covariance = own.transpose(0, 2, 1) @ own / max(1, n - 1) + 0.01 * np.eye(channels)
    inverse = np.linalg.inv(covariance)
    lengths = np.sqrt(np.einsum("pni,pij,pnj->pn", rows, inverse, rows, optimize=True))
    return lengths.T.reshape(len(maps), height, width)


def spread_within(products: list[Maps]) -> Maps:
    """Standard deviation of each channel within training surfaces."""
    return np.sqrt(np.mean([_rows(maps).var(axis=0) for maps in products], axis=0))


def _rows(maps: Maps) -> Maps:
    return maps.transpose(0, 2, 3, 1).reshape(-1, maps.shape[1]).astype(np.float64)


def cases(prepared: Prepared, n_references: int) -> Iterator[tuple[Batch, Maps, Maps]]:
    """The scored part of each batch, with maps of the references and its own."""
    for batch, maps in zip(prepared.batches, prepared.maps, strict=True):
        known = np.flatnonzero(~batch.is_anomalous)[:n_references]
        rest = np.setdiff1d(np.arange(len(maps)), known)
        scored = Batch(batch.images[rest], batch.masks[rest], batch.kinds[rest])
        yield scored, *(np.asarray(maps[part], np.float32) for part in (known, rest))


def trained(prepared: Prepared, seed: int, settings: dict[str, Any]) -> Method:
    """Train ours."""
    segmenter = FewShotSegmenter(random_state=seed, **settings).fit(prepared.train)
    return lambda references, maps: segmenter.adapt(references).patch_scores(maps)


def ablated(prepared: Prepared, seed: int) -> dict[str, Method]:
    """Train ours without each part."""
    return {
        name: trained(prepared, seed, SETTINGS | {"detector": ResADDetector(**left_out)})
        for name, left_out in ABLATIONS.items()
    }


def methods(prepared: Prepared, seed: int, settings: dict[str, Any]) -> dict[str, Method]:
    """Train ours, and name all."""
    ours = trained(prepared, seed, settings)
    scale = spread_within([np.asarray(maps[::8], np.float32) for maps in prepared.train])
    return {OURS: ours, BANK: memory_bank(), SCALED_BANK: memory_bank(scale), PADIM: padim}


def measure(
    prepared: Prepared,
    n_references: int,
    seed: int,
    settings: dict[str, Any] | None = None,
    *,
    ablations: bool = False,
) -> dict[str, Any]:
    """Figures of every method: one list per measure, a value per surface."""
    found: dict[str, Any] = {}
    compared = methods(prepared, seed, SETTINGS | (settings or {}))
    if ablations:
        compared |= ablated(prepared, seed)
    for name, method in compared.items():
        figures: dict[str, list[float]] = {}
        start = time.perf_counter()
        for batch, references, maps in cases(prepared, n_references):
            values = evaluate(batch, to_pixels(method(references, maps)))
            for which in MEASURES:
                figures.setdefault(which, []).append(float(values[which]))
        found[name] = figures | {"seconds": [time.perf_counter() - start]}
        print(f"{name}: {', '.join(f'{np.mean(figures[m]):.4f}' for m in MEASURES)}", flush=True)
    return found
