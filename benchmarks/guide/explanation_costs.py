"""What `explain` costs, and what its quadrature misses before the rest is shared out."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_explain import BATCH, HEADS, TRAIN_ROWS, data_of
from numpy.typing import NDArray

from acr_sklearn import OutlierSynthesisDetector, ResADDetector, ZeroShotACRDetector
from acr_sklearn.scoring import attribution, residual_attribution

from ._tables import share, table

PAGE = "explanations.md"
Rows = NDArray[np.floating]
DETECTORS = {
    "ZeroShotACRDetector": ZeroShotACRDetector,
    "ResADDetector": ResADDetector,
    "OutlierSynthesisDetector": OutlierSynthesisDetector,
}
SETS = {"digits": "digits", "smd": "server machines", "fars": "road accidents"}
OBJECTIVES = ("dsvdd", "ntl")
MISSED = {
    "median": "median",
    "ninth_decile": "ninth decile",
    "largest_tenth": "median of the tenth with the largest differences",
}
N_ROWS, N_FEATURES, MANY, N_DOMAINS = 500, 64, 100_000, 3


def measure(seeds: Sequence[int], quick: bool) -> dict[str, Any]:
    """Measure seconds of CPU time, memory at the peak, and shares that the quadrature misses.

    Parameters
    ----------
    seeds : sequence of int
        The first draws the rows and seeds the detectors.
    quick : bool
        Digits alone, few steps and few rows.
    """
    seed = seeds[0]
    rng = np.random.default_rng(seed)
    n_many, n_rows, n_rounds = (200, 50, 1) if quick else (MANY, N_ROWS, 3)
    n_features, n_trained = (4, 40) if quick else (N_FEATURES, 300)
    train = [
        rng.normal(rng.normal(0, 3, n_features), 1.0, (n_trained, n_features)) for _ in range(7)
    ]
    # The large batch comes first: memory that was used and freed would hide what it takes.
    many = rng.normal(size=(n_many, n_features)).astype(np.float32)
    detector = ZeroShotACRDetector(max_iter=5, random_state=seed).fit(train)
    spent, peak = _with_peak(lambda: detector.explain(many))
    X = rng.normal(size=(n_rows, n_features))
    settings: dict[str, Any] = {"max_iter": 1} if quick else {}
    n_domains, n_explained = (1, 40) if quick else (N_DOMAINS, BATCH)
    return {
        "large": {"rows": n_many, "seconds": spent, "mebibytes": peak},
        "rows": n_rows,
        "seconds_of": list(_costs(train, X, n_rounds, seed)),
        "missed": [
            one
            for name in (["digits"] if quick else SETS)
            for one in _missed(name, seed, settings, n_domains, n_explained)
        ],
    }


def _costs(train: list[Rows], X: Rows, n_rounds: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the seconds of each detector, head and objective."""

    def of(model: Any, rows: Any, **where: str) -> dict[str, Any]:
        model.fit(rows)
        spent = [_seconds(lambda: model.explain(X)) for _ in range(n_rounds)]
        return where | {"seconds": round(float(np.median(spent)), 3)}

    # How well a network is trained changes no cost; the heads share a training.
    few: dict[str, Any] = {"max_iter": 1, "random_state": seed}
    with tempfile.TemporaryDirectory() as memory:
        shared: dict[str, Any] = few | {"n_tasks": 2, "memory": memory}
        for objective, head in product(OBJECTIVES, HEADS):
            detector = ZeroShotACRDetector(objective=objective, score_head=head, **shared)
            name = type(detector).__name__
            yield of(detector, train, detector=name, head=head, objective=objective)
    yield of(ResADDetector(**few), train, detector="ResADDetector")
    yield of(OutlierSynthesisDetector(**few), train[0], detector="OutlierSynthesisDetector")


