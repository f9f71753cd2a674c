"""The rounds over a batch that measure it, chunk by chunk, and leave it held fixed.

Scoring a batch in chunks, scoring it by a sample of its rows, and scoring single rows against a
reference batch are the same two steps: measure, then score row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acr_sklearn.chunks import Chunks
from acr_sklearn.distances import (
    LogScale,
    differences_are_cheap,
    evenly_spaced,
    n_references,
    projection,
)
from acr_sklearn.frozen import FrozenBatch, Neighbors, whitened
from acr_sklearn.frozen_network import Moments, freeze_norms
from acr_sklearn.heads import Network, ScoreHead, most_normal, round_down
from acr_sklearn.matrix_chain import MatrixChain
from acr_sklearn.scaling import FeatureScale

__all__ = ["freeze_batch"]

#: Rows at a time: what the network makes of them stays in a core's cache.
_BLOCK = 1024


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
    *,
    scored: bool = True,
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
    scored : bool, default=True
        Whether the scores of the batch itself are wanted.

    Returns
    -------
    frozen : FrozenBatch
        The batch held fixed.
    scores : ndarray of shape (n_rows,), float64
        What `head` gives the rows of the batch in one piece; empty if they are not wanted.
    """
    builder = _Builder(network, scale, head, chunks)
    with torch.no_grad():
        return builder.build(scored)


class _Builder:
    """The rounds over a batch, each of them on chunks."""

    def __init__(
        self, network: Network, scale: FeatureScale | None, head: ScoreHead, chunks: Chunks
    ):
        parameter = next(network.parameters())
        self.network, self.scale, self.head, self.chunks = network, scale, head, chunks
        self.device, self.dtype = parameter.device, parameter.dtype

    def build(self, scored: bool) -> tuple[FrozenBatch, NDArray[np.float64]]:
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
        if self.head.kind == "objective":
            frozen.chain = MatrixChain.of(frozen.location, frozen.divisor, frozen.network)
        if not scored and self.head.kind != "combined":
            return frozen.eval(), np.empty(0)
        distances = self._of_all(frozen.distances)
        if self.head.kind == "combined":
            scales = LogScale.of(distances)
            frozen.scales = torch.stack([scales.floor, scales.center, scales.spread])
        scores = frozen.combined(distances)
        return frozen.eval(), scores.double().cpu().numpy()

    def _tensors(self) -> Iterator[tuple[int, Tensor]]:
        """Blocks of the chunks with the position of their first row."""
        start = 0
        for rows in self.chunks:
            for block in torch.from_numpy(rows).to(self.device).split(_BLOCK):
                yield start, block
                start += len(block)

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
            seen = self._of_all(lambda x, _: whitened(units(x), norm).norm(dim=1)[None])
            return most_normal(seen, head.trim_fraction)[0]
        near = self._whitening(head.ridge_neighbors)
        wide = head.wide_neighbors(len(self.chunks))
        by_covariance = self._neighbors(lambda x: whitened(units(x), near), head.n_neighbors, None)
        in_features = self._neighbors(units, wide, None)

        def views(x: Tensor, own: Tensor) -> Tensor:
            x = units(x)
            far = whitened(x, norm).norm(dim=1)
            return torch.stack([far, by_covariance(whitened(x, near), own), in_features(x, own)])

        seen = self._of_all(views)
        first_sight = LogScale.of(seen).standardise(seen).amax(dim=0)
        return most_normal(first_sight[None], head.trim_fraction)[0]

    def _neighbors(
        self, view: Callable[[Tensor], Tensor], n_neighbors: int, kept: Tensor | None
    ) -> Neighbors:
        """Choose the rows that serve as neighbours, as `nearest_distance` does."""
        n_rows = len(self.chunks)
        if n_references(n_rows) < n_rows:
            projected = self._of_all(lambda x, _: projection(view(x))[None])
            chosen = evenly_spaced(projected)[0]
        else:
            chosen = torch.arange(n_rows, device=self.device)
        chosen = chosen.sort().values
        if kept is not None:
            chosen = chosen[kept[chosen]]
        rows = self.chunks.take(chosen.cpu().numpy())
        references = view(torch.from_numpy(rows).to(self.device))
        width = references.shape[1]
        exact = differences_are_cheap(n_rows, n_references(n_rows), width, self.dtype)
        return Neighbors(references, chosen, n_neighbors, exact)

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
