"""Figures of `make bench-guide` on the pages of the user guide, between two marks each."""

from __future__ import annotations

import re
from pathlib import Path

from guide import TOPICS, topic

from .runs import load

END = "<!-- end of figures -->"


def start(name: str, block: str) -> str:
    """Return the mark before a block."""
    return f"<!-- guide-{name}.json, {block}: written by make results-page -->"


def with_figures(page: str, text: str, folder: Path) -> str:
    """Return a page with its figures as they are in the files.

    Parameters
    ----------
    page : str
        Path below docs.
    text : str
        The page.
    folder : Path
        Of the JSON files; a topic without one is left as it stands.

    Raises
    ------
    ValueError
        If the page has no place for a block, or for one that there is not.
    """
    for name in topics_of(page):
        if (found := load(folder, f"guide-{name}.json")) is None:
            continue
        blocks = topic(name).blocks(found)
        placed = re.findall(rf"<!-- guide-{name}\.json, (.+?): written", text)
        if sorted(placed) != sorted(blocks):
            raise ValueError(f"{page} has places for {placed}, the file has {list(blocks)}.")
        for block, figures in blocks.items():
            whole = re.compile(f"{re.escape(start(name, block))}.*?{re.escape(END)}", re.S)
            filled = f"{start(name, block)}\n\n{figures}\n\n{END}"
            text = whole.sub(lambda _, filled=filled: filled, text)
    return text


def topics_of(page: str) -> list[str]:
    """Return the topics whose figures stand on a page."""
    return [name for name in TOPICS if page == topic(name).PAGE]


def guide_pages() -> list[str]:
    """Return the pages that have figures of the guide."""
    return sorted({topic(name).PAGE for name in TOPICS})
