"""Omniglot: trained on 1200 characters, tested on each of the others.

``python benchmarks/paper/omniglot.py --data DIR`` with images_background and
images_evaluation in DIR.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from acr_sklearn.datasets import load_omniglot
from paper.command import changed, parser_for
from paper.presets import OMNIGLOT
from paper.shares import run_shares


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Run what is not done yet, print, save."""
    parser = parser_for(OMNIGLOT, "Omniglot")
    arguments = parser.parse_args(argv)
    preset = changed(OMNIGLOT, arguments.changes, parser)
    data = load_omniglot(arguments.data, **preset.data)
    return run_shares(
        preset,
        arguments,
        {"": data},
        unit_of=lambda domain: domain.group,
        row_of=lambda _domain: "",
    )


if __name__ == "__main__":
    main()
