"""Known anomalies: the short table of the answer, and the curves behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .markdown import picture, signed, table
from .names import in_words
from .runs import measured

OURS = "known"
NAMES = {"auroc": "AUROC", "ap": "AP"}
ABOUT = (
    "Anomalies of the training domains are known and passed as `known_anomalies=`; found are those "
    "of domains never seen, unlabelled. IsolationForest is refitted on each batch; the trees learn "
    "from the pooled rows of the training domains and their labels."
)
CURVES = {
    "domains": "labelled training domains, all known anomalies of each",
    "one of one": "one anomaly of one domain",
    "each": "known anomalies of each domain",
    "wrong": "share of the marks on normal rows, as many anomalies left among these",
    "never labelled": "kinds that are made, so never labelled: rows twice as far out, with half of "
    "their features shuffled, all moved alike",
}
Figures = dict[str, Any]


def answer(result: Figures, file: str = "") -> list[str]:
    """Return a row per method, with its distance to ours; with the file on docs/results.md."""
    rows = []
    for name, one in result["methods"].items():
        row = [f"**{in_words(name)}**" if name == OURS else in_words(name)]
        row += [f"{one[metric]['mean']:.3f}" for metric in NAMES]
        for metric in NAMES:
            pair = result["against"][metric].get(name)
            row += [f"{pair['mean']:+.4f}"] if pair else [""]
            row += [f"{pair['low']:+.4f} to {pair['high']:+.4f}"] if pair else [""]
        rows.append(row)
    header = ["method", *NAMES.values()]
    for metric in NAMES.values():
        header += [f"ours minus it, {metric}", "90 % interval"]
    says = f"{_reading(result)} {measured(result['run'], file)}"
    return [ABOUT, table(header, rows), says]


def _reading(result: Figures) -> str:
    """Say where ours is behind the default, and what kinds never labelled lose."""
    sets = result["against"]["auroc"]["default"]["sets"]
    worst = min(sets, key=lambda name: sets[name])
    said = f"Against the default the worst set is {worst} ({signed(sets[worst])})."
    if lost := result.get("never_labelled"):
        said += (
            f" Kinds that were never labelled: {signed(lost['mean'])} in the mean, "
            f"{signed(lost['worst'])} at worst."
        )
    return said


def section(result: Figures, folder: Path) -> list[str]:
    """Return every table."""
    times = result["fit_times"]
    protocol = (
        "The protocol is that of [native.md](../native.md): every domain is unseen once. What "
        "known anomalies are for, and how they are used: "
        "[known_anomalies.md](../known_anomalies.md)."
    )
    curves = (
        "Means over sets, of the first seed, one fold of each set and the first draws; the "
        f"default on the same batches has {result['default']['auroc']['mean']:.4f} and "
        f"{result['default']['ap']['mean']:.4f}."
    )
    took = (
        f"With known anomalies {times['known']:.1f}, without {times['default']:.1f}: "
        f"{times['ratio']:.1f} times as long in the mean of the sets, {times['largest_ratio']:.1f} "
        "at most. The machine was shared; the ratio holds better than the seconds."
    )
    return [
        *answer(result),
        protocol,
        *picture(folder, "known.png", "Known anomalies"),
        *(part for metric in NAMES for part in _by_set(result, metric)),
        "## The weight that was chosen",
        "Part of the discriminant in the score, in the mean over folds and seeds.",
        table(["set", "weight"], [[k, f"{v:.2f}"] for k, v in result["chosen"].items()]),
        "## Fewer labels, wrong ones, none of the kind",
        curves,
        *_curves(result),
        "## Seconds of a fit",
        took,
    ]


def _by_set(result: Figures, metric: str) -> list[str]:
    methods = result["methods"]
    sets = list(methods[OURS][metric]["sets"])
    rows = [
        [
            f"**{name}**" if name == OURS else name,
            f"{one[metric]['mean']:.3f}",
            *(f"{one[metric]['sets'][s]:.3f}" for s in sets),
        ]
        for name, one in methods.items()
    ]
    return [f"## {NAMES[metric]} of each set", table(["method", "mean", *sets], rows)]


def _curves(result: Figures) -> list[str]:
    out = []
    for name, points in result["curves"].items():
        rows = [[at, *(f"{one[m]['mean']:.4f}" for m in NAMES)] for at, one in points.items()]
        out += [f"{CURVES[name].capitalize()}:", table(["", *NAMES.values()], rows)]
    if lost := result.get("never_labelled"):
        kinds = list(next(iter(lost["sets"].values())))
        rows = [[s, *(signed(one[kind]) for kind in kinds)] for s, one in lost["sets"].items()]
        out += ["What labels cost each of these kinds:", table(["set", *kinds], rows)]
    return out
