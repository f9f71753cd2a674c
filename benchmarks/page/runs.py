"""What was run, when and at which commit; looks at the test domains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .markdown import table

FILES = {
    "native.json": "real anomalies",
    "known.json": "known anomalies",
    "quality-test.json": "quality on test domains",
    "quality-validation.json": "quality on validation domains",
    "surfaces-test.json": "defects on test surfaces",
    "surfaces-validation.json": "defects on validation surfaces",
    "curves.json": "curves on validation domains",
    "score.json": "speed and memory of scoring",
    "reference.json": "reference mode and p-values",
    "train.json": "time of a training step",
    "conv.json": "training step of the convolutional network",
    "distributed.json": "fleets on Dask and Spark",
}
NOT_MEASURED = "Not measured."
#: Since when the default score is the consensus of evidence (UTC), and the commit.
CONSENSUS, CONSENSUS_COMMIT = "2026-11-25T10:37:48+00:00", "8dd4181"
FORMER = (
    f"Quality, surfaces, curves and speed that were measured at commits before {CONSENSUS_COMMIT}, "
    "when the consensus of evidence became the default score, are of the former default, "
    '`score_head="combined"`; each table says at which commit it was measured.'
)


def load(folder: Path, name: str) -> Any:
    """Return the content of a file, or None where it is missing."""
    path = folder / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def measured(run: dict[str, Any], file: str = "") -> str:
    """Say where a table stands: its commit, day and seeds, and whether that is the default.

    With `file`, for docs/results.md: which file it is from.
    """
    # Of one offset and form, so that they sort as text.
    former = ', with the former default, `score_head="combined"`'
    seeds = ", ".join(map(str, run["seeds"]))
    return (
        f"{f'[{file}](../benchmarks/results/{file}), measured' if file else 'Measured'} at commit "
        f"{run['commit']} on {run['date'][:10]}, seeds {seeds}"
        f"{former if run['date'] < CONSENSUS else ''}."
    )


def runs_table(folder: Path) -> str:
    """Return a row per saved run."""
    rows = []
    for name, what in FILES.items():
        content = load(folder, name)
        if content is None:
            rows.append([what, f"`{name}`", "not measured", "", "", "", ""])
        elif name == "curves.json":
            rows += [_run(f"curve: {c['title']}", name, c["run"]) for c in content.values()]
        else:
            rows.append(_run(what, name, content["run"]))
    return table(["what", "file", "date", "commit", "seeds", "machine", "versions"], rows)


def _run(what: str, name: str, run: dict[str, Any]) -> list[str]:
    machine = run["machine"]
    threads = f"{machine['cores']} cores, {machine['torch_threads']} torch threads"
    versions = (f"{package} {number}" for package, number in run["versions"].items())
    seeds = ", ".join(map(str, run["seeds"]))
    where = f"{machine['processor']}, {threads}, {machine['system']}"
    return [what, f"`{name}`", run["date"], str(run["commit"]), seeds, where, ", ".join(versions)]


def looks(runs: list[dict[str, Any]] | None) -> list[str]:
    """Return the paragraphs on runs that looked at test domains."""
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