def _missed(
    name: str, seed: int, settings: dict[str, Any], n_domains: int, n_rows: int
) -> Iterator[dict[str, Any]]:
    """Yield what is missed of rows of unseen domains, as a share of the difference of a row."""
    train, unseen = data_of(name, seed)
    rng = np.random.default_rng(seed)
    halves = [np.array_split(rng.permutation(rows), 2) for rows in unseen[:n_domains]]
    for words, kind in DETECTORS.items():
        detector = kind(random_state=seed, **settings)
        singly = kind is OutlierSynthesisDetector
        if not singly:
            detector.fit(train)
        with recorded() as parts:
            for known, rows in halves:
                if singly:
                    detector.fit(known[:TRAIN_ROWS])
                detector.explain(rows[:n_rows].astype(np.float64))
        missing, wanted = np.abs(np.concatenate(parts, axis=1))
        some = wanted > 0
        missed, size = missing[some] / wanted[some], wanted[some]
        figures = {
            "median": np.median(missed),
            "ninth_decile": np.quantile(missed, 0.9),
            "largest_tenth": np.median(missed[size >= np.quantile(size, 0.9)]),
        }
        where = {"set": name, "detector": words, "rows": len(missed)}
        yield where | {name: float(value) for name, value in figures.items()}


@contextmanager
def recorded() -> Iterator[list[Rows]]:
    """Keep what integration misses of each difference, and the difference, while explaining."""
    parts: list[Rows] = []
    completed = attribution.completed

    def recording(contributions: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        missing = wanted - contributions.sum(dim=1)
        parts.append(torch.stack([missing, wanted]).double().numpy())
        return completed(contributions, wanted)

    modules = (attribution, residual_attribution)
    for module in modules:
        vars(module)["completed"] = recording
    try:
        yield parts
    finally:
        for module in modules:
            vars(module)["completed"] = completed


def _seconds(call: Callable[[], Any]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def _with_peak(call: Callable[[], Any]) -> tuple[float, float | None]:
    """Return the seconds of a call and, on Linux, the MiB that the process grew by at the peak."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not (status.exists() and reset.exists()):
        return round(_seconds(call), 1), None
    reset.write_text("5", encoding="ascii")
    before = _of_status(status, "VmRSS")
    spent = _seconds(call)
    return round(spent, 1), round((_of_status(status, "VmHWM") - before) / 1024, 1)


def _of_status(status: Path, name: str) -> int:
    lines = status.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return the table of what is missed, the table of seconds, and what a large batch takes."""
    missed = [
        [f"`{one['detector']}`", SETS[one["set"]], *(percent(one[name]) for name in MISSED)]
        for one in sorted(found["missed"], key=lambda one: list(DETECTORS).index(one["detector"]))
    ]
    seconds = {
        (one["detector"], one.get("head"), one.get("objective")): f"{one['seconds']:.2f}"
        for one in found["seconds_of"]
    }
    rows = [
        [head, *(seconds["ZeroShotACRDetector", head, o] for o in OBJECTIVES)] for head in HEADS
    ]
    rows += [[f"`{name}`", seconds[name, None, None], ""] for name in list(DETECTORS)[1:]]
    large = found["large"]
    memory = (
        ""
        if large["mebibytes"] is None
        else f", with {large['mebibytes']:.0f} MiB more than before at\nthe peak, "
        f"{large['rows'] * N_FEATURES * 8 / 2**20:.0f} of them the result"
    )
    return {
        "missed": table(("missed, %", "rows of", *MISSED.values()), missed),
        "seconds": table(("seconds", "dsvdd", '`objective="ntl"`'), rows),
        "large batch": (
            f"The consensus takes {large['seconds']:.0f} s for {large['rows']:,} rows in float32"
            f"{memory}."
        ),
    }


def percent(value: float) -> str:
    """Return a share in per cent, with two digits that count below 10.

    Examples
    --------
    >>> percent(0.0123), percent(0.0002), percent(0.123), percent(0)
    ('1.2', '.02', '12', 'below .01')
    """
    shown = 100 * value
    if shown >= 10:
        return f"{shown:.0f}"
    return f"{shown:.1f}" if shown >= 1 else share(shown) if shown >= 0.01 else "below .01"
