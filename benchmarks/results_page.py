"""Write docs/results.md and docs/results/ from the files in benchmarks/results.

Run ``make results-page``. The first page has the answer, the others the long tables behind it. No
figure is typed by hand. Into pages of the user guide go the figures of `make bench-guide`. What is
written by people are the causes of losses, in causes.json: {set: {rival: cause}}.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from _report import RESULTS
from bench_reference import report as reference_report
from page import answer, curves, known, native, paper, speed
from page.guide import guide_pages, with_figures
from page.headline import headline, written_into
from page.markdown import PICTURES, picture
from page.quality import Causes, idle_causes, losses, section
from page.runs import NOT_MEASURED, load, looks, measured, runs_table
from page.surfaces import surfaces_section

DOCS = RESULTS.parent.parent / "docs"
#: Pages with the one table: where docs and benchmarks/results are from there.
HEADLINES = {
    "../README.md": ("docs", "benchmarks/results"),
    "index.md": ("", "../benchmarks/results"),
}
BACK = "[Results](../results.md). Written by `make results-page`; no figure here is typed by hand."
SPLITS = ("test", "validation")
#: The files behind each page, beside those of the paper's protocols.
FILES = {
    "results": ["native.json", "known.json", "quality-test.json", "score.json", "train.json"],
    "native": ["native.json"],
    "known": ["known.json"],
    "quality-test": ["quality-test.json", "causes.json"],
    "quality-validation": ["quality-validation.json", "causes.json"],
    "surfaces": ["surfaces-test.json", "surfaces-validation.json"],
    "curves": ["curves.json"],
    "speed": ["score.json", "train.json", "conv.json"],
    "reference": ["reference.json"],
    "runs": ["test-runs.json"],
}


def pages(folder: Path) -> dict[str, str]:
    """Return the pages written from the files of a folder, by their path below docs."""
    long = {
        "native": ("Real anomalies", _native(folder)),
        "known": ("Known anomalies", _known(folder)),
        **{f"quality-{p}": (f"Quality on {p} domains", _quality(folder, p)) for p in SPLITS},
        "surfaces": ("Defects on unseen surfaces", _surfaces(folder)),
        "curves": ("Curves", curves.section(load(folder, "curves.json"), folder)),
        "paper": ("The paper's protocols", paper.section(folder)),
        "speed": ("Speed", speed.section(folder)),
        "reference": ("Reference mode and p-values", _reference(folder)),
        "runs": ("What was run", _runs(folder)),
    }
    title, introduction, *answers = answer.page(folder)
    found = {"results.md": [title, introduction, *_files("results", folder), *answers]}
    for name, (title, paragraphs) in long.items():
        found[f"results/{name}.md"] = [f"# {title}", BACK, *_files(name, folder), *paragraphs]
    return {name: "\n\n".join(paragraphs) + "\n" for name, paragraphs in found.items()}


def _files(name: str, folder: Path) -> list[str]:
    """Return the links to the files that the figures of a page are from."""
    files = [path for path, _ in paper.runs(folder)] if name == "paper" else FILES[name]
    way = PICTURES.removeprefix("../") if name == "results" else PICTURES
    links = [f"[{file}]({way}/{file})" for file in files if (folder / file).is_file()]
    return [f"Figures from {', '.join(links)}."] if links else []


def _native(folder: Path) -> list[str]:
    result = load(folder, "native.json")
    return native.section(result, folder) if result else [NOT_MEASURED]


def _known(folder: Path) -> list[str]:
    result = load(folder, "known.json")
    return known.section(result, folder) if result else [NOT_MEASURED]


def _quality(folder: Path, part: str) -> list[str]:
    result, causes = load(folder, f"quality-{part}.json"), load(folder, "causes.json") or {}
    return section(part, result, causes, folder) if result else [NOT_MEASURED]


def _surfaces(folder: Path) -> list[str]:
    out = []
    for part in SPLITS:
        result = load(folder, f"surfaces-{part}.json")
        out.append(f"## Defects on {part} surfaces")
        out += surfaces_section(result, folder) if result else [NOT_MEASURED]
    return out


def _reference(folder: Path) -> list[str]:
    result = load(folder, "reference.json")
    if result is None:
        return [NOT_MEASURED]
    return [
        measured(result["run"]),
        f"```text\n{reference_report(result)}\n```",
        *picture(folder, "reference.png", "Reference mode and p-values"),
    ]


def _runs(folder: Path) -> list[str]:
    seen = load(folder, "test-runs.json")
    return [runs_table(folder), "## Looks at the test domains", *looks(seen)]


def warn_of_idle_causes(folder: Path) -> None:
    """Name the causes in causes.json that explain no loss."""
    found = [load(folder, f"quality-{part}.json") for part in SPLITS]
    lost = [loss for result in found if result for loss in losses(result["sets"])]
    causes: Causes = load(folder, "causes.json") or {}
    for name in idle_causes(lost, causes):
        print(f"causes.json: {name} explains no loss", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description="Write the results pages from saved results.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON files")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder to write to")
    arguments = parser.parse_args(argv)
    warn_of_idle_causes(arguments.results)
    for name, text in pages(arguments.results).items():
        path = arguments.docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name, (docs, results) in HEADLINES.items():
        if (path := arguments.docs / name).is_file():
            text = path.read_text(encoding="utf-8")
            block = headline(arguments.results, docs, results)
            path.write_text(written_into(text, block), encoding="utf-8")

    for name in guide_pages():
        if (path := arguments.docs / name).is_file():
            text = path.read_text(encoding="utf-8")
            path.write_text(with_figures(name, text, arguments.results), encoding="utf-8")


if __name__ == "__main__":
    main()
