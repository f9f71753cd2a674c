"""A batch held fixed: its statistics measured once, chunk by chunk, then any row scored by itself.

Scoring a batch in chunks, scoring it by a sample of its rows, and scoring single rows against a
reference batch are the same two steps: measure, then score row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from acr_sklearn.chunks import Chunks
from acr_sklearn.distances import (
    LogScale,
    distance_mode,
    evenly_spaced,
    n_references,
    projection,
)
from acr_sklearn.frozen_network import Moments, freeze_norms
from acr_sklearn.heads import Network, ScoreHead, most_normal, round_down
from acr_sklearn.scaling import FeatureScale

__all__ = ["FrozenBatch", "freeze_batch"]


#: Multiple of the machine epsilon within which a row computed twice agrees with itself.
_ROUNDING = 256


class Neighbors(nn.Module):
    """Mean distance to the nearest of some fixed rows.

    Parameters
    ----------
    rows : Tensor of shape (n_references, width)
        The fixed rows.
    positions : Tensor of shape (n_references,), int64
        Where in their batch they stood.
    n_neighbors : int
        How many count.
    mode : str
        Of `torch.cdist`.
    """

    rows: Tensor
    positions: Tensor

    def __init__(self, rows: Tensor, positions: Tensor, n_neighbors: int, mode: str):
        super().__init__()
        self.register_buffer("rows", rows)
        self.register_buffer("positions", positions)
        # One of the rows that may serve is the row itself.
        self.n_neighbors = min(n_neighbors, max(len(rows) - 1, 1))
        self.mode = mode

    def forward(self, x: Tensor, own: Tensor | None = None) -> Tensor:
        """Measure the distances.

        Parameters
        ----------
        x : Tensor of shape (n_rows, width)
            Rows of the batch or others.
        own : Tensor of shape (n_rows,), int64, or None
            Where in the batch each stands, -1 for no place: a row is no neighbour of its own.
            None: not known, so one fixed row at no distance counts as the row itself.

        Returns
        -------
        Tensor of shape (n_rows,)
            High for isolated rows.
        """
        distances = torch.cdist(x, self.rows, compute_mode=self.mode)
        k = self.n_neighbors
        if own is not None:
            distances = distances.masked_fill(own[:, None] == self.positions, torch.inf)
            return distances.topk(k, dim=1, largest=False).values.sum(1) / k
        nearest, where = distances.topk(min(k + 1, len(self.rows)), dim=1, largest=False)
        # A product of matrices leaves more than rounding of no distance; a difference does not.
        apart = (x - self.rows[where[:, 0]]).norm(dim=1)
        itself = apart <= _ROUNDING * torch.finfo(x.dtype).eps * x.norm(dim=1)
        return torch.where(itself, nearest[:, 1:].sum(1), nearest[:, :k].sum(1)) / k


class FrozenBatch(nn.Module):
    """Scores rows one by one under the statistics of one batch.

    Attributes
    ----------
    location, divisor : Tensor of shape (n_features,)
        What is subtracted from a row and what it is divided by before the network.
    network : nn.Module
        With fixed batch statistics; None for a score of the features alone.
    whitening : Tensor or None
        For the score of the features.
    neighbors : Neighbors or None
        In the network's layers.
    scales : list of LogScale
        Of the distances to neighbours and to the centre, where both are looked at.
    """

    def __init__(self, kind: str, location: Tensor, divisor: Tensor):
        super().__init__()
        self.kind = kind
        self.register_buffer("location", location)
        self.register_buffer("divisor", divisor)
        self.register_buffer("whitening", None)
        self.network: Any = None
        self.neighbors: Neighbors | None = None
        self.register_buffer("scales", None)

    def forward(self, x: Tensor) -> Tensor:
        """Score rows.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units.

        Returns
        -------
        Tensor of shape (n_rows,)
            High for abnormal rows.
        """
        return self.combined(self.distances(x))

    def inputs(self, x: Tensor) -> Tensor:
        """Bring rows into the units of the network.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units.

        Returns
        -------
        Tensor of the shape of `x`
            Centred and divided.
        """
        return (x - self.location).div_(self.divisor)

    def distances(self, x: Tensor, own: Tensor | None = None) -> Tensor:
        """Measure what the score is made of.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units.
        own : Tensor of shape (n_rows,), int64, or None
            Of `Neighbors`.

        Returns
        -------
        Tensor of shape (n_parts, n_rows)
            One distance, or two that `combined` compares.
        """
        inputs = self.inputs(x)
        if self.kind == "mahalanobis":
            return _whitened(inputs, self.whitening).norm(dim=1)[None]
        if self.kind == "objective":
            return self.network.anomaly_score(inputs)[None]
        representation, centre = self.network.views(inputs)
        assert self.neighbors is not None
        near = self.neighbors(representation, own)
        if self.kind == "neighbors":
            return near[None]
        return torch.stack([near, centre.clamp_min(0).sqrt()])

    def combined(self, distances: Tensor) -> Tensor:
        """Turn distances into scores.

        Parameters
        ----------
        distances : Tensor of shape (n_parts, n_rows)
            Of `distances`.

        Returns
        -------
        Tensor of shape (n_rows,)
            High for abnormal rows.
        """
        if self.scales is None:
            return distances[0]
        floor, center, spread = self.scales
        return LogScale(floor, center, spread).standardise(distances).amax(dim=0)


def _whitened(x: Tensor, whitening: Tensor) -> Tensor:
    return x * whitening if whitening.dim() == 1 else x @ whitening


@dataclass
class _Units:
    """Mean and overall spread of a batch, in the features' units."""

    location: Tensor
    divisor: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return (x - self.location).div_(self.divisor)


