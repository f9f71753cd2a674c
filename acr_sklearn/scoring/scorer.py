"""Scoring: whole batches, no gradient, no change of state.

Nothing here writes to the network, so one fitted detector may score from many threads.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from acr_sklearn._compute import in_order, rows_at_once
from acr_sklearn._input.chunks import Chunks, taken_by_torch
from acr_sklearn.domains.feature_scale import FeatureScale
from acr_sklearn.scoring.consensus_head import ConsensusHead
from acr_sklearn.scoring.discriminant import discriminant_inputs
from acr_sklearn.scoring.evidence import EvidenceScale, consensus
from acr_sklearn.scoring.fixed_batch import FixedBatch
from acr_sklearn.scoring.gross_values import clip_gross, gross_bounds, within
from acr_sklearn.scoring.heads import Network, ScoreHead
from acr_sklearn.scoring.measure import measure_batch
from acr_sklearn.scoring.neighbors import n_references

__all__ = ["FEW_ROWS", "Limits", "Scorer", "score_rows"]

#: Rows per forward pass when many batches are stacked. With 64 features and 512 units 65,536 rows
#: fell out of a CPU's caches: 1000 domains of 500 rows took 1.6 to 2.5 times as long.
_STACKED_ROWS = 8192
#: A larger batch is measured and scored in chunks of so many rows.
_CHUNK_ROWS = 16384
#: A batch of so few rows is always computed in double precision: its evidence may all but agree,
#: and scoring divides the rounding of single precision by the little that is between the rows.
FEW_ROWS = 3
#: All of these on other devices, which have no such caches to fall out of.
_ROWS_ELSEWHERE = 65536
#: Rows of a batch up to which it is rid of gross values; a larger one is known by so many rows.
_CLIPPED_ROWS = 2048


@dataclass(frozen=True)
class Limits:
    """Bounds on memory and time of large batches.

    Attributes
    ----------
    chunk_size : int or None
        Larger batches are measured and scored in chunks of so many rows, with the same result.
        None: in chunks of 16,384 above 2048 rows, from where not all serve as neighbours.
    max_reference_rows : int or None
        The statistics of larger batches are those of so many of their rows.
    """

    chunk_size: int | None = None
    max_reference_rows: int | None = None

    def cuts(self, n_rows: int) -> bool:
        """Whether a batch is too large for one piece.

        Parameters
        ----------
        n_rows : int
            Rows of the batch.

        Returns
        -------
        bool
            True if it is measured in chunks or by a sample; wherever not all rows serve as
            neighbours it is.
        """
        whole = self.chunk_size is None or n_rows <= self.chunk_size
        return not whole or n_references(n_rows) < n_rows or self.samples(n_rows)

    def samples(self, n_rows: int) -> bool:
        """Whether the statistics are those of some of the rows.

        Parameters
        ----------
        n_rows : int
            Rows of the batch.

        Returns
        -------
        bool
            True if so.
        """
        return self.max_reference_rows is not None and n_rows > self.max_reference_rows

    @property
    def rows_per_chunk(self) -> int:
        """Rows that are held at a time."""
        return self.chunk_size or _CHUNK_ROWS


@dataclass(frozen=True)
class Scorer:
    """Scorer of batches, without state of its own.

    Attributes
    ----------
    network : ACRNetwork or ACREnsemble
        In eval mode; neither its parameters nor its buffers are touched.
    scale : FeatureScale or None
        Standardization of the network's input; None passes the rows on as they are.
    head : ScoreHead or ConsensusHead
        How a batch becomes scores.
    limits : Limits
        Of large batches.
    """

    network: Network
    scale: FeatureScale | None
    head: ScoreHead | ConsensusHead
    limits: Limits = Limits()

    def batches(
        self, rows: NDArray[Any], batches: Sequence[NDArray[np.int64]]
    ) -> NDArray[np.float64]:
        """Anomaly score of every row within its batch.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features), float32 or float64
            The computation runs in this precision, of two or three rows in double.
        batches : sequence of ndarray of int
            Positions of the rows of each batch; batches of equal size share a forward pass.

        Returns
        -------
        ndarray of shape (n_rows,), float64
            High for abnormal rows; 0 where a row is in no batch.
        """
        few = [batch for batch in batches if len(batch) <= FEW_ROWS]
        if few and rows.dtype != np.float64:
            scores = self.batches(rows, [batch for batch in batches if len(batch) > FEW_ROWS])
            taken, ends = np.concatenate(few), np.cumsum([len(batch) for batch in few])
            of_few = np.split(np.arange(len(taken)), ends[:-1])
            scores[taken] = self.batches(rows[taken].astype(np.float64), of_few)
            return scores
        network = self._network(rows.dtype)
        scores = np.zeros(len(rows))
        device = next(network.parameters()).device
        cut = [batch for batch in batches if self.limits.cuts(len(batch))]
        for batch in cut:
            chunks = Chunks(rows, self.limits.rows_per_chunk, batch)
            scores[batch] = self._large(network, chunks)
        whole = [batch for batch in batches if not self.limits.cuts(len(batch))]
        for stack in _stacks(whole, _STACKED_ROWS if device.type == "cpu" else _ROWS_ELSEWHERE):
            # All rows in order, the usual call, need no copy.
            all_of_them = len(stack[0]) == len(rows) and np.array_equal(
                stack[0], np.arange(len(rows))
            )
            scores[stack] = self._stack(network, rows[None] if all_of_them else rows[stack])
        return scores

    def one(self, chunks: Chunks) -> NDArray[np.float64]:
        """Anomaly score of every row of one batch.

        Parameters
        ----------
        chunks : Chunks
            The batch.

        Returns
        -------
        ndarray of shape (n_rows,), float64
            High for abnormal rows.
        """
        if len(chunks) <= FEW_ROWS:
            rows = chunks.take(np.arange(len(chunks))).astype(np.float64)
            chunks = Chunks(rows, chunks.size)
        network = self._network(chunks.dtype)
        if self.limits.cuts(len(chunks)):
            return self._large(network, chunks)
        return self._stack(network, chunks.take(np.arange(len(chunks)))[None])[0]

    def freeze(self, chunks: Chunks) -> tuple[FixedBatch, NDArray[np.float64]]:
        """Fix the statistics of a batch.

        Parameters
        ----------
        chunks : Chunks
            The batch; of more than `Limits.max_reference_rows` rows so many are taken.

        Returns
        -------
        fixed : FixedBatch
            Scores any row under the statistics of the batch.
        scores : ndarray of shape (n_kept_rows,), float64
            Of the rows that were taken, high for abnormal ones.
        """
        return self._measured(self._network(chunks.dtype), self.taken(chunks))

    def fixed(self, chunks: Chunks) -> FixedBatch:
        """Fix the statistics of a batch, as `freeze` does, where its scores are wanted later.

        Parameters
        ----------
        chunks : Chunks
            The batch.

        Returns
        -------
        FixedBatch
            `score_rows` with ``of_the_batch=True`` gives every row the score of `one`.
        """
        return self._measured(self._network(chunks.dtype), self.taken(chunks), scored=False)[0]

    def taken(self, chunks: Chunks) -> Chunks:
        """Give the rows of a batch that its statistics are taken from.

        Parameters
        ----------
        chunks : Chunks
            The batch.

        Returns
        -------
        Chunks
            The same, or of more than `Limits.max_reference_rows` rows so many.
        """
        if not self.limits.samples(len(chunks)):
            return chunks
        return Chunks(chunks.take(self._sample(len(chunks))), chunks.size)

    def labelled(self, batch: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give what a discriminant is learnt from, of one batch under the consensus alone.

        Parameters
        ----------
        batch : ndarray of shape (n_samples, n_features)
            At most 2048 rows.

        Returns
        -------
        inputs : ndarray of shape (n_samples, n_evidence + 2 * n_features)
            Of `discriminant_inputs`.
        consensus : ndarray of shape (n_samples,)
            High for abnormal rows.
        """
        head, network = self.head, self._network(batch.dtype)
        assert isinstance(head, ConsensusHead)
        with torch.no_grad():
            whole = taken_by_torch(clip_gross(batch[None])[0])
            rows = torch.from_numpy(whole).to(next(network.parameters()).device)
            unit = None if self.scale is None else self.scale.unit(rows.dtype).to(rows)
            measured, values = next(head.measured(network, rows[None], unit))
            standardised = EvidenceScale.of(values).standardise(values)
            inputs = discriminant_inputs(standardised, measured.evidence.normal_scores(rows))
            agreed = consensus(standardised)
        return inputs.double().cpu().numpy(), agreed.double().cpu().numpy()

    def _sample(self, n_rows: int) -> NDArray[np.int64]:
        """Choose the rows of a large batch that its statistics are computed on."""
        assert self.limits.max_reference_rows is not None
        # One row from each of as many equal stretches: no period in the rows is met.
        edges = np.linspace(0, n_rows, self.limits.max_reference_rows + 1)
        step = np.random.default_rng(0).random(self.limits.max_reference_rows)
        positions = (edges[:-1] + step * np.diff(edges)).astype(np.int64)
        return np.unique(positions.clip(0, n_rows - 1))  # stretches may share a row

    def _large(self, network: Network, chunks: Chunks) -> NDArray[np.float64]:
        if not self.limits.samples(len(chunks)):
            return self._measured(network, chunks)[1]
        sample = Chunks(chunks.take(self._sample(len(chunks))), chunks.size)
        fixed = self._measured(network, sample, scored=False)[0]
        return score_rows(fixed, chunks, of_the_batch=True)

    def _measured(
        self, network: Network, chunks: Chunks, *, scored: bool = True
    ) -> tuple[FixedBatch, NDArray[np.float64]]:
        """Measure a batch; small ones without their gross values, which large ones drown."""
        bounds = None
        if len(chunks) <= _CLIPPED_ROWS:
            rows = chunks.take(np.arange(len(chunks)))
            bounds = gross_bounds(rows[None])
            if bounds is not None:
                chunks = Chunks(within(rows, bounds[:, 0]), chunks.size)
        fixed, scores = measure_batch(network, self.scale, self.head, chunks, scored=scored)
        if bounds is not None:
            device = next(network.parameters()).device
            fixed.bounds = torch.from_numpy(bounds[:, 0]).to(device)
        return fixed, scores

    def _stack(self, network: Network, batch: NDArray[Any]) -> NDArray[np.float64]:
        """Score batches of one size, shape (n_batches, n_batch_rows)."""
        scale, head = self.scale, self.head
        with torch.no_grad():
            whole = taken_by_torch(clip_gross(batch))
            rows = torch.from_numpy(whole).to(next(network.parameters()).device)
            if isinstance(head, ConsensusHead):
                unit = None if scale is None else scale.unit(rows.dtype).to(rows)
                out = head.score(network, rows.clone() if unit is None else rows, unit)
            else:
                x = rows.clone() if scale is None else scale.batch(rows)
                rescale = scale is not None and scale.by_batch
                features = _features(head, scale, rows, x)
                out = head.score(network, x, features, rescale=rescale)
        return out.double().cpu().numpy()

    def _network(self, dtype: np.dtype[Any]) -> Network:
        precision = torch.float64 if dtype == np.float64 else torch.float32
        return _in_precision(self.network, precision)


