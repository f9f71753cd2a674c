"""Batch norm that always uses the statistics of the rows processed together.

Every function here takes one batch, or a stack of tasks whose rows never see those of another
task.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "ImageBatchNorm",
    "RowMask",
    "TaskBatchNorm",
    "mask_first",
    "normalise",
    "rows_first",
    "rows_first_mask",
]

#: Rows that the statistics are computed on: a mask, the first so many, or all.
RowMask = Tensor | int | None


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
        self.weight: nn.Parameter = nn.Parameter(torch.ones(n_features))
        self.bias: nn.Parameter = nn.Parameter(torch.zeros(n_features))

    def forward(self, x: Tensor, kept: RowMask = None) -> Tensor:
        """Normalise `x` over its rows.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_rows, n_tasks, n_features)
            Rows first: tasks and features then fold into the channels of one native call, with
            no copy and no loop, and each (task, feature) pair gets statistics of its own.
        kept : Tensor of shape (n_rows,) or (n_rows, n_tasks), bool, or int, or None
            Rows that the statistics are computed on: a mask, or the first so many. All rows are
            normalised. None: all count.

        Returns
        -------
        Tensor of the shape of `x`
            Normalised, scaled and shifted rows.
        """
        return self._normalised(x, kept, x.shape[-1:])

    def _normalised(self, x: Tensor, kept: RowMask, channels: tuple[int, ...]) -> Tensor:
        """Normalise over the rows and whatever follows the channels; `channels` is their shape."""
        lead = x.dim() - len(channels)
        weight, bias = self.weight.view(channels), self.bias.view(channels)
        pixels = tuple(range(lead + 1, x.dim()))
        if isinstance(kept, int):
            variance, mean = torch.var_mean(x[:kept], (0, *pixels), correction=0, keepdim=True)
            return torch.addcmul(bias, x - mean, weight * (variance + self.eps).rsqrt())
        if kept is not None:
            return normalise(x, kept, pixels, self.eps, weight, bias)
        n_tasks = x.shape[1] if lead == 2 else 1
        flat = F.batch_norm(
            x.reshape(x.shape[0], -1, *x.shape[lead + 1 :]),
            None,
            None,
            self.weight.repeat(n_tasks),
            self.bias.repeat(n_tasks),
            training=True,
            eps=self.eps,
        )
        return flat.view(x.shape)


class ImageBatchNorm(TaskBatchNorm):
    """Batch norm over the rows and the pixels of one task, channel by channel."""

    def forward(self, x: Tensor, kept: RowMask = None) -> Tensor:
        """Normalise `x` over its rows and pixels.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_tasks, n_channels, height, width)
            Rows first: tasks and channels then fold into the channels of one native call.
        kept : Tensor of shape (n_rows, n_tasks), bool, or int, or None
            Rows that the statistics are computed on: a mask, or the first so many. All rows are
            normalised. None: all count.

        Returns
        -------
        Tensor of the shape of `x`
            Normalised, scaled and shifted images.
        """
        return self._normalised(x, kept, (x.shape[2], 1, 1))


def mask_first(n_kept: int, x: Tensor) -> Tensor:
    """Mark the first rows of each task.

    Parameters
    ----------
    n_kept : int
        How many.
    x : Tensor of shape (..., n_rows, n_features)
        One batch, or a stack of tasks.

    Returns
    -------
    Tensor of shape (..., n_rows), bool
        True for them.
    """
    first = torch.arange(x.shape[-2], device=x.device) < n_kept
    return first.expand(x.shape[:-1])


def normalise(
    x: Tensor,
    kept: Tensor,
    pixels: tuple[int, ...],
    eps: float,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Centre and scale `x` by the mean and variance of the kept rows.

    Parameters
    ----------
    x : Tensor of shape (n_rows, ...)
        Rows first.
    kept : Tensor of shape (n_rows, ...), bool
        Of the leading axes of `x`, True for at least one row.
    pixels : tuple of int
        Axes of `x` that the statistics run over beside the rows.
    eps : float
        Added to the variance.
    weight, bias : Tensor or None
        What normalised rows are multiplied by and added to, of a shape that goes with `x`.

    Returns
    -------
    Tensor of the shape of `x`
        All rows, not only those kept.
    """
    mask = kept.reshape(kept.shape + (1,) * (x.dim() - kept.dim())).to(x.dtype)
    count = mask.sum(0, keepdim=True)

    def mean(values: Tensor) -> Tensor:
        # A product of matrices and no masked copy: of 2000 rows of 512 numbers in double precision
        # each copy is 8 MB of fresh memory, which took longer than to compute on it.
        means = torch.einsum("r...,r...->...", mask, values)[None] / count
        return means.mean(pixels, keepdim=True) if pixels else means

    centred = x - mean(x)
    gain = (mean(centred.square()) + eps).rsqrt()
    if weight is None or bias is None:
        return centred * gain
    return torch.addcmul(bias, centred, weight * gain)


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


def rows_first_mask(kept: RowMask) -> RowMask:
    """Swap the task and the row axis of a mask; what is no mask of a stack is left alone.

    Parameters
    ----------
    kept : Tensor of shape (n_rows,) or (n_tasks, n_rows), bool, or int, or None
        Mask of rows.

    Returns
    -------
    Tensor or int or None
        For `TaskBatchNorm`.
    """
    return kept.T if isinstance(kept, Tensor) and kept.dim() == 2 else kept
