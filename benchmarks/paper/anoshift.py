"""AnoShift: trained on the years 2006 to 2010, tested on these and on later ones.

``python benchmarks/paper/anoshift.py --data Kyoto-2016_AnoShift``
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from acr_sklearn.datasets import load_anoshift
from paper.command import changed, parser_for
from paper.presets import ANOSHIFT
from paper.shares import run_shares


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Run what is not done yet, print, save."""
    parser = parser_for(ANOSHIFT, "AnoShift")
    arguments = parser.parse_args(argv)
    preset = changed(ANOSHIFT, arguments.changes, parser)
    data = load_anoshift(arguments.data, **preset.data)
    return run_shares(
        preset,
        arguments,
        {"": data},
        unit_of=lambda domain: f"{domain.group}/{domain.name}",
        row_of=lambda domain: domain.group,
    )


if __name__ == "__main__":
    main()
