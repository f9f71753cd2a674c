"""Conditional normalising flow of two classes; the only door to zuko."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from zuko.flows import RealNVP

__all__ = ["TwoClassFlow", "push_pull_loss"]

_HIDDEN = (32, 32)
#: Part of the normal rows that lie beyond the boundary, and the margin behind it, per dimension.
_BEYOND, _MARGIN = 0.05, 0.1


class TwoClassFlow(nn.Module):
    """Affine coupling blocks to z, with N(0, I) for normal and N(1, I) for abnormal rows.

    Parameters
    ----------
    width : int
        Of the rows, at least 2.
    n_conditions : int
        Of the condition.
    n_blocks : int
        Coupling blocks.
    """

    def __init__(self, width: int, n_conditions: int, n_blocks: int):
        super().__init__()
        self.n_blocks = n_blocks
        self.flow: Any = RealNVP(width, n_conditions, transforms=n_blocks, hidden_features=_HIDDEN)

    def forward(self, rows: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Log-likelihoods under both classes, per dimension.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, width)
            What is to be likely.
        conditions : Tensor of shape (n_rows, n_conditions)
            What the flow depends on.

        Returns
        -------
        normal, abnormal : Tensor of shape (n_rows,)
            The difference times `width` is the logit of being abnormal, sum(z - 1/2): the volume
            change is common to both.
        """
        transform = self.flow(conditions).transform
        z, volume = transform.call_and_ladj(rows)
        width = rows.shape[-1]
        constant = volume - 0.5 * width * math.log(2 * math.pi)
        normal = constant - 0.5 * z.square().sum(-1)
        abnormal = constant - 0.5 * (z - 1).square().sum(-1)
        return normal / width, abnormal / width


def push_pull_loss(normal: Tensor, is_anomaly: Tensor) -> Tensor:
    """Boundary-guided push and pull of likelihoods.

    Parameters
    ----------
    normal : Tensor of shape (n_rows,)
        Log-likelihood of every row as a normal one, per dimension.
    is_anomaly : Tensor of shape (n_rows,), bool
        Which rows are abnormal.

    Returns
    -------
    Tensor
        A scalar: normal rows below the boundary are pulled up to it, abnormal ones above it, less
        a margin, pushed down. The boundary lies below all but a twentieth of the normal rows.
    """
    ours, theirs = normal[~is_anomaly], normal[is_anomaly]
    boundary = torch.quantile(ours.detach(), _BEYOND) if len(ours) else normal.detach().min()
    pulled, pushed = F.relu(boundary - ours), F.relu(theirs - boundary + _MARGIN)
    return torch.cat([pulled, pushed]).mean()
