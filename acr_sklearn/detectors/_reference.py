"""Rows scored one by one under the statistics of a reference batch, and fixed batch statistics."""

from __future__ import annotations

import copy
import warnings
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone

from acr_sklearn._input.batch_checks import SMALL_BATCH
from acr_sklearn._input.chunks import Chunks
from acr_sklearn._input.domain_rows import DomainRows
from acr_sklearn._input.parameters import plain_number
from acr_sklearn.detectors._scoring import BatchScoring, Calibration
from acr_sklearn.domains.domain_shift import warn_unfamiliar_batches
from acr_sklearn.domains.feature_scale import FeatureScale
from acr_sklearn.exceptions import SmallReferenceWarning
from acr_sklearn.scoring.consensus_head import ConsensusHead
from acr_sklearn.scoring.fixed_batch import FixedBatch
from acr_sklearn.scoring.heads import ScoreHead
from acr_sklearn.scoring.scorer import FEW_ROWS, Limits, Scorer, score_rows
from acr_sklearn.thresholds import normal_scores

__all__ = ["Reference", "ReferenceMixin"]

#: Below this many reference rows a threshold is uncertain; from this many on the reference sets
#: its own. See docs/streams.md.
_SMALL_REFERENCE, _OWN_OFFSET = 64, 128
#: Training rows that stand for all of them where nothing else was given as a reference.
_POOLED_ROWS = 65536


class Reference:
    """Fixed batch statistics, in both precisions, so that scoring never converts it.

    Parameters
    ----------
    fixed : FixedBatch
        In float64.
    in_double : bool, default=False
        Whether float32 rows too are computed in float64.
    """

    def __init__(self, fixed: FixedBatch, *, in_double: bool = False):
        single = fixed if in_double else fixed.single()
        self.fixed = {np.dtype(np.float64): fixed, np.dtype(np.float32): single}
        self.in_double = in_double

    def score(self, chunks: Chunks) -> NDArray[np.float64]:
        """Anomaly score of every row by itself.

        Parameters
        ----------
        chunks : Chunks
            The rows.

        Returns
        -------
        ndarray of shape (n_samples,), float64
            High for abnormal rows.
        """
        return score_rows(self.fixed[chunks.dtype], chunks)


