"""Constraintor of ResAD: normal residuals are pulled into a sphere, abnormal ones stay.

After the released code of ResAD++ (Yao et al., IJCV 2026, arXiv:2509.23741), written anew: the size
of a residual is A = sqrt(|e| + 1) - 1, and both sides of a radius pay a log-barrier.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Constraintor", "constraint_loss", "radius_of"]

#: Largest radius, its share of the smallest abnormal size, and the margin beyond it.
_LARGEST_RADIUS, _SHARE, _MARGIN = 0.4, 0.9, 0.1
#: An abnormal size of zero leaves a radius all the same.
_SMALLEST_RADIUS = 1e-3


class Constraintor(nn.Module):
    """Linear layer that begins as the identity.

    Parameters
    ----------
    width : int
        Of the residuals, which is that of what they become.
    """

    def __init__(self, width: int):
        super().__init__()
        self.linear: nn.Linear = nn.Linear(width, width)
        nn.init.eye_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, residuals: Tensor) -> Tensor:
        """Constrain residuals of shape (..., width)."""
        constrained: Tensor = self.linear(residuals)
        return constrained


def radius_of(residuals: Tensor) -> Tensor:
    """Size of residuals of shape (..., width): sqrt(|e| + 1) - 1 with the Euclidean norm.

    Parameters
    ----------
    residuals : Tensor of shape (..., width)
        Constrained ones.

    Returns
    -------
    Tensor of shape (...)
        Not negative.
    """
    width = residuals.shape[-1]
    # A root of zero has no finite slope.
    norm = (residuals.square().sum(-1) / width + 1e-12).sqrt()
    return (norm + 1).sqrt() - 1


def constraint_loss(before: Tensor, after: Tensor, is_anomaly: Tensor, invariance: float) -> Tensor:
    """Loss of the constraintor over the rows of a step.

    Parameters
    ----------
    before, after : Tensor of shape (n_rows, width)
        Residuals, and what the constraintor made of them.
    is_anomaly : Tensor of shape (n_rows,), bool
        Which rows are abnormal; both kinds occur.
    invariance : float
        Weight of the abnormal-invariant term: squared error and cosine distance between an
        abnormal residual before and after.

    Returns
    -------
    Tensor
        A scalar. Within the sphere a normal row pays nothing, outside by how far; an abnormal row
        inside of the radius and its margin likewise. The barrier is -log of the sigmoid of the
        distance to the border, weighted by the excess.
    """
    size = radius_of(after)
    normal, abnormal = size[~is_anomaly], size[is_anomaly]
    radius = _LARGEST_RADIUS
    if len(abnormal):
        smallest = float(abnormal.detach().min())
        radius = max(_SMALLEST_RADIUS, min(_SHARE * smallest, _LARGEST_RADIUS))
    losses = [_barrier(normal - radius)] if len(normal) else []
    if len(abnormal):
        losses.append(_barrier(radius + _MARGIN - abnormal))
        a, b = before[is_anomaly].detach(), after[is_anomaly]
        kept = F.mse_loss(b, a) + (1 - F.cosine_similarity(a, b, dim=-1)).mean()
        losses.append(invariance * kept)
    return torch.stack(losses).sum()


def _barrier(excess: Tensor) -> Tensor:
    weight = excess.detach().clamp_min(0.0)
    return (weight * -F.logsigmoid(-excess)).mean()
