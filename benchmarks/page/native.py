"""Real anomalies: the short table of the answer, and the long ones behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from native.cuts import MEASURES

from .markdown import picture, signed, table
from .names import LEGEND, in_words
from .runs import measured

NAMES = {"auroc": "AUROC", "ap": "AP"}
OURS = "acr"
#: Rivals shown in the answer, the best ones by each metric.
_SHOWN = 3
DIFFERENCES = (
    "Ours minus each method, paired by domain; the interval draws the domains of every set anew."
)
THRESHOLDS = (
    "What is called an anomaly, at shares of 2 to 20 %: F1 and balanced accuracy of the calls, and "
    "false alarms, the share of normal rows that are flagged. Of acr the settings of `threshold` "
    "and `contamination`; of IsolationForest refitted on the batch a stated share of .1, as PyOD "
    "takes it, and the methods of pythresh on its scores."
)
FLAGGED = (
    "What is called an anomaly: F1 and balanced accuracy of the calls, and false alarms, the share "
    "of normal rows that are flagged."
)
Figures = dict[str, Any]


def answer(result: Figures) -> list[str]:
    """Return ours, the controls and the best rivals, each with its distance to ours."""
    shown = [name for name in result["methods"] if name in _chosen(result["methods"])]
    header, rows = _against(result, shown)
    rows = [[_name(name), *row[1:]] for name, row in zip(shown, rows, strict=True)]
    return [table(header, rows), _reading(result), measured(result["run"], "native.json")]


def _name(method: str) -> str:
    return f"**{in_words(method)}**" if method == OURS else in_words(method)


def _chosen(methods: Figures) -> set[str]:
    rivals = [name for name, one in methods.items() if one["role"] == "rival"]
    chosen = {name for name, one in methods.items() if one["role"] != "rival"}
    chosen |= {"iforest"} & set(rivals)
    for metric in NAMES:
        chosen |= set(sorted(rivals, key=lambda name: -methods[name][metric]["mean"])[:_SHOWN])
    return chosen


def _against(result: Figures, names: list[str]) -> tuple[list[str], list[list[str]]]:
    header = ["method", "role", "AUROC", "AP"]
    for metric in NAMES.values():
        header += [f"ours minus it, {metric}", "90 % interval"]
    rows = []
    for name in names:
        one, bold = result["methods"][name], name == OURS
        row = [f"**{name}**" if bold else name, one["role"]]
        row += [f"{one[metric]['mean']:.3f}" for metric in NAMES]
        for metric in NAMES:
            row += _difference(result["against"].get(OURS, {}).get(metric, {}).get(name))
        rows.append(row)
    return header, rows


def _difference(pair: Figures | None) -> list[str]:
    if pair is None:
        return ["", ""]
    return [f"{pair['mean']:+.4f}", f"{pair['low']:+.4f} to {pair['high']:+.4f}"]


def _reading(result: Figures) -> str:
    """Say what ours is ahead of, and where it is behind."""
    methods, pairs = result["methods"], result["against"].get(OURS, {}).get("auroc", {})
    rivals = [name for name in pairs if methods[name]["role"] == "rival"]
    if not rivals:
        return "No rival was run."
    best = max(rivals, key=lambda name: methods[name]["auroc"]["mean"])
    said = [_lead(best, pairs[best])]
    if "iforest" in pairs:
        said += [] if best == "iforest" else [_lead("iforest", pairs["iforest"])]
        sets = pairs["iforest"]["sets"]
        worst = min(sets, key=lambda name: sets[name])
        behind = sum(value < 0 for value in sets.values())
        said.append(
            f"Ours is behind IsolationForest on {behind} of {len(sets)} sets, at worst on {worst} "
            f"({signed(sets[worst])})."
        )
    for control, words in (
        ("untrained", "What training the network adds"),
        ("statistics", "What the network adds to the statistics of the batch"),
    ):
        if control in pairs:
            said.append(f"{words}: {_in_words(pairs[control])}.")
    return " ".join(said)


def _lead(rival: str, pair: Figures) -> str:
    return f"Ours minus {in_words(rival)}, in AUROC: {_in_words(pair)}."


def _in_words(pair: Figures) -> str:
    return f"{pair['mean']:+.4f} (90 % interval {pair['low']:+.4f} to {pair['high']:+.4f})"


def section(result: Figures, folder: Path) -> list[str]:
    """Return every table."""
    setting, sizes = result["setting"], result["sets"]
    n_domains, n_batches = (sum(s[k] for s in sizes.values()) for k in ("domains", "batches"))
    shares = ", ".join(f"{share:.0%}" for share in setting["shares"])
    protocol = (
        f"{n_domains} domains of {len(sizes)} sets, each unseen once in {setting['n_folds']} "
        f"folds; {n_batches:,} batches of up to {setting['n_normals']} normal rows with {shares} "
        f"labelled anomalies, {setting['n_draws']} per (domain, share). Means over the batches of "
        "a domain, its domains, the sets. [native.md](../native.md) says where the sets come from."
    )
    return [
        measured(result["run"]),
        protocol,
        LEGEND,
        *picture(folder, "native.png", "Real anomalies"),
        "## Against ours",
        DIFFERENCES,
        table(*_against(result, list(result["methods"]))),
        _reading(result),
        *(part for metric in NAMES for part in _by_set(result, metric)),
        "## By share of anomalies",
        *_by_share(result),
        *_thresholds(result),
        "## Seconds",
        _seconds(result),
        "## Sets",
        _sets(result),
    ]


def _by_set(result: Figures, metric: str) -> list[str]:
    header = ["method", "mean", *result["sets"]]
    rows = [
        [
            f"**{name}**" if one["role"] == "ours" else name,
            *(f"{value:.3f}" for value in (one[metric]["mean"], *one[metric]["sets"].values())),
        ]
        for name, one in sorted(
            result["methods"].items(), key=lambda item: -item[1][metric]["mean"]
        )
    ]
    return [f"## {NAMES[metric]} of each set", table(header, rows)]


def _by_share(result: Figures) -> list[str]:
    shares = list(next(iter(result["methods"].values()))["auroc"]["shares"])
    header = ["method", *(f"{title} at {share}" for title in NAMES.values() for share in shares)]
    rows = [
        [name, *(f"{one[metric]['shares'][share]:.3f}" for metric in NAMES for share in shares)]
        for name, one in result["methods"].items()
    ]
    return [table(header, rows)]


def _thresholds(result: Figures) -> list[str]:
    found = result.get("thresholds")
    if not found:
        return []
    means = [
        [f"{label}: {cut}", *(f"{measures[m]['mean']:.3f}" for m in MEASURES)]
        for label, cuts in found.items()
        for cut, measures in cuts.items()
    ]
    out = [
        "## Thresholds",
        THRESHOLDS,
        table(["threshold", *MEASURES], means),
    ]
    for measure in MEASURES:
        rows = [
            [f"{label}: {cut}", *(f"{value:.3f}" for value in measures[measure]["sets"].values())]
            for label, cuts in found.items()
            for cut, measures in cuts.items()
        ]
        out += [
            f"### {measure.capitalize()} of each set",
            table(["threshold", *result["sets"]], rows),
        ]
    return out


def flagged(result: Figures) -> list[str]:
    """Return what is flagged by each setting of ours, and by the best of the others."""
    found = result.get("thresholds", {})
    if OURS not in found:
        return []
    rows = [[f"ours: {cut}", *_rates(measures)] for cut, measures in found[OURS].items()]
    others = {
        f"{in_words(name)}, refitted: {cut}": measures
        for name, cuts in found.items()
        if name != OURS
        for cut, measures in cuts.items()
    }
    if others:
        best = max(others, key=lambda name: others[name]["f1"]["mean"])
        rows.append([best, *_rates(others[best])])
    header = ("threshold and contamination", "F1", "balanced accuracy", "false alarms")
    says = FLAGGED + (" The last line has the best F1 of all others tried." if others else "")
    return [says, table(header, rows)]


def _rates(measures: Figures) -> list[str]:
    return [f"{measures[name]['mean']:.3f}" for name in MEASURES]


def _seconds(result: Figures) -> str:
    rows = [
        [
            name,
            ", ".join(map(str, one["seeds"])),
            f"{one['fit_seconds']:.2f}",
            f"{1000 * one['score_seconds']:.1f}",
        ]
        for name, one in result["methods"].items()
    ]
    return table(["method", "seeds", "seconds per fit", "milliseconds per batch"], rows)


def _sets(result: Figures) -> str:
    rows = [
        [name, str(size["domains"]), str(size["batches"]), origin["source"], origin["licence"]]
        for name, size in result["sets"].items()
        for origin in [result["origins"][name]]
    ]
    return table(["set", "domains", "batches", "source", "licence"], rows)
