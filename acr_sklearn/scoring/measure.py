"""Measurement of fixed batch statistics, chunk by chunk.

Scoring a batch in chunks, scoring it by a sample of its rows, and scoring single rows against a
reference batch are the same two steps: measure, then score row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from acr_sklearn._compute import in_order, rows_at_once
from acr_sklearn._input.chunks import Chunks
from acr_sklearn.domains.batch_statistics import overall_spread
from acr_sklearn.domains.covariance import whitened
from acr_sklearn.domains.feature_scale import FeatureScale
from acr_sklearn.scoring.consensus_batch import ConsensusBatch
from acr_sklearn.scoring.consensus_head import ConsensusHead
from acr_sklearn.scoring.evidence import n_evidence_rows
from acr_sklearn.scoring.fixed_batch import FixedBatch
from acr_sklearn.scoring.fixed_norms import Moments, fix_norms
from acr_sklearn.scoring.fused_mlp import FusedMLP, FusedNeighbors
from acr_sklearn.scoring.heads import Network, ScoreHead, combined
from acr_sklearn.scoring.neighbors import Neighbors, differences_are_cheap, n_references
from acr_sklearn.scoring.reference_rows import (
    ReferenceIndex,
    evenly_spaced,
    hash_weights,
    row_hashes,
)
from acr_sklearn.scoring.robust_scale import RobustLogScale
from acr_sklearn.scoring.standardize import Standardizer
from acr_sklearn.scoring.trimming import most_normal, round_down

__all__ = ["measure_batch"]


_Measure = Callable[[Tensor, Tensor | None], Tensor]


@dataclass
class _References:
    """Reference rows that serve as neighbours, with their index."""

    rows: NDArray[Any]
    known: ReferenceIndex


def measure_batch(
    network: Network,
    scale: FeatureScale | None,
    head: ScoreHead | ConsensusHead,
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
        Standardization of the network's input; None passes the rows on as they are.
    head : ScoreHead or ConsensusHead
        How rows are scored.
    chunks : Chunks
        The batch.
    scored : bool, default=True
        Whether the scores of the batch itself are wanted.

    Returns
    -------
    fixed : FixedBatch
        The batch at fixed statistics.
    scores : ndarray of shape (n_rows,), float64
        What `head` gives the rows of the batch in one piece; empty if they are not wanted.
    """
    with torch.no_grad():
        if isinstance(head, ConsensusHead):
            return _measure_consensus(network, scale, head, chunks, scored)
        return _Builder(network, scale, head, chunks).build(scored)


class _Rounds:
    """Rounds over the chunks of a batch."""

    def __init__(self, network: Network, scale: FeatureScale | None, chunks: Chunks):
        parameter = next(network.parameters())
        self.network, self.scale, self.chunks = network, scale, chunks
        self.device, self.dtype = parameter.device, parameter.dtype

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

    def _statistics(self, scale: FeatureScale, kept: Tensor | None) -> tuple[Tensor, Tensor]:
        """Centre and divisor, float64, of the batch or of its kept rows."""
        unit = scale.unit(self.dtype).to(self.device)
        means: list[Tensor] = []

        def variance(factor: Tensor | None) -> Tensor:
            moments = Moments()
            for x in self._tensors() if kept is None else self._kept_tensors(kept):
                moments.add(x.double() if factor is None else x.double() / factor)
            means.append(moments.mean if factor is None else moments.mean * factor)
            return moments.variance

        def peak() -> Tensor:
            return torch.stack([x.abs().max().double() for x in self._tensors()]).amax(0, True)

        spread = overall_spread(variance, peak, unit)
        return means[-1], unit * spread

    def _network_input(self, kept: Tensor | None) -> Standardizer:
        """Standardization of the network's input, by the batch or by its kept rows."""
        if self.scale is not None:
            return Standardizer(*self._statistics(self.scale, kept), self.dtype)
        nothing = torch.zeros(self.chunks.n_features, dtype=torch.float64, device=self.device)
        return Standardizer(nothing, nothing + 1, self.dtype)

    def _fixed_network(self, standardizer: Standardizer, kept: Tensor | None) -> nn.Module:
        """Network at the statistics of the batch, or of its kept rows."""
        rows = self._tensors if kept is None else lambda: self._kept_tensors(kept)
        return fix_norms(self.network, lambda: map(standardizer, rows()))

    def _of_all(self, measure_rows: _Measure, known: ReferenceIndex | None = None) -> Tensor:
        """Measure every row, shape (n_parts, n_rows)."""

        def measure(rows: NDArray[Any]) -> Tensor:
            x, size = torch.from_numpy(rows).to(self.device), rows_at_once(self.device)
            if known is None:
                return torch.cat([measure_rows(some, None) for some in x.split(size)], dim=1)
            own = torch.from_numpy(known.positions(rows)).to(self.device)
            parts = zip(x.split(size), own.split(size), strict=True)
            return torch.cat([measure_rows(some, here) for some, here in parts], dim=1)

        out, start = torch.empty(0), 0
        for values in in_order(measure, self.chunks, self.device):
            if not start:
                out = values.new_empty(len(values), len(self.chunks))
            out[:, start : start + values.shape[1]] = values
            start += values.shape[1]
        return out


