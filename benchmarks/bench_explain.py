"""Planted faults: how often `explain` names them first, on unseen domains; and what it costs.

One row of a batch of up to 300 normal rows of an unseen domain gets one fault: a feature moved by 4
to 6 standard deviations; a value 4 to 6 standard deviations beyond all others; a value in a column
that is constant; or the value of another row in one of two features whose correlation is above .8,
such that each of the two is usual and both together are not. Rows are taken as they come, odd ones
among them; the table says too how it is for rows that were not among the most anomalous tenth
before. Run ``python benchmarks/bench_explain.py``, or see --help.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from _report import RESULTS, describe_run, format_table, run_in_words, save_json
from native import data as native
from numpy.typing import NDArray
from quality import datasets as quality

from acr_sklearn import ZeroShotACRDetector

Rows = NDArray[np.float64]
KINDS = ("moved", "beyond", "constant", "dependence")
BATCH, TRAIN_ROWS, CORRELATED = 300, 1500, 0.8
QUALITY = ("digits", "fars")


def data_of(name: str, seed: int) -> tuple[list[Rows], list[Rows]]:
    """Normal rows of training domains, and of unseen ones with at least 100."""
    rng = np.random.default_rng((seed, 7))
    if name in QUALITY:
        split = next(iter(quality.splits(name, "validation")))
        train = [rows[:TRAIN_ROWS] for rows in split.train]
        return train, [u.normals for u in split.unseen if len(u.normals) >= 100]
    found = native.read(name)
    groups = rng.permutation(np.unique(found.group))
    unseen = set(groups[: max(1, len(groups) // 5)])
    train, test = [], []
    for domain in found.domains:
        normals = rng.permutation(found.normals(domain))
        if len(normals) and found.group[normals[0]] in unseen:
            test += [found.X[normals]] if len(normals) >= 100 else []
        elif len(normals) >= 20:
            train.append(found.X[normals[:TRAIN_ROWS]])
    return train, test


def planted(kind: str, batch: Rows, row: int, rng: np.random.Generator) -> tuple[Rows, Any] | None:
    """Give the batch with a fault in a row, and the features it is in; None where it cannot be."""
    spread, X = batch.std(axis=0), batch.copy()
    varies = spread > 1e-6 * np.abs(batch).max(axis=0).clip(1e-9)
    if kind == "dependence":
        return _exchanged(batch, row, np.flatnonzero(varies), rng)
    columns = np.flatnonzero(spread == 0 if kind == "constant" else varies)
    if not len(columns):
        return None
    j = rng.choice(columns)
    side, far = rng.choice([-1, 1]), rng.uniform(4, 6)
    if kind == "moved":
        X[row, j] += side * far * spread[j]
    elif kind == "beyond":
        X[row, j] = (side * batch[:, j]).max() * side + side * far * spread[j]
    else:
        X[row, j] += 8.0
    return X, (j,)


def _exchanged(
    batch: Rows, row: int, columns: NDArray[np.int64], rng: np.random.Generator
) -> tuple[Rows, Any] | None:
    z = (batch[:, columns] - batch[:, columns].mean(axis=0)) / batch[:, columns].std(axis=0)
    correlation = z.T @ z / len(z)
    np.fill_diagonal(correlation, 0)
    pairs = np.argwhere(np.abs(correlation) > CORRELATED)
    if not len(pairs):
        return None
    a, b = pairs[rng.integers(len(pairs))]
    other = z[row, b] * np.sign(correlation[a, b])
    donors = np.flatnonzero((np.abs(z[:, a] - other) > 2) & (np.abs(z[:, a]) < 2))
    if not len(donors) or abs(other) > 2:
        return None
    X = batch.copy()
    X[row, columns[a]] = batch[rng.choice(donors), columns[a]]
    return X, (columns[a], columns[b])


def cases(name: str, detector: Any, unseen: list[Rows], kind: str, args: Any) -> Iterator[dict]:
    """Yield what was named for each planted fault."""
    seed = (args.seed, KINDS.index(kind), len(name))
    rng, done = np.random.default_rng(seed), 0
    for _ in range(5 * args.faults):
        if done == args.faults:
            return
        rows = unseen[rng.integers(len(unseen))]
        batch = rows[rng.permutation(len(rows))[:BATCH]].astype(np.float64)
        row = int(rng.integers(len(batch)))
        found = planted(kind, batch, row, rng)
        if found is None:
            continue
        X, features = found
        done += 1
        before, after = detector.score_samples(batch), detector.score_samples(X)
        # Held as a reference, the batch explains this row as it would among the others.
        order = np.argsort(-detector.adapt(X).explain(X[row : row + 1])[0], kind="stable")
        yield {
            "first": order[0] in features,
            "three": all(j in order[:3] for j in features),
            "ordinary": bool(np.mean(before < before[row]) >= 0.1),
            "seen": bool(np.mean(after < after[row]) < 0.1),
        }


def measured(names: list[str], args: Any) -> list[dict[str, Any]]:
    """Figures of each set and kind of fault."""
    figures = []
    for name in names:
        train, unseen = data_of(name, args.seed)
        settings = {} if args.head is None else {"score_head": args.head}
        detector = ZeroShotACRDetector(random_state=args.seed, **settings).fit(train)
        for kind in KINDS:
            found = list(cases(name, detector, unseen, kind, args))
            if not found:
                continue
            ordinary = [case["first"] for case in found if case["ordinary"]]
            figures.append(
                {
                    "set": name,
                    "fault": kind,
                    "n": len(found),
                    "first": float(np.mean([case["first"] for case in found])),
                    "among three": float(np.mean([case["three"] for case in found])),
                    "n ordinary": len(ordinary),
                    "first of ordinary": float(np.mean(ordinary)) if ordinary else float("nan"),
                    "most anomalous tenth": float(np.mean([case["seen"] for case in found])),
                }
            )
            print(figures[-1], flush=True)
    return figures


def seconds() -> dict[str, float]:
    """Wall time of explaining 500 rows of 64 features, the median of five."""
    rng = np.random.default_rng(0)
    train = [rng.normal(rng.normal(0, 3, 64), 1.0, (300, 64)) for _ in range(7)]
    detector = ZeroShotACRDetector(max_iter=30, random_state=0).fit(train)
    found = {}
    for name in ("float64", "float32"):
        X = rng.normal(size=(500, 64)).astype(name)
        took = []
        for _ in range(5):
            start = time.perf_counter()
            detector.explain(X)
            took.append(time.perf_counter() - start)
        found[name] = float(np.median(took))
    return found


def draw(figures: list[dict[str, Any]], path: Path) -> None:
    """Points of each kind of fault, one per set, and their mean."""
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for place, kind in enumerate(KINDS):
        values = [figure["first"] for figure in figures if figure["fault"] == kind]
        axes.plot(values, [place] * len(values), "o", color="#0072B2", alpha=0.6)
        if values:
            axes.plot(np.mean(values), place, "|", color="black", markersize=18)
    axes.set_yticks(range(len(KINDS)), KINDS)
    axes.set(
        xlabel="planted faults named first (a point per set, a line at the mean)", xlim=(0, 1.02)
    )
    axes.invert_yaxis()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description="How often planted faults are named first.")
    parser.add_argument("--sets", nargs="+", default=[*QUALITY, *native.available()])
    parser.add_argument("--faults", type=int, default=100, help="per set and kind")
    parser.add_argument("--head", default=None, help="score_head; the default's if not given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "explain.json")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    run = describe_run([args.seed])
    took = seconds()
    figures = measured(args.sets, args)
    columns = ("n", "first", "among three", "first of ordinary", "most anomalous tenth")
    rows = [
        [f"{f['set']}, {f['fault']}", *(f"{f[c]:.2f}" if c != "n" else str(f[c]) for c in columns)]
        for f in figures
    ]
    for kind in KINDS:
        own = [f for f in figures if f["fault"] == kind]
        if own:
            means = [f"{np.mean([f[c] for f in own]):.3f}" for c in columns[1:]]
            rows.append([f"mean, {kind}", str(sum(f["n"] for f in own)), *means])
    print(run_in_words(run))
    print(f"500 rows of 64 features: {took['float64']:.2f} s, float32 {took['float32']:.2f} s")
    print(format_table(("set and fault", *columns), rows))
    content = {"run": run, "head": args.head, "seconds": took, "figures": figures}
    save_json(args.out, content)
    draw(figures, args.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
