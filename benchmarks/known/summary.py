"""What the runs come to: means over domains and sets, paired differences, curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from native.summary import difference

from .run import CURVE_FOLDS, DEFAULT, FOREST, HEADLINE, KNOWN, METHODS, TREES

METRICS = ("auroc", "ap")


def summarise(frame: pd.DataFrame) -> dict[str, Any]:
    """Return every figure: the headline, each of ours minus the others, the curves."""
    headline = frame[frame["curve"] == HEADLINE.curve]
    figures = {
        "methods": {name: _method(headline[headline["method"] == name]) for name in METHODS},
        "against": _against(headline),
        "curves": {},
        "chosen": _chosen(headline[headline["method"] == KNOWN]),
        "fit_times": _fit_times(headline),
    }
    ours = frame[(frame["method"] == KNOWN) & frame["split"].isin([*CURVE_FOLDS])]
    default = headline[headline["method"] == DEFAULT]
    # What the curves are of.
    first = default[(default["seed"] == frame["seed"].min()) & (default["index"] == 0)]
    first = first[first["split"].isin(CURVE_FOLDS)]
    for curve, rows in ours[ours["curve"] != HEADLINE.curve].groupby("curve", sort=False):
        points = {at: _method(one) for at, one in rows.groupby("at", sort=False)}
        figures["curves"][curve] = points
    figures["default"] = _method(first)
    if "never labelled" in figures["curves"]:
        figures["never_labelled"] = _never_labelled(ours)
    return figures


def _method(rows: pd.DataFrame) -> dict[str, Any]:
    return {metric: _means(rows, metric) for metric in METRICS}


def _means(rows: pd.DataFrame, metric: str) -> dict[str, Any]:
    """Batches of a share, shares of a domain, domains of a set, sets: each counts alike."""
    cells = rows.groupby(["set", "domain", "share"])[metric].mean()
    sets = cells.groupby(["set", "domain"]).mean().groupby("set").mean()
    return {
        "mean": round(float(sets.mean()), 5),
        "sets": {name: round(float(value), 5) for name, value in sets.items()},
    }


def _against(headline: pd.DataFrame) -> dict[str, Any]:
    results = {name: dict(list(one.groupby("method"))) for name, one in headline.groupby("set")}
    return {
        metric: {
            other: difference(results, KNOWN, other, metric) for other in (DEFAULT, FOREST, TREES)
        }
        for metric in METRICS
    }


def _chosen(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the mean weight that each set chose."""
    weights = rows.groupby(["set", "split", "seed"])["weight"].first().groupby("set").mean()
    return {name: round(float(value), 3) for name, value in weights.items()}


def _fit_times(rows: pd.DataFrame) -> dict[str, float]:
    """Return seconds of a fit on the folds where both were trained anew."""
    folds = rows.groupby(["method", "set", "split", "seed"])["fit_seconds"].first()
    both = folds.unstack("method")[[DEFAULT, KNOWN]].dropna()
    ratio = both[KNOWN] / both[DEFAULT]
    found = {
        "default": both[DEFAULT].mean(),
        "known": both[KNOWN].mean(),
        "ratio": ratio.mean(),
        "largest_ratio": ratio.max(),
    }
    return {name: round(float(value), 3) for name, value in found.items()}


def _never_labelled(ours: pd.DataFrame) -> dict[str, Any]:
    """Return, per set and made kind, what labels of other kinds cost."""
    told = ours[(ours["curve"] == "never labelled") & (ours["at"] == "made")]
    without = ours[(ours["curve"] == "never labelled") & (ours["at"] == "made, no labels")]
    cells = [
        one.groupby(["set", "share", "domain"])["auroc"].mean().groupby(["set", "share"]).mean()
        for one in (told, without)
    ]
    lost = (cells[0] - cells[1]).unstack("share")
    return {
        "mean": round(float(lost.to_numpy().mean()), 5),
        "worst": round(float(np.min(lost.to_numpy())), 5),
        "sets": {
            name: {kind: round(float(value), 5) for kind, value in row.items()}
            for name, row in lost.iterrows()
        },
    }
