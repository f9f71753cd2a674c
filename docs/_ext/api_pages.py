"""Pages of the API, one per public name, written from the package itself.

Which modules are public is what tests/test_architecture.py holds (its ``PUBLIC``); which names
they have is their ``__all__``. A name that a module and the package both offer has one page, under
the package. Nothing is listed by hand, so a new name has its page at the next build.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

from repository_links import ROOT, write_if_changed
from sphinx.application import Sphinx

PACKAGE = "acr_sklearn"
API = ROOT / "docs" / "api"
#: Headings of what the package itself offers from modules that are private.
HEADINGS = {"detectors": "Detectors and their parts", "persistence": "Saving and loading"}
#: Sections of the list, in this order; what is not named here follows in the order of its name.
FIRST = ("detectors", "model_selection", "preprocessing", "metrics", "images", "plotting")


def public_modules() -> set[str]:
    """Return the modules of the package that users may import from."""
    tree = ast.parse((ROOT / "tests" / "test_architecture.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PUBLIC":
            return set(ast.literal_eval(node.value))
    raise LookupError("tests/test_architecture.py assigns no PUBLIC")


def sections() -> dict[str, list[str]]:
    """Return the dotted names of everything public, by the module it belongs to."""
    roof = importlib.import_module(PACKAGE)
    found: dict[str, list[str]] = {}
    for name in roof.__all__:
        module = getattr(roof, name).__module__.split(".")[1]
        found.setdefault(module, []).append(f"{PACKAGE}.{name}")
    for module in public_modules():
        offered = importlib.import_module(f"{PACKAGE}.{module}").__all__
        own = [f"{PACKAGE}.{module}.{n}" for n in offered if n not in roof.__all__]
        found.setdefault(module, []).extend(own)
    order = [*FIRST, *sorted(found.keys() - set(FIRST))]
    return {module: sorted(found[module], key=_last) for module in order if module in found}


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def member(name: str) -> Any:
    """Return what a dotted name stands for."""
    module, _, own = name.rpartition(".")
    return getattr(importlib.import_module(module), own)


def own_members(cls: type) -> list[str]:
    """Return the public methods and properties of a class that are written in the package."""
    return [name for name, is_own in _members(cls) if is_own]


def _members(cls: type) -> Iterator[tuple[str, bool]]:
    for name, static in inspect.getmembers_static(cls):
        call = getattr(static, "fget", None) or getattr(static, "__func__", static)
        if not name.startswith("_") and (inspect.isfunction(call) or isinstance(static, property)):
            yield name, (getattr(call, "__module__", None) or "").startswith(PACKAGE)


def page(name: str) -> str:
    """Return the page of one public name."""
    module, _, own = name.rpartition(".")
    target = member(name)
    lines = [own, "=" * len(own), "", f".. currentmodule:: {module}", ""]
    if inspect.isclass(target):
        lines += [f".. autoclass:: {own}", ""]
        if mine := own_members(target):
            lines += [*_table(f"{own}.{m}" for m in mine), ""]
        if other := _from_elsewhere(target):
            lines += [f"From scikit-learn: {', '.join(f'``{m}``' for m in other)}.", ""]
        for m in mine:
            kind = (
                "property" if isinstance(inspect.getattr_static(target, m), property) else "method"
            )
            lines += [f".. auto{kind}:: {own}.{m}", ""]
    else:
        is_data = not inspect.isroutine(target)
        lines += [f".. auto{'data' if is_data else 'function'}:: {own}"]
        lines += ["   :no-value:", ""] if is_data else [""]
    return "\n".join([*lines, *_in_the_gallery(name)])


def _from_elsewhere(cls: type) -> list[str]:
    """Methods of BaseEstimator and of the mixins; not of dataclasses, tuples or warnings."""
    if not any(base.__module__.startswith("sklearn") for base in cls.__mro__):
        return []
    return [name for name, is_own in _members(cls) if not is_own]


def _table(names: Iterator[str] | list[str]) -> list[str]:
    return [".. autosummary::", "   :nosignatures:", "", *(f"   {name}" for name in names)]


def _in_the_gallery(name: str) -> list[str]:
    return [f".. minigallery:: {name}", "   :add-heading: In the gallery", ""]


def index() -> str:
    """Return the list of all public names."""
    title = "API"
    lines = [
        title,
        "=" * len(title),
        "",
        "Everything that may be imported; what is not listed here may change without notice.",
        "",
    ]
    public = public_modules()
    for module, names in sections().items():
        heading = HEADINGS.get(module, module.capitalize())
        says = ""
        if module in public:
            heading = f"{PACKAGE}.{module}"
            says = inspect.getdoc(importlib.import_module(heading)) or ""
        lines += [heading, "-" * len(heading), "", says.partition("\n\n")[0], ""]
        lines += [".. currentmodule:: " + PACKAGE, ""]
        lines += [*_table(n.removeprefix(f"{PACKAGE}.") for n in names), ""]
    lines += [".. toctree::", "   :hidden:", ""]
    lines += [f"   {name}" for names in sections().values() for name in names]
    return "\n".join([*lines, ""])


def pages() -> dict[str, str]:
    """Return every page of the API by the name of its file."""
    names = [name for group in sections().values() for name in group]
    return {"index.rst": index()} | {f"{name}.rst": page(name) for name in names}


def _write_pages(app: Sphinx) -> None:
    made = pages()
    for old in API.glob("*.rst"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        write_if_changed(API / name, text)


def escape_names(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Keep ``shape (n_features_in_,)`` from being read as a link named n_features_in."""
    for i, line in enumerate(lines):
        if re.match(r"\s*\*\*.+\*\* : ", line):
            head, _, shape = line.partition(" : ")
            lines[i] = f"{head} : " + re.sub(r"(?<=\w)_(?=[,)\s])", r"\\_", shape)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("builder-inited", _write_pages, priority=100)
    app.connect("autodoc-process-docstring", escape_names, priority=900)  # after numpydoc
    return {"parallel_read_safe": True}
