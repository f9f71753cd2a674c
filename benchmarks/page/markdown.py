"""Tables, pictures and lists of the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

PICTURES = "../benchmarks/results"  # from docs/


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table, the first column to the left, the others to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *rows])


def picture(folder: Path, name: str, says: str) -> list[str]:
    """Return the picture, if it was drawn."""
    return [f"![{says}]({PICTURES}/{name})"] if (folder / name).is_file() else []


def signed(value: float) -> str:
    """Return a difference with its sign."""
    return f"{value:+.3f}"
