"""CIFAR-100-C: trained on clean images, tested on corrupted ones, a class against all others.

``python benchmarks/paper/cifar100c.py --data DIR`` with cifar-100-python (or -binary) and
CIFAR-100-C in DIR.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from acr_sklearn.datasets import load_cifar100c
from paper.command import changed, parser_for
from paper.presets import CIFAR100C
from paper.shares import run_shares


def standardiser(mean: Sequence[float], std: Sequence[float]) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that gives each channel of flattened images the paper's units."""

    def standardise(rows: np.ndarray) -> np.ndarray:
        channels = rows.reshape(len(rows), len(mean), -1)
        units = (channels - np.float32(mean)[:, None]) / np.float32(std)[:, None]
        return units.reshape(rows.shape)

    return standardise


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Run what is not done yet, print, save."""
    parser = parser_for(CIFAR100C, "CIFAR-100-C")
    arguments = parser.parse_args(argv)
    preset = changed(CIFAR100C, arguments.changes, parser)
    data = load_cifar100c(arguments.data, **preset.data)
    limit = preset.protocol["train_rows_per_class"]
    data = replace(data, train=[rows[:limit] for rows in data.train])
    mean, std = preset.protocol["channel_mean"], preset.protocol["channel_std"]
    return run_shares(
        preset,
        arguments,
        {"": data},
        unit_of=lambda domain: domain.group,
        row_of=lambda domain: domain.group,
        transform=standardiser(mean, std),
    )


if __name__ == "__main__":
    main()
