"""One sentence per curve, worded from its points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from curves.tables import label, tick

CLOSE = 0.02  # of AUROC
Curve = dict[str, Any]
Point = dict[str, Any]
OWN = "acr"


def reading(name: str, curve: Curve) -> str:
    """Return what a reader should see in the curve."""
    return READINGS[name](curve) if curve["sets"] else "Not measured: no domain has the rows."


def _ours(curve: Curve) -> Iterator[tuple[str, list[Point]]]:
    for name, series in curve["sets"].items():
        yield name, series[OWN]


def _ahead(curve: Curve) -> str:
    """Return at how many points ours is ahead of all comparators."""
    wins = total = 0
    for series in curve["sets"].values():
        rivals = [points for name, points in series.items() if not name.startswith(OWN)]
        for point in series[OWN]:
            there = [p["mean"] for points in rivals for p in points if p["x"] == point["x"]]
            wins += point["mean"] > max(there)
            total += 1
    return f"it is ahead of every comparator at {wins} of {total} points"


def _size(curve: Curve) -> str:
    parts = []
    for name, points in _ours(curve):
        last = points[-1]
        short = [i for i, p in enumerate(points) if abs(p["mean"] - last["mean"]) > CLOSE]
        start = points[short[-1] + 1 if short else 0]
        parts.append(f"{name} from {tick(start['x'])} rows on (to {tick(last['x'])})")
    return (
        f"ACR stays within {CLOSE} of its AUROC in the largest batches: {'; '.join(parts)}; "
        f"{_ahead(curve)}."
    )


def _share(curve: Curve) -> str:
    parts = []
    for name, points in _ours(curve):
        under = [p for p in points if p["mean"] < 0.5]
        first, last = points[0], points[-1]
        where = f"below 0.5 from {tick(under[0]['x'])} on" if under else "nowhere below 0.5"
        parts.append(
            f"{name} {first['mean']:.2f} at {tick(first['x'])}, {last['mean']:.2f} at "
            f"{tick(last['x'])}, {where}"
        )
    return f"AUROC of ACR from the fewest anomalies to the most: {'; '.join(parts)}."


def _domains(curve: Curve) -> str:
    parts = []
    for name, series in curve["sets"].items():
        heads = [key for key in series if key.startswith(OWN)]
        moves = (f"{series[h][0]['mean']:.2f} to {series[h][-1]['mean']:.2f}" for h in heads)
        few, every = (tick(series[OWN][i]["x"]) for i in (0, -1))
        parts.append(f"{name} ({few} to {every}) {' / '.join(moves)}")
    names = " / ".join(label(head).removeprefix("ACR, ") for head in heads)
    return f"From fewest to all training domains ({names}): {'; '.join(parts)}."


def _foreign(curve: Curve) -> str:
    lost = {}
    for name, points in _ours(curve):
        for point in points:
            source, features = point["x"].split(", ")
            own = next(p["mean"] for p in points if p["x"] == f"{name}, {features}")
            if source != name:
                lost[f"{source} to {name}, {features}"] = point["mean"] - own
    if not lost:
        return "Only one set of images was here: nothing foreign to train on."
    worst = min(lost, key=lost.__getitem__)
    mean = sum(lost.values()) / len(lost)
    return (
        f"Trained on another set ACR changes by {mean:+.3f} on average against training on the "
        f"set's own domains, at worst by {lost[worst]:+.3f} ({worst})."
    )


def _shift(curve: Curve) -> str:
    parts = []
    for name, points in _ours(curve):
        change = {p["x"]: p["mean"] - points[0]["mean"] for p in points[1:]}
        worst = min(change, key=change.__getitem__)
        held = sum(abs(value) < 0.001 for value in change.values())
        parts.append(f"{name} {held} of {len(change)}, at worst {change[worst]:+.3f} ({worst})")
    return f"Changes that leave the AUROC of ACR within 0.001: {'; '.join(parts)}."


def _norm(curve: Curve) -> str:
    parts = []
    for name, series in curve["sets"].items():
        for head, points in series.items():
            by_norm = {p["x"]: p["mean"] for p in points}
            own = by_norm.pop("batch")
            best = max(by_norm, key=by_norm.__getitem__)
            who = label(head).removeprefix("ACR, ")
            parts.append(f"{name}, {who} {own - by_norm[best]:+.3f} ({best})")
    return f"Batch norm minus the best of the others: {'; '.join(parts)}."


def _layers(curve: Curve) -> str:
    parts = []
    for name, points in _ours(curve):
        low, high = (pick(points, key=lambda p: p["mean"]) for pick in (min, max))
        parts.append(f"{name} {low['mean']:.3f} ({low['x']}) to {high['mean']:.3f} ({high['x']})")
    return f"Worst and best architecture by the default score: {'; '.join(parts)}."


def _alarms(curve: Curve) -> str:
    parts = []
    for name, series in curve["sets"].items():
        clean = {p["x"]: p for p in series["clean batch"]}
        point = clean[0.05]
        text = (
            f"{name} {point['mean']:.1%} of clean rows, {point['min']:.1%} to {point['max']:.1%} "
            "over domains"
        )
        loaded = next((s[0]["mean"] for key, s in series.items() if key.endswith("all rows")), None)
        if loaded is not None and point["mean"]:
            text += f", {loaded / point['mean']:.1f} times as many rows with 20 % anomalies"
        parts.append(text)
    return f"At a contamination of 5 % predict flags: {'; '.join(parts)}."


READINGS: dict[str, Callable[[Curve], str]] = {
    "size": _size,
    "share": _share,
    "domains": _domains,
    "foreign": _foreign,
    "shift": _shift,
    "norm": _norm,
    "layers": _layers,
    "alarms": _alarms,
}
