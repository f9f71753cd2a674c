"""Which detector for which data: one picture of what ours and simple rivals reach in each case.

Drawn from the files in benchmarks/results, by ``make results-page``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _report import RESULTS
from page.runs import load

PICTURE = "which.png"
#: Colour of each of ours; rivals are grey.
COLOURS = {
    "ResADDetector": "tab:blue",
    "FewShotSegmenter": "tab:cyan",
    "ZeroShotACRDetector": "tab:orange",
    "OutlierSynthesisDetector": "tab:green",
}
_ABLATIONS = ("resad-ablations.json", "resad-ablations-more.json")


@dataclass(frozen=True)
class Case:
    """What one has, on how many data sets it was measured, and mean AUROC by method."""

    title: str
    data: str
    auroc: dict[str, float]


def cases(folder: Path) -> list[Case]:
    """Return the cases whose results are in a folder."""
    found = [*_references(folder), *_spoilt(folder), *_images(folder)]
    native, synthesis = load(folder, "native.json"), load(folder, "synthesis.json")
    if native:
        by = {name: native["methods"][name]["auroc"]["mean"] for name in ("acr", "iforest")}
        auroc = {"ZeroShotACRDetector": by["acr"], "IsolationForest refitted": by["iforest"]}
        data = f"{len(native['sets'])} sets"
        found.append(Case("batches of a new domain, mostly normal", data, auroc))
    if synthesis:
        means = synthesis["means"]
        names = {"OutlierSynthesisDetector": "synthesis", "kNN": "kNN"}
        auroc = {name: means[key]["auroc"] for name, key in names.items()}
        auroc["IsolationForest"] = means["IsolationForest"]["auroc"]
        data = f"{means['synthesis']['sets']} sets"
        found.append(Case("one normal data set, no second domain", data, auroc))
    return found


def _references(folder: Path) -> list[Case]:
    results = [result for result in (load(folder, name) for name in _ABLATIONS) if result]
    sets = [one for result in results for one in result["sets"].values()]
    names = {
        "ResADDetector": "ResAD",
        "ZeroShotACRDetector": "ZeroShotACRDetector.adapt",
        "1-NN": "1-NN",
    }
    found = []
    for number in ("4", "64"):
        held = [one for one in sets if all(number in one.get(key, {}) for key in names.values())]
        if not held:
            continue
        auroc = {
            name: float(np.mean([one[key][number] for one in held])) for name, key in names.items()
        }
        title = f"{number} normal rows of a new domain"
        found.append(Case(title, f"{len(held)} sets", auroc))
    return found


def _spoilt(folder: Path) -> list[Case]:
    result = load(folder, "resad.json")
    if not result:
        return []
    names = {"ResADDetector": "ResAD", "kNN, centred": "kNN, centred and scaled", "1-NN": "1-NN"}
    auroc = {name: result["means"][key]["1 of 4"] for name, key in names.items()}
    title = "4 rows of a new domain, one of them an anomaly"
    return [Case(title, f"{len(result['sets'])} sets", auroc)]


def _images(folder: Path) -> list[Case]:
    result = load(folder, "surfaces-references-validation.json")
    if not result:
        return []
    names = {
        "FewShotSegmenter": "FewShotSegmenter",
        "memory bank": "memory bank",
        "PaDiM": "PaDiM of the references",
    }
    runs = list(result["by_seed"].values())
    auroc = {
        name: float(np.mean([run[key]["image_auroc"] for run in runs]))
        for name, key in names.items()
    }
    number = result["settings"]["references"]
    data = f"{len(result['data']['names'])} surfaces"
    return [Case(f"feature maps of {number} normal images", data, auroc)]


def draw(folder: Path) -> Path | None:
    """Draw the cases of a folder into it; None where nothing was measured."""
    shown = cases(folder)
    if not shown:
        return None
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib.figure import Figure

    # A line for the title of each case, then one for each method.
    lines = [(case, name) for case in shown for name in (None, *_ranked(case))]
    figure = Figure(figsize=(9, 0.24 * len(lines) + 0.8), layout="constrained")
    axes = figure.subplots()
    for place, (case, name) in enumerate(lines):
        if name is None:
            axes.axhline(place - 0.6, color="0.85", linewidth=0.8)
            continue
        value, is_ours = case.auroc[name], name in COLOURS
        colour = COLOURS.get(name, "0.5")
        axes.plot(value, place, "o" if is_ours else "D", color=colour, markersize=7)
        label = f"{value:.3f}".removeprefix("0")
        axes.annotate(label, (value, place), (8, 0), textcoords="offset points", va="center")
    names = [f"{case.title} ({case.data})" if name is None else name for case, name in lines]
    axes.set_yticks(range(len(lines)), names)
    for tick, (_, name) in zip(axes.get_yticklabels(), lines, strict=True):
        tick.set_color(COLOURS.get(name or "", "black" if name is None else "0.4"))
        tick.set_fontweight("bold" if name is None else "normal")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    low, high = axes.get_xlim()
    axes.set_xlim(low, high + 0.1 * (high - low))  # for the last number
    axes.set_xlabel("mean AUROC, to be compared within a case only")
    figure.savefig(folder / PICTURE, dpi=120)
    return folder / PICTURE


def _ranked(case: Case) -> list[str]:
    return sorted(case.auroc, key=lambda name: -case.auroc[name])


if __name__ == "__main__":
    draw(RESULTS)