class _Builder(_Rounds):
    """Builder of a `FixedBatch`."""

    def __init__(
        self, network: Network, scale: FeatureScale | None, head: ScoreHead, chunks: Chunks
    ):
        super().__init__(network, scale, chunks)
        self.head = head

    def build(self, scored: bool) -> tuple[FixedBatch, NDArray[np.float64]]:
        kept = self._kept()
        fixed = self._fixed_input(kept)
        if self.head.kind == "mahalanobis":
            fixed.whitening = self.head.whitening(self.head.ridge_norm, fixed.standardizer.divisor)
        else:
            fixed.network = self._fixed_network(fixed.standardizer, kept)
        if self.head.uses_neighbors:
            serving = self._references(kept)
            fixed.neighbors = self._neighbors(
                lambda x: fixed.network.layers(fixed.standardizer(x)),
                self.head.n_neighbors,
                serving,
            )
            fixed.known = serving.known
        if self.head.kind != "mahalanobis":
            fixed.chain = _chain(fixed)
        if not scored and self.head.join is None:
            return fixed.eval(), np.empty(0)
        # Where differences are exact they are wanted.
        exact = fixed.neighbors is not None and fixed.neighbors.exact
        distances = self._of_all(fixed.distances if exact else fixed.measure, fixed.known)
        if self.head.join is not None:
            scales = RobustLogScale.of(distances)
            fixed.scales = torch.stack([scales.floor, scales.center, scales.spread])
        scores = fixed.combined(distances)
        return fixed.eval(), scores.double().cpu().numpy()

    def _fixed_input(self, kept: Tensor | None) -> FixedBatch:
        head = self.head
        if head.kind != "mahalanobis":
            return FixedBatch(head.kind, self._network_input(kept))
        assert head.covariance is not None
        location, divisor = self._statistics(head.covariance.scale, None)
        if kept is not None:
            location = self._statistics(head.covariance.scale, kept)[0]
        return FixedBatch(head.kind, Standardizer(location, divisor, self.dtype))

    def _kept(self) -> Tensor | None:
        """Mark the rows that the statistics are computed on, as `ScoreHead.score` does."""
        head, n_rows = self.head, len(self.chunks)
        if not round_down(head.trim_fraction, n_rows):
            return None
        assert head.covariance is not None
        # A row that rounding moves across the limit moves the statistics of all others: double
        # precision, but for batches that are scored in one piece otherwise.
        exact = n_references(n_rows) < n_rows
        dtype = torch.float64 if exact else self.dtype
        features = Standardizer(*self._statistics(head.covariance.scale, None), dtype)
        serving = self._references(None) if head.uses_neighbors else None
        searches = [] if serving is None else self._initial_neighbors(features, serving)

        def measure(x: Tensor, own: Tensor | None) -> Tensor:
            nearest = [partial(search, own=own) for search in searches]
            return head.initial_distances(features(x.to(dtype)), *nearest)

        distances = self._of_all(measure, None if serving is None else serving.known)
        return most_normal(combined(distances)[None], head.trim_fraction)[0]

    def _initial_neighbors(self, features: Standardizer, serving: _References) -> list[Neighbors]:
        """Rows that serve as neighbours, in whitened features and, more of them, in plain ones."""
        dtype, head = features.divisor.dtype, self.head
        whitening = head.whitening(head.ridge_neighbors, features.divisor)
        near = self._neighbors(
            lambda x: whitened(features(x.to(dtype)), whitening), head.n_neighbors, serving
        )
        wide = head.wide_neighbors(len(self.chunks))
        return [near, self._neighbors(lambda x: features(x.to(dtype)), wide, serving)]

    def _references(self, kept: Tensor | None) -> _References:
        """Choose the rows that serve as neighbours: all, or some, by what is in them."""
        n_rows = len(self.chunks)
        scale = None if self.scale is None else self.scale.scale
        weights = hash_weights(scale, self.chunks.n_features)
        chosen = np.arange(n_rows)
        if n_references(n_rows) < n_rows:
            keys = np.concatenate(self.chunks.each(partial(row_hashes, weights=weights)))
            chosen = evenly_spaced(keys, n_references(n_rows))
        if kept is not None:
            chosen = chosen[kept.cpu().numpy()[chosen]]
        rows = self.chunks.take(chosen)
        return _References(rows, ReferenceIndex.of(rows, weights))

    def _neighbors(
        self, layers: Callable[[Tensor], Tensor], n_neighbors: int, serving: _References
    ) -> Neighbors:
        n_rows = len(self.chunks)
        rows = layers(torch.from_numpy(serving.rows).to(self.device))
        # Differences where the batch in one piece takes them; the initial
        # outlyingness in double precision has no such.
        exact = differences_are_cheap(n_rows, n_references(n_rows), rows.shape[1], rows.dtype)
        return Neighbors(rows, n_neighbors, exact and rows.dtype == self.dtype)


