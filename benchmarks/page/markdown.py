"""Tables, pictures and lists of the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

NUMBER = re.compile(r"\*{0,2}[-+]?[\d.,]*%?\*{0,2}")  # an empty cell is one that has no number
PICTURES = "../../benchmarks/results"  # from docs/results/


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table, columns of numbers to the right and those of words to the left."""
    rule = [
        "---:" if all(map(NUMBER.fullmatch, column)) else "---"
        for column in zip(*rows, strict=True)
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *rows])


def picture(folder: Path, name: str, says: str) -> list[str]:
    """Return the picture, if it was drawn."""
    return [f"![{says}]({PICTURES}/{name})"] if (folder / name).is_file() else []


def signed(value: float) -> str:
    """Return a difference with its sign."""
    return f"{value:+.3f}"
