"""Planted faults: how often `explain` names them first, on unseen domains; and what it costs.

One row of a batch of up to 300 normal rows of an unseen domain gets one fault: a feature moved by 4
to 6 standard deviations; a value 4 to 6 standard deviations beyond all others; a value in a column
that is constant; or the value of another row in one of two features whose correlation is above .8,
such that each of the two is usual and both together are not. Rows are taken as they come, odd ones
among them; the table says too how it is for rows that were not among the most anomalous tenth
before. Run ``python benchmarks/bench_explain.py``, or see --help.

The row is explained in its batch ("batch"), or beside the other rows of it as a reference
("reference"). Outlier synthesis scores rows by themselves ("alone"): it is fitted on one half of an
unseen domain, and the batch is drawn from the other. A training is shared by all heads.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from _report import RESULTS, describe_run, format_table, run_in_words, save_json
from native import data as native
from numpy.typing import NDArray
from quality import datasets as quality

from acr_sklearn import OutlierSynthesisDetector, ResADDetector, ZeroShotACRDetector

Rows = NDArray[np.float64]
KINDS = ("moved", "beyond", "constant", "dependence")
BATCH, TRAIN_ROWS, CORRELATED = 300, 1500, 0.8
QUALITY = ("digits", "fars")
HEADS = ("consensus", "combined", "neighbors", "mahalanobis", "objective")
MODES, DETECTORS = ("batch", "reference"), ("acr", "resad", "synthesis")
#: Unseen domains that outlier synthesis is fitted on.
FITTED_DOMAINS = 3


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


@dataclass(frozen=True)
class Subject:
    """What is measured: a kind of detector, a head of it, and how rows are explained."""

    detector: str
    head: str | None
    modes: tuple[str, ...]

    def named(self, mode: str) -> str:
        """Name the subject in tables."""
        return ", ".join(filter(None, (self.detector, self.head, mode)))

    def made(self, seed: int, folder: str, **settings: Any) -> Any:
        """Make the detector, not fitted."""
        if self.detector == "acr":
            settings |= {"score_head": self.head, "memory": folder}
            return ZeroShotACRDetector(random_state=seed, **settings)
        kind = ResADDetector if self.detector == "resad" else OutlierSynthesisDetector
        return kind(random_state=seed, **settings)


def subjects(args: Any) -> list[Subject]:
    """List what was asked for."""
    modes = tuple(args.modes)
    found = [Subject("acr", head, modes) for head in args.heads if "acr" in args.detectors]
    if "resad" in args.detectors:
        found.append(Subject("resad", None, modes))
    if "synthesis" in args.detectors:
        found.append(Subject("synthesis", None, ("alone",)))
    return found


def explained(detector: Any, mode: str, X: Rows, row: int) -> Rows:
    """Contributions to the score of a row."""
    if mode == "alone":
        return detector.explain(X[[row]])[0]
    if mode == "reference":
        return detector.adapt(np.delete(X, row, axis=0)).explain(X[[row]])[0]
    if isinstance(detector, ResADDetector):
        return detector.explain(X)[row]
    # Held as a reference, the batch explains this row as it would among the others.
    return detector.adapt(X).explain(X[[row]])[0]


#: Gives a fitted detector, and rows of an unseen domain to draw the batch from.
Draw = Callable[[np.random.Generator], tuple[Any, Rows]]


def drawing(subject: Subject, train: list[Rows], unseen: list[Rows], args: Any) -> Draw:
    """Fit the detector once, or one for each of a few unseen domains."""
    detector = subject.made(args.seed, args.memory)
    if subject.detector != "synthesis":
        detector.fit(train)
        return lambda rng: (detector, unseen[rng.integers(len(unseen))])
    order = np.random.default_rng((args.seed, 9)).permutation(len(unseen))[:FITTED_DOMAINS]

    @cache
    def halves(domain: int) -> tuple[Any, Rows]:
        rows = np.random.default_rng((args.seed, domain)).permutation(unseen[domain])
        half = len(rows) // 2
        return subject.made(args.seed, args.memory).fit(rows[:half][:TRAIN_ROWS]), rows[half:]

    return lambda rng: halves(int(rng.choice(order)))


def cases(name: str, subject: Subject, draw_rows: Draw, kind: str, args: Any) -> Iterator[dict]:
    """Yield what was named for each planted fault, in each mode."""
    seed = (args.seed, KINDS.index(kind), len(name))
    rng, done = np.random.default_rng(seed), 0
    for _ in range(5 * args.faults):
        if done == args.faults:
            return
        detector, rows = draw_rows(rng)
        batch = rows[rng.permutation(len(rows))[:BATCH]].astype(np.float64)
        row = int(rng.integers(len(batch)))
        found = planted(kind, batch, row, rng)
        if found is None:
            continue
        X, features = found
        done += 1
        before, after = detector.score_samples(batch), detector.score_samples(X)
        for mode in subject.modes:
            order = np.argsort(-explained(detector, mode, X, row), kind="stable")
            yield {
                "mode": mode,
                "first": order[0] in features,
                "three": all(j in order[:3] for j in features),
                "ordinary": bool(np.mean(before < before[row]) >= 0.1),
                "seen": bool(np.mean(after < after[row]) < 0.1),
            }


def measured(names: list[str], args: Any) -> list[dict[str, Any]]:
    """Figures of each set, subject, mode and kind of fault."""
    figures = []
    for name in names:
        train, unseen = data_of(name, args.seed)
        for subject in subjects(args):
            draw_rows = drawing(subject, train, unseen, args)
            for kind in KINDS:
                found = list(cases(name, subject, draw_rows, kind, args))
                for mode in subject.modes:
                    own = [case for case in found if case["mode"] == mode]
                    if own:
                        figures.append(
                            {"set": name, "subject": subject.named(mode), "fault": kind}
                            | summary(own)
                        )
                        print(figures[-1], flush=True)
    return figures


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Shares of the cases of one mode."""
    ordinary = [case["first"] for case in found if case["ordinary"]]
    return {
        "n": len(found),
        "first": float(np.mean([case["first"] for case in found])),
        "among three": float(np.mean([case["three"] for case in found])),
        "n ordinary": len(ordinary),
        "first of ordinary": float(np.mean(ordinary)) if ordinary else float("nan"),
        "most anomalous tenth": float(np.mean([case["seen"] for case in found])),
    }


