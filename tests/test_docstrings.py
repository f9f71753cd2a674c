"""numpydoc on every public name, and docstrings that agree with the signatures they describe.

Two surfaces, two measures. What users import (the names of `acr_sklearn.__all__`, of
`acr_sklearn.plotting` and of `acr_sklearn.exceptions`) documents every parameter and every
result. The parts below them may explain a small function in one sentence, but once they list
parameters the list is whole.
"""

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from numpydoc.docscrape import FunctionDoc
from numpydoc.validate import validate

import acr_sklearn
from acr_sklearn import plotting

IGNORED = {
    "ES01": "a summary that says it all needs no second paragraph",
    "SA01": "See Also is written where there is something to see",
    "SS05": "takes every plural noun for a verb; ruff's D401 watches over the mood",
    "RT02": "a result may have a name, as in scikit-learn's `self : object`",
    "EX01": "examples stand where test_what_users_call_has_an_example asks for them",
}
# What a one-sentence docstring of a part need not have.
SECTIONS = {"PR01", "RT01", "YD01"}


def modules() -> list[ModuleType]:
    """The public modules: no part of the dotted name starts with an underscore."""
    names = [info.name for info in pkgutil.walk_packages(acr_sklearn.__path__, "acr_sklearn.")]
    public = [name for name in names if "._" not in name]
    return [acr_sklearn, *map(importlib.import_module, public)]


def own_members(cls: type) -> list[str]:
    """Public methods and properties whose text is ours, not inherited from a dependency."""
    names = []
    for name, member in inspect.getmembers_static(cls):
        call = getattr(member, "fget", None) or getattr(member, "__func__", member)
        is_ours = (getattr(call, "__module__", None) or "").startswith("acr_sklearn")
        if inspect.isfunction(call) and is_ours and not name.startswith("_"):
            names.append(name)
    return names


def public_objects() -> dict[str, Any]:
    """Import path -> object, each object once, under the shortest path."""
    found, seen = {}, set()
    for module in sorted(modules(), key=lambda m: m.__name__.count(".")):
        names = getattr(module, "__all__", None) or [n for n in vars(module) if n[0] != "_"]
        for name in names:
            member = vars(module).get(name)
            is_ours = getattr(member, "__module__", "").startswith("acr_sklearn")
            if not (is_ours and (inspect.isclass(member) or inspect.isfunction(member))):
                continue
            if id(member) in seen:
                continue
            seen.add(id(member))
            path = f"{module.__name__}.{name}"
            found[path] = member
            if inspect.isclass(member):
                found |= {f"{path}.{m}": getattr(member, m) for m in own_members(member)}
    return found


OBJECTS = public_objects()
PUBLIC = (*acr_sklearn.__all__, *(f"plotting.{name}" for name in plotting.__all__))
SURFACE = tuple(f"acr_sklearn.{name}" for name in (*PUBLIC, "exceptions"))


def on_surface(path: str) -> bool:
    return any(path == start or path.startswith(f"{start}.") for start in SURFACE)


def findings(path: str, docstring: str | None, *, surface: bool) -> list[str]:
    skipped = set(IGNORED)
    if not surface and "Parameters\n" not in (docstring or ""):
        skipped |= SECTIONS
    return [f"{code}: {text}" for code, text in validate(path)["errors"] if code not in skipped]


def test_the_surface_is_what_we_think_it_is():
    assert "acr_sklearn.ZeroShotACRDetector.decision_function" in OBJECTS
    assert "acr_sklearn.exceptions.ACRWarning" in OBJECTS
    assert "acr_sklearn.ZeroShotACRDetector.get_params" not in OBJECTS, "scikit-learn's text"
    assert "acr_sklearn.plotting.DomainMapDisplay.from_estimator" in OBJECTS
    assert "acr_sklearn.PerDomainScorer.by_domain" in OBJECTS
    assert len(OBJECTS) > 20


@pytest.mark.parametrize("path", OBJECTS)
def test_numpydoc(path):
    docstring = inspect.getdoc(OBJECTS[path])
    assert findings(path, docstring, surface=on_surface(path)) == []


@pytest.mark.parametrize("path", [p for p in OBJECTS if p.removeprefix("acr_sklearn.") in PUBLIC])
def test_what_users_call_has_an_example(path):
    assert ">>> " in (inspect.getdoc(OBJECTS[path]) or "")


def stated_defaults(docstring: str) -> dict[str, str]:
    """Parameter -> what its type line says after `default=`."""
    pattern = re.compile(r"^(\w+) : .*\bdefault=(.+)$", re.MULTILINE)
    return dict(pattern.findall(docstring))


def wrong_defaults(function: Callable[..., object], docstring: str) -> list[str]:
    """Defaults in the docstring that the signature does not have, and the other way round."""
    stated = stated_defaults(docstring)
    found = []
    for name, parameter in inspect.signature(function).parameters.items():
        actual = parameter.default
        if actual is inspect.Parameter.empty:
            found += [f"{name} has no default"] if name in stated else []
        elif name not in stated:
            # A method may call required what scikit-learn's signature makes optional (y=None).
            if actual is not None or inspect.isclass(function):
                found.append(f"{name}: default={actual!r} is not stated")
        elif ast.literal_eval(stated[name]) != actual:
            found.append(f"{name}: default={actual!r}, the docstring says {stated[name]}")
    return found


@pytest.mark.parametrize(
    "path", [p for p in OBJECTS if on_surface(p) and not p.startswith("acr_sklearn.exceptions")]
)
def test_defaults_are_stated_and_true(path):
    target = OBJECTS[path]
    if not isinstance(target, property):
        assert wrong_defaults(target, inspect.getdoc(target) or "") == []


def test_the_detector_documents_what_fit_sets():
    documented = {p.name for p in FunctionDoc(acr_sklearn.ZeroShotACRDetector)["Attributes"]}
    assert {"history_", "n_features_in_", "n_iter_", "offset_"} <= documented
    assert all(name.endswith("_") for name in documented)


# ------------------------------------------------------------------- the measures can fail


def badly_documented(X, domains=None):
    """Scores rows

    Parameters
    ----------
    X : array
        Rows.
    """
    return X, domains


def briefly_documented(X):
    """Say everything in one sentence."""
    return X


def test_a_bad_docstring_is_found():
    path = f"{__name__}.badly_documented"
    found = findings(path, badly_documented.__doc__, surface=False)
    assert {"SS03", "PR01", "RT01"} <= {text.split(":")[0] for text in found}


def test_one_sentence_is_enough_for_a_part_and_not_for_the_surface():
    path, text = f"{__name__}.briefly_documented", briefly_documented.__doc__
    assert findings(path, text, surface=False) == []
    found = findings(path, text, surface=True)
    assert {"PR01", "RT01"} == {text.split(":")[0] for text in found}


def test_a_wrong_default_is_found():
    def function(a, b=2, c=None, d="x"):
        return a, b, c, d

    docstring = "a : int, default=1\nb : int, default=3\nc : int, default=None\nd : str\n"
    assert wrong_defaults(function, docstring) == [
        "a has no default",
        "b: default=2, the docstring says 3",
        "d: default='x' is not stated",
    ]
