"""Autoencoder whose encoder is read at every depth: the first level of outlier synthesis."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Autoencoder"]

_SLOPE = 0.1


class Autoencoder(nn.Module):
    """Denoising autoencoder with one descriptor of a row per depth of its encoder.

    Parameters
    ----------
    n_features : int
        Width of a row.
    widths : sequence of int
        Width of each depth, the last of which is the bottleneck.
    noise : float, default=0.1
        Standard deviation of what is added to rows in training (Vincent et al., 2008), in units
        of standardized features; drawn from torch's generator, which the training isolates.
    """

    n_features: int
    noise: float
    widths: tuple[int, ...]

    def __init__(self, n_features: int, widths: Sequence[int], noise: float = 0.1):
        super().__init__()
        sizes = [n_features, *widths]
        self.encoder: nn.ModuleList = nn.ModuleList(map(nn.Linear, sizes[:-1], sizes[1:]))
        self.decoder: nn.ModuleList = nn.ModuleList(map(nn.Linear, sizes[:0:-1], sizes[-2::-1]))
        self.n_features, self.widths, self.noise = n_features, tuple(widths), noise

    def descriptors(self, rows: Tensor) -> list[Tensor]:
        """Describe rows at every depth.

        Parameters
        ----------
        rows : Tensor of shape (n_samples, n_features)
            Standardized.

        Returns
        -------
        list of Tensor
            One of shape (n_samples, width) per depth.
        """
        found = []
        for layer in self.encoder:
            rows = functional.leaky_relu(layer(rows), _SLOPE)
            found.append(rows)
        return found

    def decode(self, deepest: Tensor) -> Tensor:
        """Turn descriptors of the greatest depth back into rows, (n_samples, n_features)."""
        for layer in self.decoder[:-1]:
            deepest = functional.leaky_relu(layer(deepest), _SLOPE)
        rows: Tensor = self.decoder[-1](deepest)
        return rows

    def forward(self, rows: Tensor) -> Tensor:
        """Reconstruct rows, in training from noisy ones; (n_samples, n_features)."""
        if self.training:
            rows = rows + self.noise * torch.randn_like(rows)
        return self.decode(self.descriptors(rows)[-1])
