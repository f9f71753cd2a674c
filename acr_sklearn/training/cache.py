"""Keys of cached trainings: what a result depends on, beside the rows and plain settings."""

from __future__ import annotations

import inspect
from importlib import metadata
from typing import Any

from torch import nn

__all__ = ["cache_key"]


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
        Equal for two fits only if the code of the module's parts and of the source is.
    """
    backbone = network["backbone"]
    if isinstance(backbone, nn.Module):
        # A module's own pickle holds addresses, so two equal ones would never share a result.
        backbone = _contents(backbone)
    code = None if source is None else _code(type(source))
    return network | {"backbone": backbone, "source": code, "version": _version()}


def _contents(module: nn.Module) -> list[Any]:
    """List what a module is made of, in a form whose hash does not depend on its address."""
    hidden = ("_parameters", "_buffers", "_modules")
    contents: list[Any] = [
        (name, _code(type(part)), {k: v for k, v in vars(part).items() if k not in hidden})
        for name, part in module.named_modules()
    ]
    return contents + [(k, v.cpu().double().numpy()) for k, v in module.state_dict().items()]


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
