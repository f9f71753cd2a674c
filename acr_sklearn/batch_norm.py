"""Batch norm that always uses the statistics of the rows processed together.

Every function here takes one batch, or a stack of tasks whose rows never see those of another
task.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["TaskBatchNorm", "normalise", "rows_first"]


class TaskBatchNorm(nn.Module):
    """Batch norm over the rows of one task, without running statistics.

    There is no state to update, so train and eval mode agree and scoring is pure (Ioffe and
    Szegedy, 2015, equations of Algorithm 1, with the statistics of the present rows always).

    Parameters
    ----------
    n_features : int
        Width of the input.
    eps : float, default=1e-5
        Added to the variance.
    """

    def __init__(self, n_features: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(n_features))
        self.bias = nn.Parameter(torch.zeros(n_features))

    def forward(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """Normalise `x` over its rows.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_rows, n_tasks, n_features)
            Rows first: tasks and features then fold into the channels of one native call, with
            no copy and no loop, and each (task, feature) pair gets statistics of its own.
        kept : Tensor of shape (n_rows,) or (n_rows, n_tasks), bool, or None
            Rows that the statistics are computed on; all rows are normalised. None: all.

        Returns
        -------
        Tensor of the shape of `x`
            Normalised, scaled and shifted rows.
        """
        if kept is not None:
            return normalise(x, kept, 0, self.eps) * self.weight + self.bias
        n_tasks = x.shape[1] if x.dim() == 3 else 1
        flat = F.batch_norm(
            x.reshape(x.shape[0], -1),
            None,
            None,
            self.weight.repeat(n_tasks),
            self.bias.repeat(n_tasks),
            training=True,
            eps=self.eps,
        )
        return flat.view(x.shape)


def normalise(x: Tensor, kept: Tensor, rows: int | tuple[int, ...], eps: float) -> Tensor:
    """Centre and scale `x` by the mean and variance of the kept rows.

    Parameters
    ----------
    x : Tensor
        Of any shape.
    kept : Tensor, bool
        Of the leading axes of `x`, True at least once along `rows`.
    rows : int or tuple of int
        Axes of `x` that the statistics run over.
    eps : float
        Added to the variance.

    Returns
    -------
    Tensor of the shape of `x`
        All rows, not only those kept.
    """
    weight = kept.reshape(kept.shape + (1,) * (x.dim() - kept.dim())).to(x.dtype).expand_as(x)
    count = weight.sum(rows, keepdim=True)
    centred = x - (x * weight).sum(rows, keepdim=True) / count
    variance = (centred.square() * weight).sum(rows, keepdim=True) / count
    return centred / (variance + eps).sqrt()


def rows_first(x: Tensor) -> Tensor:
    """Swap the task and the row axis of a stack; a single batch is left alone.

    Parameters
    ----------
    x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
        Or, the other way round, a stack with its rows first.

    Returns
    -------
    Tensor
        A view with the two leading axes of a stack swapped.
    """
    return x.transpose(0, 1) if x.dim() == 3 else x
