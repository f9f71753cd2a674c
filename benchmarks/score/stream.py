"""Many small domains in one call, and single rows against a reference."""

from __future__ import annotations

import cProfile
import io
import pstats
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def seconds(run: Callable[[], Any]) -> float:
    """Of one run."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def alternating(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return medians over rounds in which every run has its turn."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            found[name].append(seconds(run))
    return {name: statistics.median(values) for name, values in found.items()}


def domains_in_one_call(
    detector: Any, n_domains: int, n_rows: int, n_features: int, rounds: int
) -> dict[str, float]:
    """Time one call with ``domains=`` against one call per domain."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_domains * n_rows, n_features)).astype(np.float32)
    site = np.repeat(np.arange(n_domains), n_rows)
    cuts = [X[i * n_rows : (i + 1) * n_rows] for i in range(n_domains)]
    runs = {
        "one_call": lambda: detector.score_samples(X, domains=site),
        "loop": lambda: [detector.score_samples(part) for part in cuts],
    }
    detector.score_samples(cuts[0])
    medians = alternating(runs, rounds)
    return medians | {"ratio": medians["loop"] / medians["one_call"]}


def single_rows(live: Any, rows: np.ndarray, rounds: int) -> dict[str, Any]:
    """Calls per second with one row each, and where the time goes."""
    live.score_samples(rows[:1])

    def calls() -> None:
        for row in rows:
            live.score_samples(row[None])

    median = statistics.median(seconds(calls) for _ in range(rounds))
    profile = cProfile.Profile()
    profile.runcall(calls)
    text = io.StringIO()
    pstats.Stats(profile, stream=text).sort_stats("tottime").print_stats(12)
    lines = [line for line in text.getvalue().splitlines() if line.strip()]
    return {"calls_per_second": len(rows) / median, "profile": lines}
