"""The paper's protocols on the sets that can be had: a row per run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .markdown import table

SAYS = (
    "The commands in `benchmarks/paper` on the sets at hand: the paper's settings but for the "
    'number of steps, the score its own (`score_head="objective"`). Mean AUROC over domains and '
    "draws, behind ± the standard deviation between draws and seeds."
)
_SHOWN = ("objective", "backbone", "max_iter", "n_tasks", "task_size", "permute_features")


def runs(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return name and content of every saved run, in a fixed order."""
    paths = sorted(p for p in folder.rglob("paper-*.json") if not p.stem.endswith("-units"))
    return [(str(p.relative_to(folder)), json.loads(p.read_text(encoding="utf-8"))) for p in paths]


def section(folder: Path) -> list[str]:
    """Return the paragraphs."""
    found = runs(folder)
    if not found:
        return ["Not measured."]
    shares = sorted({s for _, one in found for s in one["figures"]["auroc"]["all"]}, key=float)
    rows = [_row(name, one, shares) for name, one in found]
    header = ["file", "settings", "seeds", *(f"{float(s):.0%}" for s in shares)]
    return [SAYS, table(header, rows)]


def _row(name: str, one: dict[str, Any], shares: list[str]) -> list[str]:
    detector, seeds = one["setting"]["detector"], one["setting"]["seeds"]
    settings = ", ".join(f"{k}={detector[k]}" for k in _SHOWN if k in detector)
    found = one["figures"]["auroc"]["all"]
    cells = [
        f"{found[s]['mean']:.3f} ± {found[s]['std']:.3f}" if s in found else "" for s in shares
    ]
    return [f"`{name}`", settings, ", ".join(map(str, seeds)), *cells]