def score_rows(
    fixed: FixedBatch, chunks: Chunks, *, of_the_batch: bool = False
) -> NDArray[np.float64]:
    """Score rows one by one under fixed batch statistics.

    Parameters
    ----------
    fixed : FixedBatch
        The batch.
    chunks : Chunks
        The rows; computed in the precision of the batch.
    of_the_batch : bool, default=False
        Whether the rows that make up the batch itself are among them.

    Returns
    -------
    ndarray of shape (n_rows,), float64
        High for abnormal rows.
    """
    like = fixed.standardizer.divisor
    device = like.device
    known = fixed.known if of_the_batch else None
    bounds = None if fixed.bounds is None else fixed.bounds.cpu().numpy()

    def score(rows: NDArray[Any]) -> NDArray[np.float64]:
        rows = rows if bounds is None else within(rows, bounds)
        x = torch.from_numpy(rows).to(like)
        own = None if known is None else torch.from_numpy(known.positions(rows)).to(device)
        # A chain cuts blocks of its own.
        size = rows_at_once(device) if fixed.chain is None else len(x)
        parts = [
            fixed.combined(
                fixed.measure(
                    x[start : start + size], None if own is None else own[start : start + size]
                )
            )
            for start in range(0, len(x), size)
        ]
        return torch.cat(parts).double().cpu().numpy()

    scores, start = np.empty(len(chunks)), 0
    for scored in in_order(score, chunks, device):
        scores[start : start + len(scored)] = scored
        start += len(scored)
    return scores


