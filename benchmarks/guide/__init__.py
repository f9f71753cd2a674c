"""Figures of the user guide that no other benchmark has: a module per page.

Every module says which page it is of (``PAGE``), measures (``measure``) and writes the tables and
sentences that stand on the page (``blocks``), so that no figure there is typed by hand:

``measure(seeds, quick) -> dict``
    Raw figures, in forms that JSON keeps; ``quick`` is a look that takes seconds.
``blocks(found) -> dict of str``
    Markdown by name, from what ``measure`` returned.
``draw(found, path)``, where a picture says more
    Saves it as ``guide-<module>.png``; the page links it.

`make bench-guide` writes ``guide-<module>.json`` in benchmarks/results, `make results-page` the
blocks into the pages, between the marks of `page.guide`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

#: The modules, by their names.
TOPICS = tuple(
    sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem[0] != "_")
)


def topic(name: str) -> ModuleType:
    """Return the module of a topic."""
    return import_module(f"{__name__}.{name}")
