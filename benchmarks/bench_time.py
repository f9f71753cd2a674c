"""Time to the detection that the paper's recipe ends with, against a looped implementation of it.

The paper's recipe (1000 steps of 32 tasks of 512 rows) is trained through the package, which
computes what the looped implementation computes, and scored on validation domains: that AUROC is
the mark. Its time is the looped implementation's, the median of a few steps times 1000. Ours is
the time of a whole ``fit``, for a growing number of steps and at the defaults.

Run ``make bench-time``, or ``python benchmarks/bench_time.py --help`` for the options; it writes
time.json and time.png to benchmarks/results.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from _report import PACKAGES, RESULTS, describe_run, format_table, run_in_words, save_json
from looped_acr import LoopedACR
from quality.controls import paper
from quality.datasets import available, splits
from quality.protocol import Protocol, batches, evaluate

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.exceptions import ACRWarning
from acr_sklearn.tasks.settings import TaskSettings

STEPS = (10, 30, 100, 150)
OURS, THEIRS = "#0072B2", "#D55E00"


def auroc(detector: Any, drawn: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Mean over batches."""
    return float(np.mean([evaluate(detector.score_samples(X), y)["auroc"] for X, y in drawn]))


def looped_step_seconds(train: list[np.ndarray], n_steps: int, seed: int, *, join: bool) -> float:
    """Median of a few steps of the paper's recipe, tasks one after another.

    With `join` every draw joins the other domains first, as the released code does.
    """
    # The package keeps tasks no larger than a domain can fill; so does what it is timed against.
    size = TaskSettings(32, 512, 0.2, False).capped(max(map(len, train))).task_size
    filled = [rows[np.arange(max(len(rows), size)) % len(rows)] for rows in train]
    looped = LoopedACR(filled, task_size=size, join_complement=join, seed=seed)
    looped.step()
    seconds = []
    for _ in range(n_steps):
        began = time.perf_counter()
        looped.step()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def measure_set(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The mark, the looped time to it, and ours, over seeds."""
    split = next(iter(splits(name, "validation")))
    protocol = Protocol(n_batches=1, max_domains=arguments.max_domains)
    drawn = [batch.draw() for batch in batches(split, protocol)]
    train = list(split.train)
    figures: dict[str, Any] = {"paper_auroc": [], "looped_seconds": [], "indexed_seconds": []}
    figures["ours"] = []
    for seed in arguments.seeds:
        recipe: Any = paper(seed)
        recipe.set_params(max_iter=arguments.paper_steps).fit(train)
        figures["paper_auroc"].append(auroc(recipe, drawn))
        for name, join in (("looped_seconds", True), ("indexed_seconds", False)):
            step = looped_step_seconds(train, arguments.loop_steps, seed, join=join)
            figures[name].append(step * arguments.paper_steps)
        for n_steps in arguments.steps:
            began = time.perf_counter()
            ours = ZeroShotACRDetector(max_iter=n_steps, random_state=seed).fit(train)
            seconds = time.perf_counter() - began
            one = {"max_iter": n_steps, "seed": seed, "seconds": seconds}
            figures["ours"].append(one | {"auroc": auroc(ours, drawn)})
    return figures | _ratios(figures, arguments.steps)


def _ratios(figures: dict[str, Any], steps: list[int]) -> dict[str, Any]:
    mark = statistics.mean(figures["paper_auroc"])
    looped = statistics.median(figures["looped_seconds"])
    indexed = statistics.median(figures["indexed_seconds"])
    table = []
    for n_steps in steps:
        own = [one for one in figures["ours"] if one["max_iter"] == n_steps]
        seconds = statistics.median(one["seconds"] for one in own)
        reached = statistics.mean(one["auroc"] for one in own)
        row = {"max_iter": n_steps, "seconds": seconds, "auroc": reached}
        row |= {"ratio": looped / seconds, "indexed_ratio": indexed / seconds}
        table.append(row | {"reaches_the_mark": reached >= mark})
    return {"mark": mark, "looped": looped, "indexed": indexed, "table": table}


def draw(sets: dict[str, Any], path: Path) -> None:
    """AUROC against the seconds of a fit, one panel per set."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(
        1, len(sets), figsize=(4.6 * len(sets), 3.6), squeeze=False, layout="constrained"
    )
    for ax, (name, figures) in zip(axes[0], sets.items(), strict=True):
        rows = figures["table"]
        seconds, reached = [row["seconds"] for row in rows], [row["auroc"] for row in rows]
        ax.plot(seconds, reached, "o-", color=OURS, label="this package, a whole fit")
        for row in rows:
            ax.annotate(
                f"{row['max_iter']} steps",
                (row["seconds"], row["auroc"]),
                (0, -13),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
        ax.plot(figures["looped"], figures["mark"], "s", color=THEIRS, label="paper, looped")
        ax.axhline(figures["mark"], color=THEIRS, linewidth=0.8, linestyle=":")
        ax.set(xscale="log", xlabel="seconds", ylabel="mean AUROC", title=name)
        ax.margins(0.15)
        ax.grid(color="#DDDDDD", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0][0].legend(frameon=False, fontsize=8)
    fig.savefig(path, dpi=130)
    plt.close(fig)


def parse() -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description="Time to the paper recipe's AUROC.")
    parser.add_argument("--sets", nargs="+", default=["digits", "fars"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", nargs="+", type=int, default=list(STEPS))
    parser.add_argument("--paper-steps", type=int, default=1000)
    parser.add_argument("--loop-steps", type=int, default=10, help="steps that are timed")
    parser.add_argument("--max-domains", type=int, default=8)
    parser.add_argument("--save", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    here = available("validation")
    if missing := [name for name in arguments.sets if name not in here]:
        parser.error(f"no validation data of {', '.join(missing)}: `make bench-data` fetches it")
    return arguments


def main() -> None:
    """Run, print, save."""
    warnings.simplefilter("ignore", ACRWarning)
    arguments = parse()
    described = describe_run(arguments.seeds, PACKAGES)
    print(run_in_words(described))
    result: dict[str, Any] = {"run": described, "sets": {}}
    for name in arguments.sets:
        figures = result["sets"][name] = measure_set(name, arguments)
        rows = [
            [
                f"ours, max_iter={row['max_iter']}",
                f"{row['auroc']:.3f}",
                f"{row['seconds']:.1f} s",
                f"{row['ratio']:.0f} x",
                f"{row['indexed_ratio']:.0f} x",
                "yes" if row["reaches_the_mark"] else "no",
            ]
            for row in figures["table"]
        ]
        mark = f"{figures['mark']:.3f}"
        theirs = [
            ["paper, looped", mark, f"{figures['looped']:.0f} s", "1 x", "", ""],
            ["paper, looped, no joining", mark, f"{figures['indexed']:.0f} s", "", "1 x", ""],
        ]
        header = [name, "AUROC", "median fit", "looped / ours", "no joining / ours", "reaches it"]
        print("", format_table(header, [*theirs, *rows]), sep="\n", flush=True)
    save_json(arguments.save / "time.json", result)
    draw(result["sets"], arguments.save / "time.png")


if __name__ == "__main__":
    main()
