"""Rows scored one by one under the statistics of a reference batch, and fixed batch statistics."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone

from acr_sklearn._input.batch_checks import SMALL_BATCH
from acr_sklearn._input.chunks import Chunks
from acr_sklearn._input.domain_rows import DomainRows
from acr_sklearn._input.known_anomalies import TrainingRows
from acr_sklearn._input.parameters import plain_number
from acr_sklearn.detectors._explaining import Attribution, Explaining
from acr_sklearn.detectors._reference_state import Reference
from acr_sklearn.detectors._scoring import BatchScoring, Calibration
from acr_sklearn.detectors._sliding import SlidingReference
from acr_sklearn.domains.domain_shift import warn_unfamiliar_batches
from acr_sklearn.domains.feature_scale import FeatureScale
from acr_sklearn.exceptions import SmallReferenceWarning
from acr_sklearn.export.model import batch_model, reference_model
from acr_sklearn.persistence.whole_file import write_whole
from acr_sklearn.scoring.attribution import BatchAttribution, usual_rows
from acr_sklearn.scoring.consensus_head import ConsensusHead
from acr_sklearn.scoring.heads import ScoreHead
from acr_sklearn.scoring.scorer import FEW_ROWS, Limits, Scorer
from acr_sklearn.scoring.trimming import round_down
from acr_sklearn.thresholds import normal_scores

__all__ = ["ReferenceMixin"]

#: Below this many reference rows a threshold is uncertain; from this many on the reference sets
#: its own. See docs/references.md.
_SMALL_REFERENCE, _OWN_OFFSET = 64, 128
#: Training rows that stand for all of them where nothing else was given as a reference.
_POOLED_ROWS = 65536
#: Of a reference with anomalies: the share of rows that its core is, how often it is chosen anew,
#: and the share of the rows left out that count as normal where the threshold is set. On digits
#: that many were, where as many were left out as there were anomalies. See docs/references.md.
_CORE, _CORE_STEPS, _NORMAL_LEFT_OUT = 0.6, 3, 0.25
#: Relative difference up to which rows tie: rounding only.
_TIED = 1e-9


class ReferenceMixin(Explaining, SlidingReference):
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

    def _prepare_scoring(self, data: TrainingRows, trained_on: NDArray[np.int64]) -> None:
        self._reference = self._window = None
        if self.norm_mode == "reference":
            self._reference = self._pooled_reference(data, trained_on)

    @property
    def reference_stats_(self) -> torch.nn.Module:
        """Module that scores rows under the statistics of the reference."""
        if self._reference is None:
            raise AttributeError(f"{type(self).__name__} has no reference_stats_ before adapt.")
        self._renew()
        return self._reference.fixed[np.dtype(np.float64)]

    @property
    def _calibration(self) -> Calibration:
        self._renew()
        held = self._reference_calibration
        return self._batch_calibration if held is None or self.norm_mode == "batch" else held

    def _calibrate_reference(self, data: DomainRows, positions: NDArray[np.int64]) -> None:
        self._reference_calibration = None
        if self._scores_rows_singly():
            self._reference_calibration = self._calibrated_on(-self._scores_of(data)[positions])

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
        usual = scorer.taken(chunks).take(usual_rows(scores))
        return Reference(fixed, usual, in_double=len(chunks) <= FEW_ROWS), scores

    def _attribution(self, batch: Chunks | None) -> Attribution:
        if batch is None:
            assert self._reference is not None
            return self._reference.explain
        if len(batch) <= FEW_ROWS:
            batch = Chunks(batch.take(np.arange(len(batch))).astype(np.float64), batch.size)
        scorer = self._scorer()
        fixed, scores = scorer.freeze(batch)
        usual = scorer.taken(batch).take(usual_rows(scores))
        return BatchAttribution(fixed, usual, of_the_batch=True)

    def _held(self, batch: Chunks | None) -> Callable[[Chunks], NDArray[np.float64]]:
        if batch is None:
            assert self._reference is not None
            return self._reference.score
        return self._hold(batch)[0].score

    def _held_rows(self) -> NDArray[Any] | None:
        if not self._scores_rows_singly():
            return None
        assert self._reference is not None
        return self._reference.usual

    def _hold_most(
        self, rows: NDArray[np.float64], leave_out: float
    ) -> tuple[Reference, NDArray[np.float64]]:
        """Hold rows but for the given share, and score those that count as normal."""
        size = self._limits_of_reference.rows_per_chunk
        if not round_down(leave_out, len(rows)):
            return self._hold(Chunks(rows, size))
        # Of all rows, a cluster of anomalies looks normal: its rows are neighbours of one another.
        # Under a core that most of them are not in they do not, and the core is chosen anew.
        if self._domain_shift is not None:
            off = self._domain_shift.ruler.off_center(rows)
        else:
            off = self._hold(Chunks(rows, size))[0].score(Chunks(rows, size))
        for _ in range(_CORE_STEPS):
            core = Chunks(rows[_least_off(off, 1 - _CORE)], size)
            off = self._hold(core)[0].score(Chunks(rows, size))
        kept = _least_off(off, leave_out)
        reference, scores = self._hold(Chunks(rows[kept], size))
        others = np.sort(reference.score(Chunks(rows[~kept], size)))
        return reference, np.concatenate([scores, others[: int(_NORMAL_LEFT_OUT * len(others))]])

    def adapt(
        self, X_ref: Any, *, recalibrate: bool | str = "auto", leave_out: float = 0.0
    ) -> Self:
        """Hold the statistics of a reference batch, to score rows one by one from now on.

        Parameters
        ----------
        X_ref : array-like of shape (n_samples, n_features)
            Rows of the domain to be watched, mostly normal: up to a tenth of anomalies among them
            cost little, see docs/references.md.
        recalibrate : bool or "auto", default="auto"
            Whether the copy's threshold is set on the scores of `X_ref`. "auto": from 128 rows on;
            fewer keep the threshold of fit. Scores that are evidently those of anomalies, held
            against `calibration_scores_`, are left out first, here and in the copy's own
            `calibration_scores_`.
        leave_out : float, default=0.0
            Share of anomalies that `X_ref` is believed to hold, in [0, 0.4]: so many rows, those
            that are least normal beside the others, are not held. Above 0 the threshold is set on
            the scores of the rows that are, and of a quarter of the others, which may be normal.

        Returns
        -------
        detector : object of the same class
            A copy that holds the reference, with the same parameters. The rows that are held, all
            of `X_ref` unless some are left out, score with it as they do in one batch with the
            detector itself; any other row is scored by itself, alone or among others. The detector
            stays as it is. The reference is a fitted attribute: a clone of the copy is the unfitted
            detector, and a fit starts anew.

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
        number = isinstance(leave_out, Real) and not isinstance(leave_out, bool | np.bool_)
        if not number or not 0 <= leave_out <= 1 - _CORE:
            raise ValueError(
                f"{who} got leave_out={leave_out!r}. Give the share of anomalies believed to be "
                f"among the reference rows, a number from 0 to {1 - _CORE:g}."
            )
        names = self._names_of_features
        warn_unfamiliar_batches(self._domain_shift, data, who=who, names=names, stacklevel=3)
        n_rows = len(data.rows)
        if n_rows < _SMALL_REFERENCE:
            warnings.warn(
                f"{who} got {n_rows} reference rows. They rank new rows well, but a threshold "
                f"under the statistics of so few is uncertain; give {_SMALL_REFERENCE} or more.",
                SmallReferenceWarning,
                stacklevel=2,
            )
        live = copy.copy(self)
        for name in self._parameter_constraints:
            # A configured part has parameters of its own, which are no other detector's.
            if hasattr(part := getattr(self, name), "get_params") and not isinstance(part, type):
                setattr(live, name, clone(part))
        live._start_window(data.rows, recalibrate=recalibrate, leave_out=float(leave_out))
        return live

    def _take_reference(self, rows: NDArray[np.float64], settings: dict[str, Any]) -> None:
        recalibrate, leave_out = settings["recalibrate"], settings["leave_out"]
        reference, scores = self._hold_most(rows, leave_out)
        own = len(rows) >= _OWN_OFFSET if isinstance(recalibrate, str) else bool(recalibrate)
        calibration = None  # until the reference sets its own, that of fit holds
        if own:
            # Against the scores of fit, not of a reference before: that may have been trimmed.
            fitted = self._batch_calibration.scores
            normal = -scores if leave_out else normal_scores(-scores, fitted)
            calibration = self._calibrated_on(normal)
        self._reference, self._reference_calibration = reference, calibration

    def to_onnx(self, path: Any, *, dtype: str = "float64") -> None:
        """Write the detector as a model of ONNX, for run times without Python.

        Its input "X" of shape (n_samples, n_features) is a batch, of any number of rows from 2 on,
        or rows scored one by one where the detector holds a reference (`adapt`); a domain column
        is left out. Its output "scores" of shape (n_samples,) is that of `score_samples`, in
        double precision. Metadata of the model hold `offset_`. See docs/files.md for what agrees.

        Parameters
        ----------
        path : str or os.PathLike
            The file, exactly; it appears whole or not at all.
        dtype : {"float64", "float32"}, default="float64"
            Of the input. Either way all is computed in double precision.

        Raises
        ------
        NotImplementedError
            For what has no operations there: other backbones than "mlp", the objective "ntl",
            and `max_reference_rows` in batches.
        ImportError
            Without the package onnx.
        OSError
            When the file system refuses.
        """
        self._check_for_scoring()
        who = f"{type(self).__name__}.to_onnx"
        if not isinstance(dtype, str) or dtype not in ("float32", "float64"):
            raise ValueError(f"{who} got dtype={dtype!r}. Use 'float64' or 'float32'.")
        now = self._of_now()
        singly = now._scores_rows_singly()
        texts = {
            "class": type(self).__name__,
            "mode": "reference" if singly else "batch",
            "offset": repr(float(now.offset_)),
        }
        single = dtype == "float32"
        if singly:
            assert now._reference is not None
            fixed = now._reference.fixed[np.dtype(np.float64)]
            data = reference_model(fixed, who, single=single, texts=texts)
        else:
            data = batch_model(now._scorer(), who, single=single, texts=texts)
        write_whole(path, data, who=who)

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


def _least_off(off: NDArray[np.float64], leave_out: float) -> NDArray[np.bool_]:
    """Mark all rows but the share furthest off; rows that tie are left out together."""
    n_kept = len(off) - round_down(leave_out, len(off))
    limit = np.partition(off, n_kept)[n_kept]
    kept = off < limit - _TIED * (1 + abs(limit))
    return kept if 2 * np.count_nonzero(kept) >= len(off) else off <= limit
