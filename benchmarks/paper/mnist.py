"""MNIST: trained on some digits, tested on each of the others, in rotation.

``python benchmarks/paper/mnist.py --data DIR`` with the four idx files in DIR. It scores rows of
t10k, some of them test rows of the quality benchmark: a run whose results go to benchmarks/results
is counted as a look at these, by the name of DIR.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _report import RESULTS

from acr_sklearn.datasets import load_mnist
from paper.command import changed, parser_for
from paper.presets import MNIST
from paper.quality_sets import count_look
from paper.shares import run_shares


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Run what is not done yet, print, save."""
    parser = parser_for(MNIST, "MNIST")
    arguments = parser.parse_args(argv)
    preset = changed(MNIST, arguments.changes, parser)
    if arguments.out.resolve().is_relative_to(RESULTS.resolve()):
        count_look(arguments.seeds, preset, arguments.data.resolve().name)
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
