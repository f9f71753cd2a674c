"""Detection on a generated set like UCI's letters: 26 overlapping classes of whole numbers.

Each class is a mixture of three clusters in eight hidden dimensions, with a covariance of its own,
seen through sixteen mixed features that are rounded to 0 to 15. 17 classes are trained on; a batch
of 300 rows is of one of the other nine, and its anomalies are rows of the other eight. It shows
what the objectives reach by themselves, beside the default score and IsolationForest refitted.

Run ``make bench-letters``, or ``python benchmarks/bench_letters.py --help`` for the options; it
writes letters.json and letters.png to benchmarks/results.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _report import PACKAGES, RESULTS, describe_run, format_table, run_in_words, save_json
from quality.protocol import evaluate
from sklearn.ensemble import IsolationForest

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.exceptions import ACRWarning

N_CLASSES, N_TRAINED, N_ROWS, N_FEATURES, N_HIDDEN = 26, 17, 750, 16, 8
SHARES = (0.01, 0.05, 0.1, 0.2)
COLOURS = {"objective": "#D55E00", "consensus": "#0072B2", "iforest": "#999999"}


def letters(seed: int, spread: float) -> list[np.ndarray]:
    """Return the rows of each class; the larger their spread, the more they overlap."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(N_HIDDEN, N_FEATURES))
    base = 7 + rng.normal(size=N_FEATURES)
    classes = []
    for _ in range(N_CLASSES):
        middle = rng.normal(size=N_HIDDEN)
        shape = 0.35 * rng.normal(size=(N_HIDDEN, N_HIDDEN)) + 0.6 * np.eye(N_HIDDEN)
        clusters = middle + 0.6 * spread * rng.normal(size=(3, N_HIDDEN))
        hidden = clusters[rng.integers(0, 3, N_ROWS)]
        hidden = hidden + spread * rng.normal(size=(N_ROWS, N_HIDDEN)) @ shape
        rows = base + 0.8 * hidden @ loadings + 0.7 * rng.normal(size=(N_ROWS, N_FEATURES))
        classes.append(rows.round().clip(0, 15).astype(np.float32))
    return classes


def drawn(unseen: list[np.ndarray], seed: int, size: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield X and y in {1, -1} of one batch of every class at every share."""
    rng = np.random.default_rng(seed)
    for i, normal in enumerate(unseen):
        others = np.concatenate([rows for j, rows in enumerate(unseen) if j != i])
        for share in SHARES:
            n_anomalies = round(share * size)
            few = rng.permutation(others)[:n_anomalies]
            X = np.concatenate([rng.permutation(normal)[: size - n_anomalies], few])
            yield X, np.repeat([1, -1], [size - n_anomalies, n_anomalies])


def measure(seed: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Mean AUROC of every method on the unseen classes of one generated set."""
    classes = letters(seed, arguments.spread)
    order = np.random.default_rng(seed).permutation(N_CLASSES)
    train = [classes[i] for i in order[:N_TRAINED]]
    batches = list(drawn([classes[i] for i in order[N_TRAINED:]], seed, arguments.batch_size))

    def auroc(score: Any) -> float:
        return float(np.mean([evaluate(score(X), y)["auroc"] for X, y in batches]))

    forest = auroc(lambda X: IsolationForest(random_state=seed).fit(X).score_samples(X))
    found: list[dict[str, Any]] = [
        {"seed": seed, "method": "iforest", "head": "iforest", "max_iter": None, "auroc": forest}
    ]
    for objective in arguments.objectives:
        for steps in arguments.steps:
            for head in ("objective", "consensus"):
                detector = ZeroShotACRDetector(
                    objective=objective, score_head=head, max_iter=steps, random_state=seed
                ).fit(train)
                one = {"seed": seed, "method": objective, "head": head, "max_iter": steps}
                found.append(one | {"auroc": auroc(detector.score_samples)})
    return found


def table(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and extremes over seeds."""
    rows: dict[tuple[Any, ...], list[float]] = {}
    for one in found:
        rows.setdefault((one["method"], one["head"], one["max_iter"]), []).append(one["auroc"])
    return [
        {
            "method": method,
            "head": head,
            "max_iter": steps,
            "auroc": float(np.mean(seen)),
            "lowest": min(seen),
            "highest": max(seen),
        }
        for (method, head, steps), seen in rows.items()
    ]


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """One bar for each method, with its extremes over seeds."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6.4, 0.4 * len(rows) + 0.8), layout="constrained")
    names = [
        row["method"] if row["max_iter"] is None else f"{row['method']}, {row['max_iter']} steps"
        for row in rows
    ]
    means = np.array([row["auroc"] for row in rows])
    off = np.array([[row["auroc"] - row["lowest"], row["highest"] - row["auroc"]] for row in rows])
    places = np.arange(len(rows))[::-1]
    for head, colour in COLOURS.items():
        mine = np.array([row["head"] == head for row in rows])
        ax.barh(places[mine], means[mine], xerr=off[mine].T, color=colour, label=head, height=0.7)
    ax.set_yticks(places, names)
    ax.set(xlim=(0.5, 1), xlabel="mean AUROC on unseen classes, extremes over seeds")
    ax.legend(frameon=False, fontsize=8, loc="lower left")
    ax.spines[["top", "right"]].set_visible(False)
    fig.savefig(path, dpi=130)
    plt.close(fig)


def parse() -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description="The objectives on a set like UCI's letters.")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--objectives", nargs="+", default=["dsvdd", "bce"])
    parser.add_argument("--steps", nargs="+", type=int, default=[150, 600])
    parser.add_argument("--spread", type=float, default=0.6, help="of a class, in latent units")
    parser.add_argument("--batch-size", type=int, default=300)
    parser.add_argument("--save", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> None:
    """Measure, print, save."""
    arguments = parse()
    warnings.simplefilter("ignore", ACRWarning)
    found = [one for seed in arguments.seeds for one in measure(seed, arguments)]
    rows = table(found)
    run = describe_run(arguments.seeds, PACKAGES)
    header = ["method", "head", "steps", "AUROC", "lowest", "highest"]
    cells = [
        [
            row["method"],
            row["head"],
            str(row["max_iter"] or ""),
            *(f"{row[name]:.3f}" for name in ("auroc", "lowest", "highest")),
        ]
        for row in rows
    ]
    print(format_table(header, cells))
    print(run_in_words(run))
    setting = {k: v for k, v in vars(arguments).items() if k not in ("save", "seeds")}
    content = {"run": run, "setting": setting, "found": found, "table": rows}
    save_json(arguments.save / "letters.json", content)
    draw(rows, arguments.save / "letters.png")


if __name__ == "__main__":
    main()
