"""Learned transformations of rows: the views that neural transformation learning compares."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor, nn

__all__ = ["TRANSFORMATIONS", "NeuralTransformations"]

#: How a transformation's network output f and its input x become the view.
TRANSFORMATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "residual": lambda f, x: f + x,
    "feedforward": lambda f, x: f,
    "multiplicative": lambda f, x: f.sigmoid() * x,
}

#: The widest that the hidden layers of a transformation get.
_WIDEST = 64


class NeuralTransformations(nn.Module):
    """Several small networks on the same rows, as products of stacked matrices.

    Each has three linear layers with ReLU between them, of the width of the input or 64, whichever
    is less (Qiu et al., 2021, section 3.1).

    Parameters
    ----------
    n_features : int
        Width of the input, and of every view.
    n_transformations : int, default=19
        How many, M.
    kind : {"residual", "feedforward", "multiplicative"}, default="residual"
        Whether a view is f(x) + x, f(x), or sigmoid(f(x)) * x.
    """

    def __init__(self, n_features: int, n_transformations: int = 19, kind: str = "residual"):
        super().__init__()
        hidden = min(n_features, _WIDEST)
        sizes = list(pairwise((n_features, hidden, hidden, n_features)))
        self.kind = kind
        self.weights = nn.ParameterList(
            _uniform((n_transformations, wide, narrow), wide) for wide, narrow in sizes
        )
        self.biases = nn.ParameterList(
            _uniform((n_transformations, 1, narrow), wide) for wide, narrow in sizes
        )

    def forward(self, x: Tensor) -> Tensor:
        """Transform rows.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Rows; each is transformed on its own.

        Returns
        -------
        Tensor of shape (n_transformations, ..., n_features)
            The views.
        """
        rows = x.reshape(-1, x.shape[-1])
        hidden = rows.expand(len(self.weights[0]), *rows.shape)
        for depth, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = torch.baddbmm(bias, hidden.relu() if depth else hidden, weight)
        return TRANSFORMATIONS[self.kind](hidden, rows).view(-1, *x.shape)


def _uniform(shape: tuple[int, ...], n_inputs: int) -> nn.Parameter:
    """Draw as torch draws the weights and biases of a linear layer."""
    bound = 1 / sqrt(n_inputs)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
