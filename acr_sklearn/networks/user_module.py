"""User's module under batch statistics, stacked over tasks."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.lazy import LazyModuleMixin

from acr_sklearn.networks.normalization import RowMask, mask_first, normalise

__all__ = ["StackedModule", "current_row_mask", "with_batch_statistics"]

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_OTHER_NORMS = (
    nn.LayerNorm,
    nn.GroupNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
)
# Any part of a row that is taken for one of another row crosses it.
_TRIAL_MASK = torch.tensor([True, True, False, True])
#: Numbers in a trial batch at the most.
_TRIAL_NUMBERS = 2**20
# Which rows count belongs to a call, not to a module that other threads score with as well.
_KEPT: ContextVar[Tensor | None] = ContextVar("kept rows", default=None)


class StackedModule(nn.Module):
    """User's module under batch statistics, stacked over tasks by `torch.vmap`.

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
        When there is no batch norm, when the module cannot be run on such rows, gives other
        outputs when run again, or lets rows meet other than through its batch-norm layers.
    """

    #: Of which a file holds the weights alone.
    users_modules: ClassVar[tuple[str, ...]] = ("module",)

    def __init__(self, module: nn.Module, n_features: int):
        super().__init__()
        self.module: nn.Module = with_batch_statistics(module)
        self.out_features: int = self._try_out(n_features)
        # What is inside is not known; the input and the output are.
        self.largest: int = max(self.out_features, n_features)

    @torch.no_grad()
    def _try_out(self, n_features: int) -> int:
        name = type(self.module).__name__
        like = next(self.module.parameters(), torch.empty(0))
        trial = torch.randn(2, 4, n_features, dtype=like.dtype, device=like.device)
        mask = _TRIAL_MASK.to(like.device)
        # A rare draw shows in many rows alone.
        many = trial[0].repeat(max(1, min(16, _TRIAL_NUMBERS // trial.numel())), 1)
        try:
            calls = self._calls(trial[0])
            out, again, twice = self(trial), self(many), self(many)
            kept = self(trial, mask.expand(2, 4))
            beside = self(torch.where(mask[:, None], trial, 1 - 3 * trial), mask.expand(2, 4))
        except Exception as error:
            raise ValueError(
                f"backbone {name} failed on 2 stacked tasks of 4 rows with {n_features} features: "
                f"{error}. It must map (n_rows, {n_features}) to (n_rows, width) by operations "
                "that torch.vmap can stack."
            ) from error
        if calls and max(calls.values()) > 1:
            raise ValueError(
                f"backbone {name} runs rows through one batch-norm layer several times. Each "
                "time has statistics of its own, and fixed batch statistics keep "
                "those of one layer: give each call a layer of its own."
            )
        if not isinstance(out, Tensor) or out.dim() != 3 or out.shape[:2] != (2, 4):
            got = tuple(out.shape[1:]) if isinstance(out, Tensor) else type(out).__name__
            raise ValueError(
                f"backbone {name} turned rows of shape (4, {n_features}) into {got}; it must "
                "return one vector per row, shape (n_rows, width). Flatten other axes at its end."
            )
        if not _alike(again, twice):
            raise ValueError(
                f"backbone {name} gives one batch two outputs in eval mode, so scores would not "
                "repeat. Something in it draws at random outside training, such as F.dropout "
                "without training=self.training: use an nn.Dropout layer, which rests in eval mode."
            )
        if not _alike(kept[:, mask], beside[:, mask]):
            raise ValueError(
                f"backbone {name} lets rows that are left out of the statistics change the others. "
                "Either it stacks parts of rows for a batch norm in another order than all parts "
                "of the first row, then all of the second, and so on (reshape(-1, width) keeps "
                "that order, torch.cat of slices does not), or rows meet elsewhere than in "
                "nn.BatchNorm layers, as in F.batch_norm or in attention between rows: use layers."
            )
        if _alike(kept[:, mask], out[:, mask]) and not _alike(out[:, :1].expand_as(out), out):
            raise ValueError(
                f"backbone {name} gives rows the same output whatever rows they come with: none of "
                "its batch-norm layers is on their way. Batch statistics are what adapts the "
                "detector to a new domain: run the rows through an nn.BatchNorm layer."
            )
        return int(out.shape[-1])

    def _calls(self, x: Tensor) -> dict[nn.Module, int]:
        """Count how often each batch-norm layer is called for a batch."""
        calls: dict[nn.Module, int] = {}

        def count(layer: nn.Module, *_: Any) -> None:
            calls[layer] = calls.get(layer, 0) + 1

        layers = [part for part in self.module.modules() if isinstance(part, _BATCH_NORMS)]
        hooks = [layer.register_forward_hook(count) for layer in layers]
        try:
            self.module(x)
        finally:
            for hook in hooks:
                hook.remove()
        return calls

    def forward(self, x: Tensor, kept: RowMask = None) -> Tensor:
        """Run the module on one batch or, stacked, on many tasks.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of tasks.
        kept : Tensor of shape (..., n_rows), bool, or int, or None
            Rows that the statistics are computed on, or how many of the first; None: all.

        Returns
        -------
        Tensor of shape (..., n_rows, out_features)
            The module's output per row.
        """
        if kept is None:
            if x.dim() == 2:
                return self.module(x)
            return torch.vmap(self.module, randomness="different")(x)
        mask = mask_first(kept, x) if isinstance(kept, int) else kept
        if x.dim() == 2:
            return self._with_statistics_of(x, mask)
        return torch.vmap(self._with_statistics_of, randomness="different")(x, mask)

    def layers(self, x: Tensor, kept: RowMask = None) -> list[Tensor]:
        """Run the module; its output is the only layer known.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of tasks.
        kept : Tensor of shape (..., n_rows), bool, or int, or None
            Rows that the statistics are computed on, or how many of the first; None: all.

        Returns
        -------
        list of one Tensor of shape (..., n_rows, out_features)
            The module's output per row.
        """
        return [self(x, kept)]

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
        When the module has no batch-norm layer: nothing would centre a new domain; and when a
        lazy layer has no weights yet.
    """
    _require_weights(module)
    try:
        converted = copy.deepcopy(module)
    except Exception as error:
        raise ValueError(
            f"backbone {type(module).__name__} cannot be copied: {error}. The detector trains a "
            "copy; build the module anew, without results of a forward pass stored on it."
        ) from error
    layers = [layer for layer in converted.modules() if isinstance(layer, _BATCH_NORMS)]
    _require_batch_norm(converted, layers)
    for layer in layers:
        layer.track_running_stats = False
        layer.running_mean = layer.running_var = layer.num_batches_tracked = None
        layer.register_forward_hook(_statistics_of_kept_rows)
    return converted.eval()


