"""What `n_known_rows` of outlier synthesis trades: time of one core for quality."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench_synthesis import split
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score

from acr_sklearn import OutlierSynthesisDetector

from ._tables import share, table

PAGE = "outlier_synthesis.md"
Rows = NDArray[np.float64]
NUMBERS = (256, 512, 1024, 3000)
TRAINED, FEWEST, TESTED = 3000, 1024, 1000
SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def folder() -> Path:
    """Return where the single sets are: one .npz file each, with X and y, 1 = anomaly."""
    root = os.environ.get("ACR_SKLEARN_DATA")
    own = Path(root) / "adbench" if root else SHARED / "adbench"
    return own if own.is_dir() else SHARED / "adbench"


def measure(seeds: Sequence[int], quick: bool) -> dict[str, Any]:
    """Measure quality on the sets with so many training rows that the number matters, and time.

    Parameters
    ----------
    seeds : sequence of int
        Each has its own halves of normal rows and its own training.
    quick : bool
        Digits alone, few steps and few rows.
    """
    settings, fewest = ({"max_iter": 2}, 1) if quick else ({}, FEWEST)
    numbers = NUMBERS[:2] if quick else NUMBERS
    with tempfile.TemporaryDirectory() as made:
        paths = [_digits(Path(made))] if quick else sorted(folder().glob("*.npz"))
        sizes = {path.stem: _size(path) for path in paths}
        found = [
            {"set": path.stem, "seed": seed, "n_known_rows": n}
            | _quality(path, seed, n_known_rows=n, **settings)
            for path in paths
            if sizes[path.stem]["normal"] // 2 >= fewest
            for seed in seeds
            for n in numbers
        ]
    return {"sets": sizes, "quality": found, "times": _seconds(seeds[0], numbers, settings, quick)}


def _digits(place: Path) -> Path:
    """Write zeros to fours, with few of the other digits as anomalies, as such a set."""
    pixels, digit = load_digits(return_X_y=True)
    kept = np.concatenate([np.flatnonzero(digit < 5), np.flatnonzero(digit >= 5)[:100]])
    path = place / "digits.npz"
    np.savez(path, X=pixels[kept], y=digit[kept] >= 5)
    return path


def _size(path: Path) -> dict[str, int]:
    with np.load(path, allow_pickle=False) as held:
        n_rows, n_features = held["X"].shape
        return {"rows": n_rows, "features": n_features, "normal": n_rows - int(held["y"].sum())}


def _quality(path: Path, seed: int, **settings: Any) -> dict[str, float]:
    """Return AUROC and average precision on so many rows of each kind at most."""
    train, test, is_anomaly = split(path, seed, TRAINED)
    rng = np.random.default_rng(seed)
    kinds = (np.flatnonzero(is_anomaly == odd) for odd in (False, True))
    few = np.concatenate([rng.permutation(rows)[:TESTED] for rows in kinds])
    detector = OutlierSynthesisDetector(random_state=seed, **settings).fit(train)
    scores = -detector.score_samples(test[few])
    return {
        "auroc": float(roc_auc_score(is_anomaly[few], scores)),
        "ap": float(average_precision_score(is_anomaly[few], scores)),
    }


def _seconds(
    seed: int, numbers: Sequence[int], settings: dict[str, Any], quick: bool
) -> dict[str, Any]:
    """Return seconds of one core: fitting digits, and scoring rows of 16 features."""
    rng, n_scored = np.random.default_rng(seed), 500 if quick else 100_000
    rows = rng.normal(size=(300 if quick else TRAINED, 16)) @ rng.normal(size=(16, 16))
    many = rng.normal(size=(n_scored, 16)) @ rng.normal(size=(16, 16))
    settings = settings | {"random_state": seed}
    digits = load_digits().data
    scoring = []
    for n in numbers:
        detector = OutlierSynthesisDetector(n_known_rows=n, **settings).fit(rows)
        spent = _spent(lambda detector=detector: detector.score_samples(many))
        scoring.append({"n_known_rows": n, "seconds": spent})
    forest = IsolationForest(random_state=seed)
    return {
        "digits_fit": _spent(lambda: OutlierSynthesisDetector(**settings).fit(digits)),
        "rows_scored": n_scored,
        "scoring": scoring,
        "isolation_forest": _spent(lambda: forest.fit(many).score_samples(many)),
    }


def _spent(call: Callable[[], Any]) -> float:
    """Return seconds of CPU time, the median of three rounds."""
    spent = []
    for _ in range(3):
        began = time.process_time()
        call()
        spent.append(time.process_time() - began)
    return round(float(np.median(spent)), 3)


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return what the sets hold, the table of the trade, and the sentence on times."""
    seconds = {one["n_known_rows"]: one["seconds"] for one in found["times"]["scoring"]}
    rows = []
    for n, spent in seconds.items():
        own = [one for one in found["quality"] if one["n_known_rows"] == n]
        means = (float(np.mean([one[name] for one in own])) for name in ("auroc", "ap"))
        rows.append([f"{n:,}", *(share(value, 3) for value in means), f"{spent:.1f}"])
    header = ("`n_known_rows`", "AUROC", "average precision", "scoring 100,000 rows, s")
    times, sizes = found["times"], found["sets"].values()
    n_sets = len({one["set"] for one in found["quality"]})
    n_seeds = len({one["seed"] for one in found["quality"]})
    low, high = (
        [f(one[name] for one in sizes) for name in ("rows", "features")] for f in (min, max)
    )
    return {
        "sets": (
            f"{len(sizes)} public single data sets ({low[0]:,} to {high[0]:,} rows, {low[1]:,} to "
            f"{high[1]:,} features)."
        ),
        "trade": table(header, rows),
        "seconds": (
            f"Means over the {n_sets} sets with {FEWEST:,} training rows or more, "
            f"{n_seeds} seed{'s' if n_seeds > 1 else ''}, at most {TESTED:,} test rows\nof each "
            "kind. Times are of one core, for rows of 16 features; IsolationForest refitted on "
            f"them\ntakes {times['isolation_forest']:.1f} s. Fitting scikit-learn's digits takes "
            f"{times['digits_fit']:.1f} s."
        ),
    }
