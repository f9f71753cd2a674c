"""What the results of a set come to: means per method, and ours against the rivals."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pandas as pd

from .controls import CONTROLS
from .protocol import cell_means, compare
from .rivals import RIVALS

METRICS = ("auroc", "ap")
#: Kinds of anomaly that are reported together: natural ones, and those that are made.
PARTS = {"natural": ("natural",), "made": ("shuffled", "cluster")}
DIGITS = 5  # more would change with every run's rounding and hide what did change


def summarise(results: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Return the figures of a set, the methods sorted by overall AUROC, best first.

    ``overall`` and the mean of a kind weigh the (kind, share) cells equally, and within a cell
    every scored domain. ``spread`` is the standard deviation over domains, ``seed_spread`` the
    one of the overall mean over seeds (0 for one seed).
    """
    methods = {label: _method(label, frame) for label, frame in results.items()}
    order = sorted(methods, key=lambda label: -methods[label]["auroc"]["overall"])
    first = next(iter(results.values()))
    first = first[first["seed"] == first["seed"].iloc[0]]
    return {
        "splits": int(first["split"].nunique()),
        "domains": int(first["domain"].nunique()),
        "batches": len(first),
        "methods": {label: methods[label] for label in order},
        "comparison": _comparison(results, methods),
        "against": _against(results, methods),
        "parts": _parts(results, methods),
    }


def role(label: str) -> str:
    """Return "rival", "control", "paper" or, for everything else, "ours"."""
    if label in RIVALS:
        return "rival"
    return "control" if label in CONTROLS else "paper" if label == "paper" else "ours"


def _method(label: str, frame: pd.DataFrame) -> dict[str, Any]:
    return {
        "role": role(label),
        "rival": label in RIVALS,
        "seeds": sorted(map(int, frame["seed"].unique())),
        **{metric: _means(frame, metric) for metric in METRICS},
        "fit_seconds": _rounded(frame["fit_seconds"].mean()),
        "score_seconds": _rounded(frame["score_seconds"].mean()),
    }


def _means(frame: pd.DataFrame, metric: str) -> dict[str, Any]:
    cells = cell_means(frame, metric)
    domains = frame.groupby(["split", "domain"], observed=True)[metric].mean()
    seeds = [cell_means(one, metric).mean() for _, one in frame.groupby("seed")]
    kinds = cells.groupby(level="kind").mean()
    return {
        "overall": _rounded(cells.mean()),
        **{str(kind): _rounded(value) for kind, value in kinds.items()},
        "spread": _rounded(domains.std(ddof=0)),
        "seed_spread": _rounded(pd.Series(seeds).std(ddof=0)),
        "cells": {f"{kind} {share:.0%}": _rounded(x) for (kind, share), x in cells.items()},
    }


def _comparison(
    results: dict[str, pd.DataFrame], methods: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Every method of ours against the rival that is best by the same metric."""
    rivals = [label for label in methods if methods[label]["rival"]]
    if not rivals:
        return {}
    best = {m: max(rivals, key=lambda label: methods[label][m]["overall"]) for m in METRICS}
    return {
        label: {metric: _pair(results, label, best[metric], metric) for metric in METRICS}
        for label in methods
        if methods[label]["role"] == "ours"
    }


def _against(
    results: dict[str, pd.DataFrame], methods: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Every method of ours against every rival, control and recipe by AUROC, the best first."""
    order = sorted(methods, key=lambda label: -methods[label]["auroc"]["overall"])
    others = [label for label in order if methods[label]["role"] != "ours"]
    return {
        label: {other: _difference(results, label, other, "auroc") for other in others}
        for label in order
        if others and label not in others
    }


def _parts(
    results: dict[str, pd.DataFrame], methods: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """As `_against`, for natural anomalies and for those that are made by themselves."""
    found: dict[str, dict[str, Any]] = {}
    for part, kinds in PARTS.items():
        of_part = {name: frame[frame["kind"].isin(kinds)] for name, frame in results.items()}
        if any(frame.empty for frame in of_part.values()):
            continue
        for label, others in _against(of_part, methods).items():
            found.setdefault(label, {})[part] = others
    return found


def _pair(results: dict[str, pd.DataFrame], label: str, rival: str, metric: str) -> dict[str, Any]:
    return {"rival": rival} | _difference(results, label, rival, metric)


def _difference(
    results: dict[str, pd.DataFrame], label: str, rival: str, metric: str
) -> dict[str, Any]:
    figures = asdict(compare(results[label], results[rival], metric))
    return {name: _rounded(value) for name, value in figures.items()}


def _rounded(value: float) -> float:
    return round(float(value), DIGITS) if not isinstance(value, int) else value
