"""Detection quality on domains never seen, against detectors refitted on the batch.

Run ``make bench-quality``, or ``python benchmarks/bench_quality.py --help`` for the options. It
prints a table per set and writes quality-<split>.json and quality-<split>.png to
benchmarks/results. Every choice is made on the validation split; the test split is run once per
release, and only with the file that counts its runs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _report import PACKAGES, RESULTS, describe_run, format_table, run_in_words, save_json
from quality.datasets import SETS, available
from quality.protocol import KINDS, Protocol
from quality.run import entries, run
from quality.summary import METRICS, summarise

COLUMNS = ("overall", *KINDS)
NAMES = {"auroc": "AUROC", "ap": "AP"}
COLOURS = {"natural": "#009E73", "shuffled": "#E69F00", "cluster": "#CC79A7"}
MARKERS = {"natural": "o", "shuffled": "^", "cluster": "s"}
OURS = "#0072B2"


def table(name: str, figures: dict[str, Any]) -> str:
    """The means of every method on a set, best overall AUROC first."""
    header = [name, *(f"{NAMES[m]} {c}" for m in METRICS for c in COLUMNS), "spread"]
    rows = [
        [
            label,
            *(f"{method[m][c]:.3f}" if c in method[m] else "" for m in METRICS for c in COLUMNS),
            f"{method['auroc']['spread']:.3f}",
        ]
        for label, method in figures["methods"].items()
    ]
    size = (
        f"{figures['batches']:,} batches of {figures['domains']} domains in {figures['splits']} "
        "splits; spread: standard deviation of the AUROC over domains"
    )
    return "\n".join([format_table(header, rows), size])


def verdicts(figures: dict[str, Any]) -> list[str]:
    """Each of our methods against the rival that is best on this set."""
    return [
        f"{label} - {pair['rival']}, {NAMES[metric]}: {difference(pair)} over "
        f"{pair['n_domains']} domains, wins {pair['win_share']:.0%} of the batches"
        for label, pairs in figures["comparison"].items()
        for metric, pair in pairs.items()
    ]


def difference(pair: dict[str, Any]) -> str:
    """A paired difference with its interval."""
    return f"{pair['mean']:+.4f}, 90 % [{pair['low']:+.4f}, {pair['high']:+.4f}]"


def draw(sets: dict[str, Any], path: Path) -> None:
    """Per set a row, per metric a panel: the mean of each kind and the overall mean."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    heights = [len(figures["methods"]) + 3 for figures in sets.values()]
    fig, axes = plt.subplots(
        len(sets),
        len(METRICS),
        figsize=(11, 0.23 * sum(heights) + 0.8),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for row, (name, figures) in zip(axes, sets.items(), strict=True):
        for ax, metric in zip(row, METRICS, strict=True):
            _panel(ax, metric, figures)
        row[0].set_title(name, fontsize=11, weight="bold", loc="left")
        row[1].set_yticklabels([])
    handles, labels = axes[0][0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    fig.savefig(path, dpi=130)
    plt.close(fig)


def _panel(ax: Any, metric: str, figures: dict[str, Any]) -> None:
    methods = figures["methods"]
    places = range(len(methods))
    for kind in KINDS:
        means = [method[metric].get(kind, float("nan")) for method in methods.values()]
        style = {"marker": MARKERS[kind], "color": COLOURS[kind], "linestyle": "none"}
        ax.plot(means, places, markersize=4.5, alpha=0.8, label=kind, **style)
    overall = [method[metric]["overall"] for method in methods.values()]
    style = {"marker": "|", "color": "black", "linestyle": "none", "markeredgewidth": 2}
    ax.plot(overall, places, markersize=11, label="mean of the kinds and shares", **style)
    ax.set_yticks(places, list(methods), fontsize=8)
    for text, method in zip(ax.get_yticklabels(), methods.values(), strict=True):
        if method["role"] == "ours":
            text.set(color=OURS, weight="bold")
    for place, method in zip(places, methods.values(), strict=True):
        if method["role"] == "ours":
            ax.axhspan(place - 0.5, place + 0.5, color=OURS, alpha=0.12, linewidth=0)
    pairs = [(label, pair[metric]) for label, pair in figures["comparison"].items()]
    lines = [f"{label} - {pair['rival']}: {difference(pair)}" for label, pair in pairs]
    ax.set_title("\n".join(lines), fontsize=8, loc="right")
    ax.set_xlabel(NAMES[metric], fontsize=9)
    ax.tick_params(axis="x", labelsize=8)
    ax.set_ylim(len(methods) - 0.4, -0.6)
    ax.grid(color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def count_test_run(path: Path, run_words: dict[str, Any], arguments: argparse.Namespace) -> int:
    """Append to the record of test runs, before the run: a look that fails is a look."""
    runs = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    runs.append(
        {name: run_words[name] for name in ("date", "commit", "seeds")}
        | {"sets": arguments.sets, "methods": arguments.methods}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(runs, indent=2) + "\n", encoding="utf-8")
    return len(runs)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options, and refuse the test split to whoever did not name its record."""
    parser = argparse.ArgumentParser(description="Detection quality on domains never seen.")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), help="default: all that are here")
    parser.add_argument("--split", default="validation", choices=["validation", "test"])
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["acr", "paper", "controls", "rivals"],
        help="acr, paper, controls, rivals, one of them, module:function",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--rival-seeds", type=int, help="of all but our detector; default: all seeds"
    )
    parser.add_argument("--batches", type=int, default=10, help="per (domain, kind, share)")
    parser.add_argument("--batch-size", type=int, default=500)
    parser.add_argument("--max-domains", type=int, help="of a split; default: all")
    parser.add_argument("--max-splits", type=int, help="of a set; default: all")
    parser.add_argument(
        "--quick", action="store_true", help="1 batch, 4 domains, 3 splits; saved only by --save"
    )
    parser.add_argument("--reuse", action="store_true", help="stored results of detectors too")
    parser.add_argument("--no-cache", action="store_true", help="neither read nor store results")
    parser.add_argument("--save", type=Path, help="folder for the results")
    parser.add_argument("--test-runs", type=Path, help="record of test runs, for --split test")
    arguments = parser.parse_args(argv)
    if arguments.split == "test" and arguments.test_runs is None:
        parser.error(
            "the test domains are run once per release, and every run is counted: "
            "`make bench-quality SPLIT=test`, or name the record with --test-runs"
        )
    if arguments.quick:
        arguments.batches, arguments.max_domains, arguments.max_splits = 1, 4, 3
    elif arguments.save is None:
        arguments.save = RESULTS
    here = available(arguments.split)
    arguments.sets = arguments.sets or here
    if missing := [name for name in arguments.sets if name not in here]:
        parser.error(
            f"no {arguments.split} data of {', '.join(missing)}: `make bench-data` fetches the "
            "sets; mnist is the unseen set and has a test part only"
        )
    return arguments


def main() -> None:
    """Run, print, save."""
    arguments = parse()
    described = describe_run(arguments.seeds, (*PACKAGES, "pandas", "pyod"))
    print(run_in_words(described))
    if left := [name for name in SETS if name not in arguments.sets]:
        print(f"Sets not run: {', '.join(left)}.")
    result: dict[str, Any] = {"run": described}
    if arguments.split == "test":
        result["test_run"] = count_test_run(arguments.test_runs, described, arguments)
    unsaid = {"save", "test_runs", "seeds"}
    protocol = Protocol(
        batch_size=arguments.batch_size,
        n_batches=arguments.batches,
        max_domains=arguments.max_domains,
    )
    result["setting"] = {k: v for k, v in vars(arguments).items() if k not in unsaid}
    result["setting"]["shares"] = protocol.shares
    result["sets"] = {}
    chosen = entries(arguments.methods, arguments.seeds, arguments.reuse, arguments.rival_seeds)
    for name in arguments.sets:
        results = run(
            name,
            arguments.split,
            chosen,
            protocol,
            max_splits=arguments.max_splits,
            cache=not arguments.no_cache,
        )
        figures = result["sets"][name] = summarise(results)
        print("", table(name, figures), *verdicts(figures), sep="\n", flush=True)
    if arguments.save is not None:
        stem = f"quality-{arguments.split}"
        save_json(arguments.save / f"{stem}.json", result)
        draw(result["sets"], arguments.save / f"{stem}.png")


if __name__ == "__main__":
    main()
