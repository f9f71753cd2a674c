"""Trends that `DomainDetrender` finds where there are none, and what taking off one brings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bench_drift import detrended, machine, made
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from acr_sklearn import DomainDetrender, ZeroShotACRDetector

from ._tables import share, table

PAGE = "drift.md"
ROWS, COLUMNS, CORRELATIONS = (8, 12, 30, 100), (1, 8, 40), (0.0, 0.6, 0.9)
DRIFTS = (0, 6)
N_ROWS = 30


def measure(seeds: Sequence[int], quick: bool) -> dict[str, Any]:
    """Count trends in rows without one; AUROC of drifting batches with and without detrending.

    Parameters
    ----------
    seeds : sequence of int
        Each has its own batches, machines and training.
    quick : bool
        Two batches of each kind, few steps.
    """
    n_batches, n_drifting = (2, 2) if quick else (100, 20)
    return {
        "batches": n_batches * len(seeds),
        "without_trend": [
            {"correlation": r, "rows": n, "columns": d} | _found(seeds, n_batches, r, n, d)
            for r in CORRELATIONS
            for n in ROWS
            for d in COLUMNS
        ],
        "drifting": [one for s in seeds for one in _drifting(s, n_drifting, 5 if quick else 100)],
    }


def _found(
    seeds: Sequence[int], n_batches: int, correlation: float, n_rows: int, n_columns: int
) -> dict[str, float]:
    """Return the shares of batches and of columns that were changed."""
    changed = []
    for seed in seeds:
        rng = np.random.default_rng((seed, n_rows, n_columns))
        for _ in range(n_batches):
            X = correlated(rng, n_rows, n_columns, correlation)
            changed.append((DomainDetrender().fit_transform(X) != X).any(axis=0))
    return {"of_batches": float(np.any(changed, 1).mean()), "of_columns": float(np.mean(changed))}


def correlated(
    rng: np.random.Generator, n_rows: int, n_columns: int, correlation: float
) -> NDArray[np.float64]:
    """Return rows of variance 1, each correlated with the one before, without a trend."""
    X = rng.normal(size=(n_rows, n_columns))
    for i in range(1, n_rows):
        X[i] = correlation * X[i - 1] + np.sqrt(1 - correlation**2) * X[i]
    return X


def _drifting(seed: int, n_batches: int, max_iter: int) -> list[dict[str, float]]:
    """Return the mean AUROC over batches at each size of a linear drift."""
    rng = np.random.default_rng((seed, 0))
    detector = ZeroShotACRDetector(max_iter=max_iter, random_state=seed)
    detector.fit([machine(rng, 300) for _ in range(12)])
    found = []
    for size in DRIFTS:
        auroc = []
        for batch in range(n_batches):
            X, y = made(
                np.random.default_rng((seed, 1, batch)), N_ROWS, "linear", size, "scattered"
            )
            both = (detector.score_samples(detrended(X, trend)) for trend in ("none", "auto"))
            auroc.append([roc_auc_score(y, scores) for scores in both])
        as_it_is, taken_off = np.mean(auroc, axis=0)
        one = {"as_it_is": float(as_it_is), "detrended": float(taken_off)}
        found.append({"seed": seed, "drift": size, "batches": n_batches, **one})
    return found


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return the table of trends that are none, and the sentence on the drifting batches."""
    cells = {
        (one["correlation"], one["rows"], one["columns"]): share(one["of_batches"])
        for one in found["without_trend"]
    }
    rows = [
        [_as_written(r), str(n), *(cells[r, n, d] for d in COLUMNS)]
        for r in CORRELATIONS
        for n in ROWS
    ]
    header = (
        "correlation of neighbours",
        "rows",
        *(f"{d} column{'s' if d > 1 else ''}" for d in COLUMNS),
    )
    runs = found["drifting"]
    mean = {
        size: [np.mean([one[name] for one in runs if one["drift"] == size]) for name in NAMES]
        for size in DRIFTS
    }
    n_batches = sum(one["batches"] for one in runs if one["drift"] == DRIFTS[0])
    as_it_is, taken_off = (share(value, 3) for value in mean[6])
    return {
        "without a trend": table(header, rows),
        "drifting": (
            f"Over {n_batches} batches of {N_ROWS} rows with a linear drift of 6 the default "
            f"detector has {as_it_is} without and\n{taken_off} with detrending; without a drift "
            f"{share(mean[0][0], 3)} and {share(mean[0][1], 3)}."
        ),
    }


NAMES = ("as_it_is", "detrended")


def _as_written(correlation: float) -> str:
    return share(correlation, 1) if correlation else "0"
