"""A Markdown copy beside every page, and llms.txt, for readers that are programs.

Pages that were written in Markdown are copied as they were written, but for toctrees and for the
links, which lead to the site's own copies of files. The pages of the API and of the gallery are
written in Markdown from what Sphinx made of them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from repository_links import FENCE, LINK
from sphinx.application import Sphinx
from sphinx.writers.text import TextTranslator

TOCTREE = re.compile(r"^```\{toctree\}\n.*?^```\n?", re.MULTILINE | re.DOTALL)
SUMMARY = (
    "Zero-shot anomaly detection for scikit-learn: meta-train once on several normal data sets "
    "(domains), then score batches of domains that were never seen, without labels or refitting."
)


class MarkdownTranslator(TextTranslator):
    """Text with headings, code and emphasis as Markdown has them."""

    def visit_title(self, node: nodes.Element) -> None:
        if isinstance(node.parent, nodes.section):
            self.new_state(0)
        else:
            super().visit_title(node)

    def depart_title(self, node: nodes.Element) -> None:
        if isinstance(node.parent, nodes.section):
            text = "".join(item for _, item in self.states.pop() if isinstance(item, str))
            self.stateindent.pop()
            self.states[-1].append((0, ["", f"{'#' * self.sectionlevel} {text}", ""]))
        else:
            super().depart_title(node)

    def visit_literal_block(self, node: nodes.Element) -> None:
        language = str(node.get("language", ""))
        self.new_state(0)
        self.add_text(f"```{language if language.isalnum() and language != 'none' else ''}\n")
        self.add_text(node.astext().rstrip() + "\n```")
        self.end_state(wrap=False)
        raise nodes.SkipNode

    visit_doctest_block = visit_literal_block

    def visit_literal(self, node: nodes.Element) -> None:
        self.add_text("`")

    def depart_literal(self, node: nodes.Element) -> None:
        self.add_text("`")

    def visit_image(self, node: nodes.Element) -> None:
        raise nodes.SkipNode

    def unknown_visit(self, node: nodes.Node) -> None:
        raise nodes.SkipNode  # a picture of the gallery, how to download an example

    def visit_only(self, node: nodes.Element) -> None:
        raise nodes.SkipNode

    def visit_raw(self, node: nodes.Element) -> None:
        raise nodes.SkipNode


def from_doctree(app: Sphinx, docname: str) -> str:
    """Return a page in Markdown, from what Sphinx made of it."""
    doctree = app.env.get_doctree(docname)
    doctree.settings.env = app.env
    translator = MarkdownTranslator(doctree, app.builder)
    doctree.walkabout(translator)
    return re.sub(r"\n{3,}", "\n\n", str(translator.body)).strip() + "\n"


def from_source(text: str, docname: str, places: dict[str, str], docs: Path) -> str:
    """Return the Markdown of a page with links that hold among the copies.

    Parameters
    ----------
    text : str
        What the page says, after all changes that Sphinx was told of.
    docname : str
        The name of the page.
    places : dict of str to str
        Where the site has a file: its path on the site by its path here.
    docs : Path
        The folder of the sources.

    Returns
    -------
    str
        The Markdown.
    """
    here = (docs / docname).parent

    def link(match: re.Match[str]) -> str:
        label, target, anchor = match.groups()
        source = os.path.normpath(here / target)
        if source in places:
            up = os.path.relpath(docs / places[source], here)
            return f"[{label}]({Path(up).as_posix()})"
        return f"[{label}]({re.sub(r'[.]rst$', '.md', target)}{anchor or ''})"

    kept, end = [], 0
    text = TOCTREE.sub("", text)
    for fence in FENCE.finditer(text):
        kept += [LINK.sub(link, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*kept, LINK.sub(link, text[end:])]).rstrip() + "\n"


def _places(app: Sphinx) -> dict[str, str]:
    """Return where files beside the pages are on the site."""
    docs = Path(app.srcdir)
    found = {
        os.path.normpath(docs / name): f"_downloads/{place}"
        for name, (_, place) in app.env.dlfiles.items()
    }
    found |= {
        os.path.normpath(docs / name): f"_images/{place}"
        for name, (_, place) in app.env.images.items()
    }
    return found


def first_sentence(text: str) -> str:
    """Return what a page says first, for the list of pages."""
    for paragraph in re.split(r"\n\s*\n", FENCE.sub("", text)):
        line = " ".join(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", paragraph).split())
        is_prose = re.match(r"[A-Za-z`*\"]", line) and re.search(r"[.:]( |$)", line)
        if is_prose and not line.startswith(("acr_sklearn.", "class ", "Results. Written")):
            return re.split(r"(?<=[.]) ", line)[0]
    return ""


def listing(app: Sphinx, copies: dict[str, str]) -> str:
    """Return llms.txt: what the package is, and every page with its first sentence."""
    lines = ["# acr_sklearn", "", f"> {SUMMARY}", ""]

    def entry(docname: str) -> str:
        title = app.env.titles[docname].astext()
        says = first_sentence(copies[docname])
        return f"- [{title}]({docname}.md){': ' if says else ''}{says}"

    children = app.env.toctree_includes
    for top in [app.config.root_doc, *children.get(app.config.root_doc, [])]:
        below = _below(children, top) if top != app.config.root_doc else []
        lines += [f"## {app.env.titles[top].astext()}", "", *map(entry, [top, *below]), ""]
    return "\n".join(lines)


def _below(children: dict[str, list[str]], docname: str) -> list[str]:
    found: list[str] = []
    for child in children.get(docname, []):
        found += [child, *_below(children, child)]
    return list(dict.fromkeys(found))


def _keep(app: Sphinx, docname: str, content: list[str]) -> None:
    """Remember the text of a page as Sphinx reads it."""
    if app.env.doc2path(docname).suffix == ".md":
        if not hasattr(app.env, "markdown_pages"):
            app.env.markdown_pages = {}
        app.env.markdown_pages[docname] = content[0]


def _write(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    sources: dict[str, Any] = getattr(app.env, "markdown_pages", {})
    places, copies = _places(app), {}
    for docname in sorted(app.env.found_docs):
        if docname in sources:
            copies[docname] = from_source(sources[docname], docname, places, Path(app.srcdir))
        else:
            copies[docname] = from_doctree(app, docname)
        path = Path(app.outdir) / f"{docname}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(copies[docname], encoding="utf-8")
    (Path(app.outdir) / "llms.txt").write_text(listing(app, copies), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx; the text of a page is kept after all others have changed it."""
    app.connect("source-read", _keep, priority=900)
    app.connect("build-finished", _write)
    return {"parallel_read_safe": False}