def freeze_batch(
    network: Network,
    scale: FeatureScale | None,
    head: ScoreHead,
    chunks: Chunks,
) -> tuple[FrozenBatch, NDArray[np.float64]]:
    """Measure a batch, and score its rows.

    Parameters
    ----------
    network : ACRNetwork or ACREnsemble
        In the precision of the rows.
    scale : FeatureScale or None
        Units of the network's input; None passes the rows on as they are.
    head : ScoreHead
        How rows are scored.
    chunks : Chunks
        The batch.

    Returns
    -------
    frozen : FrozenBatch
        The batch held fixed.
    scores : ndarray of shape (n_rows,), float64
        What `head` gives the rows of the batch in one piece.
    """
    builder = _Builder(network, scale, head, chunks)
    with torch.no_grad():
        return builder.build()


class _Builder:
    """The rounds over a batch, each of them on chunks."""

    def __init__(
        self, network: Network, scale: FeatureScale | None, head: ScoreHead, chunks: Chunks
    ):
        parameter = next(network.parameters())
        self.network, self.scale, self.head, self.chunks = network, scale, head, chunks
        self.device, self.dtype = parameter.device, parameter.dtype

    def build(self) -> tuple[FrozenBatch, NDArray[np.float64]]:
        kept = self._kept()
        frozen = self._frozen_input(kept)
        if self.head.kind == "mahalanobis":
            frozen.whitening = self._whitening(self.head.ridge_norm)
        else:
            rows = self._tensors if kept is None else lambda: self._kept_tensors(kept)
            frozen.network = freeze_norms(
                self.network, lambda: (frozen.inputs(x) for _, x in rows())
            )
        if self.head.kind in ("combined", "neighbors"):
            frozen.neighbors = self._neighbors(
                lambda x: frozen.network.views(frozen.inputs(x))[0], self.head.n_neighbors, kept
            )
        distances = self._of_all(lambda x, own: frozen.distances(x, own))
        if self.head.kind == "combined":
            scales = LogScale.of(distances)
            frozen.scales = torch.stack([scales.floor, scales.center, scales.spread])
        scores = frozen.combined(distances)
        return frozen.eval(), scores.double().cpu().numpy()

    def _tensors(self) -> Iterator[tuple[int, Tensor]]:
        """Chunks with the position of their first row."""
        start = 0
        for rows in self.chunks:
            yield start, torch.from_numpy(rows).to(self.device)
            start += len(rows)

    def _kept_tensors(self, kept: Tensor) -> Iterator[tuple[int, Tensor]]:
        for start, x in self._tensors():
            yield start, x[kept[start : start + len(x)]]

    def _units(self, scale: FeatureScale, kept: Tensor | None) -> _Units:
        """Centre and spread of the batch, or of its kept rows, in the units of `scale`."""
        moments = Moments()
        for _, x in self._tensors() if kept is None else self._kept_tensors(kept):
            moments.add(x)
        unit = torch.as_tensor(scale.scale).to(self.device).clamp_min(torch.finfo(self.dtype).tiny)
        # The peak comes out first, so that squares neither overflow nor vanish.
        own = moments.variance.sqrt() / unit
        peak = own.max()
        spread = peak * (own / peak).square().mean().sqrt() if peak > 0 else peak.new_ones(())
        return _Units(moments.mean.to(self.dtype), (unit * spread).to(self.dtype))

    def _frozen_input(self, kept: Tensor | None) -> FrozenBatch:
        head, scale = self.head, self.scale
        if head.kind == "mahalanobis":
            assert head.shape is not None
            units = self._units(head.shape.scale, None)
            if kept is not None:
                units.location = self._units(head.shape.scale, kept).location
        elif scale is None:
            width = self.chunks.n_features
            zero = torch.zeros(width, dtype=self.dtype, device=self.device)
            units = _Units(zero, zero + 1)
        else:
            units = self._units(scale, kept)
        return FrozenBatch(head.kind, units.location, units.divisor)

    def _whitening(self, ridge: float) -> Tensor:
        assert self.head.shape is not None
        whitening = self.head.shape.whitening(ridge)
        return torch.as_tensor(whitening).to(device=self.device, dtype=self.dtype)

    def _kept(self) -> Tensor | None:
        """Mark the rows that the statistics are computed on, as `ScoreHead.score` does."""
        head = self.head
        if not round_down(head.trim_fraction, len(self.chunks)):
            return None
        assert head.shape is not None
        units = self._units(head.shape.scale, None)
        norm = self._whitening(head.ridge_norm)
        if head.kind in ("objective", "mahalanobis"):
            seen = self._of_all(lambda x, own: _whitened(units(x), norm).norm(dim=1)[None])
            return most_normal(seen, head.trim_fraction)[0]
        near = self._whitening(head.ridge_neighbors)
        wide = head.wide_neighbors(len(self.chunks))
        by_covariance = self._neighbors(
            lambda x: _whitened(units(x), near), head.n_neighbors, None
        )
        in_features = self._neighbors(units, wide, None)

        def views(x: Tensor, own: Tensor) -> Tensor:
            x = units(x)
            far = _whitened(x, norm).norm(dim=1)
            return torch.stack(
                [far, by_covariance(_whitened(x, near), own), in_features(x, own)]
            )

        seen = self._of_all(views)
        first_sight = LogScale.of(seen).standardise(seen).amax(dim=0)
        return most_normal(first_sight[None], head.trim_fraction)[0]

    def _neighbors(
        self, view: Callable[[Tensor], Tensor], n_neighbors: int, kept: Tensor | None
    ) -> Neighbors:
        """Choose the rows that serve as neighbours, as `nearest_distance` does."""
        n_rows = len(self.chunks)
        if n_references(n_rows) < n_rows:
            projected = self._of_all(lambda x, own: projection(view(x))[None])
            chosen = evenly_spaced(projected)[0]
        else:
            chosen = torch.arange(n_rows, device=self.device)
        chosen = chosen.sort().values
        if kept is not None:
            chosen = chosen[kept[chosen]]
        rows = self.chunks.take(chosen.cpu().numpy())
        references = view(torch.from_numpy(rows).to(self.device))
        mode = distance_mode(n_rows, n_references(n_rows), references.shape[1], self.dtype)
        return Neighbors(references, chosen, n_neighbors, mode)

    def _of_all(self, measure: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Measure every row, shape (n_parts, n_rows)."""
        out: Tensor | None = None
        for start, x in self._tensors():
            own = torch.arange(start, start + len(x), device=self.device)
            values = measure(x, own)
            if out is None:
                out = values.new_empty(len(values), len(self.chunks))
            out[:, start : start + len(x)] = values
        assert out is not None
        return out
