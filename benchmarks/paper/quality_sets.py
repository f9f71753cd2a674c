"""The sets of the quality benchmark in the form that the paper's commands take."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from _report import RESULTS, describe_run
from quality.datasets import Unseen, splits

from acr_sklearn.datasets import DomainData, LabelledDomain

from .presets import Preset


def domain_data(
    name: str,
    part: Literal["validation", "test"],
    most_domains: int | None = None,
    most_rows: int | None = None,
    input_shape: tuple[int, int, int] | None = None,
) -> DomainData:
    """Return the first split of a part; at most so many test domains, of so many normal rows."""
    split = next(iter(splits(name, part)))
    unseen = list(split.unseen)
    if most_domains is not None and most_domains < len(unseen):
        unseen = [unseen[i] for i in np.linspace(0, len(unseen) - 1, most_domains).astype(int)]
    return DomainData(
        train=list(split.train),
        train_names=list(split.train_names),
        test=[LabelledDomain(d.name, split.name, _reader(d, most_rows)) for d in unseen],
        input_shape=input_shape,
        feature_names=None,
    )


def _reader(domain: Unseen, most_rows: int | None) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """Normal rows of a domain, and what are anomalies in it."""

    def load() -> tuple[np.ndarray, np.ndarray]:
        normals, anomalies = domain.normals[:most_rows], domain.pool[domain.allowed]
        y = np.repeat(np.array([1, -1], np.int8), [len(normals), len(anomalies)])
        return np.concatenate([normals, anomalies]), y

    return load


def count_look(arguments: argparse.Namespace, preset: Preset) -> None:
    """Append a run on test domains to the record, before it begins: a look that fails is one."""
    if arguments.part != "test":
        return
    path = Path(RESULTS) / "test-runs.json"
    runs: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    run = describe_run(arguments.seeds)
    runs.append(
        {name: run[name] for name in ("date", "commit", "seeds")}
        | {"sets": [preset.name], "methods": [f"paper/{preset.name}.py"]}
    )
    path.write_text(json.dumps(runs, indent=2) + "\n", encoding="utf-8")
