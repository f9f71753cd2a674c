"""Batch norm at fixed statistics: measured layer by layer over the chunks of a batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from acr_sklearn.networks.conv import BatchCenter
from acr_sklearn.networks.mlp import MLPNetwork, WhitenedLinear
from acr_sklearn.networks.neural_transformation import BatchStandardization
from acr_sklearn.networks.normalization import ImageBatchNorm, RowMask, TaskBatchNorm
from acr_sklearn.networks.objective_base import Objective
from acr_sklearn.networks.user_module import current_row_mask

__all__ = ["FixedNorm", "FixedStandardization", "Moments", "fix_norms"]

_STANDARDIZATIONS = (BatchCenter, BatchStandardization)
_NORMS = (TaskBatchNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass
class Moments:
    """Mean and sum of squared deviations of rows that arrive in chunks.

    Merged by the pairwise update of Chan, Golub and LeVeque (1979) in float64, so that neither the
    size nor the order of the chunks matters beyond rounding.

    Attributes
    ----------
    count : int
        Rows seen.
    mean, deviations : Tensor of shape (n_features,), float64
        Mean, and sum of squared deviations from it.
    """

    count: int = 0
    mean: Tensor = field(default_factory=lambda: torch.zeros(()))
    deviations: Tensor = field(default_factory=lambda: torch.zeros(()))

    def add(self, rows: Tensor) -> None:
        """Take in a chunk.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, n_features)
            Of any float type; a chunk is summed in its own, chunks are merged in float64.
        """
        if not len(rows):
            return
        # Not torch.var_mean: along the rows it took 10 to 50 times as long.
        mean = rows.mean(dim=0)
        around = rows - mean
        # With m the rounded mean and r = mean(x - m): sum (x - m - r)^2 = sum (x - m)^2 - n r^2.
        # What rounding left of the mean matters where the deviations are small beside it.
        rest = around.mean(dim=0)
        n = len(rows)
        deviations = around.square_().sum(dim=0).double() - n * rest.double() ** 2
        self._merge(n, mean.double() + rest.double(), deviations)

    def add_native(self, rows: Tensor) -> None:
        """Take in a chunk by the statistics of PyTorch's own batch norm.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, n_features)
            A fifth of the time that `add` takes, and as exact as a batch norm is in one piece.
        """
        if len(rows):
            mean, variance = torch.batch_norm_update_stats(rows, None, None, 0.0)
            self._merge(len(rows), mean.double(), variance.double() * len(rows))

    def _merge(self, n: int, mean: Tensor, deviations: Tensor) -> None:
        if not self.count:
            self.count, self.mean, self.deviations = n, mean, deviations
            return
        # With d the difference of the means: mean_a + d n_b / n, M_a + M_b + d^2 n_a n_b / n. There
        # is no difference of large squares, which E[x^2] - E[x]^2 would be.
        total, step = self.count + n, mean - self.mean
        self.mean = self.mean + step * (n / total)
        self.deviations = self.deviations + deviations + step**2 * (self.count * n / total)
        self.count = total

    @property
    def variance(self) -> Tensor:
        """Mean squared deviation, shape (n_features,), float64."""
        return self.deviations / self.count


class _Measured(Exception):  # noqa: N818 - it ends a pass that has done its work, and is no error
    """Signal that a layer was measured: later layers have no input yet."""


class FixedStatistics(nn.Module):
    """Base class of layers whose statistics are fixed to one batch.

    Attributes
    ----------
    moments : Moments or None
        Of the rows of the mask; None once they are fixed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moments: Moments | None = Moments()
        self.dtype: torch.dtype = torch.get_default_dtype()

    def measure(self, x: Tensor, kept: RowMask, channels: int) -> None:
        """Take in the rows of the mask, and end the pass.

        Parameters
        ----------
        x : Tensor of shape (n_rows, ...)
            Rows first.
        kept : Tensor of shape (n_rows, ...), bool, or int, or None
            Mask of rows, or how many of the first; None: all.
        channels : int
            Axis of `x` along which everything is measured apart.
        """
        assert self.moments is not None
        self.dtype = x.dtype
        x = x if kept is None else x[:kept] if isinstance(kept, int) else x[kept.reshape(len(x))]
        rows = x.movedim(channels, -1).reshape(-1, x.shape[channels])
        (self.moments.add_native if isinstance(self, FixedNorm) else self.moments.add)(rows)
        raise _Measured

    def hold(self) -> None:
        """Turn what was measured into constants."""
        raise NotImplementedError


class FixedStandardization(FixedStatistics):
    """Standardization by the centre and, where wanted, the overall spread of one batch.

    Parameters
    ----------
    scaled : bool
        Whether rows are divided by the spread.
    """

    location: Tensor
    divisor: Tensor

    def __init__(self, scaled: bool):
        super().__init__()
        self.scaled = scaled
        self.register_buffer("location", None)
        self.register_buffer("divisor", None)

    def forward(self, x: Tensor, kept: RowMask = None) -> Tensor:
        """Standardize rows by the batch, or measure its mean and spread.

        Parameters
        ----------
        x : Tensor of shape (n_rows, ..., n_features)
            Rows first.
        kept : Tensor of shape (n_rows, ...), bool, or int, or None
            Mask of rows while measuring.

        Returns
        -------
        Tensor of the shape of `x`
            Standardized.
        """
        if self.moments is not None:
            self.measure(x, kept, x.dim() - 1)
        return (x - self.location.to(x.dtype)) / self.divisor.to(x.dtype)

    def hold(self) -> None:
        """Turn what was measured into constants."""
        assert self.moments is not None
        power = self.moments.variance.mean().sqrt()
        one = torch.ones_like(power)
        self.location = self.moments.mean
        self.divisor = power if self.scaled and power > 0 else one
        self.moments = None


