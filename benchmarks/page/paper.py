"""The paper's protocols on the sets that can be had: a row per run, and networks side by side."""

from __future__ import annotations

import json
import math
from itertools import combinations
from pathlib import Path
from typing import Any

from _report import percent
from paper.presets import CONV_ONLY, PARTS, changes, in_words

from .markdown import table

SAYS = (
    'The commands in `benchmarks/paper` on the sets at hand, the score its own (`score_head="'
    "objective\"`). Changed are settings against the preset, which holds the paper's where there "
    "are any. Mean AUROC over domains and draws, behind ± the standard deviation between draws and "
    "seeds."
)
COMPARED = (
    "Runs that differ in the network alone, share by share. Level: the means differ by at most "
    "two standard deviations of their difference, from those between draws and seeds."
)
_SHOWN = ("objective", "backbone", "max_iter", "n_tasks", "task_size", "permute_features")
_METRICS = {"auroc": "AUROC", "ap": "average precision"}
Run = dict[str, Any]


def runs(folder: Path) -> list[tuple[str, Run]]:
    """Return name and content of every saved run, in a fixed order."""
    paths = sorted(p for p in folder.rglob("paper-*.json") if not p.stem.endswith("-units"))
    return [(str(p.relative_to(folder)), json.loads(p.read_text(encoding="utf-8"))) for p in paths]


def section(folder: Path) -> list[str]:
    """Return the paragraphs."""
    found = [(name, one) for name, one in runs(folder) if "auroc" in one["figures"]]
    if not found:
        return ["Not measured."]
    shares = sorted({s for _, one in found for s in one["figures"]["auroc"]["all"]}, key=float)
    rows = [_row(name, one, shares) for name, one in found]
    header = ["file", "settings", "changed", "seeds", *map(percent, shares)]
    return [SAYS, table(header, rows), *_networks(found)]


def _row(name: str, one: Run, shares: list[str]) -> list[str]:
    detector, seeds = one["setting"]["detector"], one["setting"]["seeds"]
    settings = ", ".join(f"{k}={detector[k]}" for k in _SHOWN if k in detector)
    found = one["figures"]["auroc"]["all"]
    cells = [
        f"{found[s]['mean']:.3f} ± {found[s]['std']:.3f}" if s in found else "" for s in shares
    ]
    return [f"`{name}`", settings, _changed(name, one), ", ".join(map(str, seeds)), *cells]


def _changed(name: str, one: Run) -> str:
    """What the run was changed in; files from before that was saved are compared with presets."""
    preset = Path(name).stem.removeprefix("paper-")
    found = one["changed"] if "changed" in one else changes(preset, one["setting"])
    return "unknown" if found is None else in_words(found)


def _networks(found: list[tuple[str, Run]]) -> list[str]:
    """A line per pair of runs that differ in the network alone, and metric."""
    out = []
    for (first, a), (second, b) in combinations(found, 2):
        if _network(a) == _network(b) or _but_network(a) != _but_network(b):
            continue
        for metric, title in _METRICS.items():
            verdict = _verdict(a, b, metric)
            out.append(f"- {title}, `{first}` minus `{second}`: {verdict}.")
    return [COMPARED, "\n".join(out)] if out else []


def _network(one: Run) -> str:
    return str(one["setting"]["detector"].get("backbone", "mlp"))


def _but_network(one: Run) -> Run:
    """What two runs must have in common for their networks to be compared: data and settings."""
    setting = one["setting"]
    hidden = {"backbone", "hidden_layer_sizes", *CONV_ONLY}
    parts = {part: setting[part] for part in PARTS} | {k: setting.get(k) for k in ("seeds", "read")}
    parts["detector"] = {k: v for k, v in setting["detector"].items() if k not in hidden}
    return parts


def _verdict(a: Run, b: Run, metric: str) -> str:
    """Differences of the means over shares, and where they are more than chance."""
    ours, theirs = (one["figures"][metric]["all"] for one in (a, b))
    differences, ahead = [], {_network(a): 0, _network(b): 0}
    for share, x in ours.items():
        y = theirs[share]
        difference = x["mean"] - y["mean"]
        differences.append(difference)
        if abs(difference) > 2 * math.hypot(x["std"], y["std"]):
            ahead[_network(a if difference > 0 else b)] += 1
    n = len(differences)
    said = [f"{name} is ahead at {count} of {n} shares" for name, count in ahead.items() if count]
    level = n - sum(ahead.values())
    if level:
        said.append(f"level at {'all' if level == n else level} of {n} shares")
    return f"{min(differences):+.3f} to {max(differences):+.3f}, {'; '.join(said)}"
