"""The one table of the README and of the start page, between two marks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .answer import OURS, value
from .markdown import table
from .names import in_words
from .runs import load

START, END = "<!-- headline: written by make results-page -->", "<!-- end of headline -->"
HEADER = (
    "what is to be found",
    "ours",
    "IsolationForest",
    "best rival",
    "difference",
)
#: The rest of the file of outlier synthesis are ablations of ours.
_RIVALS_OF_SYNTHESIS = (
    *("IsolationForest", "OCSVM", "kNN", "LOF", "ECOD", "DeepSVDD", "AutoEncoder"),
)
Figures = dict[str, Any]


def headline(folder: Path, docs: str, results: str) -> str:
    """Return the table.

    Parameters
    ----------
    folder : Path
        Of the JSON files.
    docs, results : str
        Where docs and benchmarks/results are, seen from the page that the table stands on.
    """
    docs = f"{docs}/" if docs else ""
    rows = []
    if real := load(folder, "native.json"):
        rows.append(
            _against(real, OURS, f"[real anomalies]({docs}results/native.md)", "native.json")
        )
    if labelled := load(folder, "known.json"):
        what = f"[real ones, known in other domains]({docs}results/known.md)"
        rows.append(_against(labelled, "known", what, "known.json"))
    if quality := load(folder, "quality-test.json"):
        for part, words in (("natural", "rows of other classes"), ("made", "synthetic kinds")):
            what = f"[{words}]({docs}results/quality-test.md)"
            rows.append(_mean_of_sets(quality["sets"], part, what))
    if few := load(folder, "resad.json"):
        rows.append(_few(few["means"], f"[four normal rows known]({docs}resad.md)"))
    if single := load(folder, "synthesis.json"):
        what = f"[one normal data set]({docs}outlier_synthesis.md)"
        rows.append(_single(single["means"], what))
    return table(HEADER, [[f"{row[0]} [¹]({results}/{row[-1]})", *row[1:-1]] for row in rows])


def written_into(text: str, block: str) -> str:
    """Return a page with the table between its marks."""
    whole = re.compile(f"{re.escape(START)}.*?{re.escape(END)}", re.S)
    if not whole.search(text):
        raise ValueError(f"The page has no place for the headline: put {START} and {END} into it.")
    return whole.sub(lambda _: f"{START}\n{block}\n{END}", text)


def _line(
    what: str, ours: float, forest: float | None, rival: tuple[str, float], file: str
) -> list[str]:
    return [
        what,
        f"**{ours:.3f}**",
        "" if forest is None else f"{forest:.3f}",
        f"{in_words(rival[0]).partition(',')[0]} {rival[1]:.3f}",
        f"{ours - rival[1]:+.3f}",
        file,
    ]


def _against(result: Figures, ours: str, what: str, file: str) -> list[str]:
    methods = result["methods"]
    means = {name: one["auroc"]["mean"] for name, one in methods.items()}
    rivals = [name for name in means if methods[name].get("role", "rival") == "rival"]
    rivals = [name for name in rivals if name not in (ours, "default")]
    best = max(rivals, key=lambda name: means[name])
    return _line(what, means[ours], means["iforest"], (best, means[best]), file)


def _mean_of_sets(sets: Figures, part: str, what: str) -> list[str]:
    def mean(name: str) -> float:
        return sum(value(one["methods"][name], part) for one in sets.values()) / len(sets)

    common = set.intersection(*(set(one["methods"]) for one in sets.values()))
    first = next(iter(sets.values()))["methods"]
    best = max((name for name in sorted(common) if first[name]["rival"]), key=mean)
    return _line(what, mean(OURS), mean("iforest"), (best, mean(best)), "quality-test.json")


def _few(means: Figures, what: str) -> list[str]:
    rivals = {name: means[name]["4"] for name in ("1-NN", "kNN, centred and scaled")}
    best = max(rivals, key=lambda name: rivals[name])
    return _line(what, means["ResAD"]["4"], None, (best, rivals[best]), "resad.json")


def _single(means: Figures, what: str) -> list[str]:
    found = {name: one["auroc"] for name, one in means.items() if one["sets"]}
    rivals = {name: found[name] for name in found if name in _RIVALS_OF_SYNTHESIS}
    best = max(rivals, key=lambda name: rivals[name])
    forest = found["IsolationForest"]
    return _line(what, found["synthesis"], forest, (best, rivals[best]), "synthesis.json")