def seconds(subject: Subject, args: Any) -> dict[str, float]:
    """Wall time of explaining 500 rows of 64 features, the median of five."""
    rng = np.random.default_rng(0)
    train = [rng.normal(rng.normal(0, 3, 64), 1.0, (300, 64)) for _ in range(7)]
    detector = subject.made(0, args.memory, max_iter=30)
    detector.fit(train[0] if subject.detector == "synthesis" else train)
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
    """Points of each kind of fault and subject, one per set, and their mean."""
    names = list(dict.fromkeys(figure["subject"] for figure in figures))
    height = max(3.2, 0.12 * len(names) * len(KINDS))
    figure, axes = plt.subplots(figsize=(8, height), layout="constrained")
    for at, name in enumerate(names):
        color = f"C{at % 10}"
        for place, kind in enumerate(KINDS):
            own = [f["first"] for f in figures if (f["fault"], f["subject"]) == (kind, name)]
            y = place + 0.8 * ((at + 0.5) / len(names) - 0.5)
            axes.plot(own, [y] * len(own), "o", color=color, alpha=0.6, markersize=4)
            if own:
                label = name if place == 0 and len(names) > 1 else None
                axes.plot(np.mean(own), y, "|", color=color, markersize=12, label=label)
    axes.set_yticks(range(len(KINDS)), KINDS)
    axes.set(
        xlabel="planted faults named first (a point per set, a line at the mean)", xlim=(0, 1.02)
    )
    axes.invert_yaxis()
    if len(names) > 1:
        axes.legend(fontsize="small", loc="lower left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


COLUMNS = ("n", "first", "among three", "first of ordinary", "most anomalous tenth")


def table(figures: list[dict[str, Any]]) -> str:
    """All figures, and their means over sets."""
    rows = []
    for f in figures:
        cells = (str(f["n"]), *(f"{f[column]:.2f}" for column in COLUMNS[1:]))
        rows.append([f"{f['set']}, {f['subject']}, {f['fault']}", *cells])
    for subject in dict.fromkeys(f["subject"] for f in figures):
        for kind in KINDS:
            own = [f for f in figures if (f["fault"], f["subject"]) == (kind, subject)]
            if own:
                means = [f"{np.nanmean([f[c] for f in own]):.3f}" for c in COLUMNS[1:]]
                rows.append([f"mean, {subject}, {kind}", str(sum(f["n"] for f in own)), *means])
    return format_table(("set, subject and fault", *COLUMNS), rows)


def main() -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description="How often planted faults are named first.")
    parser.add_argument("--sets", nargs="+", default=[*QUALITY, *native.available()])
    parser.add_argument("--faults", type=int, default=100, help="per set, subject and kind")
    parser.add_argument("--detectors", nargs="+", choices=DETECTORS, default=["acr"])
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=["consensus"])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=["batch"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "explain.json")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    run = describe_run([args.seed])
    with tempfile.TemporaryDirectory() as args.memory:
        took = {
            ", ".join(filter(None, (s.detector, s.head))): seconds(s, args) for s in subjects(args)
        }
        figures = measured(args.sets, args)
    print(run_in_words(run))
    for name, of_both in took.items():
        wide, narrow = of_both["float64"], of_both["float32"]
        print(f"500 rows of 64 features, {name}: {wide:.2f} s, float32 {narrow:.2f} s")
    print(table(figures))
    save_json(args.out, {"run": run, "seconds": took, "figures": figures})
    draw(figures, args.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
