"""What a file holds of a fitted net: its network and its plain settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from acr_sklearn.training.skorch_net import plain_net

__all__ = ["SavedNet", "load_net", "save_net"]

_SETTINGS = ("lr", "max_epochs")
_OPTIONS = ("module__", "criterion__", "optimizer__")


@dataclass(frozen=True)
class SavedNet:
    """A fitted net without its optimizer's state, its callbacks and what a template brought along.

    Attributes
    ----------
    module : nn.Module or None
        The network; None where it is held otherwise.
    criterion : type
        Of its loss.
    settings : dict
        Plain ones, under skorch's names.
    history : list of dict
        Numbers of each epoch.
    """

    module: nn.Module | None
    criterion: type[nn.Module]
    settings: dict[str, Any]
    history: list[dict[str, float]]


def save_net(net: Any) -> SavedNet:
    """Take what scoring and a further training need.

    Parameters
    ----------
    net : skorch.NeuralNet
        Fitted.

    Returns
    -------
    SavedNet
        Its moments of the gradient, twice as many numbers as weights, are left out: a training
        that goes on from a file starts with fresh ones.
    """
    # The options of another optimizer, of a user's template, are none of Adam's.
    own = _OPTIONS if net.optimizer is torch.optim.Adam else _OPTIONS[:2]
    settings = {
        name: value
        for name, value in sorted(net.get_params(deep=False).items())
        if (name in _SETTINGS or name.startswith(own)) and _is_plain(value)
    }
    history = [
        {
            name: value if isinstance(value, bool | int) else float(value)
            for name, value in row.items()
            if isinstance(value, bool | int | float)
        }
        for row in net.history
    ]
    return SavedNet(net.module_, type(net.criterion_), settings, history)


def load_net(saved: SavedNet) -> Any:
    """Make a fitted net again.

    Parameters
    ----------
    saved : SavedNet
        Of `save_net`.

    Returns
    -------
    skorch.NeuralNet
        Initialised, with the network as it is.

    Raises
    ------
    ValueError
        For settings that `save_net` does not take.
    """
    if odd := [n for n in saved.settings if n not in _SETTINGS and not n.startswith(_OPTIONS)]:
        raise ValueError(f"{odd[0]} is no setting of a net in a file")
    if saved.module is None:
        raise ValueError("a net in a file has no network")
    device = next(saved.module.parameters()).device
    return plain_net(saved.module, saved.criterion, saved.settings, saved.history, str(device))


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str | Tensor | torch.dtype)
