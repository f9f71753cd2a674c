"""Scores that a change of structure must not change: saved before it, compared after it.

    python benchmarks/score_snapshot.py save before.npz
    python benchmarks/score_snapshot.py compare before.npz

Every head and objective, batch sizes on both sides of each switch in the code, both precisions,
lists, labels, chunks, adapted and frozen detectors, p-values, and the segmenter.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import torch

from acr_sklearn import ZeroShotACRDetector, ZeroShotSegmenter

HEADS = ("combined", "objective", "neighbors", "mahalanobis")
SIZES = (2, 3, 16, 17, 300, 2048, 2049, 5000)
WIDTH = 6


def training_sites() -> list[np.ndarray]:
    """Make six related data sets."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(WIDTH, WIDTH))
    return [rng.normal(rng.normal(0, 3, WIDTH), 1.0, (150, WIDTH)) @ mixing for _ in range(6)]


def new_rows(n_rows: int, seed: int = 1) -> np.ndarray:
    """Make rows of a site never seen, an eighth of them shifted, some of them equal."""
    rng = np.random.default_rng((seed, n_rows))
    rows = rng.normal(5.0, 1.0, (n_rows, WIDTH)) @ rng.normal(size=(WIDTH, WIDTH))
    rows[: n_rows // 8] += 4.0
    if n_rows >= 16:
        rows[-2:] = rows[-3]
    return rows


class Rows:
    """One batch in chunks, each time from the beginning."""

    def __init__(self, rows: np.ndarray):
        self.rows = rows

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield sevenths."""
        return iter(np.array_split(self.rows, 7))


def detector_scores(name: str, detector: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Score everything that one detector can be asked."""
    for n_rows, dtype in product(SIZES, (np.float64, np.float32)):
        rows = new_rows(n_rows).astype(dtype)
        yield f"{name}/{n_rows}/{rows.dtype}", detector.score_samples(rows)
    sites = [new_rows(n, seed) for seed, n in enumerate((40, 40, 25, 2300))]
    labels = np.repeat(np.arange(4), [len(site) for site in sites])
    yield f"{name}/list", detector.score_samples(sites)
    yield f"{name}/domains", detector.decision_function(np.concatenate(sites), domains=labels)
    yield f"{name}/p_values", detector.p_values(new_rows(60))
    yield f"{name}/p_values_of_reference", detector.p_values(new_rows(60), new_rows(200, 3))
    yield f"{name}/chunks", detector.score_samples(Rows(new_rows(3000)))
    live = detector.adapt(new_rows(200))
    yield f"{name}/adapted", live.score_samples(new_rows(33, 4))
    yield f"{name}/adapted_offset", np.array([detector.offset_, live.offset_])
    with torch.no_grad():
        module = detector.freeze(new_rows(120))
        yield f"{name}/frozen", module(torch.from_numpy(new_rows(50, 5))).numpy()


def segmenter_scores() -> Iterator[tuple[str, np.ndarray]]:
    """Score the maps of a product never seen."""
    rng = np.random.default_rng(7)
    products = [rng.normal(rng.normal(size=8), 1.0, (12, 6, 6, 8)) for _ in range(3)]
    maps = np.moveaxis(np.stack(products), -1, 2).astype(np.float32)
    segmenter = ZeroShotSegmenter(random_state=0).fit(list(maps))
    new = rng.normal(size=(10, 8, 6, 6)).astype(np.float32)
    new[:2, :, 2:4, 2:4] += 3.0
    yield "segmenter/maps", segmenter.anomaly_maps(new)
    yield "segmenter/images", segmenter.score_samples(new)


def all_scores() -> dict[str, np.ndarray]:
    """Train every kind of detector on the same sites, and score."""
    found: dict[str, np.ndarray] = {}
    sites = training_sites()
    common: dict[str, Any] = {"max_iter": 6, "n_tasks": 4, "random_state": 0}
    for head, objective in product(HEADS, ("dsvdd", "bce", "ntl")):
        if head == "mahalanobis" and objective != "dsvdd":
            continue
        detector = ZeroShotACRDetector(score_head=head, objective=objective, **common).fit(sites)
        found |= dict(detector_scores(f"{head}/{objective}", detector))
    settings = {
        "ensemble": {"n_estimators": 2},
        "untrimmed": {"trim_fraction": 0.0},
        "chunk_size": {"chunk_size": 100},
        "max_reference_rows": {"max_reference_rows": 200},
        "reference": {"norm_mode": "reference"},
        "batch_auto": {"threshold": "batch", "contamination": "auto"},
    }
    for name, changed in settings.items():
        detector = ZeroShotACRDetector(**common, **changed).fit(sites)
        found |= dict(detector_scores(name, detector))
    return found | dict(segmenter_scores())


def main() -> int:
    """Save or compare; the exit status says whether all scores are within the tolerances."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=["save", "compare"])
    parser.add_argument("file")
    parser.add_argument("--float64", type=float, default=0.0, help="relative to the largest score")
    parser.add_argument("--float32", type=float, default=0.0, help="the same for float32 rows")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    found = all_scores()
    if arguments.task == "save":
        np.savez(arguments.file, **found)
        print(f"{len(found)} arrays saved")
        return 0
    before, worse = np.load(arguments.file, allow_pickle=False), 0
    for name in before.files:
        single = "float32" in name or name.startswith("segmenter")
        tolerance = arguments.float32 if single else arguments.float64
        if name not in found:
            print(f"{name}: missing")
            worse += 1
            continue
        apart = np.abs(found[name] - before[name]).max() / max(1.0, np.abs(before[name]).max())
        if not apart <= tolerance:
            print(f"{name}: off by {apart:.2e}")
            worse += 1
    print(f"{len(before.files)} arrays compared, {worse} beyond the tolerances")
    return int(worse > 0)


if __name__ == "__main__":
    sys.exit(main())
