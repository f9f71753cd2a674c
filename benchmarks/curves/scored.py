"""Curves of the detector at its defaults, trained once and scored on many kinds of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from quality.datasets import Unseen
from quality.protocol import Batch

from .bench import (
    Bench,
    Record,
    Run,
    exact_batches,
    of_domain,
    record,
    scored,
    usual_batches,
    usual_size,
)

Change = Callable[[np.ndarray], np.ndarray]
SHARE = 0.1
COARSE = 32  # batches up to so many rows are drawn twice as often
LARGE = 1000  # from so many rows on, one domain per run: such batches cost the most
PAIRS = "fashion_mnist"  # the only set with two unseen domains of 6,000 rows
PAIR_SIZES = 4000  # from here on two classes are also pooled to one domain
NOMINAL = (0.01, 0.05, 0.1)
HELD = 0.05  # contamination at which a batch with anomalies is compared with a clean one
LOADED = 0.2


def sizes(bench: Bench, set_name: str) -> Iterator[Record]:
    """Vary the rows of a batch; the AUROC of small ones is coarse, so there are more of them."""
    for run in bench.runs(set_name):
        scorers = bench.scorers(run)
        for size in bench.amounts.sizes:
            n_batches = bench.amounts.batches * (2 if size <= COARSE else 1)
            some = replace(run, domains=run.domains[:1]) if size >= LARGE else run
            for batch in exact_batches(some, size, SHARE, n_batches):
                yield from scored(run, batch, size, scorers)
        if set_name == PAIRS:
            pooled = replace(run, set_name=f"{set_name}, pairs", domains=(_pooled(run),))
            for size in (s for s in bench.amounts.sizes if s >= PAIR_SIZES):
                for batch in exact_batches(
                    pooled, size, SHARE, bench.amounts.batches, ("shuffled", "cluster")
                ):
                    yield from scored(pooled, batch, size, scorers)


def _pooled(run: Run) -> Unseen:
    """Return the unseen domains of a split as one: 12,000 rows, and no foreign rows are left."""
    normals = np.concatenate([domain.normals for domain in run.domains])
    name = "+".join(domain.name for domain in run.domains)
    return Unseen(name, normals, normals[:0], np.empty(0, np.int64))


def shares(bench: Bench, set_name: str) -> Iterator[Record]:
    """Vary the share of anomalies, in batches of one size per domain."""
    points = bench.amounts.shares
    for run in bench.runs(set_name):
        scorers = bench.scorers(run)
        for domain in run.domains:
            size = usual_size(domain, bench.amounts, max(points))
            for share in points:
                if share * size < 0.5:
                    continue  # the one anomaly of a batch would be a larger share
                for batch in of_domain(run, domain, size, share, bench.amounts.batches):
                    yield from scored(run, batch, share, scorers)


def shifts(bench: Bench, set_name: str) -> Iterator[Record]:
    """Move, stretch, invert or permute the features of a whole batch, in float64."""
    for run in bench.runs(set_name):
        # IsolationForest cuts one feature at a time: it would be a flat line at most of the cost.
        scorers = bench.scorers(run, ("knn_batch", "mahalanobis_centred"))
        changes = _changes(np.concatenate(run.split.train), run.seed)
        for batch in usual_batches(run, bench.amounts):
            for name, change in changes.items():
                yield from scored(run, batch, name, scorers, change)


def _changes(train: np.ndarray, seed: int) -> dict[str, Change]:
    """Return the changes by name; one unit is the mean standard deviation of the features."""
    rng = np.random.default_rng(seed)
    unit = float(train.std(axis=0, dtype=np.float64).mean())
    top = train.max(axis=0).astype(np.float64)
    gains = np.exp(rng.normal(size=train.shape[1]))
    order = rng.permutation(train.shape[1])

    def plus(sds: float) -> Change:
        return lambda X: X.astype(np.float64) + sds * unit

    def times(factor: float | np.ndarray) -> Change:
        return lambda X: X.astype(np.float64) * factor

    return {
        "as it is": times(1.0),
        "plus 1 sd": plus(1),
        "plus 100 sd": plus(100),
        "plus 1e6 sd": plus(1e6),
        "times 0.01": times(0.01),
        "times 100": times(100.0),
        "gains": times(gains),
        "inverted": lambda X: top - X,
        "permuted": lambda X: X[:, order].astype(np.float64),
    }


def false_alarms(bench: Bench, set_name: str) -> Iterator[Record]:
    """Count what predict flags in clean batches, and in batches with anomalies."""
    rows = bench.amounts.clean_rows
    for run in bench.runs(set_name):
        # A share of 0 draws no anomaly, so any kind that needs no foreign rows will do.
        clean = list(exact_batches(run, rows, 0.0, bench.amounts.batches, ("cluster",)))
        loaded = list(exact_batches(run, rows, LOADED, bench.amounts.batches))
        for nominal in NOMINAL if clean else ():
            predict = bench.detector(run, contamination=nominal).predict
            for batch in clean:
                flagged = np.mean(predict(batch.draw()[0]) == -1)
                yield record(run, batch, "clean batch", nominal, float(flagged))
            for batch in loaded if nominal == HELD else ():
                yield from _flagged(run, batch, predict)


def _flagged(run: Run, batch: Batch, predict: Change) -> Iterator[Record]:
    X, y = batch.draw()
    flagged = predict(X) == -1
    among = {"all rows": y != 0, "normal rows": y == 1, "anomalies": y == -1}
    for name, rows in among.items():
        share = float(flagged[rows].mean())
        yield record(run, batch, f"{LOADED:.0%} anomalies: {name}", HELD, share)
