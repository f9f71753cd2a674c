"""The curves: one section each, with its reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from curves.catalogue import CURVES
from curves.tables import table as curve_table

from .markdown import picture, table
from .readings import reading
from .runs import NOT_MEASURED, measured

SHOW = (
    "Validation domains, the detector at its defaults but for what is varied. A value is the mean "
    "over the three kinds of anomaly (natural, shuffled, cluster) of the mean over domains, sd "
    "the standard deviation over domains."
)


def section(curves: dict[str, Any] | None, folder: Path) -> list[str]:
    """Return the paragraphs."""
    if not curves:
        return [NOT_MEASURED]
    out = [SHOW]
    for name, known in CURVES.items():
        curve = curves.get(name)
        if curve is None:
            out += [f"## {known.title}", NOT_MEASURED]
            continue
        out += [
            f"## {curve['title']}",
            f"{curve['note']} {_amounts(name, curve)}",
            reading(name, curve),
            *picture(folder, f"curves-{name}.png", curve["title"]),
        ]
        for set_name in curve["sets"]:
            header, rows = curve_table(name, curve, set_name)
            out += [f"{set_name}:", table(header, rows)]
    return out


def _amounts(name: str, curve: dict[str, Any]) -> str:
    setting = curve["setting"]
    rows = {"size": "", "alarms": f"Batches of {setting['clean_rows']} rows. "}
    left = [one for one in curve.get("asked", []) if one not in curve["sets"]]
    nothing = f"Nothing to measure on: {', '.join(left)}. " if left else ""
    return (
        rows.get(name, f"Batches of up to {setting['rows']} rows. ")
        + nothing
        + f"Batches per (domain, kind, point): {setting['batches']}; {curve['seconds']:.0f} "
        f"seconds. {measured(curve['run'])}"
    )