def _require_weights(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, LazyModuleMixin) and part.has_uninitialized_params():
            kind = type(part).__name__
            raise ValueError(
                f"backbone {type(module).__name__} has a {kind} layer that has not seen a row yet, "
                "so it has no weights to train. Run the module once on a few rows before passing "
                f"it, or use {kind.removeprefix('Lazy')} with its width."
            )


def _require_batch_norm(module: nn.Module, found: Sequence[nn.Module]) -> None:
    parts = list(module.modules())
    kinds = sorted({type(part).__name__ for part in parts})
    name = type(module).__name__
    for layer in found:
        if type(layer).forward is not _BatchNorm.forward:
            raise ValueError(
                f"backbone {name} has a {type(layer).__name__} layer, a batch norm with a forward "
                "of its own: what that adds would be lost where some rows are left out of the "
                "statistics. Use torch's nn.BatchNorm layer, and the rest as a layer behind it."
            )
    for part in parts:
        if isinstance(part, _NormBase) and part not in found and part.running_mean is not None:
            raise ValueError(
                f"backbone {name} has a {type(part).__name__} layer with running statistics, which "
                "are those of other domains. Use nn.BatchNorm1d, 2d or 3d, or "
                "track_running_stats=False."
            )
    if found:
        return
    others = sorted({type(part).__name__ for part in parts if isinstance(part, _OTHER_NORMS)})
    reason = f"{', '.join(others)} normalises every row by itself" if others else "None is in sight"
    raise ValueError(
        f"backbone {name} has no BatchNorm1d layer (it is made of {', '.join(kinds)}). {reason}; "
        "batch statistics are what adapts the detector to a new domain: put nn.BatchNorm1d behind "
        "its linear layers, or nn.BatchNorm2d behind convolutions. A call of F.batch_norm is not "
        "seen, nor is nn.SyncBatchNorm."
    )


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether two runs agree, up to the order in which an accelerator adds."""
    size = one.abs().amax().clamp_min(1e-6).item()
    return torch.allclose(one, other, rtol=0, atol=1e-4 * size, equal_nan=True)


def current_row_mask(x: Tensor) -> Tensor | None:
    """Mask of the rows of the current call, for layers inside a user's module.

    Parameters
    ----------
    x : Tensor of shape (n_parts, ...)
        Input of the layer: rows, or parts of them (patches, tokens) row after row.

    Returns
    -------
    Tensor of shape (n_parts,), bool, or None
        None where all count.
    """
    kept = _KEPT.get()
    return None if kept is None else kept.repeat_interleave(len(x) // len(kept))


def _statistics_of_kept_rows(layer: Any, given: tuple[Tensor, ...], out: Tensor) -> Tensor:
    """Normalise by the rows of the mask, where there is one; else leave the output."""
    x = given[0]
    kept = current_row_mask(x)
    if kept is None:
        return out
    # Channels are the second axis of an image, the last one of a row.
    pixels = tuple(range(2, x.dim()))
    if layer.weight is None:
        return normalise(x, kept, pixels, layer.eps)
    shape = (-1,) + (1,) * (x.dim() - 2)
    weight, bias = layer.weight.view(shape), layer.bias.view(shape)
    return normalise(x, kept, pixels, layer.eps, weight, bias)