def _features(
    head: ScoreHead,
    scale: FeatureScale | None,
    rows: torch.Tensor,
    x: torch.Tensor,
) -> torch.Tensor | None:
    """Bring the batches to the standardization of the head's covariance, mostly the network's."""
    if head.covariance is None:
        return None
    if scale is head.covariance.scale:
        return x
    # A user's network has no standardization.
    return head.covariance.scale.batch(rows)


def _stacks(batches: Sequence[NDArray[np.int64]], n_rows: int) -> list[NDArray[np.int64]]:
    """Group equal sizes: arrays of shape (n_batches, n_batch_rows), of about `n_rows` in all."""
    by_size: dict[int, list[NDArray[np.int64]]] = {}
    for batch in batches:
        by_size.setdefault(len(batch), []).append(batch)
    stacks = []
    for size, group in by_size.items():
        per_pass = max(1, n_rows // size)
        stacks += [np.stack(group[i : i + per_pass]) for i in range(0, len(group), per_pass)]
    return stacks


def _in_precision(network: Network, dtype: torch.dtype) -> Network:
    """Return the network itself, or a copy in another precision or off a device without it."""
    like = next(network.parameters())
    # Metal has no float64, and a score must not depend on the machine.
    device = torch.device("cpu") if like.device.type == "mps" else like.device
    if like.dtype == dtype and like.device == device:
        return network
    # Casting in place, or torch.func.functional_call, would race with other threads.
    return copy.deepcopy(network).to(device=device, dtype=dtype)
