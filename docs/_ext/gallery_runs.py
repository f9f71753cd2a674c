"""How the examples are run for the gallery: quickly, on what comes along, leaving no files behind.

The examples are scripts with options and may read data that a clone does not have. For the site
they run on what they make themselves or scikit-learn ships, whatever is on this machine, so that
the site is the same wherever it is built.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

#: Options that shorten an example to less than half a minute.
OPTIONS: dict[str, list[str]] = {
    "plot_digits": ["--batches", "5"],
    "plot_known_faults": ["--max-iter", "60"],
    "plot_pipeline_grid_search": ["--max-iter", "40"],
    "plot_segmentation": ["--surfaces", "16"],
}
#: Examples that are shown and not run, and why.
NOT_RUN = {
    "plot_fashion_mnist": "it needs the 70,000 images of Fashion-MNIST, which are not part of the "
    "repository",
}
#: What sphinx-gallery writes before every block of an example but its introduction.
BLOCK = ".. GENERATED FROM PYTHON SOURCE LINES"
#: Comments in the examples that say nothing to a reader.
FOR_LINTERS = re.compile(r" +# (?:noqa: \w+|fmt: skip)$", re.MULTILINE)
RUN = r"plot_(?!" + "|".join(f"{name.removeprefix('plot_')}\\." for name in NOT_RUN) + ")"


class Options:
    """What an example gets as sys.argv[1:]: its options, and a picture outside the repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __repr__(self) -> str:  # the configuration is compared by it between builds
        return "Options()"

    def __call__(self, gallery_conf: dict[str, Any], script_vars: dict[str, Any]) -> list[str]:
        path = Path(script_vars["src_file"])
        saves = "--save" in path.read_text(encoding="utf-8")
        save = ["--save", str(self.folder / f"{path.stem}.png")] if saves else []
        return [*OPTIONS.get(path.stem, []), *save]


def _configure(app: Sphinx, config: Any) -> None:
    folder = Path(tempfile.mkdtemp(prefix="acr-gallery-"))
    os.environ["ACR_SKLEARN_DATA"] = str(folder / "no-data")
    config.sphinx_gallery_conf = config.sphinx_gallery_conf | {
        "filename_pattern": RUN,
        "reset_argv": Options(folder),
    }


def with_reason(page: str, reason: str) -> str:
    """Return the page of an example that was not run, with the reason below its introduction."""
    introduction, *blocks = page.split(BLOCK)
    note = f".. note::\n\n   This example was not run for the site: {reason}.\n\n"
    return BLOCK.join([introduction + note, *blocks])


def _change(app: Sphinx, docname: str, content: list[str]) -> None:
    folder, _, name = docname.partition("/")
    if folder == "gallery":
        content[0] = FOR_LINTERS.sub("", content[0])
    if folder == "gallery" and name in NOT_RUN:
        content[0] = with_reason(content[0], NOT_RUN[name])


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx, before sphinx-gallery reads its configuration."""
    app.connect("config-inited", _configure, priority=1)
    app.connect("source-read", _change)
    return {"parallel_read_safe": True}
