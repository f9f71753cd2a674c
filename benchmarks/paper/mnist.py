"""MNIST: trained on some digits, tested on each of the others, in rotation.

``python benchmarks/paper/mnist.py --data DIR`` with the four idx files in DIR.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from acr_sklearn.datasets import load_mnist
from paper.command import changed, parser_for
from paper.presets import MNIST
from paper.shares import run_shares


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Run what is not done yet, print, save."""
    parser = parser_for(MNIST, "MNIST")
    arguments = parser.parse_args(argv)
    preset = changed(MNIST, arguments.changes, parser)
    trainings = {
        f"without-{'-'.join(map(str, unseen))}": load_mnist(arguments.data, unseen=unseen)
        for unseen in preset.data["rotations"]
    }
    return run_shares(
        preset,
        arguments,
        trainings,
        unit_of=lambda domain: domain.name,
        row_of=lambda domain: domain.name,
    )


if __name__ == "__main__":
    main()
