"""A user's network, made to use the statistics of the rows at hand."""

from __future__ import annotations

import copy
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from acr_sklearn.batch_norm import normalise

__all__ = ["StackedModule", "with_batch_statistics"]

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# Which rows count belongs to a call, not to a module that other threads score with as well.
_KEPT: ContextVar[Tensor | None] = ContextVar("kept rows", default=None)


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
                self.layers(trial, torch.ones(2, 4, dtype=torch.bool, device=like.device))
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
    # A module may put parts of a row below one another (patches, tokens), row after row.
    kept = kept.repeat_interleave(len(x) // len(kept))
    # Channels are the second axis of an image, the last one of a row.
    axes = (0, *range(2, x.dim()))
    normal = normalise(x, kept, axes, layer.eps)
    if layer.weight is None:
        return normal
    shape = (-1,) + (1,) * (x.dim() - 2)
    return normal * layer.weight.view(shape) + layer.bias.view(shape)
