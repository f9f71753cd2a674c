"""Keys of cached trainings: what a result depends on, beside the rows and plain settings."""

from __future__ import annotations

import inspect
import reprlib
from importlib import metadata
from typing import Any

from joblib import Memory
from sklearn.utils.validation import check_memory
from torch import nn

from acr_sklearn.networks.objectives import OBJECTIVES
from acr_sklearn.training.reached_code import reached_code

__all__ = ["cache_key", "open_memory"]


def open_memory(given: Any, *, who: str) -> Memory:
    """Open the cache that a user names.

    Parameters
    ----------
    given : str, joblib.Memory or None
        A folder, which is made; None caches nothing.
    who : str
        For the message.

    Returns
    -------
    joblib.Memory
        Ready to cache functions.

    Raises
    ------
    ValueError
        For folders that cannot be made, and for what is none of these.
    """
    needs = "It needs the name of a folder that can be made, a joblib.Memory, or None"
    if isinstance(given, type) or (
        not isinstance(given, str | None) and not hasattr(given, "store_backend")
    ):
        raise ValueError(f"{who} got memory={given!r}. {needs}.")
    try:
        memory: Memory = check_memory(given)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"{who} got memory={reprlib.repr(given)}: {why}. {needs}.") from error
    return memory


def cache_key(network: dict[str, Any], source: object) -> dict[str, Any]:
    """Make the settings of a network, and the outlier source, into what a cache can hash.

    Parameters
    ----------
    network : dict
        Arguments of the network, a user's module among them.
    source : object
        Makes outliers; None for none. Its state is in the plan that is hashed beside this.

    Returns
    -------
    dict
        Equal for two fits only if the code is of the classes of the module's parts, of the
        objective, of the source and of what it holds, and of all users' code that these reach.
    """
    backbone = network["backbone"]
    roots: list[object] = [source]
    if isinstance(backbone, nn.Module):
        roots += [type(part) for part in backbone.modules()]
        # A module's own pickle holds addresses, so two equal ones would never share a result.
        backbone = _contents(backbone)
    objective = OBJECTIVES.get(network.get("objective", ""))
    return network | {
        "backbone": backbone,
        "objective_code": None if objective is None else _code(objective),
        "source": _codes(source),
        "reached": reached_code([*roots, objective]),
        "version": _version(),
    }


def _contents(module: nn.Module) -> list[Any]:
    """List what a module is made of, in a form whose hash does not depend on its address."""
    hidden = ("_parameters", "_buffers", "_modules")
    contents: list[Any] = [
        (name, _code(type(part)), {k: v for k, v in vars(part).items() if k not in hidden})
        for name, part in module.named_modules()
    ]
    return contents + [(k, v.cpu().double().numpy()) for k, v in module.state_dict().items()]


def _codes(thing: object) -> list[str]:
    """Give the code of an object's class and of those of the objects that it holds, each once."""
    found: dict[type, str] = {}
    waiting = [thing]
    while waiting:
        one = waiting.pop()
        kind = type(one)
        if isinstance(one, list | tuple):
            waiting += one
        elif isinstance(one, dict):
            waiting += one.values()
        elif hasattr(one, "__dict__") and kind not in found and not isinstance(one, type):
            found[kind] = _code(kind)
            waiting += vars(one).values()
    return sorted(found.values())


def _code(kind: type) -> str:
    """Name a class and give its source where that can be read: edited code is another module."""
    text = ""
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] in {"builtins", "torch", "typing"}:
            continue  # theirs changes with their version, not between two calls
        text += f"{base.__module__}.{base.__qualname__}\n"
        try:
            text += inspect.getsource(base)
        except (OSError, TypeError):
            text += "source unknown"
    return text


def _version() -> str:
    try:
        return metadata.version("acr-sklearn")
    except metadata.PackageNotFoundError:
        return "not installed"
