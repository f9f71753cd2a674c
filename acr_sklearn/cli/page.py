"""One page of HTML with nothing beside it: every text escaped, no script, light and dark."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Cell", "figure", "page", "paragraph", "section", "table"]

#: Nothing is fetched and nothing runs, whatever a cell of a table says.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = """
:root { color-scheme: light dark; --text: #1b1b1b; --soft: #5c5c5c; --ground: #fff;
  --line: #d8d8d8; --band: #f5f6f8; }
@media (prefers-color-scheme: dark) { :root { --text: #e8e8e8; --soft: #a9a9a9;
  --ground: #16181c; --line: #3a3d44; --band: #1e2127; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--text);
  background: var(--ground); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .4rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem;
  font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: .4rem .7rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
td { max-width: 18rem; min-width: 3rem; }
tr:last-child td { border-bottom: 0; }
tr:nth-child(even) td { background: var(--band); }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
.detail { display: block; color: var(--soft); font-size: .82rem; white-space: nowrap; }
figure { margin: 0; padding: .6rem; background: #fff; border: 1px solid var(--line);
  border-radius: .4rem; }
img { display: block; width: 100%; max-width: 40rem; height: auto; margin: 0 auto; }
figcaption, .about { color: var(--soft); font-size: .88rem; }
figcaption { color: #5c5c5c; margin-top: .4rem; }
@media (max-width: 30rem) { th, td { padding: .35rem .45rem; } }
"""


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes
    ----------
    text : str
        What stands in it.
    number : bool, default=False
        Whether it stands right.
    detail : str, default=""
        What stands below, in small letters.
    """

    text: str
    number: bool = False
    detail: str = ""

    def html(self) -> str:
        """Write the cell."""
        kind = ' class="number"' if self.number else ""
        below = f'<span class="detail">{escape(self.detail)}</span>' if self.detail else ""
        return f"<td{kind}>{escape(self.text)}{below}</td>"


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]], numbers: Sequence[int] = ()) -> str:
    """Write a table that scrolls by itself where the page is narrow.

    Parameters
    ----------
    head : sequence of str
        Names of the columns.
    rows : sequence of sequence of Cell
        Its rows.
    numbers : sequence of int, default=()
        Positions of the columns whose names stand right.

    Returns
    -------
    str
        HTML.
    """
    names = "".join(
        f'<th scope="col"{" class=number" if i in numbers else ""}>{escape(name)}</th>'
        for i, name in enumerate(head)
    )
    body = "\n".join(f"<tr>{''.join(cell.html() for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0"><table>\n<thead><tr>{names}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def paragraph(text: str, kind: str = "") -> str:
    """Write a paragraph; `kind` is a class of the style."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def figure(svg: str, caption: str) -> str:
    """Write a picture into the page itself, as an image, in which no script would run."""
    data = base64.b64encode(svg.encode()).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def section(title: str, *parts: str) -> str:
    """Write a heading and what stands below it, in HTML."""
    return "\n".join([f"<section><h2>{escape(title)}</h2>", *parts, "</section>"])


def page(title: str, parts: Sequence[str]) -> str:
    """Write the whole page.

    Parameters
    ----------
    title : str
        Its heading.
    parts : sequence of str
        HTML, from the functions above.

    Returns
    -------
    str
        HTML.
    """
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
            f"<h1>{escape(title)}</h1>",
            *parts,
            "</body>\n</html>\n",
        ]
    )
