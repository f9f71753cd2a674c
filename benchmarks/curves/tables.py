"""Curves as tables: the same rows for the terminal and for the page of results."""

from __future__ import annotations

from typing import Any

Points = dict[str, list[dict[str, Any]]]
LABELS = {
    "acr": "ACR",
    "acr, neighbors": "ACR, neighbors head",
    "acr, objective": "ACR, objective head",
    "iforest": "IsolationForest",
    "knn_batch": "kNN",
    "mahalanobis_centred": "Mahalanobis, centred",
}
KINDS = ("natural", "shuffled", "cluster")


def label(method: str) -> str:
    """Return the name of a method for readers."""
    return LABELS.get(method, method)


def tick(x: object) -> str:
    """Return a point as it is written: shares in per cent, counts with separators."""
    if isinstance(x, float):
        return f"{x:.0%}"
    return f"{x:,}" if isinstance(x, int) else str(x)


def methods_table(curve: dict[str, Any], set_name: str) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of a set: a row per point, a column per method, kinds for ours.

    Ours comes with the standard deviation over domains, the mean of each kind and the number of
    domains.
    """
    series: Points = curve["sets"][set_name]
    first, *others = series
    header = [curve["x"], label(first), "sd", *KINDS, *map(label, others), "domains"]
    rows = []
    for point in series[first]:
        others_here = [_at(series[name], point["x"]) for name in others]
        rows.append(
            [
                tick(point["x"]),
                number(point["mean"]),
                number(point["sd"]),
                *(number(point["kinds"].get(kind)) for kind in KINDS),
                *(number(other["mean"]) if other else "" for other in others_here),
                str(point["domains"]),
            ]
        )
    return header, rows


def alarms_table(curve: dict[str, Any], set_name: str) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of false alarms: a row per kind of batch and contamination.

    "of clean" is the mean relative to that of clean batches at the same contamination.
    """
    spreads = ("mean", "sd", "min", "max")
    header = ["flagged in", "contamination", *spreads, "of clean", *KINDS, "domains"]
    clean = curve["sets"][set_name]["clean batch"]
    rows = []
    for name, series in curve["sets"][set_name].items():
        for point in series:
            kinds = [point["kinds"].get(kind) if name != "clean batch" else None for kind in KINDS]
            spread = [number(point[what]) for what in spreads]
            base = (_at(clean, point["x"]) or point)["mean"]
            ratio = f"{point['mean'] / base:.2f}" if base else ""
            of_kinds = [number(kind) for kind in kinds]
            domains = str(point["domains"])
            rows.append([name, tick(point["x"]), *spread, ratio, *of_kinds, domains])
    return header, rows


def table(name: str, curve: dict[str, Any], set_name: str) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of a set in a curve."""
    return (alarms_table if name == "alarms" else methods_table)(curve, set_name)


def number(value: float | None) -> str:
    """Return three decimals, or nothing."""
    return "" if value is None else f"{value:.3f}"


def _at(series: list[dict[str, Any]], x: object) -> dict[str, Any] | None:
    return next((point for point in series if point["x"] == x), None)
