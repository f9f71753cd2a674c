"""Check a built site without a network: every link, anchor and picture within it exists.

Run it as ``python docs/_ext/check_links.py docs/_build/html``; `make docs` does.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src"}
MARKDOWN_LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(?:#[^)\s]*)?\)")
FENCE = re.compile(r"^(?P<fence>`{3,}).*?^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)


class Page(HTMLParser):
    """What a page links to, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the link of a tag, and its names."""
        values = dict(attrs)
        target = values.get(LINKS.get(tag, ""))
        if target is not None:
            self.targets.append(target)
        elif tag == "img":
            self.targets.append("")  # a picture without a source
        self.anchors |= {value for key in ("id", "name") if (value := values.get(key))}


@cache
def read(path: Path) -> Page:
    """Return a page, read once."""
    return Page(path.read_text(encoding="utf-8"))


def broken(target: str, page: Path, root: Path) -> str | None:
    """Return what is wrong with a link of a page, or None."""
    if not target:
        return "is empty"
    parts = urlsplit(target)
    if parts.scheme == "file":
        return "leads to a file of the machine that built the site"
    if parts.scheme or parts.netloc:
        return None
    file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if file.is_dir():
        file /= "index.html"
    if not file.is_relative_to(root):
        return "leads out of the site"
    if not file.is_file():
        return "there is no such file"
    if parts.fragment and file.suffix == ".html":
        anchors = read(file).anchors
        if unquote(parts.fragment) not in anchors:
            return "there is no such anchor"
    return None


def findings(root: Path) -> list[str]:
    """Return every link of the site that leads nowhere, with its page."""
    root = root.resolve()
    found = []
    for page in sorted(root.rglob("*.html")):
        if page.relative_to(root).parts[0] != "_static":
            found += _of_page(page, dict.fromkeys(read(page).targets), root)
    for page in sorted(root.rglob("*.md")):
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        found += _of_page(page, dict.fromkeys(MARKDOWN_LINK.findall(text)), root)
    return found


def _of_page(page: Path, targets: dict[str, None], root: Path) -> list[str]:
    problems = {target: broken(target, page, root) for target in targets}
    name = page.relative_to(root).as_posix()
    return [f"{name}: {target!r}: {says}" for target, says in problems.items() if says]


def main(argv: list[str]) -> int:
    """Print what is broken; 1 if anything is."""
    root = Path(argv[0])
    found = findings(root)
    n_pages = len(list(root.rglob("*.html")))
    if not n_pages:
        found.append(f"no page in {root}: build the site first")
    sound = f"Links, anchors and pictures of {n_pages} pages: all there."
    sys.stdout.write("\n".join(found or [sound]) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
