"""Speed: of scoring, of a training step, of the convolutional network's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench_conv import report as conv_report
from bench_score import report as score_report

from .markdown import picture, table
from .names import in_words
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


def answer(folder: Path) -> list[str]:
    """Return what a reader wants to know of speed, or that it was not measured."""
    said = []
    if score := load(folder, "score.json"):
        taken, setting = score["large"]["seconds"], score["setting"]
        calls = score["single_rows"]["default"]["calls_per_second"]
        batch = f"a batch of {setting['rows']:,} rows of {setting['features']} features"
        said.append(
            f"Scoring {batch}: {taken['default head, exact']:.1f} s, under the statistics of a "
            f"sample of its rows {taken['default head, sample']:.1f} s; IsolationForest "
            f"{taken['iforest']:.1f} s, ECOD {taken['ecod']:.1f} s. Single rows after `adapt`: "
            f"{calls:,.0f} a second ({_source(score, 'score.json')})."
        )
    if native := load(folder, "native.json"):
        methods = native["methods"]
        timed = [
            f"{in_words(name)} {1000 * methods[name]['score_seconds']:.0f} ms"
            for name in ("acr", "iforest")
            if name in methods
        ]
        source = _source(native, "native.json")
        said.append(f"A batch of real anomalies: {', '.join(timed)} ({source}).")
    if train := load(folder, "train.json"):
        said.append(
            f"A training step is {train['speedup']['looped']:.1f} times as fast as a plain loop "
            f"over tasks ({_source(train, 'train.json')})."
        )
    return ["\n".join(f"- {line}" for line in said)] if said else [NOT_MEASURED]


def _source(result: dict[str, Any], file: str) -> str:
    return f"[{file}](../benchmarks/results/{file}), commit {result['run']['commit']}"
