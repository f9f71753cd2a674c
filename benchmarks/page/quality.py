"""Quality on unseen domains: all methods, paired differences, every loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quality.protocol import KINDS
from quality.summary import METRICS

from .markdown import picture, signed, table
from .names import LEGEND
from .runs import measured

NAMES = {"auroc": "AUROC", "ap": "AP"}
COLUMNS = ("overall", *KINDS, "spread")
#: Smaller differences lie within what another seed changes.
_LEAST_LOSS = 0.005
NOT_EXPLAINED = "not explained yet"
Figures = dict[str, Any]
Causes = dict[str, dict[str, str]]


def section(part: str, result: Figures, causes: Causes, folder: Path) -> list[str]:
    """Return the paragraphs on one part, validation or test."""
    setting = result["setting"]
    shares = ", ".join(f"{share:.0%}" for share in setting["shares"])
    protocol = (
        f"Batches of up to {setting['batch_size']} rows with {shares} anomalies, "
        f"{setting['batches']} per (domain, kind, share). Means weigh every (kind, share) alike; "
        "sd is the standard deviation over domains. Ours are in bold."
    )
    out = [
        measured(result["run"]),
        protocol,
        LEGEND,
        *picture(folder, f"quality-{part}.png", f"Quality on {part} domains"),
    ]
    for name, figures in result["sets"].items():
        out += [f"## {name}", *_of_set(figures)]
    lost = losses(result["sets"])
    out += [
        "## Losses",
        f"Every rival that is ahead on a set, or in a cell of it by at least {_LEAST_LOSS}.",
    ]
    out.append(loss_table(lost, causes) if lost else "None.")
    return out


def _of_set(figures: Figures) -> list[str]:
    size = (
        f"{figures['batches']:,} batches of {figures['domains']} domains in {figures['splits']} "
        "splits."
    )
    found = [size, methods_table(figures["methods"])]
    rows = differences(figures)
    if not rows:
        return found
    header = ["ours", "rival", "metric", "mean difference", "90 % interval", "wins", "domains"]
    return [*found, "Ours minus the rival on the same batches:", table(header, rows)]


def methods_table(methods: Figures) -> str:
    """Return a row per method, in the order of the file: best overall AUROC first."""
    titles = {"overall": "mean", "spread": "sd"}
    header = ["method", *(f"{NAMES[m]} {titles.get(c, c)}" for m in METRICS for c in COLUMNS)]
    header.append("sd over seeds")
    rows = [
        [
            f"**{name}**" if _is_ours(one) else name,
            *(f"{one[m][c]:.3f}" if c in one[m] else "" for m in METRICS for c in COLUMNS),
            f"{one['auroc']['seed_spread']:.3f}",
        ]
        for name, one in methods.items()
    ]
    return table(header, rows)


def differences(figures: Figures) -> list[list[str]]:
    """Return ours against every rival by AUROC, and against the best one by the other metrics.

    A file without ``against`` has the best rival only.
    """
    rows = []
    for ours, best in figures["comparison"].items():
        every = figures.get("against", {}).get(ours) or {best["auroc"]["rival"]: best["auroc"]}
        rows += [_difference(ours, rival, "auroc", pair) for rival, pair in every.items()]
        others = [metric for metric in best if metric != "auroc"]
        rows += [_difference(ours, best[m]["rival"], m, best[m]) for m in others]
    return rows


def _difference(ours: str, rival: str, metric: str, pair: Figures) -> list[str]:
    interval = f"{signed(pair['low'])} to {signed(pair['high'])}"
    wins = f"{pair['win_share']:.0%}"
    return [
        ours,
        rival,
        NAMES[metric],
        signed(pair["mean"]),
        interval,
        wins,
        str(pair["n_domains"]),
    ]


def _is_ours(method: Figures) -> bool:
    return bool(method.get("role", "rival" if method["rival"] else "ours") == "ours")


def losses(sets: Figures) -> list[Figures]:
    """Return, per set, method of ours, rival and metric, what the rival is ahead on."""
    found = []
    for name, figures in sets.items():
        methods = figures["methods"]
        ours = [label for label, one in methods.items() if _is_ours(one)]
        rivals = [label for label, one in methods.items() if one["rival"]]
        for own in ours:
            for rival in rivals:
                for metric in METRICS:
                    one = _loss(methods[own][metric], methods[rival][metric])
                    where = {"set": name, "ours": own, "rival": rival, "metric": metric}
                    found += [where | one] if one["cells"] or one["overall"] < 0 else []
    return found


def _loss(own: Figures, rival: Figures) -> Figures:
    cells = {cell: value - rival["cells"][cell] for cell, value in own["cells"].items()}
    worst_first = sorted(cells.items(), key=lambda item: item[1])
    lost = {cell: value for cell, value in worst_first if value <= -_LEAST_LOSS}
    return {"overall": own["overall"] - rival["overall"], "cells": lost}


def loss_table(lost: list[Figures], causes: Causes) -> str:
    """Return a row per loss, with its cause."""
    header = ["set", "rival", "ours", "metric", "whole set", "cells lost", "cause"]
    rows = [
        [
            one["set"],
            one["rival"],
            one["ours"],
            NAMES[one["metric"]],
            signed(one["overall"]),
            "<br>".join(f"{cell} {signed(value)}" for cell, value in one["cells"].items()),
            causes.get(one["set"], {}).get(one["rival"]) or NOT_EXPLAINED,
        ]
        for one in lost
    ]
    return table(header, rows)


def idle_causes(lost: list[Figures], causes: Causes) -> list[str]:
    """Return the causes that explain no loss any more."""
    needed = {(one["set"], one["rival"]) for one in lost}
    return [f"{s}, {r}" for s, rivals in causes.items() for r in rivals if (s, r) not in needed]
