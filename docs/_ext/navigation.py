"""A place in the navigation for every page, without editing a list.

In a toctree the line ``<the rest>`` stands for all pages directly in docs/ that no toctree names.
Pages that a command writes have no toctree of their own and get one here. A pattern, such as
``recipe[s]``, may match no page yet.
"""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

from sphinx.application import Sphinx

MARK = "<the rest>"
#: What stands below pages that are written by `make results-page`.
BELOW = {
    "results": """```{toctree}
:hidden:
:glob:

results/native
results/known
results/quality-test
results/quality-validation
results/surfaces
results/curves
results/*
How real anomalies are measured <native>
repository/benchmarks
```
""",
}
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def entries(text: str) -> list[str]:
    """Return what the toctrees of a page list: names of pages, or patterns of names."""
    lines = [line.strip() for block in TOCTREE.findall(text) for line in block.splitlines()]
    lines = [line for line in lines if line and not line.startswith(":")]
    return [re.sub(r"^.*<(.+)>$", r"\1", line) if line != MARK else line for line in lines]


def rest(docs: Path) -> list[str]:
    """Return the pages directly in docs/ that no other page there lists, in order."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(docs.glob("*.md"))}
    listed = {entry for text in [*texts.values(), *BELOW.values()] for entry in entries(text)}
    return [
        name
        for name in texts
        if name != "index" and not any(fnmatch(name, pattern) for pattern in listed)
    ]


def without_idle_patterns(block: str, pages: list[str]) -> str:
    """Leave the patterns out of a toctree that match none of the pages: Sphinx warns of them."""
    kept = [
        line
        for line in block.splitlines()
        if line.startswith((":", "`"))
        or not re.search(r"[*?\[]", line)
        or any(fnmatch(name, line.strip()) for name in pages)
    ]
    return "\n".join(kept)


def _fill(app: Sphinx, docname: str, content: list[str]) -> None:
    if docname in BELOW:
        content[0] += f"\n{BELOW[docname]}"
    if MARK in content[0]:
        content[0] = content[0].replace(MARK, "\n".join(rest(Path(app.srcdir))))
    here = docname.rpartition("/")[0]
    pages = [
        str(Path(name).relative_to(here)) for name in app.env.found_docs if name.startswith(here)
    ]
    content[0] = TOCTREE.sub(lambda block: without_idle_patterns(block[0], pages), content[0])


def _outdated(app: Sphinx, *_: object) -> list[str]:
    """Read the page with the mark at every build: what the others list may have changed."""
    docs = Path(app.srcdir)
    return [path.stem for path in docs.glob("*.md") if MARK in path.read_text(encoding="utf-8")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("source-read", _fill)
    app.connect("env-get-outdated", _outdated)
    return {"parallel_read_safe": True}
