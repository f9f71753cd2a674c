"""What the results come to: means per set and over sets, and ours against everyone else.

A domain is the mean of its batches, a set the mean of its domains, the whole the mean of the sets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .cuts import MEASURES
from .methods import role

METRICS = ("auroc", "ap")
DIGITS = 5
N_BOOT = 10_000
Results = dict[str, dict[str, pd.DataFrame]]  # set -> label -> rows


def by_domain(frame: pd.DataFrame, metric: str) -> pd.Series:
    """Return the mean of each domain over its batches, seeds and shares counting alike."""
    cells = frame.groupby(["domain", "share"], observed=True)[metric].mean()
    return cells.groupby("domain", observed=True).mean()


def difference(results: Results, label: str, other: str, metric: str) -> dict[str, Any]:
    """Return the paired difference of two methods, with a 90 % bootstrap over domains.

    ``mean`` is the mean over sets of the mean over domains; ``low`` and ``high`` bound it when
    the domains of every set are drawn anew. ``domains_mean``, ``domains_low`` and
    ``domains_high`` are the same with all domains of all sets in one pot.
    """
    deltas = [
        (by_domain(found[label], metric) - by_domain(found[other], metric)).to_numpy()
        for found in results.values()
    ]
    if any(np.isnan(delta).any() for delta in deltas):
        raise ValueError(f"{label} and {other} were not run on the same batches.")
    rng = np.random.default_rng(0)
    of_sets = np.mean([_resampled(delta, rng) for delta in deltas], axis=0)
    pooled = np.concatenate(deltas)
    of_domains = _resampled(pooled, rng)
    figures = {
        "mean": np.mean([delta.mean() for delta in deltas]),
        "low": np.quantile(of_sets, 0.05),
        "high": np.quantile(of_sets, 0.95),
        "domains_mean": pooled.mean(),
        "domains_low": np.quantile(of_domains, 0.05),
        "domains_high": np.quantile(of_domains, 0.95),
    }
    sets = {name: _rounded(delta.mean()) for name, delta in zip(results, deltas, strict=True)}
    return {name: _rounded(value) for name, value in figures.items()} | {"sets": sets}


def _resampled(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return means of draws of the values with replacement."""
    n = len(values)
    times = rng.multinomial(n, np.full(n, 1 / n), size=N_BOOT)
    return times @ values / n


def summarise(results: Results) -> dict[str, Any]:
    """Return every figure of the benchmark, the methods sorted by mean AUROC, best first."""
    labels = list(next(iter(results.values())))
    methods = {label: _method(results, label) for label in labels}
    order = sorted(labels, key=lambda label: -methods[label]["auroc"]["mean"])
    ours = [label for label in order if role(label) == "ours"]
    return {
        "sets": {name: _size(found) for name, found in results.items()},
        "methods": {label: methods[label] for label in order},
        "against": {
            label: {
                metric: {
                    other: difference(results, label, other, metric)
                    for other in order
                    if other != label
                }
                for metric in METRICS
            }
            for label in ours
        },
        "thresholds": {label: found for label in order if (found := thresholds(results, label))},
    }


def thresholds(results: Results, label: str) -> dict[str, Any]:
    """Return, per threshold and measure, the mean over sets and each set; empty without any."""
    frames = {name: found[label] for name, found in results.items()}
    columns = next(iter(frames.values())).columns
    cuts = dict.fromkeys(column.split("|")[0] for column in columns if "|" in column)
    return {
        cut: {measure: _of_sets(frames, f"{cut}|{measure}") for measure in MEASURES} for cut in cuts
    }


def _of_sets(frames: dict[str, pd.DataFrame], metric: str) -> dict[str, Any]:
    sets = {name: by_domain(frame, metric).mean() for name, frame in frames.items()}
    return {
        "mean": _rounded(np.mean(list(sets.values()))),
        "sets": {name: _rounded(value) for name, value in sets.items()},
    }


def _size(found: dict[str, pd.DataFrame]) -> dict[str, int]:
    first = next(iter(found.values()))
    first = first[first["seed"] == first["seed"].iloc[0]]
    return {"domains": int(first["domain"].nunique()), "batches": len(first)}


def _method(results: Results, label: str) -> dict[str, Any]:
    frames = {name: found[label] for name, found in results.items()}
    seeds = sorted({int(seed) for frame in frames.values() for seed in frame["seed"]})
    return {
        "role": role(label),
        "seeds": seeds,
        **{metric: _means(frames, metric) for metric in METRICS},
        "fit_seconds": _rounded(np.mean([f["fit_seconds"].mean() for f in frames.values()])),
        "score_seconds": _rounded(np.mean([f["score_seconds"].mean() for f in frames.values()])),
    }


def _means(frames: dict[str, pd.DataFrame], metric: str) -> dict[str, Any]:
    shares = [frame.groupby("share", observed=True)[metric].mean() for frame in frames.values()]
    of_share = pd.concat(shares, axis=1).mean(axis=1)
    return _of_sets(frames, metric) | {
        "shares": {f"{share:.0%}": _rounded(value) for share, value in of_share.items()},
    }


def verdict(figures: dict[str, Any], label: str) -> dict[str, Any]:
    """Hold a method of ours against the targets of the benchmark.

    Returns
    -------
    verdict : dict
        ``iforest`` and ``best_rival``: the lead in mean AUROC; ``ap``: whether average precision
        is above both; ``worst_set``: the largest loss against IsolationForest.
    """
    methods, pairs = figures["methods"], figures["against"][label]
    rivals = [name for name in methods if methods[name]["role"] == "rival"]
    best = {m: max(rivals, key=lambda name: methods[name][m]["mean"]) for m in METRICS}
    out: dict[str, Any] = {"best_rival": best["auroc"], "best_rival_ap": best["ap"]}
    out["lead"] = pairs["auroc"][best["auroc"]]["mean"]
    out["lead_ap"] = pairs["ap"][best["ap"]]["mean"]
    if "iforest" in methods:
        forest = pairs["auroc"]["iforest"]
        name = min(forest["sets"], key=lambda s: forest["sets"][s])
        out["lead_iforest"] = forest["mean"]
        out["worst_set"], out["worst"] = name, forest["sets"][name]
    return out


def _rounded(value: float) -> float:
    return round(float(value), DIGITS)
