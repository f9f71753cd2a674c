"""Figures of the curves on the pages of the user guide: tables, and what breaks detection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from guide._tables import share, table

#: Blocks on each page, by its path below docs.
PAGES = {
    "batches.md": ("size", "share"),
    "domains.md": ("domains",),
    "is_this_for_me.md": ("breaks",),
    "thresholds.md": ("alarms",),
}
SETS = {
    "digits": "digits",
    "fashion_mnist": "Fashion-MNIST",
    "fars": "road accidents (FARS)",
    "glyphs": "glyphs",
}
SIZES, SHARES = (4, 8, 16, 32, 64, 128), (0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
OURS, LEVEL = "acr", 0.05
PICTURE = "[{name}](../benchmarks/results/curves-{name}.png)"
Curves = dict[str, Any]


def blocks(curves: Curves) -> dict[str, str]:
    """Return Markdown by the name of the block."""
    return {
        "size": _by_point(curves["size"], SIZES, "rows of the batch", str),
        "share": _by_point(curves["share"], SHARES, "anomalies in the batch", "{:.0%}".format),
        "domains": _domains(curves["domains"]),
        "alarms": _alarms(curves["alarms"]),
        "breaks": _breaks(curves),
    }


def _means(curve: Curves, set_name: str) -> dict[Any, float]:
    return {point["x"]: point["mean"] for point in curve["sets"][set_name][OURS]}


def _named(curve: Curves) -> Iterable[tuple[str, str]]:
    return ((name, words) for name, words in SETS.items() if name in curve["sets"])


def _by_point(
    curve: Curves, points: Sequence[float], title: str, write: Callable[[Any], str]
) -> str:
    rows = []
    for name, words in _named(curve):
        found = _means(curve, name)
        rows.append([words, *(share(found[x], 3) for x in points)])
    return table([title, *map(write, points)], rows)


def _domains(curve: Curves) -> str:
    rows = []
    for name, words in _named(curve):
        found = _means(curve, name)
        most = max(found)
        values = [share(found[n], 3) for n in (1, 2, 4, most)]
        rows.append([f"{words}, {most} in all", *values])
    return table(["training domains", "1", "2", "4", "all"], rows)


def _alarms(curve: Curves) -> str:
    rows = []
    for name, words in _named(curve):
        point = _clean(curve, name)
        values = [share(point[key], 3) for key in ("mean", "min", "max")]
        rows.append([words, str(point["domains"]), *values])
    return table(["set", "domains", "mean", "smallest", "largest"], rows)


def _clean(curve: Curves, name: str) -> dict[str, Any]:
    points = curve["sets"][name]["clean batch"]
    return next(point for point in points if point["x"] == LEVEL)


def _breaks(curves: Curves) -> str:
    lost = _losses(curves["shift"], "as it is")
    still = max(abs(v) for x in ("plus 1 sd", "plus 1e6 sd", "times 100") for v in lost[x])
    few = {name: _means(curves["domains"], name) for name, _ in _named(curves["domains"])}
    single = [found[max(found)] - found[1] for found in few.values()]
    foreign = _foreign(curves["foreign"])
    alarms = [_clean(curves["alarms"], name) for name, _ in _named(curves["alarms"])]
    small = _range([v for x in (4, 8) for v in _at(curves["size"], x)])
    alarms_by_domain = [share(f(a[k] for a in alarms), 3) for f, k in ((min, "min"), (max, "max"))]
    upset, turned = (_range(_at(curves["share"], x)) for x in (0.4, 0.6))
    flagged = "([batches.md](batches.md#batches-to-be-wary-of))"
    happens = {
        "half of the batch or more are anomalies": (
            f"AUROC is {upset} by set at 40 %, and {turned} at 60 %"
        ),
        "batches of 4 or 8 rows": (
            f"{small} by set, and the threshold flags too many normal rows {flagged}"
        ),
        "one training domain instead of several": f"down by {_range(single)}",
        "columns in another order than in training": f"down by {_range(lost['permuted'])}",
        "columns with gains of their own (log-normal, sigma 1)": f"down by {_range(lost['gains'])}",
        "a constant added to every row, or one factor for all": (
            f"{_nearly(still)}, even at a million standard deviations"
        ),
        "trained on an unrelated set of images": (
            f"down by {share(sum(foreign) / len(foreign), 3)} in the mean, "
            f"{share(max(foreign), 3)} at worst"
        ),
        "false alarms at `contamination=0.05`": (
            f"{_range([a['mean'] for a in alarms], 3)} of clean rows in the mean of a set, "
            f"{' to '.join(alarms_by_domain)} by domain"
        ),
    }
    curve = ("share", "size", "domains", "shift", "shift", "shift", "foreign", "alarms")
    lines = [
        [what, says, PICTURE.format(name=name)]
        for (what, says), name in zip(happens.items(), curve, strict=True)
    ]
    return table(["what", "what happens", "curve"], lines)


def _at(curve: Curves, x: float) -> list[float]:
    return [_means(curve, name)[x] for name, _ in _named(curve)]


def _losses(curve: Curves, base: str) -> dict[Any, list[float]]:
    """What each change costs, set by set."""
    found = [_means(curve, name) for name, _ in _named(curve)]
    return {x: [one[base] - one[x] for one in found] for x in found[0]}


def _foreign(curve: Curves) -> list[float]:
    """What training on another set costs, at the same number of features."""
    out = []
    for name, _ in _named(curve):
        found = _means(curve, name)
        for trained, value in found.items():
            set_name, features = trained.split(", ")
            own = found.get(f"{name}, {features}")
            if set_name != name and own is not None:
                out.append(own - value)
    return out


def _nearly(loss: float) -> str:
    return "nothing" if loss < 0.0005 else f"down by {share(loss, 3)} at most"


def _range(values: Sequence[float], digits: int = 2) -> str:
    low, high = share(min(values), digits), share(max(values), digits)
    return low if low == high else f"{low} to {high}"
