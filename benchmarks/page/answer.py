"""The page with the answer: real anomalies, rows of other classes, synthetic kinds, speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quality.protocol import KINDS
from quality.summary import PARTS

from . import known, native, speed
from .markdown import signed, table
from .names import in_words
from .runs import FORMER, NOT_MEASURED, load, measured

OURS = "acr"
INTRODUCTION = (
    "Written by `make results-page` from the files in `benchmarks/results`; no figure here is "
    "typed by hand. How they are measured is said in "
    "[benchmarks/README.md](../benchmarks/README.md) and, for real anomalies, in "
    "[native.md](native.md)."
)
NATIVE = (
    "Anomalies that were labelled where they happened, in domains never seen. Ours at its defaults "
    "is in bold; the controls are ours before training, and without its network. Rivals are "
    "refitted on each batch, where nothing else is said; these are the best of them."
)
CLASSES = (
    "Natural anomalies: rows of other classes, on FARS fatal accidents. The best rival is that of "
    "the set."
)
MADE = "Anomalies that were made: features shuffled among rows, and displaced clusters; their mean."
ALL_KINDS = (
    "The run saved no interval for these kinds of anomaly alone: the last columns are of all kinds "
    "of anomaly together, against the same rival."
)
LONG = {
    "native": "real anomalies: all methods, sets, shares and thresholds",
    "known": "known anomalies: every set, fewer labels, wrong ones, kinds never labelled",
    "quality-test": "classes and synthetic kinds on test domains, and every loss with its cause",
    "quality-validation": "the same on validation domains",
    "surfaces": "defects on unseen surfaces",
    "curves": "how detection breaks or holds: batch size, share of anomalies, shift, ...",
    "paper": "the paper's protocols",
    "speed": "speed and memory of scoring, time of a training step",
    "reference": "reference mode and p-values",
    "runs": "what was run, when, at which commit; looks at the test domains",
}
Figures = dict[str, Any]


def page(folder: Path) -> list[str]:
    """Return the paragraphs."""
    real, quality = load(folder, "native.json"), load(folder, "quality-test.json")
    labelled = load(folder, "known.json")
    return [
        "# Results",
        INTRODUCTION,
        FORMER,
        "## Real anomalies",
        *([NATIVE, *native.answer(real), *native.flagged(real)] if real else [NOT_MEASURED]),
        "## Known anomalies",
        *(known.answer(labelled, "known.json") if labelled else [NOT_MEASURED]),
        "## Rows of other classes",
        *([CLASSES, *of_kinds(quality, "natural")] if quality else [NOT_MEASURED]),
        "## Synthetic kinds",
        *([MADE, *of_kinds(quality, "made")] if quality else [NOT_MEASURED]),
        "## Speed",
        *speed.answer(folder),
        "## The long tables",
        "\n".join(
            f"- [results/{name}.md](results/{name}.md): {words}" for name, words in LONG.items()
        ),
    ]


def of_kinds(result: Figures, part: str) -> list[str]:
    """Return a row per set: ours, the controls and recipe, the best rival and the interval."""
    sets, own = result["sets"], all("parts" in one for one in result["sets"].values())
    beside = [
        name
        for name in ("untrained", "paper")
        if all(name in one["methods"] for one in sets.values())
    ]
    rows = [_row(name, one, part, beside, own) for name, one in sets.items()]
    rows.append(_means(sets, part, beside))
    header = ["set", "ours", *beside, "best rival", "its AUROC", "difference"]
    header += ["90 % interval"] if own else ["of all kinds", "90 % interval of that"]
    header += ["AP of ours", "best AP of a rival"]
    said = [_reading(sets, part), *([] if own else [ALL_KINDS])]
    said.append(measured(result["run"], "quality-test.json"))
    return [table(header, rows), " ".join(said)]


def _reading(sets: Figures, part: str) -> str:
    """Say on how many sets ours is behind the best rival."""
    behind = {}
    for name, one in sets.items():
        methods = one["methods"]
        lead = value(methods[OURS], part) - value(methods[_best(one, part)], part)
        behind |= {name: lead} if lead < 0 else {}
    if not behind:
        return "Ours is behind the best rival on no set."
    worst = min(behind, key=lambda name: behind[name])
    return (
        f"Ours is behind the best rival on {len(behind)} of {len(sets)} sets, at worst on {worst} "
        f"({signed(behind[worst])})."
    )


def value(method: Figures, part: str, metric: str = "auroc") -> float:
    """Return the mean of a method over the kinds of a part."""
    kinds = [method[metric][kind] for kind in PARTS[part] if kind in KINDS]
    return float(sum(kinds) / len(kinds))


def _rivals(one: Figures) -> list[str]:
    return [name for name, method in one["methods"].items() if method["rival"]]


def _best(one: Figures, part: str, metric: str = "auroc") -> str:
    return max(_rivals(one), key=lambda name: value(one["methods"][name], part, metric))


def _row(name: str, one: Figures, part: str, beside: list[str], own: bool) -> list[str]:
    methods, rival = one["methods"], _best(one, part)
    ours = value(methods[OURS], part)
    row = [name, f"**{ours:.3f}**", *(f"{value(methods[b], part):.3f}" for b in beside)]
    row += [in_words(rival), f"{value(methods[rival], part):.3f}"]
    row.append(signed(ours - value(methods[rival], part)))
    pair = (one["parts"][OURS][part] if own else one.get("against", {}).get(OURS, {})).get(rival)
    interval = f"{signed(pair['low'])} to {signed(pair['high'])}" if pair else ""
    row += [interval] if own else [signed(pair["mean"]) if pair else "", interval]
    best = methods[_best(one, part, "ap")]
    return [*row, f"{value(methods[OURS], part, 'ap'):.3f}", f"{value(best, part, 'ap'):.3f}"]


def _means(sets: Figures, part: str, beside: list[str]) -> list[str]:
    """Means over sets, against the rival that is best in the mean."""

    def mean(name: str, metric: str = "auroc") -> float:
        found = [value(one["methods"][name], part, metric) for one in sets.values()]
        return sum(found) / len(found)

    rivals = _rivals(next(iter(sets.values())))
    rivals = [name for name in rivals if all(name in one["methods"] for one in sets.values())]
    best = max(rivals, key=mean)
    own = all("parts" in one for one in sets.values())
    row = ["mean", f"**{mean(OURS):.3f}**", *(f"{mean(name):.3f}" for name in beside)]
    row += [in_words(best), f"{mean(best):.3f}", signed(mean(OURS) - mean(best)), ""]
    row += [] if own else [""]
    best_ap = max(mean(name, "ap") for name in rivals)
    return [*row, f"{mean(OURS, 'ap'):.3f}", f"{best_ap:.3f}"]
