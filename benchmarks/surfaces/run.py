"""One run: features of every split, a segmenter per seed, every method on every batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from quality.fetch import WEIGHTS, data_dir
from scipy.ndimage import gaussian_filter

from acr_sklearn import (
    FeatureExtractor,
    ZeroShotSegmenter,
    mobilenet_extractor,
    segmentation_scores,
)
from surfaces.defects import Batch, make_batch
from surfaces.rivals import RIVALS, WHOLE
from surfaces.textures import SIDE, Surfaces

#: Chosen on the validation surfaces, see benchmarks/README.md.
LAYERS = {"features.1": 16, "features.3": 24, "features.6": 32, "features.13": 96}
DEVIATIONS = {"features.1": 16, "features.3": 24}
INPUT, MAP, SIGMA = 128, 16, 2.0
#: Seed of everything that is drawn of the data; detectors have seeds of their own.
DATA_SEED = 0
#: Every so many patches of the training surfaces one may be pasted as a defect.
_PASTED = 8

Scores = dict[str, float]


def extractor() -> FeatureExtractor:
    """Build the extractor of the configuration."""
    return mobilenet_extractor(
        data_dir("mobilenet") / WEIGHTS,
        layers=list(LAYERS),
        deviations=list(DEVIATIONS),
        image_size=(INPUT, INPUT),
        map_size=(MAP, MAP),
        dtype="float16",
        batch_size=64,
    )


@dataclass
class Prepared:
    """Training maps on disk, and the batches to be scored.

    Attributes
    ----------
    train : list of ndarray of shape (64, channels, 16, 16)
        Memory maps, one per training surface.
    names : list of str
        Of the scored surfaces.
    batches : list of Batch
        With their defects.
    maps : list of ndarray of shape (64, channels, 16, 16)
        Of the batches.
    """

    train: list[NDArray[np.float16]]
    names: list[str]
    batches: list[Batch]
    maps: list[NDArray[np.float16]] = field(default_factory=list)


def scored_batches(scored: Surfaces, train: Surfaces) -> list[Batch]:
    """Make the batch of each surface; what is pasted comes from the training surfaces."""
    others = train.patches[:, ::_PASTED].reshape(-1, 3, SIDE, SIDE)
    return [
        make_batch(patches, others, np.random.default_rng((DATA_SEED, i)))
        for i, patches in enumerate(scored.patches)
    ]


def prepare(surfaces: dict[str, Surfaces], split: str, folder: Path) -> Prepared:
    """Extract features; those of the training surfaces go to files in `folder`, or come from it."""
    extract = extractor()
    folder.mkdir(parents=True, exist_ok=True)
    train = []
    for i, patches in enumerate(surfaces["train"].patches):
        path, part = folder / f"{i}.npy", folder / f"{i}.part.npy"
        if not path.exists():
            extract.transform(patches, out=part).flush()
            part.rename(path)
        train.append(np.load(path, mmap_mode="r"))
    batches = scored_batches(surfaces[split], surfaces["train"])
    maps = [extract.transform(batch.images) for batch in batches]
    return Prepared(train, surfaces[split].names, batches, maps)


def to_pixels(scores: NDArray[np.floating]) -> NDArray[np.floating]:
    """Enlarge and smooth the maps of a rival as the segmenter does its own."""
    part = torch.from_numpy(np.asarray(scores, np.float32))[:, None]
    large = F.interpolate(part, (SIDE, SIDE), mode="bilinear", align_corners=False)[:, 0]
    return gaussian_filter(large.numpy(), (0, SIGMA, SIGMA), mode="nearest")


def evaluate(batch: Batch, maps: NDArray[np.floating]) -> Scores:
    """Measure maps, and the image AUROC for each kind of defect by itself."""
    found = segmentation_scores(batch.masks, maps)
    top = maps.max(axis=(1, 2))
    normal = top[~batch.is_anomalous]
    for kind in sorted(set(batch.kinds[batch.is_anomalous].tolist())):
        own = top[batch.kinds == kind][:, None]
        found[f"image_auroc_{kind}"] = float(np.mean((own > normal) + 0.5 * (own == normal)))
    return found


def rival_scores(
    prepared: Prepared, names: Sequence[str]
) -> Iterator[tuple[str, list[NDArray[np.floating]], float]]:
    """Name, score maps of every batch and seconds per batch, rival by rival."""
    layers = list(LAYERS.values())
    for name in names:
        method: Callable[..., Any] = RIVALS[name]
        start = time.perf_counter()
        # Their papers score means; the Gaussian is given what we are given as well.
        n_channels = None if name == WHOLE else sum(layers)
        scores = [method(np.asarray(m[:, :n_channels], np.float32), layers) for m in prepared.maps]
        yield name, scores, (time.perf_counter() - start) / len(scores)


def our_scores(
    prepared: Prepared, segmenter: ZeroShotSegmenter
) -> tuple[list[NDArray[np.floating]], float]:
    """Score maps of every batch, and seconds per batch."""
    start = time.perf_counter()
    scores = [segmenter.patch_scores(maps) for maps in prepared.maps]
    return scores, (time.perf_counter() - start) / len(scores)


def standardised(scores: NDArray[np.floating]) -> NDArray[np.floating]:
    """Logarithms of distances by median and median absolute deviation over the batch."""
    logs = np.log(np.maximum(scores, 1e-12))
    centred = logs - np.median(logs)
    return centred / (1.4826 * np.median(np.abs(centred)))
