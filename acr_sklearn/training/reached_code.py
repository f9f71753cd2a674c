"""Code that a user's object runs: its own, and all that this calls, up to what is installed."""

from __future__ import annotations

import functools
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import joblib
import numpy as np

from acr_sklearn._input.validation import FOREIGN_ERRORS

__all__ = ["reached_code"]

#: What changes with its version, and not between two calls. This package has one too.
_INSTALLED = tuple(
    Path(folder).resolve()
    for folder in (
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        str(Path(__file__).parents[1]),
    )
)
#: Folders of packages, of this environment or of one that it builds on.
_OF_PACKAGES = frozenset({"site-packages", "dist-packages"})
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), range, slice)
#: What names a class or a function.
_NAMES = ("__module__", "__qualname__")
#: Of a class: what Python makes, and what says nothing of what it does.
_OF_PYTHON = frozenset(
    {"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__qualname__"}
    | {"__abstractmethods__", "_abc_impl", "__firstlineno__", "__static_attributes__", "__slots__"}
    | {"__annotate__", "__annotate_func__", "__annotations_cache__", "__classdictcell__"}
)


def reached_code(roots: Iterable[object]) -> list[str]:
    """Describe the code that objects, classes and functions may run.

    Functions are followed through the globals, closures, defaults and modules that their code
    names, methods through their classes, objects through what they hold. Installed packages and
    Python's own modules are not entered. Of globals and of attributes of classes the plain values
    count too, and arrays.

    Parameters
    ----------
    roots : iterable of object
        Where to begin.

    Returns
    -------
    list of str
        Sorted, and equal in every process for equal code. What is compared is the code as it was
        compiled, so comments do not count, and neither does what was edited but not loaded.
    """
    found: set[str] = set()
    seen: dict[int, object] = {}  # keeps what it holds, or an address could come twice
    waiting = list(roots)
    while waiting:
        thing = waiting.pop()
        if id(thing) not in seen:
            seen[id(thing)] = thing
            found.update(_visit(thing, waiting))
    return sorted(found)


#: Things that lead to others, and to what.
_LEADS: list[tuple[Any, Callable[[Any], Iterable[object]]]] = [
    (FunctionType, lambda f: [getattr(f, "__wrapped__", None)]),
    (type | ModuleType | np.ndarray, lambda _: []),
    (MethodType, lambda method: [method.__func__, method.__self__]),
    (functools.partial, lambda part: [part.func, *part.args, *part.keywords.values()]),
    (staticmethod | classmethod, lambda method: [method.__func__]),
    (property, lambda p: [p.fget, p.fset, p.fdel]),
    (functools.cached_property, lambda p: [p.func]),
    (list | tuple | set | frozenset, list),
    (dict, lambda held: held.values()),
    (object, lambda one: [type(one), *getattr(one, "__dict__", {}).values()]),
]


def _visit(thing: Any, waiting: list[Any]) -> Iterator[str]:
    """Describe one thing, and put what it leads to on the list."""
    if isinstance(thing, FunctionType) and _is_users(thing.__code__.co_filename):
        yield from _of_function(thing, waiting)
    if isinstance(thing, type):
        for base in thing.__mro__:
            if _is_users(_file_of(sys.modules.get(base.__module__))):
                yield from _of_class(base, waiting)
    waiting += next(leads(thing) for kind, leads in _LEADS if isinstance(thing, kind))


def _of_class(kind: type, waiting: list[Any]) -> Iterator[str]:
    name = f"{kind.__module__}.{kind.__qualname__}"
    for key, value in vars(kind).items():
        if key not in _OF_PYTHON:
            yield f"{name}.{key} = {_described(value, waiting)}"


def _of_function(function: FunctionType, waiting: list[Any]) -> Iterator[str]:
    name = f"{function.__module__}.{function.__qualname__}"
    yield f"{name}: {_text(function.__code__)}"
    given = (function.__defaults__, function.__kwdefaults__)
    yield f"{name} by default: {_described(given, waiting)}"
    for key, value in _named(function):
        yield f"{name}: {key} = {_described(value, waiting)}"


def _named(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield what the code of a function names: of its closure, of globals and of modules."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for name, cell in cells:
        with suppress(ValueError):  # not filled yet
            yield name, cell.cell_contents
    names = sorted(set(_names(function.__code__)))
    modules = []
    for name in names:
        value = function.__globals__.get(name, sys.modules.get(name))
        if isinstance(value, ModuleType):
            modules.append(value)
        elif name in function.__globals__:
            yield name, value
    yield from _of_modules(modules, names)


def _of_modules(modules: list[ModuleType], names: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield what stands under these names in the modules, and in modules that do."""
    seen: set[str] = set()
    while modules:
        module = modules.pop()
        if module.__name__ in seen or not _is_users(_file_of(module)):
            continue
        seen.add(module.__name__)
        for name in names:
            if isinstance(value := vars(module).get(name), ModuleType):
                modules.append(value)
            elif name in vars(module):
                yield f"{module.__name__}.{name}", value


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _text(code: CodeType) -> str:
    """Describe compiled code without its place: neither its file nor its lines."""
    constants = [_text(c) if isinstance(c, CodeType) else _constant(c) for c in code.co_consts]
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return f"{code.co_code.hex()} {names} {constants}"


def _constant(value: object) -> str:
    # A set of strings has another order in every process.
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


def _described(value: Any, waiting: list[Any], depth: int = 0) -> str:
    """Describe a value; what is no plain one is visited later, and here by its name."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, np.ndarray | np.generic):
        return f"array {joblib.hash(np.asarray(value).tolist())}"
    if depth < 5 and isinstance(value, list | tuple):
        return str([_described(part, waiting, depth + 1) for part in value])
    if depth < 5 and isinstance(value, set | frozenset):
        return str(sorted(_described(part, waiting, depth + 1) for part in value))
    if depth < 5 and isinstance(value, dict):
        items = [(k, _described(v, waiting, depth + 1)) for k, v in value.items()]
        return str(sorted((_described(k, waiting, depth + 1), text) for k, text in items))
    waiting.append(value)
    known = value if all(_is_word(value, name) for name in _NAMES) else type(value)
    return f"{known.__module__}.{known.__qualname__}"


def _is_word(value: object, name: str) -> bool:
    """Whether an attribute is there: what __slots__ leaves in a class is of no module."""
    try:
        return isinstance(getattr(value, name, None), str)
    except FOREIGN_ERRORS:  # PyTorch's namespaces raise errors of their own
        return False


def _file_of(module: ModuleType | None) -> str | None:
    """File of a module; a name that is no file for what is typed in, None for what is built in."""
    file = getattr(module, "__file__", None)
    if file is None and getattr(module, "__name__", "") == "__main__":
        return "<typed in>"
    return file


@functools.lru_cache(maxsize=1024)
def _is_users(file: str | None) -> bool:
    """Whether code is of a user: it is in no folder of packages, and not built in."""
    if file is None or file.startswith("<frozen"):
        return False
    if file.startswith("<"):
        return True
    path = Path(file).resolve()
    return not (_OF_PACKAGES & {*path.parts} or any(map(path.is_relative_to, _INSTALLED)))