class FixedNorm(FixedStatistics):
    """Batch norm whose statistics are fixed to one batch.

    Parameters
    ----------
    layer : nn.Module
        The batch norm it stands in for; its learnt scale and shift are taken over.
    """

    bias: Any
    gain: Any
    shift: Any
    weight: Any

    def __init__(self, layer: Any):
        super().__init__()
        self.eps: Any = layer.eps
        self.weight, self.bias = layer.weight, layer.bias
        # Where the channels are: behind the tasks in an image, last in other rows of tasks.
        self.channels: int = 1
        if isinstance(layer, TaskBatchNorm):
            self.channels = 2 if isinstance(layer, ImageBatchNorm) else -1
        self.register_buffer("gain", None)
        self.register_buffer("shift", None)

    def forward(self, x: Tensor, kept: RowMask = None) -> Tensor:
        """Normalise, or measure and end the pass while the statistics are not known.

        Parameters
        ----------
        x : Tensor of shape (n_rows, ...)
            Rows first.
        kept : Tensor of shape (n_rows, ...), bool, or int, or None
            Mask of rows while measuring.

        Returns
        -------
        Tensor of the shape of `x`
            Under the fixed statistics.
        """
        axis = self.channels % x.dim()
        if self.moments is not None:
            # Inside a user's module nothing hands on the mask of rows.
            self.measure(x, current_row_mask(x) if kept is None else kept, axis)
        tail = (-1,) + (1,) * (x.dim() - 1 - axis)
        assert self.gain is not None
        return torch.addcmul(self.shift.view(tail), x, self.gain.view(tail))

    def hold(self) -> None:
        """Turn what was measured into a multiplication and an addition."""
        assert self.moments is not None
        # w (x - mean) / sqrt(var + eps) + b = gain x + shift, in float64 up to the last step.
        gain = (self.moments.variance + self.eps).rsqrt()
        if self.weight is not None:
            gain = gain * self.weight.detach().double()
        shift = -self.moments.mean * gain
        if self.bias is not None:
            shift = shift + self.bias.detach().double()
        self.gain, self.shift = gain.to(self.dtype), shift.to(self.dtype)
        self.weight = self.bias = self.moments = None


def fix_norms(network: nn.Module, inputs: Callable[[], Iterable[Tensor]]) -> nn.Module:
    """Copy a network and fix the statistics of its batch norms.

    Every round passes all chunks to the first layer that is not known yet, which sees exactly what
    it would see of the batch in one piece.

    Parameters
    ----------
    network : ACRNetwork or ACREnsemble
        Left as it is.
    inputs : callable
        Returns the chunks of the rows of the mask, each a Tensor of shape (n_rows, n_inputs);
        called once per batch norm and once more.

    Returns
    -------
    nn.Module
        The copy, in eval mode, without gradient. It maps every row by itself.
    """
    fixed = copy.deepcopy(network).eval()
    norms = _replace_norms(fixed)
    with torch.no_grad():
        while any(norm.moments is not None for norm in norms):
            _round(fixed, norms, inputs)
        _fold(fixed)
    return fixed.requires_grad_(False)


def _round(
    fixed: Any, norms: list[FixedStatistics], inputs: Callable[[], Iterable[Tensor]]
) -> None:
    through = True
    for x in inputs():
        try:
            fixed.anomaly_score(x)
        except _Measured:
            through = False
    for norm in (unknown := [norm for norm in norms if norm.moments is not None]):
        if through and norm.moments and not norm.moments.count:
            # Not on the way of a row: a layer that the module holds and does not use.
            norm.moments.add(torch.zeros(1, 1))
        if norm.moments and norm.moments.count:
            norm.hold()
    if all(norm.moments is not None for norm in unknown):
        raise ValueError(
            "No row is left to measure batch norms on: initial scores are not finite. Look for "
            "huge values in the features, or scale them."
        )


def _replace_norms(network: nn.Module) -> list[FixedStatistics]:
    """Replace each norm by a fixed one, under all its names."""
    made: dict[nn.Module, FixedStatistics] = {}
    for module in list(network.modules()):
        for name, child in list(module._modules.items()):
            if isinstance(child, _NORMS + _STANDARDIZATIONS):
                if child not in made:
                    standardizes = isinstance(child, _STANDARDIZATIONS)
                    scaled = isinstance(child, BatchStandardization)
                    made[child] = FixedStandardization(scaled) if standardizes else FixedNorm(child)
                setattr(module, name, made[child])
    return list(made.values())


def _fold(network: nn.Module) -> None:
    """Fold the fixed norms of built-in parts into the linear layers before them."""
    for part in list(network.modules()):
        if isinstance(part, MLPNetwork):
            for i, (linear, norm) in enumerate(zip(part.linears, part.norms, strict=True)):
                part.linears[i], part.norms[i] = _folded(linear, norm), _Passed()
        elif isinstance(part, Objective) and part.norm is not None:
            part.linear, part.norm = _folded(part.linear, part.norm), _Passed()


def _folded(linear: Any, norm: Any) -> nn.Linear:
    weight = linear.folded_weight() if isinstance(linear, WhitenedLinear) else linear.weight
    # gain (W x) + shift = (gain W) x + shift: layers before a norm have no bias.
    # Weights that are written over need not be drawn, and would move torch's global generator.
    out = skip_init(nn.Linear, weight.shape[1], weight.shape[0]).to(weight)
    out.weight.copy_(weight.double() * norm.gain.double()[:, None])
    out.bias.copy_(norm.shift)
    return out


class _Passed(nn.Module):
    """Identity in place of a norm that was folded into the layer before it."""

    def forward(self, x: Tensor, kept: RowMask = None) -> Tensor:
        return x
