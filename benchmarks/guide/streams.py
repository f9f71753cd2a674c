"""What `update` costs: a row that comes in, the next use, the score of a row."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from acr_sklearn import ZeroShotACRDetector

from ._tables import table

PAGE = "streams.md"
N_FEATURES, WINDOWS = 20, (64, 256, 1000)


def measure(seeds: Sequence[int], quick: bool) -> dict[str, Any]:
    """Measure milliseconds of CPU time, medians of several rounds.

    Parameters
    ----------
    seeds : sequence of int
        The first draws the rows and seeds the detector.
    quick : bool
        One round of few rows.
    """
    rng = np.random.default_rng(seeds[0])
    mixing = rng.normal(size=(N_FEATURES, N_FEATURES))

    def rows(n: int) -> np.ndarray:
        return rng.normal(size=(n, N_FEATURES)) @ mixing + rng.normal(0, 5, N_FEATURES)

    detector = ZeroShotACRDetector(max_iter=5 if quick else 100, random_state=seeds[0])
    detector.fit([rows(200) for _ in range(6)])
    n_rounds, n_updates = (1, 20) if quick else (7, 1000)
    found = []
    for window in WINDOWS:
        held, coming = rows(window), rows(n_updates)
        costs = [_round(detector, held, coming) for _ in range(n_rounds)]
        middle = {name: round(float(np.median([c[name] for c in costs])), 4) for name in costs[0]}
        found.append({"window": window, **middle})
    return {"n_features": N_FEATURES, "rounds": n_rounds, "milliseconds": found}


def _round(detector: ZeroShotACRDetector, held: np.ndarray, coming: np.ndarray) -> dict[str, float]:
    """Return what each call costs, in milliseconds."""
    live, few = detector.adapt(held), coming[:50]
    return {
        "update": _milliseconds(lambda: [live.update(row[None]) for row in coming]) / len(coming),
        "next_use": _milliseconds(lambda: live.score_samples(few[:1])),
        "score": _milliseconds(lambda: [live.score_samples(row[None]) for row in few]) / len(few),
        "adapt": _milliseconds(lambda: detector.adapt(held)),
    }


def _milliseconds(call: Callable[[], Any]) -> float:
    began = time.process_time()
    call()
    return 1000 * (time.process_time() - began)


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return the table of the page."""
    rows = [
        [
            str(one["window"]),
            f"{one['update']:.2f}",
            f"{one['next_use']:.0f}",
            f"{one['adapt']:.0f}",
            f"{one['score']:.1f}",
        ]
        for one in found["milliseconds"]
    ]
    header = (
        "rows of the window",
        "`update` of one row, ms",
        "the next use, ms",
        "`adapt`, ms",
        "score of a row, ms",
    )
    return {"update": table(header, rows)}
