"""How the examples are run for the gallery: on what comes along, leaving no files behind.

The examples may read data that a clone does not have. For the site they run on what they make
themselves or scikit-learn ships, whatever is on this machine, so that the site is the same wherever
it is built.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

#: Comments in the examples that say nothing to a reader.
FOR_LINTERS = re.compile(r" +# (?:noqa: \w+|fmt: skip)$", re.MULTILINE)


def _configure(app: Sphinx, config: Any) -> None:
    folder = Path(tempfile.mkdtemp(prefix="acr-gallery-"))
    os.environ["ACR_SKLEARN_DATA"] = str(folder / "no-data")


def _change(app: Sphinx, docname: str, content: list[str]) -> None:
    if docname.startswith("gallery/"):
        content[0] = FOR_LINTERS.sub("", content[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx, before sphinx-gallery reads its configuration."""
    app.connect("config-inited", _configure, priority=1)
    app.connect("source-read", _change)
    return {"parallel_read_safe": True}
