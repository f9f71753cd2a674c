"""Faults known on some machines, looked for on machines never seen.

Run ``make bench-known``, or ``python benchmarks/bench_known.py --help`` for the options. On the
folds of the native benchmark (docs/native.md) the anomalies of the training domains are known; the
detector is fitted with them and without, against IsolationForest refitted on the batch and boosted
trees on the pooled rows. Curves say what fewer, or wrong, labels are worth. It prints tables and
writes known.json and known.png to benchmarks/results; ``--quick`` takes one fold, two domains of
it and one draw, and writes nothing.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from _report import PACKAGES, RESULTS, describe_run, format_table, run_in_words, save_json
from known.run import CURVES, DEFAULT, FOREST, HEADLINE, KNOWN, TREES, run
from known.summary import METRICS, summarise
from native.data import available, folder, read
from native.protocol import Protocol
from quality.fetch import cache_dir

from acr_sklearn.exceptions import UnfamiliarBatchWarning

NAMES = {"auroc": "AUROC", "ap": "AP"}
TITLES = {
    "domains": "labelled training domains",
    "each": "known anomalies of each domain",
    "wrong": "share of wrong labels",
}
QUICK = ("domains", "never labelled")


def table(figures: dict[str, Any]) -> str:
    """The means of every method: over sets, then of each set."""
    methods = figures["methods"]
    sets = list(methods[KNOWN]["auroc"]["sets"])
    rows = [
        [
            name,
            *(f"{one[metric]['mean']:.3f}" for metric in METRICS),
            *(f"{one['auroc']['sets'][s]:.3f}" for s in sets),
        ]
        for name, one in methods.items()
    ]
    return format_table(["method", *(NAMES[m] for m in METRICS), *sets], rows)


def curves_table(figures: dict[str, Any]) -> str:
    """The means of every point of the curves."""
    rows = [["default, no labels", "", *_both(figures["default"])]]
    for curve, points in figures["curves"].items():
        rows += [[curve, at, *_both(one)] for at, one in points.items()]
    return format_table(["curve", "at", *(NAMES[m] for m in METRICS)], rows)


def _both(one: dict[str, Any]) -> list[str]:
    return [f"{one[metric]['mean']:.4f}" for metric in METRICS]


def in_words(figures: dict[str, Any]) -> list[str]:
    """Differences with their intervals, what was chosen, what it took."""
    out = []
    for metric, pairs in figures["against"].items():
        for other, pair in pairs.items():
            worst = min(pair["sets"], key=lambda name: pair["sets"][name])
            out.append(
                f"{KNOWN} - {other}, {NAMES[metric]}: {pair['mean']:+.4f}, 90 % "
                f"[{pair['low']:+.4f}, {pair['high']:+.4f}], worst on {worst} "
                f"({pair['sets'][worst]:+.4f})"
            )
    if lost := figures.get("never_labelled"):
        out.append(f"never labelled kinds: {lost['mean']:+.4f}, at worst {lost['worst']:+.4f}")
    out.append(f"weights chosen: {figures['chosen']}; seconds of a fit: {figures['fit_times']}")
    return out


def draw(figures: dict[str, Any], path: Path) -> None:
    """A panel of methods by set, and one per curve, with the default on the same batches."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained")
    sets = list(figures["methods"][KNOWN]["auroc"]["sets"])
    styles = {KNOWN: ("o", "#0072B2"), DEFAULT: ("s", "#56B4E9"), FOREST: ("^", "#E69F00")}
    styles[TREES] = ("v", "#888888")
    for name, (marker, colour) in styles.items():
        values = list(figures["methods"][name]["auroc"]["sets"].values())
        axes[0].plot(values, range(len(sets)), marker, color=colour, label=name, markersize=5)
    axes[0].set_yticks(range(len(sets)), sets, fontsize=8)
    axes[0].legend(fontsize=7, frameon=False)
    for ax, (curve, title) in zip(axes[1:], TITLES.items(), strict=True):
        points = figures["curves"].get(curve, {})
        ax.plot(list(points), [one["auroc"]["mean"] for one in points.values()], "o-", label=KNOWN)
        ax.axhline(figures["default"]["auroc"]["mean"], color="#56B4E9", label=DEFAULT)
        ax.set_xlabel(title, fontsize=8)
        ax.tick_params(labelsize=8)
    axes[1].legend(fontsize=7, frameon=False)
    for ax in axes:
        ax.grid(color="#DDDDDD", linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_xlabel("mean AUROC", fontsize=8)
    fig.savefig(path, dpi=130)
    plt.close(fig)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description="Known faults of some domains, on others.")
    parser.add_argument("--sets", nargs="+", help="default: all that are here")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--draws", type=int, default=2, help="batches per (domain, share)")
    parser.add_argument("--curves", nargs="*", help="default: all; the first seed runs them")
    parser.add_argument("--quick", action="store_true", help="1 fold, 2 domains, 1 draw, 1 seed")
    parser.add_argument("--save", type=Path, help="folder for the results")
    arguments = parser.parse_args(argv)
    arguments.max_folds = arguments.max_domains = None
    if arguments.quick:
        arguments.draws, arguments.max_domains, arguments.max_folds = 1, 2, 1
        arguments.seeds = arguments.seeds[:1]
        arguments.curves = list(QUICK) if arguments.curves is None else arguments.curves
    elif arguments.save is None:
        arguments.save = RESULTS
    here = available()
    arguments.sets = arguments.sets or here
    if missing := [name for name in arguments.sets if name not in here]:
        parser.error(f"no native data of {', '.join(missing)}; docs/native.md says how to build it")
    if not arguments.sets:
        parser.error(f"no sets in {folder()}; docs/native.md says how to build one")
    return arguments


def main() -> None:
    """Run, print, save."""
    arguments = parse()
    # Some domains are unlike all others of their set; they count here like any other.
    warnings.simplefilter("ignore", UnfamiliarBatchWarning)
    described = describe_run(arguments.seeds, (*PACKAGES, "pandas", "pyod"))
    print(run_in_words(described))
    protocol = Protocol(n_draws=arguments.draws, max_domains=arguments.max_domains)
    wanted = arguments.curves
    chosen = [HEADLINE, *(c for c in CURVES if wanted is None or c.curve in wanted)]
    memory = cache_dir() / "known-v1"
    frames = [
        run(read(name), protocol, arguments.seeds, chosen, memory, max_folds=arguments.max_folds)
        for name in arguments.sets
    ]
    figures = summarise(pd.concat(frames, ignore_index=True))
    print("", table(figures), "", curves_table(figures), "", *in_words(figures), sep="\n")
    if arguments.save is not None:
        save_json(arguments.save / "known.json", {"run": described} | figures)
        draw(figures, arguments.save / "known.png")


if __name__ == "__main__":
    main()
