"""Links that leave docs/: to files of the repository that the site has a page or a copy of.

Pages in docs/ are written for readers of the repository. On the site a link to an example leads to
its page of the gallery, a link to CHANGELOG.md to a page made of it, and the name of a file with
results to a copy of that file, so that every figure can be traced without a network.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RESULTS = ROOT / "benchmarks" / "results"
#: Files outside docs/ that become pages, and where.
PAGES = {
    "CHANGELOG.md": "docs/repository/changelog.md",
    "CONTRIBUTING.md": "docs/repository/contributing.md",
    "SECURITY.md": "docs/repository/security.md",
    "benchmarks/README.md": "docs/repository/benchmarks.md",
}
#: Files outside docs/ that a page stands for.
PLACES = PAGES | {
    "README.md": "docs/index.md",
    "acr_sklearn/__init__.py": "docs/api/index.rst",
    "examples": "docs/gallery/index.rst",
    "docs": "docs/index.md",
}
EXAMPLE = re.compile(r"examples/(plot_\w+)\.py")
LINK = re.compile(r"\[([^\[\]]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)
RESULT = re.compile(r"(?<![\[`])`((?:[\w.-]+/)*[\w.-]+\.(?:json|png))`(?![\]`])")


def place_of(path: str) -> str:
    """Return where the site has what the repository has at a path (both from its root)."""
    example = EXAMPLE.fullmatch(path)
    return f"docs/gallery/{example[1]}.rst" if example else PLACES.get(path, path)


def with_links(text: str, page: str, to: str) -> str:
    """Return the Markdown of a page with its links as the site needs them.

    Parameters
    ----------
    text : str
        What the page says.
    page, to : str
        Where it stands in the repository, and where on the site, both from the root of the
        repository.

    Returns
    -------
    str
        The text; code blocks are left as they are.
    """

    def link(match: re.Match[str]) -> str:
        label, target, anchor = match.groups()
        place = place_of(os.path.normpath(Path(page).parent / target))
        if (ROOT / place).is_dir():
            return label  # a folder has no page: only its name is left
        relative = Path(os.path.relpath(place, Path(to).parent)).as_posix()
        return f"[{label}]({relative}{anchor or ''})"

    def result(match: re.Match[str]) -> str:
        file = RESULTS / match[1].removeprefix("benchmarks/results/")
        if not file.is_file():
            return match[0]
        relative = Path(os.path.relpath(file, (ROOT / to).parent)).as_posix()
        return f"[`{match[1]}`]({relative})"

    return _outside_code(text, lambda part: LINK.sub(link, RESULT.sub(result, part)))


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])


def copied_pages() -> dict[str, str]:
    """Return the pages that are made of files outside docs/, by their path from the root."""
    return {
        place: with_links((ROOT / path).read_text(encoding="utf-8"), path, place)
        for path, place in PAGES.items()
    }


def write_if_changed(path: Path, text: str) -> None:
    """Write a page, unless it says so already: Sphinx reads what is newer than its last build."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _write_pages(app: Sphinx) -> None:
    pages = copied_pages()
    for left in {path for place in pages for path in (ROOT / place).parent.glob("*.md")}:
        if left.relative_to(ROOT).as_posix() not in pages:
            left.unlink()  # of a file that was a page at the last build
    for place, text in pages.items():
        write_if_changed(ROOT / place, text)


def _rewrite(app: Sphinx, docname: str, content: list[str]) -> None:
    path = app.env.doc2path(docname)
    if path.suffix == ".md" and not docname.startswith("repository/"):
        page = path.relative_to(ROOT).as_posix()
        content[0] = with_links(content[0], page, page)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("builder-inited", _write_pages, priority=100)
    app.connect("source-read", _rewrite)
    return {"parallel_read_safe": True}
