"""Defects on surfaces never seen: tables from surfaces-<split>.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from page.markdown import picture, signed, table
from page.runs import measured

OURS = "ZeroShotSegmenter"
#: Not rivals: parts of ours, of the first seed, and ours with a rival's scores added.
PARTS = ("its detector alone", "its distance alone", "ours + mutual")
MEASURES = {
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "pro": "PRO",
}
KINDS = ("pasted", "scratched", "blurred")

Summary = dict[str, Any]


def surfaces_section(result: dict[str, Any], folder: Path) -> list[str]:
    """Return the paragraphs of one split."""
    data, summary = result["data"], result["summary"]
    header = ["method", *MEASURES.values(), *KINDS, "seconds per batch"]
    order = sorted(summary, key=lambda name: -summary[name]["image_auroc"])
    rows = [_row(name, summary[name]) for name in order]
    shown = (
        f"{data['scored_surfaces']} {data['split']} surfaces, {data['train_surfaces']} trained "
        f"on; batches of 64 patches, {data['share']:.0%} of them with one defect. Means over "
        "surfaces (and seeds, of ours); image AUROC for each kind of defect by itself."
    )
    return [
        measured(result["run"]),
        shown + _looks(result),
        table(header, rows),
        _targets(summary),
        (
            "Ours less each method, paired by surface: mean, 90 % bootstrap interval and standard "
            "deviation over surfaces, and the surfaces on which ours is behind."
        ),
        table(["method", "measure", "mean", "5 %", "95 %", "sd", "behind"], _ahead(summary, order)),
        _losses(summary),
        *_memory(result["memory"]),
        *picture(folder, f"surfaces-{data['split']}.png", "Defects on surfaces never seen"),
    ]


def _row(name: str, row: Summary) -> list[str]:
    shown = f"**{name}**" if name == OURS else name
    kinds = (f"{row[f'image_auroc_{kind}']:.3f}" for kind in KINDS)
    return [shown, *(f"{row[m]:.3f}" for m in MEASURES), *kinds, f"{row['seconds']:.1f}"]


def _looks(result: dict[str, Any]) -> str:
    runs = result["test_runs"]
    return "" if runs is None else f" Runs on these surfaces so far: {runs}."


def _rivals(summary: Summary) -> list[str]:
    return [name for name in summary if name != OURS and name not in PARTS]


def _targets(summary: Summary) -> str:
    """Say what was aimed at, and whether it was reached."""
    gain = summary[OURS]["difference"]["image_auroc"]["mean"]
    pixel = summary[OURS]["pixel_auroc"]
    best = max(_rivals(summary), key=lambda name: summary[name]["image_auroc"])
    return (
        f"Aims: image AUROC 0.05 above the Gaussian per position: {signed(gain)}, "
        f"{_reached(gain >= 0.05)}; pixel AUROC of 0.90: {pixel:.3f}, {_reached(pixel >= 0.9)}. "
        f"The strongest rival by image AUROC is {best} with {summary[best]['image_auroc']:.3f}."
    )


def _reached(is_so: bool) -> str:
    return "reached" if is_so else "not reached"


def _ahead(summary: Summary, order: list[str]) -> list[list[str]]:
    rows = []
    for name in order:
        for measure, pair in summary[name].get("ours_ahead", {}).items():
            values = [signed(pair[k]) for k in ("mean", "low", "high")]
            behind = str(pair["behind"])
            rows.append([name, MEASURES[measure], *values, f"{pair['sd']:.3f}", behind])
    return rows


def _losses(summary: Summary) -> str:
    """Name every rival that is ahead in the mean of a measure."""
    lost = [
        f"{name} in {MEASURES[measure]} by {-pair['mean']:.3f}"
        for name in _rivals(summary)
        for measure, pair in summary[name]["ours_ahead"].items()
        if pair["mean"] < 0
    ]
    return f"Rivals ahead of ours: {'; '.join(lost) if lost else 'none in any mean'}."


def _measured_later(memory: dict[str, Any]) -> str:
    return f"; measured by itself at commit {memory['commit']}" if "commit" in memory else ""


def _memory(memory: dict[str, Any] | None) -> list[str]:
    if memory is None:
        return []
    return [
        (
            f"Memory: {memory['images']:,} images of {memory['side']} x {memory['side']} pixels, "
            f"features and scores, need {memory['peak_gb']:.2f} GB at the peak of the process "
            f"({memory['extract_seconds']:.0f} s for features, {memory['score_seconds']:.0f} s for "
            f"scores{_measured_later(memory)})."
        )
    ]
