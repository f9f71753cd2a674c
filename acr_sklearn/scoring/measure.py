"""The rounds over a batch that measure it, chunk by chunk, and leave it held fixed.

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
from torch import Tensor

from acr_sklearn._compute import in_order, rows_at_once
from acr_sklearn._input.chunks import Chunks
from acr_sklearn.domains.feature_scale import FeatureScale
from acr_sklearn.scoring.fixed_batch import FixedBatch, FusedNeighbors, Neighbors, whitened
from acr_sklearn.scoring.fixed_norms import Moments, fix_norms
from acr_sklearn.scoring.fused_mlp import FusedMLP
from acr_sklearn.scoring.heads import Network, ScoreHead, most_normal, round_down
from acr_sklearn.scoring.neighbors import (
    differences_are_cheap,
    n_references,
)
from acr_sklearn.scoring.reference_rows import (
    ReferenceIndex,
    evenly_spaced,
    hash_weights,
    row_hashes,
)
from acr_sklearn.scoring.robust_scale import RobustLogScale
from acr_sklearn.scoring.standardize import Standardizer

__all__ = ["measure_batch"]


#: Below it squares of deviations may have vanished.
_SMALLEST_VARIANCE = 1e-200

_Look = Callable[[Tensor, Tensor | None], Tensor]


@dataclass
class _References:
    """The rows that serve as neighbours, and what finds them among others."""

    rows: NDArray[Any]
    known: ReferenceIndex


def measure_batch(
    network: Network,
    scale: FeatureScale | None,
    head: ScoreHead,
    chunks: Chunks,
    *,
    scored: bool = True,
) -> tuple[FixedBatch, NDArray[np.float64]]:
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
    frozen : FixedBatch
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

    def build(self, scored: bool) -> tuple[FixedBatch, NDArray[np.float64]]:
        kept = self._kept()
        frozen = self._frozen_input(kept)
        if self.head.kind == "mahalanobis":
            frozen.whitening = self._whitening(self.head.ridge_norm, self.dtype)
        else:
            rows = self._tensors if kept is None else lambda: self._kept_tensors(kept)
            frozen.network = fix_norms(self.network, lambda: map(frozen.units, rows()))
        if self.head.kind in ("combined", "neighbors"):
            serving = self._references(kept)
            frozen.neighbors = self._neighbors(
                lambda x: frozen.network.views(frozen.units(x))[0], self.head.n_neighbors, serving
            )
            frozen.known = serving.known
        if self.head.kind != "mahalanobis":
            frozen.chain = _chain(frozen)
        if not scored and self.head.kind != "combined":
            return frozen.eval(), np.empty(0)
        # Where differences are exact they are wanted.
        exact = frozen.neighbors is not None and frozen.neighbors.exact
        distances = self._of_all(frozen.distances if exact else frozen.measure, frozen.known)
        if self.head.kind == "combined":
            scales = RobustLogScale.of(distances)
            frozen.scales = torch.stack([scales.floor, scales.center, scales.spread])
        scores = frozen.combined(distances)
        return frozen.eval(), scores.double().cpu().numpy()

    def _tensors(self) -> Iterator[Tensor]:
        """Blocks of the chunks."""
        for rows in self.chunks:
            yield from torch.from_numpy(rows).to(self.device).split(rows_at_once(self.device))

    def _kept_tensors(self, kept: Tensor) -> Iterator[Tensor]:
        start = 0
        for x in self._tensors():
            some = x[kept[start : start + len(x)]]
            start += len(x)
            if len(some):
                yield some

    def _units(self, scale: FeatureScale, kept: Tensor | None) -> tuple[Tensor, Tensor]:
        """Centre and divisor, float64, of the batch or of its kept rows."""
        unit = torch.as_tensor(scale.relative).to(self.device)
        unit = unit.clamp_min(torch.finfo(self.dtype).tiny)

        def measure(divisor: Tensor | float) -> Moments:
            moments = Moments()
            for x in self._tensors() if kept is None else self._kept_tensors(kept):
                moments.add(x.double() / divisor)
            return moments

        moments, factor = measure(1.0), 1.0
        if not _SMALLEST_VARIANCE < moments.variance.max() < torch.inf:
            # Squares at both ends of the numbers; of such a batch the peak comes out first.
            factor = max(x.abs().max().item() for x in self._tensors()) or 1.0
            moments = measure(factor)
        own = moments.variance.sqrt() / unit
        peak = own.max()
        spread = peak * (own / peak).square().mean().sqrt() if peak > 0 else peak.new_ones(())
        return moments.mean * factor, unit * (spread * factor)

    def _frozen_input(self, kept: Tensor | None) -> FixedBatch:
        head, scale = self.head, self.scale
        if head.kind == "mahalanobis":
            assert head.shape is not None
            location, divisor = self._units(head.shape.scale, None)
            if kept is not None:
                location = self._units(head.shape.scale, kept)[0]
        elif scale is None:
            width = self.chunks.n_features
            location = torch.zeros(width, dtype=torch.float64, device=self.device)
            divisor = location + 1
        else:
            location, divisor = self._units(scale, kept)
        return FixedBatch(head.kind, Standardizer(location, divisor, self.dtype))

    def _whitening(self, ridge: float, dtype: torch.dtype) -> Tensor:
        assert self.head.shape is not None
        whitening = self.head.shape.whitening(ridge)
        return torch.as_tensor(whitening).to(device=self.device, dtype=dtype)

    def _kept(self) -> Tensor | None:
        """Mark the rows that the statistics are computed on, as `ScoreHead.score` does."""
        head, n_rows = self.head, len(self.chunks)
        if not round_down(head.trim_fraction, n_rows):
            return None
        assert head.shape is not None
        # A row that rounding moves across the limit moves the statistics of all others: double
        # precision, but for batches that are scored in one piece otherwise.
        exact = n_references(n_rows) < n_rows
        dtype = torch.float64 if exact else self.dtype
        units = Standardizer(*self._units(head.shape.scale, None), dtype)
        norm = self._whitening(head.ridge_norm, dtype)
        if head.kind in ("objective", "mahalanobis"):
            seen = self._of_all(lambda x, _: whitened(units(x.to(dtype)), norm).norm(dim=1)[None])
            return most_normal(seen, head.trim_fraction)[0]
        near, serving = self._whitening(head.ridge_neighbors, dtype), self._references(None)
        wide = head.wide_neighbors(n_rows)
        by_covariance = self._neighbors(
            lambda x: whitened(units(x.to(dtype)), near), head.n_neighbors, serving
        )
        in_features = self._neighbors(lambda x: units(x.to(dtype)), wide, serving)

        def views(x: Tensor, own: Tensor | None) -> Tensor:
            x = units(x.to(dtype))
            far = whitened(x, norm).norm(dim=1)
            return torch.stack([far, by_covariance(whitened(x, near), own), in_features(x, own)])

        seen = self._of_all(views, serving.known)
        first_sight = RobustLogScale.of(seen).standardise(seen).amax(dim=0)
        return most_normal(first_sight[None], head.trim_fraction)[0]

    def _references(self, kept: Tensor | None) -> _References:
        """Choose the rows that serve as neighbours: all, or some, by what is in them."""
        n_rows = len(self.chunks)
        scale = None if self.scale is None else self.scale.scale
        weights = hash_weights(scale, self.chunks.n_features)
        chosen = np.arange(n_rows)
        if n_references(n_rows) < n_rows:
            keys = np.concatenate([row_hashes(rows, weights) for rows in self.chunks])
            chosen = evenly_spaced(keys, n_references(n_rows))
        if kept is not None:
            chosen = chosen[kept.cpu().numpy()[chosen]]
        rows = self.chunks.take(chosen)
        return _References(rows, ReferenceIndex.of(rows, weights))

    def _neighbors(
        self, view: Callable[[Tensor], Tensor], n_neighbors: int, serving: _References
    ) -> Neighbors:
        n_rows = len(self.chunks)
        rows = view(torch.from_numpy(serving.rows).to(self.device))
        # Differences where the batch in one piece takes them; first sight in double has no such.
        exact = differences_are_cheap(n_rows, n_references(n_rows), rows.shape[1], rows.dtype)
        return Neighbors(rows, n_neighbors, exact and rows.dtype == self.dtype)

    def _of_all(self, look: _Look, known: ReferenceIndex | None = None) -> Tensor:
        """Measure every row, shape (n_parts, n_rows)."""

        def measure(rows: NDArray[Any]) -> Tensor:
            x, size = torch.from_numpy(rows).to(self.device), rows_at_once(self.device)
            if known is None:
                return torch.cat([look(some, None) for some in x.split(size)], dim=1)
            own = torch.from_numpy(known.places(rows)).to(self.device)
            parts = zip(x.split(size), own.split(size), strict=True)
            return torch.cat([look(some, here) for some, here in parts], dim=1)

        out, start = torch.empty(0), 0
        for values in in_order(measure, self.chunks, self.device):
            if not start:
                out = values.new_empty(len(values), len(self.chunks))
            out[:, start : start + values.shape[1]] = values
            start += values.shape[1]
        return out


def _chain(frozen: FixedBatch) -> FusedMLP | FusedNeighbors | None:
    """Make the fast form of what is held fixed, where there is one."""
    chain = FusedMLP.of(frozen.units, frozen.network)
    if chain is None or frozen.neighbors is None:
        return chain
    # Where differences are exact they are wanted.
    return None if frozen.neighbors.exact else FusedNeighbors(chain, frozen.neighbors)
