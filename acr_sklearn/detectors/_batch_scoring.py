"""Scores of a call: what may be passed, what is warned of, within batches or by a reference."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from acr_sklearn._sizes import require_two_rows, warn_small_batches
from acr_sklearn._streams import CheckedChunks, is_chunked
from acr_sklearn._validation import DomainRows, read_rows
from acr_sklearn.chunks import Chunks
from acr_sklearn.exceptions import IgnoredDomainsWarning
from acr_sklearn.familiarity import Familiarity, warn_unfamiliar_batches
from acr_sklearn.frozen import FrozenBatch
from acr_sklearn.heads import ScoreHead
from acr_sklearn.scaling import FeatureScale
from acr_sklearn.scoring import Limits, Scorer, score_rows
from acr_sklearn.thresholds import batch_offsets

__all__ = ["BatchScoring", "Reference"]


class Reference:
    """A batch held fixed, in both precisions, so that scoring never converts it.

    Parameters
    ----------
    frozen : FrozenBatch
        In float64.
    """

    def __init__(self, frozen: FrozenBatch):
        single = copy.deepcopy(frozen).float()
        if single.neighbors is not None:
            single.neighbors.exact = False
        self.frozen = {np.dtype(np.float64): frozen, np.dtype(np.float32): single}

    def score(self, chunks: Chunks) -> NDArray[np.float64]:
        """Anomaly score of every row by itself.

        Parameters
        ----------
        chunks : Chunks
            The rows.

        Returns
        -------
        ndarray of shape (n_rows,), float64
            High for abnormal rows.
        """
        return score_rows(self.frozen[chunks.dtype], chunks)


class BatchScoring:
    """How a fitted detector comes from what a user passes to one score per row."""

    contamination: float | str
    module_: Any
    feature_scale_: FeatureScale | None
    head_: ScoreHead
    threshold: str
    offset_: float
    calibration_scores_: NDArray[np.float64]
    reference_stats_: torch.nn.Module
    _familiarity: Familiarity | None
    _reference: Reference | None = None

    norm_mode: str = "batch"
    chunk_size: int | None = None
    max_reference_rows: int | None = None

    def _scorer(self) -> Scorer:
        limits = Limits(self.chunk_size, self.max_reference_rows)
        return Scorer(self.module_, self.feature_scale_, self.head_, limits)

    def _read_chunks(self, X: Any, domains: ArrayLike | None, who: str) -> Chunks:
        if domains is not None or getattr(self, "domain_column", None) is not None:
            raise ValueError(
                f"{who} got chunks of rows together with domains. Chunks are one batch of one "
                "domain: score each domain by a call of its own, or pass one 2-D X."
            )
        return Chunks(CheckedChunks(self, X, who), self._scorer().limits.rows_per_chunk)

    def _score_rows(
        self, X: Any, domains: ArrayLike | None, method: str
    ) -> tuple[NDArray[np.float64], DomainRows]:
        check_is_fitted(self)
        who = f"{type(self).__name__}.{method}"
        if is_chunked(X):
            data = DomainRows.one(self._read_chunks(X, domains, who))
        else:
            data = read_rows(self, X, domains, reset=False, method=method)
        if self._reference is None:
            require_two_rows(data, who=who, in_fit=False)
            warn_small_batches(data, who=who)
            warn_unfamiliar_batches(self._familiarity, data, who=who)
        elif domains is not None and method != "score":
            warnings.warn(
                f"{who} got domains=, which change nothing: with norm_mode='reference' every row "
                "is scored by itself. Leave them out, or score in batches with "
                "norm_mode='batch'.",
                IgnoredDomainsWarning,
                stacklevel=3,
            )
        scores = self._scores_of(data)
        np.negative(scores, out=scores)
        scores += 0.0  # so that no score reads -0.0
        return scores, data

    def _scores_of(self, data: DomainRows) -> NDArray[np.float64]:
        """Anomaly score of every row: within its batch, or by itself against the reference."""
        scorer = self._scorer()
        if self._reference is None and len(data.labels) > 1:
            return scorer.batches(data.rows, data.batches())
        chunks: Any = data.rows
        if not isinstance(chunks, Chunks):
            chunks = Chunks(chunks, scorer.limits.rows_per_chunk)
        return scorer.one(chunks) if self._reference is None else self._reference.score(chunks)

    def _offsets(
        self, scores: NDArray[np.float64], data: DomainRows
    ) -> float | NDArray[np.float64]:
        if self.threshold == "train":
            return self.offset_
        return batch_offsets(scores, data.batches(), self.contamination, self.calibration_scores_)
