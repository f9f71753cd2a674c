"""Real anomalies: labelled where they happened, on domains never seen, against refitted rivals.

Run ``make bench-native``, or ``python benchmarks/bench_native.py --help`` for the options. It
prints a table and writes native.json and native.png to benchmarks/results; ``--quick`` takes fewer
domains, draws and rivals, and writes nothing. docs/native.md says where the sets come from and how
to add one.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _report import PACKAGES, RESULTS, describe_run, format_table, run_in_words, save_json
from native.cuts import MEASURES
from native.data import available, folder, read
from native.methods import QUICK_RIVALS, entries
from native.protocol import Protocol
from native.run import run
from native.summary import METRICS, Results, summarise, verdict

from acr_sklearn.exceptions import UnfamiliarBatchWarning

NAMES = {"auroc": "AUROC", "ap": "AP"}
COLOURS = {"ours": "#0072B2", "control": "#CC79A7", "rival": "#888888"}
MARKERS = "osD^vP*X<>hp"


def table(figures: dict[str, Any]) -> str:
    """The means of every method, best first: over sets, then of each set."""
    sets = list(figures["sets"])
    header = ["method", *(NAMES[m] for m in METRICS), *sets]
    rows = [
        [
            label,
            *(f"{method[m]['mean']:.3f}" for m in METRICS),
            *(f"{method['auroc']['sets'][name]:.3f}" for name in sets),
        ]
        for label, method in figures["methods"].items()
    ]
    n_domains = sum(size["domains"] for size in figures["sets"].values())
    n_batches = sum(size["batches"] for size in figures["sets"].values())
    size = f"{n_batches:,} batches of {n_domains} domains; single sets by AUROC"
    return "\n".join([format_table(header, rows), size])


def thresholds(figures: dict[str, Any]) -> str:
    """What is called an anomaly: means over sets, of each method and threshold."""
    rows = [
        [f"{label}: {cut}", *(f"{measures[m]['mean']:.3f}" for m in MEASURES)]
        for label, cuts in figures["thresholds"].items()
        for cut, measures in cuts.items()
    ]
    return format_table(["threshold", *MEASURES], rows) + "\n" if rows else ""


def verdicts(figures: dict[str, Any]) -> list[str]:
    """Each of our methods against every other one, by AUROC and by average precision."""
    out = []
    for label, pairs in figures["against"].items():
        for metric, others in pairs.items():
            out += [
                f"{label} - {other}, {NAMES[metric]}: {in_words(pair)}"
                for other, pair in others.items()
            ]
        if any(method["role"] == "rival" for method in figures["methods"].values()):
            out.append(f"{label}: {verdict_in_words(verdict(figures, label))}")
    return out


def in_words(pair: dict[str, Any]) -> str:
    """A paired difference with its interval."""
    return f"{pair['mean']:+.4f}, 90 % [{pair['low']:+.4f}, {pair['high']:+.4f}]"


def verdict_in_words(found: dict[str, Any]) -> str:
    """What a method is ahead of, and where it is behind."""
    words = f"{found['lead']:+.4f} to the best rival, {found['best_rival']}"
    words += f"; AP {found['lead_ap']:+.4f} to {found['best_rival_ap']}"
    if "lead_iforest" in found:
        words += f"; {found['lead_iforest']:+.4f} to iforest"
        words += f", worst on {found['worst_set']} ({found['worst']:+.4f})"
    return words


def draw(figures: dict[str, Any], path: Path) -> None:
    """Per metric a panel: a line per method with its sets and their mean."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    height = 0.26 * len(figures["methods"]) + 1.6
    fig, axes = plt.subplots(1, len(METRICS), figsize=(11, height), layout="constrained")
    for ax, metric in zip(axes, METRICS, strict=True):
        _panel(ax, metric, figures)
    axes[1].set_yticklabels([])
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=8, frameon=False, fontsize=8)
    fig.savefig(path, dpi=130)
    plt.close(fig)


def _panel(ax: Any, metric: str, figures: dict[str, Any]) -> None:
    methods = figures["methods"]
    places = range(len(methods))
    for i, name in enumerate(figures["sets"]):
        values = [method[metric]["sets"][name] for method in methods.values()]
        style = {"marker": MARKERS[i % len(MARKERS)], "color": f"C{i}", "linestyle": "none"}
        ax.plot(values, places, markersize=4, alpha=0.7, label=name, **style)
    means = [method[metric]["mean"] for method in methods.values()]
    style = {"marker": "|", "color": "black", "linestyle": "none", "markeredgewidth": 2}
    ax.plot(means, places, markersize=11, label="mean of the sets", **style)
    ax.set_yticks(places, list(methods), fontsize=8)
    for text, method in zip(ax.get_yticklabels(), methods.values(), strict=True):
        text.set_color(COLOURS[method["role"]])
    ax.set_xlabel(NAMES[metric], fontsize=9)
    ax.tick_params(axis="x", labelsize=8)
    ax.set_ylim(len(methods) - 0.4, -0.6)
    ax.grid(color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description="Real anomalies on domains never seen.")
    parser.add_argument("--sets", nargs="+", help="default: all that are here")
    parser.add_argument("--methods", nargs="+", help="acr, controls, rivals, a name of these, m:f")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--draws", type=int, default=2, help="batches per (domain, share)")
    parser.add_argument("--max-domains", type=int, help="of a fold; default: all")
    parser.add_argument(
        "--quick", action="store_true", help="1 draw, 2 domains a fold, 1 seed, 5 rivals; unsaved"
    )
    parser.add_argument("--reuse", action="store_true", help="stored results of detectors too")
    parser.add_argument("--no-cache", action="store_true", help="neither read nor store results")
    parser.add_argument("--save", type=Path, help="folder for the results")
    arguments = parser.parse_args(argv)
    if arguments.quick:
        arguments.draws, arguments.max_domains, arguments.seeds = 1, 2, arguments.seeds[:1]
    elif arguments.save is None:
        arguments.save = RESULTS
    if arguments.methods is None:
        rivals = QUICK_RIVALS if arguments.quick else ("rivals",)
        former = [] if arguments.quick else ["acr_combined"]
        arguments.methods = ["acr", *former, "controls", *rivals]
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
    described = describe_run(arguments.seeds, (*PACKAGES, "pandas", "pyod", "pythresh"))
    print(run_in_words(described))
    protocol = Protocol(n_draws=arguments.draws, max_domains=arguments.max_domains)
    chosen = entries(arguments.methods, arguments.seeds, arguments.reuse)
    results: Results = {}
    origins = {}
    for name in arguments.sets:
        data = read(name)
        results[name] = run(data, chosen, protocol, cache=not arguments.no_cache)
        origins[name] = {"source": data.source, "licence": data.licence}
    figures = summarise(results)
    print("", table(figures), "", thresholds(figures), *verdicts(figures), sep="\n", flush=True)
    if arguments.save is not None:
        setting = vars(protocol) | {"methods": arguments.methods}
        content = {"run": described, "setting": setting, "origins": origins} | figures
        save_json(arguments.save / "native.json", content)
        draw(figures, arguments.save / "native.png")


if __name__ == "__main__":
    main()
