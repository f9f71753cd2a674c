"""Scores of a call: what may be passed, what is warned of, within batches or by a reference."""

from __future__ import annotations

import copy
import warnings
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from acr_sklearn._input.batch_checks import require_two_rows, warn_small_batches
from acr_sklearn._input.chunks import CheckedChunks, Chunks, is_chunked
from acr_sklearn._input.keywords import known_keywords
from acr_sklearn._input.validation import DomainRows, read_rows
from acr_sklearn.domains.domain_shift import DomainShift, warn_unfamiliar_batches
from acr_sklearn.domains.feature_scale import FeatureScale
from acr_sklearn.exceptions import IgnoredDomainsWarning, SmallReferenceWarning
from acr_sklearn.scoring.fixed_batch import FixedBatch
from acr_sklearn.scoring.heads import ScoreHead
from acr_sklearn.scoring.scorer import Limits, Scorer, score_rows
from acr_sklearn.thresholds import batch_offsets, compact_scores, contamination_offset, p_values

__all__ = ["BatchScoring", "Reference", "ReferenceMixin"]


class Reference:
    """A batch held fixed, in both precisions, so that scoring never converts it.

    Parameters
    ----------
    frozen : FixedBatch
        In float64.
    """

    def __init__(self, frozen: FixedBatch):
        self.frozen = {np.dtype(np.float64): frozen, np.dtype(np.float32): frozen.single()}

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
    _domain_shift: DomainShift | None
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
            warn_unfamiliar_batches(self._domain_shift, data, who=who)
        elif domains is not None and method != "score":
            warnings.warn(
                f"{who} got domains=, which change nothing: with norm_mode='reference' every row "
                "is scored by itself. Leave them out, or score in batches with "
                "norm_mode='batch'.",
                IgnoredDomainsWarning,
                stacklevel=4,
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


#: Below this many reference rows a threshold is uncertain; from this many on the reference sets
#: its own. See docs/streams.md.
_SMALL_REFERENCE, _OWN_OFFSET = 64, 128
#: Training rows that stand for all of them where nothing else was given as a reference.
_POOLED_ROWS = 65536


class ReferenceMixin(BatchScoring):
    """Methods of a fitted batch detector that look beyond the batch at hand."""

    def _pooled_reference(self, data: DomainRows, trained_on: NDArray[np.int64]) -> Reference:
        rows = np.flatnonzero(np.isin(data.index, trained_on))
        chunks = Chunks(
            data.rows[rows].astype(np.float64), self._limits_of_reference.rows_per_chunk
        )
        return self._hold(chunks)[0]

    @property
    def _limits_of_reference(self) -> Limits:
        return Limits(self.chunk_size, self.max_reference_rows or _POOLED_ROWS)

    def _hold(self, chunks: Chunks) -> tuple[Reference, NDArray[np.float64]]:
        scorer = Scorer(self.module_, self.feature_scale_, self.head_, self._limits_of_reference)
        frozen, scores = scorer.freeze(chunks)
        return Reference(frozen), scores

    def _one_batch(self, X: Any, method: str) -> DomainRows:
        check_is_fitted(self)
        who = f"{type(self).__name__}.{method}"
        data = read_rows(self, X, None, reset=False, method=method)
        if len(data.labels) > 1:
            raise ValueError(
                f"{who} got rows of {len(data.labels)} domains. It holds the statistics of one "
                "batch: call it once per domain, with the rows of that domain."
            )
        require_two_rows(data, who=who, in_fit=False)
        return data

    def adapt(self, X_ref: Any, *, recalibrate: bool | str = "auto") -> Self:
        """Hold the statistics of a reference batch, to score rows one by one from now on.

        Parameters
        ----------
        X_ref : array-like of shape (n_rows, n_features)
            Rows of the domain to be watched, mostly normal: up to a tenth of anomalies among them
            cost little, see docs/streams.md.
        recalibrate : bool or "auto", default="auto"
            Whether the copy's threshold is set on the scores of `X_ref`. "auto": from 128 rows on;
            fewer keep the threshold of fit.

        Returns
        -------
        detector : object of the same class
            A copy with ``norm_mode="reference"``. The rows of `X_ref` score with it as they do in
            one batch with the detector itself; any other row is scored by itself, alone or among
            others. The detector stays as it is.

        Raises
        ------
        ValueError
            For input that cannot be scored, and for rows of several domains.

        Warns
        -----
        SmallReferenceWarning
            Below 64 rows: ranks hold from a few rows on, a threshold does not.
        UnfamiliarBatchWarning
            For a reference unlike every training domain.

        Examples
        --------
        >>> import numpy as np
        >>> from acr_sklearn import ZeroShotACRDetector
        >>> rng = np.random.default_rng(0)
        >>> sites = [rng.normal(rng.normal(0, 3, 4), 1.0, (200, 4)) for _ in range(6)]
        >>> detector = ZeroShotACRDetector(max_iter=20, random_state=0).fit(sites)
        >>> live = detector.adapt(rng.normal(50.0, 1.0, (200, 4)))
        >>> live.predict([[50.0, 50.0, 50.0, 50.0]])
        array([1])
        """
        data = self._one_batch(X_ref, "adapt")
        who = f"{type(self).__name__}.adapt"
        if not isinstance(recalibrate, bool | np.bool_) and recalibrate != "auto":
            raise ValueError(f"{who} got recalibrate={recalibrate!r}. Use True, False or 'auto'.")
        warn_unfamiliar_batches(self._domain_shift, data, who=who, stacklevel=3)
        n_rows = len(data.rows)
        if n_rows < _SMALL_REFERENCE:
            warnings.warn(
                f"{who} got {n_rows} reference rows. They rank new rows well, but a threshold "
                f"under the statistics of so few is uncertain; give {_SMALL_REFERENCE} or more.",
                SmallReferenceWarning,
                stacklevel=2,
            )
        limits = self._limits_of_reference
        rows = np.asarray(data.rows, dtype=np.float64)
        reference, scores = self._hold(Chunks(rows, limits.rows_per_chunk))
        live = copy.copy(self)
        live.norm_mode = "reference"
        live._reference = reference
        live.reference_stats_ = reference.frozen[np.dtype(np.float64)]
        own = n_rows >= _OWN_OFFSET if isinstance(recalibrate, str) else bool(recalibrate)
        if own:
            live.calibration_scores_ = compact_scores(-scores)
            live.offset_ = contamination_offset(-scores, self.contamination)
        return live

    def freeze(self, X_batch: Any) -> torch.nn.Module:
        """Turn the detector under the statistics of one batch into a plain module.

        Parameters
        ----------
        X_batch : array-like of shape (n_rows, n_features)
            Rows of one domain, mostly normal.

        Returns
        -------
        module : torch.nn.Module
            Maps a tensor of rows (n_rows, n_features), in the users' units and the precision of
            `X_batch`, to anomaly scores (n_rows,), high for abnormal rows: those of `X_batch` to
            ``-score_samples(X_batch)``. It has no state that a call could change, its parameters
            take no gradient, its input does.

        Raises
        ------
        ValueError
            For input that cannot be scored, and for rows of several domains.
        """
        data = self._one_batch(X_batch, "freeze")
        scorer = self._scorer()
        return scorer.freeze(Chunks(data.rows, scorer.limits.rows_per_chunk))[0]

    @known_keywords
    def p_values(
        self, X: Any, X_ref: Any = None, *, domains: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Conformal p-values: how often a normal row scores as low as this one.

        With s the score of a row and s_1 ... s_n those of n normal rows,
        ``p = (1 + #{s_i <= s}) / (n + 1)`` (Vovk, Gammerman, Shafer, "Algorithmic Learning in a
        Random World", 2005). Where the row is normal and exchangeable with the n rows, P(p <= a)
        is at most a. Many rows are cut at a false discovery rate by
        ``scipy.stats.false_discovery_control(p) <= rate`` (Benjamini and Hochberg, 1995).

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features) or list of such
            As in `score_samples`.
        X_ref : array-like of shape (n_ref_rows, n_features) or None, default=None
            Normal rows of the same domain. They are scored in one batch with `X`, which keeps
            all rows of the batch exchangeable. None: the rows are compared with
            `calibration_scores_`, those of other domains (of the reference after `adapt`), which
            is as good as domains are alike in how their normal rows score.
        domains : array-like of shape (n_rows,), default=None
            As in `score_samples`; each domain is compared by itself.

        Returns
        -------
        ndarray of shape (n_rows,), float64
            In (0, 1], in row order; small for anomalies.

        Raises
        ------
        ValueError
            For invalid input.
        """
        if X_ref is None:
            scores, _ = self._score_rows(X, domains, "p_values")
            return p_values(scores, self.calibration_scores_)
        known = self._one_batch(X_ref, "p_values")
        data = read_rows(self, X, domains, reset=False, method="p_values")
        out = np.empty(len(data.rows))
        for batch in data.batches():
            together = np.concatenate([known.rows, data.rows[batch]])
            scores = -self._scores_of(DomainRows.one(together))
            out[batch] = p_values(scores[len(known.rows) :], np.sort(scores[: len(known.rows)]))
        return out
