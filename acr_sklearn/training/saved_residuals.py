"""What a file holds of a fitted residual network: how it is built, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from acr_sklearn.networks.residual_network import ResidualNetwork
from acr_sklearn.training.saved_net import SavedNet, load_net, save_net

__all__ = ["SavedResidualNet", "load_residual_net", "save_residual_net"]


@dataclass(frozen=True)
class SavedResidualNet:
    """Fitted net of a `ResidualNetwork`, whose flow is made of another library's layers.

    Attributes
    ----------
    n_features, n_blocks : int
        Of the network.
    constrained : bool
        Whether it has a constraintor.
    likelihood_weight : float
        Of the flow in the score.
    weights : dict of str to Tensor
        Its parameters and buffers by name.
    net : SavedNet
        The rest of the net, without a network.
    """

    n_features: int
    n_blocks: int
    constrained: bool
    likelihood_weight: float
    weights: dict[str, Tensor]
    net: SavedNet


def save_residual_net(net: Any) -> SavedResidualNet:
    """Take what scoring needs.

    Parameters
    ----------
    net : skorch.NeuralNet
        Fitted, around a `ResidualNetwork`.

    Returns
    -------
    SavedResidualNet
        Without the optimizer's moments.

    Raises
    ------
    ValueError
        For weights that are not finite.
    """
    network: ResidualNetwork = net.module_
    weights = dict(network.state_dict())
    _require_finite(weights)
    return SavedResidualNet(
        network.weights.shape[1],
        network.flow.n_blocks,
        network.constraintor is not None,
        network.likelihood_weight,
        weights,
        replace(save_net(net), module=None),
    )


def load_residual_net(saved: SavedResidualNet) -> Any:
    """Make a fitted net again.

    Parameters
    ----------
    saved : SavedResidualNet
        Of `save_residual_net`.

    Returns
    -------
    skorch.NeuralNet
        Initialised, with a network that scores as the one that was saved.

    Raises
    ------
    ValueError
        For weights that are not finite.
    RuntimeError
        For weights of another network.
    """
    _require_finite(saved.weights)
    shape = saved.n_features, saved.n_blocks, saved.constrained, saved.likelihood_weight
    network = ResidualNetwork(*shape).to(saved.weights["weights"]).eval()
    network.load_state_dict(saved.weights)
    return load_net(replace(saved.net, module=network))


def _require_finite(weights: dict[str, Tensor]) -> None:
    for name, values in weights.items():
        if not values.isfinite().all():
            raise ValueError(f"has numbers in {name} that are not finite")
