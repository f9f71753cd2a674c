"""Measured figures on the pages of the user guide, between two marks each.

They are those of `make bench-guide`, and those of the curves that stand on these pages too.
"""

from __future__ import annotations

import re
from pathlib import Path

from guide import TOPICS, topic

from . import curve_figures
from .runs import load

END = "<!-- end of figures -->"


def start(file: str, block: str) -> str:
    """Return the mark before a block."""
    return f"<!-- {file}, {block}: written by make results-page -->"


def with_figures(page: str, text: str, folder: Path) -> str:
    """Return a page with its figures as they are in the files.

    Parameters
    ----------
    page : str
        Path below docs.
    text : str
        The page.
    folder : Path
        Of the JSON files; figures without one are left as they stand.

    Raises
    ------
    ValueError
        If the page has no place for a block, or one for a block that there is not.
    """
    for file, blocks in _figures(page, folder).items():
        placed = re.findall(rf"<!-- {re.escape(file)}, (.+?): written", text)
        if sorted(placed) != sorted(blocks):
            raise ValueError(f"{page} has places for {placed}, {file} has {list(blocks)}.")
        for block, figures in blocks.items():
            mark = start(file, block)
            whole = re.compile(f"{re.escape(mark)}.*?{re.escape(END)}", re.S)
            filled = f"{mark}\n\n{figures}\n\n{END}"
            text = whole.sub(lambda _, filled=filled: filled, text)
    return text


def _figures(page: str, folder: Path) -> dict[str, dict[str, str]]:
    """Return the blocks of a page, by file and name."""
    out = {}
    for name in TOPICS:
        file = f"guide-{name}.json"
        if page == topic(name).PAGE and (found := load(folder, file)) is not None:
            out[file] = topic(name).blocks(found)
    if page in curve_figures.PAGES and (curves := load(folder, "curves.json")) is not None:
        made = curve_figures.blocks(curves)
        out["curves.json"] = {block: made[block] for block in curve_figures.PAGES[page]}
    return out


def guide_pages() -> list[str]:
    """Return the pages that have such figures."""
    return sorted({*(topic(name).PAGE for name in TOPICS), *curve_figures.PAGES})
