"""Speed: of scoring, of a training step, of the convolutional network's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench_conv import report as conv_report
from bench_score import report as score_report

from .markdown import picture, table
from .runs import NOT_MEASURED, load, measured


def section(folder: Path) -> list[str]:
    """Return the paragraphs."""
    score, train, conv = (load(folder, f"{name}.json") for name in ("score", "train", "conv"))
    return [
        "## Speed and memory of scoring",
        *(_printed(score, score_report(score)) if score else [NOT_MEASURED]),
        *picture(folder, "score.png", "Speed and memory of scoring"),
        "## Time of a training step",
        *_training(train, folder),
        "## Training step of the convolutional network",
        *(_printed(conv, conv_report(conv["found"])) if conv else [NOT_MEASURED]),
    ]


def _printed(result: dict[str, Any], text: str) -> list[str]:
    return [measured(result["run"]), f"```text\n{text}\n```"]


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
        measured(result["run"]),
        step,
        table(["implementation", "milliseconds per step", "times the package's"], rows),
        *picture(folder, "train.png", "Time of a training step"),
    ]


def in_one_line(folder: Path) -> str:
    """Return what a reader wants to know of speed, or that it was not measured."""
    said = []
    if score := load(folder, "score.json"):
        seconds = score["large"]["seconds"]
        calls = score["single_rows"]["default"]["calls_per_second"]
        said.append(
            f"one large batch takes {seconds['default head, sample']:.1f} s "
            f"({seconds['default head, exact']:.1f} s exactly), IsolationForest "
            f"{seconds['iforest']:.1f} s, ECOD {seconds['ecod']:.1f} s, and single rows go at "
            f"{calls:,.0f} a second (commit {score['run']['commit']})"
        )
    if train := load(folder, "train.json"):
        said.append(
            f"a training step is {train['speedup']['looped']:.1f} times as fast as a plain loop "
            f"over tasks (commit {train['run']['commit']})"
        )
    if native := load(folder, "native.json"):
        methods = native["methods"]
        timed = [
            f"{name} {1000 * methods[name]['score_seconds']:.0f} ms"
            for name in ("acr", "acr_combined", "iforest")
            if name in methods
        ]
        said.append(f"a batch of real anomalies takes {', '.join(timed)}")
    if not said:
        return NOT_MEASURED
    words = "; ".join(said)
    return f"{words[0].upper()}{words[1:]}."
