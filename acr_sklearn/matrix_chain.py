"""An embedded network under fixed statistics as a chain of matrix products in reused memory."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from acr_sklearn.backbones import MLPBackbone
from acr_sklearn.networks import ACRNetwork
from acr_sklearn.objectives import DeepSVDD

__all__ = ["MatrixChain"]

#: Rows at a time: what they become stays in a core's cache. With 64 features, 512 units and one
#: thread 256 to 512 rows ran at 0.77 of the rate of a large matrix product, 4096 rows in fresh
#: memory at 0.3.
_ROWS = 512


class MatrixChain(nn.Module):
    """Squared distance to the centre, layer by layer into buffers that all blocks of rows share.

    Statistics, scale and centre are folded into the matrices, and additions into a column of ones,
    so that a layer is one matrix product and one pass for the ReLU.

    Parameters
    ----------
    location, divisor : Tensor of shape (n_features,)
        What is subtracted from a row and what it is divided by.
    weights, biases : list of Tensor
        Of the linear layers, the centre subtracted from the last bias.
    """

    def __init__(
        self, location: Tensor, divisor: Tensor, weights: list[Tensor], biases: list[Tensor]
    ):
        super().__init__()
        self.register_buffer("location", location)
        weights = [weights[0] / divisor, *weights[1:]]
        self.n_layers = len(weights)
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            self.register_buffer(f"matrix_{i}", torch.cat([weight.T, bias[None]]).contiguous())

    @classmethod
    def of(cls, location: Tensor, divisor: Tensor, network: Any) -> MatrixChain | None:
        """Make the chain of a network.

        Parameters
        ----------
        location, divisor : Tensor of shape (n_features,)
            What is subtracted from a row and what it is divided by.
        network : nn.Module
            With its norms folded into linear layers, see `acr_sklearn.frozen_network`.

        Returns
        -------
        MatrixChain or None
            None for a network that is no such chain: an ensemble, a user's module, another
            objective.
        """
        if not isinstance(network, ACRNetwork) or not isinstance(network.backbone, MLPBackbone):
            return None
        if not isinstance(network.objective, DeepSVDD):
            return None
        layers = [*network.backbone.linears, network.objective.linear]
        linears = [cast(nn.Linear, layer) for layer in layers]
        biases = [layer.bias.detach() for layer in linears]
        biases[-1] = biases[-1] - network.objective.center.detach()
        return cls(location, divisor, [layer.weight.detach() for layer in linears], biases)

    def forward(self, x: Tensor) -> Tensor:
        """Score rows.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units. Without gradient: buffers are written over.

        Returns
        -------
        Tensor of shape (n_rows,)
            Squared distances to the centre.
        """
        matrices = [cast(Tensor, getattr(self, f"matrix_{i}")) for i in range(self.n_layers)]
        # Buffers belong to the call, so that threads never share one.
        size = min(_ROWS, len(x))
        buffers = [x.new_ones(size, len(matrix)) for matrix in matrices]
        last = x.new_empty(size, matrices[-1].shape[1])
        out = x.new_empty(len(x))
        for start in range(0, len(x), size):
            rows = x[start : start + size]
            n = len(rows)
            torch.sub(rows, cast(Tensor, self.location), out=buffers[0][:n, :-1])
            for i, matrix in enumerate(matrices[:-1]):
                hidden = buffers[i + 1][:n, :-1]
                torch.mm(buffers[i][:n], matrix, out=hidden)
                hidden.relu_()
            torch.mm(buffers[-1][:n], matrices[-1], out=last[:n])
            torch.sum(last[:n].square_(), dim=1, out=out[start : start + n])
        return out
