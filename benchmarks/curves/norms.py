"""Other normalisations in the place of the package's batch norm, for the ablation.

The package has batch norm only. Within `norm_swapped` the networks that are built get another
class instead. A row of features has no channels, so layer norm and instance norm both normalise
the row over its features; here the layer norm has the learnt scale and shift that the batch norm
has, the instance norm has none. None of them looks at other rows, so which rows are `kept` for the
statistics of a batch is nothing to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import acr_sklearn.networks.mlp
import acr_sklearn.networks.objective_base
from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.domains.feature_scale import FeatureScale


class LayerNorm(nn.Module):
    """Every row normalised over its features, then a learnt scale and shift."""

    def __init__(self, n_features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_features))
        self.bias = nn.Parameter(torch.zeros(n_features))

    def forward(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """Normalise rows of shape (..., n_features)."""
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias)


class InstanceNorm(nn.Module):
    """Every row normalised over its features, nothing learnt."""

    def __init__(self, n_features: int):
        super().__init__()

    def forward(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """Normalise rows of shape (..., n_features)."""
        return F.layer_norm(x, x.shape[-1:])


class NoNorm(nn.Module):
    """Nothing normalised: the bias that a linear layer without a norm behind it has."""

    def __init__(self, n_features: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(n_features))

    def forward(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """Shift rows of shape (..., n_features)."""
        return x + self.bias


NORMS: dict[str, type[nn.Module] | None] = {
    "batch": None,  # the package's own
    "layer": LayerNorm,
    "instance": InstanceNorm,
    "none": NoNorm,
}


@contextmanager
def norm_swapped(norm: type[nn.Module]) -> Iterator[None]:
    """Build networks with `norm` where the package has its batch norm."""
    modules = (acr_sklearn.networks.mlp, acr_sklearn.networks.objective_base)
    before = [module.TaskBatchNorm for module in modules]
    try:
        for module in modules:
            module.TaskBatchNorm = norm
        yield
    finally:
        for module, own in zip(modules, before, strict=True):
            module.TaskBatchNorm = own


@dataclass(frozen=True)
class TrainingUnits(FeatureScale):
    """Units that treat a batch as training treated its rows."""

    by_batch: ClassVar[bool] = False

    def batch(self, rows: Tensor) -> Tensor:
        """Return rows minus the training mean, in training units, in their own precision."""
        location, scale = (
            torch.from_numpy(part).to(rows.device) for part in (self.location, self.scale)
        )
        return ((rows - location) / scale).to(rows.dtype)


def without_centring(detector: ZeroShotACRDetector) -> ZeroShotACRDetector:
    """Make a fitted detector score rows in the units of its training.

    Scoring centres a batch on its mean before the network. Behind batch norm that is a matter of
    precision; without batch norm it would be the very adaptation that the ablation takes away,
    and unlike what the network was trained on.
    """
    own = detector.feature_scale_
    detector.feature_scale_ = TrainingUnits(own.location, own.scale)
    return detector
