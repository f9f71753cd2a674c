"""Road accidents by state with the settings for AnoShift: the features permuted in every task.

``python benchmarks/paper/fars.py --part validation`` on what `make bench-data` fetches; ``--part
test`` is for releases, and every run of it is counted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from paper.command import changed, parser_for
from paper.presets import FARS
from paper.quality_sets import count_look, domain_data
from paper.shares import run_shares


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Run what is not done yet, print, save."""
    parser = parser_for(FARS, "road accidents by state", reads_folder=False)
    parser.add_argument("--part", default="validation", choices=["validation", "test"])
    arguments = parser.parse_args(argv)
    preset = changed(FARS, arguments.changes, parser)
    count_look(arguments, preset)
    data = domain_data("fars", arguments.part, **preset.data)
    return run_shares(
        preset,
        arguments,
        {arguments.part: data},
        unit_of=lambda domain: domain.name,
        row_of=lambda _domain: "",
    )


if __name__ == "__main__":
    main()
