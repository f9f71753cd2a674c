"""Write docs/results.md from the files in benchmarks/results: ``make results-page``.

No figure is typed by hand. What is written by people are the causes of losses, in causes.json:
{set: {rival: cause}}.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _report import RESULTS
from bench_reference import report as reference_report
from bench_score import report as score_report
from curves.catalogue import CURVES
from curves.tables import table as curve_table
from page import paper
from page.markdown import picture, table
from page.quality import Causes, idle_causes, losses, section
from page.readings import reading
from page.surfaces import surfaces_section

PAGE = RESULTS.parent.parent / "docs" / "results.md"
FILES = {
    "quality-test.json": "quality on test domains",
    "quality-validation.json": "quality on validation domains",
    "surfaces-test.json": "defects on test surfaces",
    "surfaces-validation.json": "defects on validation surfaces",
    "curves.json": "curves on validation domains",
    "score.json": "speed and memory of scoring",
    "reference.json": "reference mode and p-values",
    "train.json": "time of a training step",
}
NOT_MEASURED = "Not measured."
INTRODUCTION = (
    "Written by `make results-page` from the files in `benchmarks/results`, which "
    "`make bench-quality`, `make bench-surfaces`, `make bench-curves` and `make bench-train` save; "
    "how they measure is said in [benchmarks/README.md](../benchmarks/README.md). No "
    "figure here is typed by hand."
)
CURVES_SHOW = (
    "Validation domains, the detector at its defaults but for what is varied. A value is the mean "
    "over the three kinds of anomaly (natural, shuffled, cluster) of the mean over domains, sd "
    "the standard deviation over domains."
)


def load(folder: Path, name: str) -> Any:
    """Return the content of a file, or None where it is missing."""
    path = folder / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def page(folder: Path) -> str:
    """Return the page written from the files of a folder."""
    causes = load(folder, "causes.json") or {}
    paragraphs = [
        "# Results",
        INTRODUCTION,
        "## What was run",
        *_runs(folder),
        "## Looks at the test domains",
        *_looks(load(folder, "test-runs.json")),
    ]
    for part in ("test", "validation"):
        result = load(folder, f"quality-{part}.json")
        paragraphs.append(f"## Quality on {part} domains")
        paragraphs += section(part, result, causes, folder) if result else [NOT_MEASURED]
    for part in ("test", "validation"):
        result = load(folder, f"surfaces-{part}.json")
        paragraphs.append(f"## Defects on {part} surfaces")
        paragraphs += surfaces_section(result, folder) if result else [NOT_MEASURED]
    paragraphs += ["## Curves", *_curves(load(folder, "curves.json"), folder)]
    paragraphs += ["## The paper's protocols", *paper.section(folder)]
    for title, name, picture_name, report in (
        ("Speed and memory of scoring", "score.json", "score.png", score_report),
        ("Reference mode and p-values", "reference.json", "reference.png", reference_report),
    ):
        found = load(folder, name)
        paragraphs += [f"## {title}", *(_as_printed(report(found)) if found else [NOT_MEASURED])]
        paragraphs += picture(folder, picture_name, title)
    paragraphs += ["## Time of a training step", *_training(load(folder, "train.json"), folder)]
    return "\n\n".join(paragraphs) + "\n"


def _as_printed(text: str) -> list[str]:
    return [f"```text\n{text}\n```"]


def _runs(folder: Path) -> list[str]:
    rows = []
    for name, what in FILES.items():
        content = load(folder, name)
        if content is None:
            rows.append([what, f"`{name}`", "not measured", "", "", "", ""])
        elif name == "curves.json":
            rows += [_run(f"curve: {c['title']}", name, c["run"]) for c in content.values()]
        else:
            rows.append(_run(what, name, content["run"]))
    return [table(["what", "file", "date", "commit", "seeds", "machine", "versions"], rows)]


def _run(what: str, name: str, run: dict[str, Any]) -> list[str]:
    machine = run["machine"]
    threads = f"{machine['cores']} cores, {machine['torch_threads']} torch threads"
    versions = (f"{package} {number}" for package, number in run["versions"].items())
    seeds = ", ".join(map(str, run["seeds"]))
    where = f"{machine['processor']}, {threads}, {machine['system']}"
    return [what, f"`{name}`", run["date"], str(run["commit"]), seeds, where, ", ".join(versions)]


def _looks(runs: list[dict[str, Any]] | None) -> list[str]:
    if runs is None:
        return [NOT_MEASURED]
    late = sum(one.get("counted") == "afterwards" for one in runs)
    but = f", but for {late} that were added afterwards" if late else ""
    out = [f"Runs on the test domains so far: {len(runs)}. Each is counted before it begins{but}."]
    header = ["date", "commit", "seeds", "sets", "methods"]
    rows = [
        [one["date"], str(one["commit"]), *(", ".join(map(str, one[k])) for k in header[2:])]
        for one in runs
    ]
    return [*out, table(header, rows)] if rows else out


def _curves(curves: dict[str, Any] | None, folder: Path) -> list[str]:
    if not curves:
        return [NOT_MEASURED]
    out = [CURVES_SHOW]
    for name, known in CURVES.items():
        curve = curves.get(name)
        if curve is None:
            out += [f"### {known.title}", NOT_MEASURED]
            continue
        out += [
            f"### {curve['title']}",
            f"{curve['note']} {_amounts(name, curve)}",
            reading(name, curve),
            *picture(folder, f"curves-{name}.png", curve["title"]),
        ]
        for set_name in curve["sets"]:
            header, rows = curve_table(name, curve, set_name)
            out += [f"{set_name}:", table(header, rows)]
    return out


def _amounts(name: str, curve: dict[str, Any]) -> str:
    setting, seeds = curve["setting"], ", ".join(map(str, curve["run"]["seeds"]))
    rows = {"size": "", "alarms": f"Batches of {setting['clean_rows']} rows. "}
    left = [one for one in curve.get("asked", []) if one not in curve["sets"]]
    nothing = f"Nothing to measure on: {', '.join(left)}. " if left else ""
    return (
        rows.get(name, f"Batches of up to {setting['rows']} rows. ")
        + nothing
        + f"Batches per (domain, kind, point): {setting['batches']}; seeds: {seeds}; "
        f"measured in {curve['seconds']:.0f} seconds."
    )


def _training(result: dict[str, Any] | None, folder: Path) -> list[str]:
    if result is None:
        return [NOT_MEASURED]
    setting = result["setting"]
    rows = [
        [name, f"{1000 * seconds:.1f}", f"{result['speedup'].get(name, 1.0):.1f}"]
        for name, seconds in result["step_seconds"].items()
    ]
    step = (
        f"A step of {setting['tasks']} tasks of {setting['task_size']} rows with "
        f"{setting['features']} features; the loops are a plain implementation, task by task."
    )
    return [
        step,
        table(["implementation", "milliseconds per step", "times the package's"], rows),
        *picture(folder, "train.png", "Time of a training step"),
    ]


def warn_of_idle_causes(folder: Path) -> None:
    """Name the causes in causes.json that explain no loss."""
    found = [load(folder, f"quality-{part}.json") for part in ("test", "validation")]
    lost = [loss for result in found if result for loss in losses(result["sets"])]
    causes: Causes = load(folder, "causes.json") or {}
    for name in idle_causes(lost, causes):
        print(f"causes.json: {name} explains no loss", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description="Write docs/results.md from the saved results.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON files")
    parser.add_argument("--page", type=Path, default=PAGE, help="file to write")
    arguments = parser.parse_args(argv)
    warn_of_idle_causes(arguments.results)
    arguments.page.write_text(page(arguments.results), encoding="utf-8")


if __name__ == "__main__":
    main()
