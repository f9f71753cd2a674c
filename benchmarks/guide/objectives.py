"""What the objectives reach by themselves, and what training with them takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bench_letters import N_CLASSES, N_TRAINED, drawn, letters
from numpy.typing import NDArray
from quality.datasets import Split, splits
from quality.protocol import KINDS, Protocol, batches, evaluate

from acr_sklearn import NeuralTransformation, ZeroShotACRDetector

from ._tables import share, table

PAGE = "method.md"
Batch = tuple[NDArray[np.floating], NDArray[np.integer]]
OBJECTIVES: dict[str, Any] = {
    '`"dsvdd"`': "dsvdd",
    '`"bce"`': "bce",
    '`"ntl"`, residual': NeuralTransformation(kind="residual"),
    '`"ntl"`, feedforward': NeuralTransformation(kind="feedforward"),
    '`"ntl"`, multiplicative': NeuralTransformation(kind="multiplicative"),
}
#: Smaller steps than the default, which neural transformation learning would take too long with.
STEPS: dict[str, Any] = {"n_tasks": 8, "task_size": 64, "hidden_layer_sizes": (128,)}
#: Positions of the validation splits: two groups of unseen digits, and one fold of the states.
SPLITS = {"digits": (0, 4), "fars": (0,)}
TRAIN_ROWS, SPREAD, BATCH = 500, 0.6, 300


@dataclass(frozen=True)
class Job:
    """Training rows, and batches of unseen domains by kind of anomaly."""

    data: str
    train: list[NDArray[np.floating]]
    batches: dict[str, list[Batch]]


def measure(seeds: Sequence[int], quick: bool) -> dict[str, Any]:
    """Measure the AUROC of every objective, as the score itself, on unseen domains.

    Parameters
    ----------
    seeds : sequence of int
        A generated set and a training on each set.
    quick : bool
        One split of digits and few steps.
    """
    settings = STEPS | ({"max_iter": 2} if quick else {})
    found = []
    for seed in seeds:
        for job in _jobs(seed, quick):
            for name, objective in OBJECTIVES.items():
                detector = ZeroShotACRDetector(
                    objective=objective, score_head="objective", random_state=seed, **settings
                )
                began = time.process_time()
                detector.fit(job.train)
                spent = round(time.process_time() - began, 1)
                where = {"data": job.data, "seed": seed, "objective": name, "fit_seconds": spent}
                found.append(where | {"auroc": _auroc(detector, job)})
    return {"steps": settings | {"hidden_layer_sizes": [128]}, "found": found}


def _auroc(detector: ZeroShotACRDetector, job: Job) -> dict[str, float]:
    return {
        kind: float(np.mean([evaluate(detector.score_samples(X), y)["auroc"] for X, y in some]))
        for kind, some in job.batches.items()
    }


def _jobs(seed: int, quick: bool) -> Iterator[Job]:
    for name, positions in SPLITS.items():
        found = list(splits(name, "validation")) if not quick or name == "digits" else []
        for place in positions[: 1 if quick else None]:
            if found:
                yield _of_split(name, found[place], quick)
    if not quick:
        classes = letters(seed, SPREAD)
        order = np.random.default_rng(seed).permutation(N_CLASSES)
        unseen = [classes[i] for i in order[N_TRAINED:]]
        some = list(drawn(unseen, seed, BATCH))
        yield Job("letters", [classes[i] for i in order[:N_TRAINED]], {"natural": some})


def _of_split(name: str, split: Split, quick: bool) -> Job:
    protocol = Protocol(n_batches=1, shares=(0.1,) if quick else Protocol.shares)
    found: dict[str, list[Batch]] = {kind: [] for kind in KINDS}
    for batch in batches(split, protocol):
        found[batch.kind].append(batch.draw())
    return Job(name, [rows[:TRAIN_ROWS] for rows in split.train], found)


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return the table of the page."""
    rows = []
    for name in OBJECTIVES:
        own = [one for one in found["found"] if one["objective"] == name]
        cells = []
        for data in ("digits", "fars", "letters"):
            runs = [one["auroc"] for one in own if one["data"] == data]
            if not runs:
                cells.append("")
                continue
            natural = np.mean([run["natural"] for run in runs])
            overall = np.mean([list(run.values()) for run in runs])
            cells.append(share(natural, 3) if data == "letters" else _both(overall, natural))
        seconds = np.mean([one["fit_seconds"] for one in own if one["data"] == "digits"])
        rows.append([name, *cells, f"{seconds:.0f}"])
    header = ("objective", "digits", "road accidents", "generated", "training on digits, s")
    return {"auroc": table(header, rows)}


def _both(overall: float, natural: float) -> str:
    return f"{share(overall, 3)} ({share(natural, 3)})"