class _ConsensusBuilder(_Rounds):
    """Builder of a `ConsensusBatch` from the rows that its statistics are of, in one piece."""

    def build(self, head: ConsensusHead, n_rows: int) -> ConsensusBatch:
        rows = torch.from_numpy(self.chunks.take(np.arange(len(self.chunks)))).to(self.device)
        batch = head.measure(rows, n_rows)
        marked = head.kept([batch])
        kept = None if marked is None else marked[0]
        standardizer = self._network_input(kept)
        network: Any = self._fixed_network(standardizer, kept)
        layers = network.layers(standardizer(rows))
        neighborhoods = head.neighbors(layers, batch, kept)
        combination = head.combination(rows)
        fixed = ConsensusBatch(standardizer, network, batch, neighborhoods, combination)
        fixed.fix_scale(torch.cat([batch.values, neighborhoods.measure(layers, batch.own)]))
        return fixed


def _measure_consensus(
    network: Network,
    scale: FeatureScale | None,
    head: ConsensusHead,
    chunks: Chunks,
    scored: bool,
) -> tuple[FixedBatch, NDArray[np.float64]]:
    sample = chunks
    n_statistics = n_evidence_rows(len(chunks))[0]
    if n_statistics < len(chunks):
        keys = np.concatenate(chunks.each(partial(row_hashes, weights=head.weights)))
        sample = Chunks(chunks.take(evenly_spaced(keys, n_statistics)), chunks.size)
    fixed = _ConsensusBuilder(network, scale, sample).build(head, len(chunks)).eval()
    if not scored:
        return fixed, np.empty(0)
    values = _Rounds(network, scale, chunks)._of_all(fixed.measure, fixed.known)
    return fixed, fixed.combined(values).double().cpu().numpy()


def _chain(fixed: FixedBatch) -> FusedMLP | FusedNeighbors | None:
    """Fuse the network of a fixed batch, where it can be fused."""
    chain = FusedMLP.of(fixed.standardizer, fixed.network)
    if chain is None or fixed.neighbors is None:
        return chain
    # Where differences are exact they are wanted.
    return None if fixed.neighbors.exact else FusedNeighbors(chain, fixed.neighbors)