class ReferenceMixin(BatchScoring):
    """Scoring by a network and a head, in batches or under the statistics of a reference."""

    _used_in_scoring: ClassVar[tuple[str, ...]] = (
        *BatchScoring._used_in_scoring,
        "norm_mode",
        "chunk_size",
        "max_reference_rows",
    )
    #: Parameters that a fit sets thresholds under: changed after it, they leave these wrong.
    _set_by_fit: ClassVar[tuple[str, ...]] = ()
    _set_in_fit: tuple[Any, ...] = ()

    module_: Any
    feature_scale_: FeatureScale | None
    head_: ScoreHead | ConsensusHead
    reference_stats_: torch.nn.Module
    _reference: Reference | None = None
    _reference_calibration: Calibration | None = None

    norm_mode: str
    chunk_size: int | None
    max_reference_rows: int | None

    def _scorer(self) -> Scorer:
        limits = Limits(plain_number(self.chunk_size), plain_number(self.max_reference_rows))
        return Scorer(self.module_, self.feature_scale_, self.head_, limits)

    def _check_for_scoring(self) -> None:
        super()._check_for_scoring()
        self._check_reference_rows()
        now = tuple(getattr(self, name) for name in self._set_by_fit)
        if now == self._set_in_fit:
            return
        name, before, given = next(
            both
            for both in zip(self._set_by_fit, self._set_in_fit, now, strict=True)
            if both[1] != both[2]
        )
        raise ValueError(
            f"{type(self).__name__} was fitted with {name}={before!r} and now has {given!r}. "
            "offset_ and calibration_scores_ are those of fit: set it back, or fit again (with "
            "memory= and an int random_state the training is not repeated)."
        )

    def _check_reference_rows(self) -> None:
        rows = self.max_reference_rows
        if rows is not None and rows < SMALL_BATCH:
            raise ValueError(
                f"{type(self).__name__} got max_reference_rows={rows}. So few rows do not say what "
                f"is normal in a batch: give {SMALL_BATCH} or more, or None to use all rows."
            )

    def _rows_per_chunk(self) -> int:
        return self._scorer().limits.rows_per_chunk

    def _scores_rows_singly(self) -> bool:
        if self.norm_mode == "reference" and self._reference is None:
            raise ValueError(
                f"{type(self).__name__} has norm_mode='reference', but was fitted with another "
                "norm_mode and holds no reference. Call adapt(X_ref) with rows of the domain to "
                "be scored, or fit again to compare rows with all training rows."
            )
        return self.norm_mode != "batch" and self._reference is not None

    def _score_batches(
        self, rows: NDArray[Any], batches: list[NDArray[np.int64]]
    ) -> NDArray[np.float64]:
        return self._scorer().batches(rows, batches)

    def _score_chunks(self, chunks: Chunks) -> NDArray[np.float64]:
        if self._scores_rows_singly():
            assert self._reference is not None
            return self._reference.score(chunks)
        return self._scorer().one(chunks)

    def _prepare_scoring(self, data: DomainRows, trained_on: NDArray[np.int64]) -> None:
        self._reference = None
        self.__dict__.pop("reference_stats_", None)
        if self.norm_mode == "reference":
            self._hold_reference(self._pooled_reference(data, trained_on))

    @property
    def _calibration(self) -> Calibration:
        held = self._reference_calibration
        return self._batch_calibration if held is None or self.norm_mode == "batch" else held

    def _calibrate_reference(self, data: DomainRows, positions: NDArray[np.int64]) -> None:
        self._reference_calibration = None
        if self._scores_rows_singly():
            self._reference_calibration = self._calibrated_on(-self._scores_of(data)[positions])

    def _hold_reference(self, reference: Reference) -> None:
        self._reference = reference
        self.reference_stats_ = reference.fixed[np.dtype(np.float64)]

    def _pooled_reference(self, data: DomainRows, trained_on: NDArray[np.int64]) -> Reference:
        rows = np.flatnonzero(np.isin(data.index, trained_on))
        chunks = Chunks(
            data.rows[rows].astype(np.float64), self._limits_of_reference.rows_per_chunk
        )
        return self._hold(chunks)[0]

    @property
    def _limits_of_reference(self) -> Limits:
        rows = plain_number(self.max_reference_rows) or _POOLED_ROWS
        return Limits(plain_number(self.chunk_size), rows)

    def _hold(self, chunks: Chunks) -> tuple[Reference, NDArray[np.float64]]:
        scorer = Scorer(self.module_, self.feature_scale_, self.head_, self._limits_of_reference)
        fixed, scores = scorer.freeze(chunks)
        return Reference(fixed, in_double=len(chunks) <= FEW_ROWS), scores

    def adapt(self, X_ref: Any, *, recalibrate: bool | str = "auto") -> Self:
        """Hold the statistics of a reference batch, to score rows one by one from now on.

        Parameters
        ----------
        X_ref : array-like of shape (n_samples, n_features)
            Rows of the domain to be watched, mostly normal: up to a tenth of anomalies among them
            cost little, see docs/streams.md.
        recalibrate : bool or "auto", default="auto"
            Whether the copy's threshold is set on the scores of `X_ref`. "auto": from 128 rows on;
            fewer keep the threshold of fit. Scores that are evidently those of anomalies, held
            against `calibration_scores_`, are left out first, here and in the copy's own
            `calibration_scores_`.

        Returns
        -------
        detector : object of the same class
            A copy that holds the reference, with the same parameters. The rows of `X_ref` score
            with it as they do in one batch with the detector itself; any other row is scored by
            itself, alone or among others. The detector stays as it is. The reference is a fitted
            attribute: a clone of the copy is the unfitted detector, and a fit starts anew.

        Raises
        ------
        ValueError
            For input that cannot be scored, for rows of several domains, and with
            ``norm_mode="batch"``, which would leave the reference without effect.

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
        if self.norm_mode == "batch":
            raise ValueError(
                f"{who} holds a reference, which norm_mode='batch' leaves without effect. Set "
                "norm_mode='auto', the default: batches before adapt, the reference after it."
            )
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
        for name in self._parameter_constraints:
            # A configured part has parameters of its own, which are no other detector's.
            if hasattr(part := getattr(self, name), "get_params") and not isinstance(part, type):
                setattr(live, name, clone(part))
        live._hold_reference(reference)
        live._reference_calibration = None  # until the reference sets its own, that of fit holds
        own = n_rows >= _OWN_OFFSET if isinstance(recalibrate, str) else bool(recalibrate)
        if own:
            # Against the scores of fit, not of a reference before: that may have been trimmed.
            normal = normal_scores(-scores, self._batch_calibration.scores)
            live._reference_calibration = self._calibrated_on(normal)
        return live

    def freeze(self, X_batch: Any) -> torch.nn.Module:
        """Turn the detector under the statistics of one batch into a plain module.

        Parameters
        ----------
        X_batch : array-like of shape (n_samples, n_features)
            Rows of one domain, mostly normal.

        Returns
        -------
        module : torch.nn.Module
            Maps a tensor of rows (n_samples, n_features), in the users' units and the precision of
            `X_batch`, to anomaly scores (n_samples,), high for abnormal rows: those of `X_batch` to
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
