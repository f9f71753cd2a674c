"""Networks whose batch norm always uses the statistics of the rows processed together.

Every module here takes one batch, shape (n_rows, n_features), or a stack of tasks, shape
(n_tasks, n_rows, n_features), whose rows never see those of another task.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextvars import ContextVar
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["MLPBackbone", "StackedModule", "TaskBatchNorm", "make_backbone"]

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# Which rows count belongs to a call, not to a module that other threads score with as well.
_KEPT: ContextVar[Tensor | None] = ContextVar("kept rows", default=None)


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


class MLPBackbone(nn.Module):
    """Fully connected layers, each followed by batch norm and ReLU.

    The tabular network of Li et al. (2023, section 4.2). The linear layers have no bias: the batch
    norm behind each would cancel it.

    Parameters
    ----------
    n_features : int
        Width of the input.
    hidden_layer_sizes : sequence of int, default=(128, 128, 128)
        Widths of the layers.
    """

    def __init__(self, n_features: int, hidden_layer_sizes: Sequence[int] = (128, 128, 128)):
        super().__init__()
        widths = [n_features, *hidden_layer_sizes]
        self.linears = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(TaskBatchNorm(width) for width in widths[1:])
        self.out_features = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Map rows to the last hidden layer.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of tasks.

        Returns
        -------
        Tensor of shape (..., n_rows, out_features)
            Activations of the last layer.
        """
        return self.layers(x)[-1]

    def layers(self, x: Tensor, kept: Tensor | None = None) -> list[Tensor]:
        """Map rows to all hidden layers.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of tasks.
        kept : Tensor of shape (..., n_rows), bool, or None
            Rows that the statistics are computed on; None: all.

        Returns
        -------
        list of Tensor of shape (..., n_rows, width)
            Activations of each layer, the last one last.
        """
        hidden, outputs = rows_first(x), []
        kept = None if kept is None else rows_first(kept[..., None])[..., 0]
        for linear, norm in zip(self.linears, self.norms, strict=True):
            hidden = F.relu(norm(linear(hidden), kept))
            outputs.append(rows_first(hidden))
        return outputs


class StackedModule(nn.Module):
    """A user's network made to use batch statistics, and stacked over tasks by `torch.vmap`.

    Parameters
    ----------
    module : nn.Module
        Maps (n_rows, n_features) to (n_rows, width) and holds at least one batch-norm layer. It
        is copied; the batch-norm layers of the copy lose their running statistics.
    n_features : int
        Width of the input, for a trial run.

    Raises
    ------
    ValueError
        When there is no batch norm, or the module cannot be run on such rows.
    """

    def __init__(self, module: nn.Module, n_features: int):
        super().__init__()
        self.module = with_batch_statistics(module)
        self.out_features = self._try_out(n_features)

    def _try_out(self, n_features: int) -> int:
        name = type(self.module).__name__
        like = next(self.module.parameters(), torch.empty(0))
        trial = torch.randn(2, 4, n_features, dtype=like.dtype, device=like.device)
        try:
            with torch.no_grad():
                out = self(trial)
        except Exception as error:
            raise ValueError(
                f"backbone {name} failed on 2 stacked tasks of 4 rows with {n_features} features: "
                f"{error}. It must map (n_rows, {n_features}) to (n_rows, width) by operations "
                "that torch.vmap can stack."
            ) from error
        if not isinstance(out, Tensor) or out.dim() != 3 or out.shape[:2] != (2, 4):
            got = tuple(out.shape[1:]) if isinstance(out, Tensor) else type(out).__name__
            raise ValueError(
                f"backbone {name} turned rows of shape (4, {n_features}) into {got}; it must "
                "return one vector per row, shape (n_rows, width). Flatten other axes at its end."
            )
        return int(out.shape[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Run the module on one batch or, stacked, on many tasks.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of tasks.

        Returns
        -------
        Tensor of shape (..., n_rows, out_features)
            The module's output per row.
        """
        if x.dim() == 2:
            return self.module(x)
        return torch.vmap(self.module, randomness="different")(x)

    def layers(self, x: Tensor, kept: Tensor | None = None) -> list[Tensor]:
        """Run the module; the one layer that is known of it is its output.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of tasks.
        kept : Tensor of shape (..., n_rows), bool, or None
            Rows that the statistics are computed on; None: all.

        Returns
        -------
        list of one Tensor of shape (..., n_rows, out_features)
            The module's output per row.
        """
        if kept is None:
            return [self(x)]
        if x.dim() == 2:
            return [self._with_statistics_of(x, kept)]
        return [torch.vmap(self._with_statistics_of, randomness="different")(x, kept)]

    def _with_statistics_of(self, x: Tensor, kept: Tensor) -> Tensor:
        token = _KEPT.set(kept)
        try:
            return self.module(x)
        finally:
            _KEPT.reset(token)


def with_batch_statistics(module: nn.Module) -> nn.Module:
    """Copy a module so that its batch norm uses the batch's statistics in train and eval mode.

    Parameters
    ----------
    module : nn.Module
        Left as it is.

    Returns
    -------
    nn.Module
        The copy, in eval mode, its learnt batch-norm weights kept and its running statistics gone.

    Raises
    ------
    ValueError
        When the module has no batch-norm layer: nothing would centre a new domain.
    """
    try:
        converted = copy.deepcopy(module)
    except Exception as error:
        raise ValueError(
            f"backbone {type(module).__name__} cannot be copied: {error}. The detector trains a "
            "copy; build the module anew, without results of a forward pass stored on it."
        ) from error
    layers = [layer for layer in converted.modules() if isinstance(layer, _BATCH_NORMS)]
    if not layers:
        kinds = sorted({type(layer).__name__ for layer in converted.modules()})
        raise ValueError(
            f"backbone {type(module).__name__} has no BatchNorm1d layer (it is made of "
            f"{', '.join(kinds)}). Batch statistics are what adapts the detector to a new "
            "domain: put nn.BatchNorm1d behind its linear layers."
        )
    for layer in layers:
        layer.track_running_stats = False
        layer.running_mean = layer.running_var = layer.num_batches_tracked = None
        layer.register_forward_hook(_statistics_of_kept_rows)
    return converted.eval()


def _statistics_of_kept_rows(layer: Any, given: tuple[Tensor, ...], out: Tensor) -> Tensor:
    """Normalise anew where the caller named the rows that count; else leave what came out."""
    kept = _KEPT.get()
    if kept is None:
        return out
    x = given[0]
    # Channels are the second axis of an image, the last one of a row.
    axes = (0, *range(2, x.dim()))
    normal = normalise(x, kept, axes, layer.eps)
    if layer.weight is None:
        return normal
    shape = (-1,) + (1,) * (x.dim() - 2)
    return normal * layer.weight.view(shape) + layer.bias.view(shape)


def make_backbone(
    backbone: str | nn.Module, n_features: int, hidden_layer_sizes: Sequence[int]
) -> MLPBackbone | StackedModule:
    """Build the network part of the detector.

    Parameters
    ----------
    backbone : {"mlp"} or nn.Module
        A name, or a user's module, which is copied.
    n_features : int
        Width of the input.
    hidden_layer_sizes : sequence of int
        For "mlp".

    Returns
    -------
    nn.Module
        With an attribute `out_features`.

    Raises
    ------
    ValueError
        For an unknown name or an unusable module.
    """
    if isinstance(backbone, nn.Module):
        return StackedModule(backbone, n_features)
    if backbone != "mlp":
        raise ValueError(f"Unknown backbone {backbone!r}. Use 'mlp' or an nn.Module.")
    return MLPBackbone(n_features, hidden_layer_sizes)
