"""Scores of a call: what may be passed, what is warned of, one batch or several."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted

from acr_sklearn._input.batch_checks import require_two_rows, warn_small_batches
from acr_sklearn._input.chunks import CheckedChunks, Chunks, is_chunked
from acr_sklearn._input.domain_rows import DomainRows, read_rows
from acr_sklearn._input.keywords import known_keywords
from acr_sklearn._input.parameters import check_numbers
from acr_sklearn._input.validation import settle_domain_column
from acr_sklearn.domains.domain_shift import DomainShift, warn_unfamiliar_batches
from acr_sklearn.exceptions import IgnoredDomainsWarning
from acr_sklearn.thresholds import (
    batch_offsets,
    compact_scores,
    contamination_offset,
    offset_of_kept,
    p_values,
)

__all__ = ["BatchScoring", "Calibration", "refuse_chunks"]

#: Rows of a stream that are held at a time, where the detector does not say.
_CHUNK_ROWS = 16384
#: Settings that were found valid: checking them anew took a tenth of the time of a single row.
_VALID_SETTINGS: set[tuple[type, tuple[tuple[str, type, Any], ...]]] = set()
_MOST_SETTINGS = 1024


@dataclass(frozen=True)
class Calibration:
    """Scores of normal rows, and where they were cut.

    Attributes
    ----------
    contamination : float or "auto"
        At which `offset` was set.
    offset : float
        Exact, of all scores.
    scores : ndarray of shape (n_scores,)
        Sorted, of more than 4096 their quantiles.
    """

    contamination: float | str
    offset: float
    scores: NDArray[np.float64]


class BatchScoring(ABC):
    """How a fitted detector comes from what a user passes to one score per row.

    A child implements `_score_batches`, and may override the other hooks up to `_rows_per_chunk`.
    """

    #: Parameters that scoring looks at, so that they are checked again at every call: they may
    #: have been set after fit.
    _used_in_scoring: ClassVar[tuple[str, ...]] = ("contamination", "threshold")
    #: How rows are scored that are scored by themselves, and what to do about domains then.
    _if_singly: ClassVar[str] = (
        ", under the statistics of a reference. Leave them out, or score in batches with "
        "norm_mode='batch'."
    )
    _parameter_constraints: ClassVar[dict[str, list[Any]]]

    contamination: float | str
    n_features_in_: int
    threshold: str
    _batch_calibration: Calibration
    _domain_shift: DomainShift | None

    @abstractmethod
    def _score_batches(
        self, rows: NDArray[Any], batches: list[NDArray[np.int64]]
    ) -> NDArray[np.float64]:
        """Anomaly score of every row within its batch, high for abnormal rows."""

    def _score_chunks(self, chunks: Chunks) -> NDArray[np.float64]:
        """Anomaly score of every row of one batch that comes in chunks."""
        rows = np.arange(len(chunks))
        return self._score_batches(chunks.take(rows), [rows])

    def _scores_rows_singly(self) -> bool:
        """Whether a row's score is free of the rows it comes with."""
        return False

    def _of_now(self) -> Self:
        """Give what scores and cuts for a whole call, whatever other threads do meanwhile."""
        return self

    def _rows_per_chunk(self) -> int:
        """Rows of a stream that are held at a time."""
        return _CHUNK_ROWS

    @property
    def _calibration(self) -> Calibration:
        """Scores of normal rows that thresholds and p-values of now are held against."""
        return self._batch_calibration

    @property
    def offset_(self) -> float:
        """Offset of ``threshold="train"`` at the present `contamination`."""
        if not hasattr(self, "_batch_calibration"):
            raise AttributeError(f"{type(self).__name__} has no offset_ before fit.")
        calibration = self._calibration
        if self.contamination == calibration.contamination:
            return calibration.offset
        self._check_settings("contamination")
        return offset_of_kept(calibration.scores, self.contamination)

    @property
    def calibration_scores_(self) -> NDArray[np.float64]:
        """Sorted scores of the normal rows that `offset_` was set on."""
        if not hasattr(self, "_batch_calibration"):
            raise AttributeError(f"{type(self).__name__} has no calibration_scores_ before fit.")
        return self._calibration.scores

    def _calibrated_on(self, scores: NDArray[np.float64]) -> Calibration:
        """Take down scores of normal rows, high for normal ones."""
        offset = contamination_offset(scores, self.contamination)
        return Calibration(self.contamination, offset, compact_scores(scores))

    def _check_settings(self, *names: str) -> None:
        given = tuple((name, type(value := getattr(self, name)), value) for name in names)
        try:
            known = (type(self), given) in _VALID_SETTINGS
        except TypeError:  # not hashable, so surely not valid; the check says why
            known = False
        if known:
            return
        validate_parameter_constraints(
            {name: self._parameter_constraints[name] for name in names},
            {name: getattr(self, name) for name in names},
            caller_name=type(self).__name__,
        )
        check_numbers(self)
        if len(_VALID_SETTINGS) < _MOST_SETTINGS:
            _VALID_SETTINGS.add((type(self), given))

    def _check_for_scoring(self) -> None:
        """Refuse to score before fit, and under settings that are not valid."""
        check_is_fitted(self)
        self._check_settings(*self._used_in_scoring)

    def _read_chunks(self, X: Any, domains: ArrayLike | None, who: str) -> Chunks:
        if domains is not None or getattr(self, "domain_column", None) is not None:
            raise ValueError(
                f"{who} got chunks of rows together with domains. Chunks are one batch of one "
                "domain: score each domain by a call of its own, or pass one 2-D X."
            )
        settle_domain_column(self, None, reset=False, who=who)
        return Chunks(CheckedChunks(self, X, who), self._rows_per_chunk())

    def _rows_to_score(
        self, X: Any, domains: ArrayLike | None, method: str, *, stacklevel: int = 4
    ) -> DomainRows:
        """Read what a method was given, with all that there is to warn of.

        `stacklevel` is that of a warning given here; 4 where a public method calls this.
        """
        self._check_for_scoring()
        who = f"{type(self).__name__}.{method}"
        singly = self._scores_rows_singly()
        if is_chunked(X):
            data = DomainRows.one(self._read_chunks(X, domains, who))
        else:
            data = read_rows(self, X, domains, reset=False, method=method)
        if not singly:
            require_two_rows(data, who=who, in_fit=False)
            warn_small_batches(data, who=who, stacklevel=stacklevel + 1)
            warn_unfamiliar_batches(
                self._domain_shift,
                data,
                who=who,
                names=self._names_of_features,
                stacklevel=stacklevel + 1,
            )
        elif domains is not None and method != "score":
            warnings.warn(
                f"{who} got domains=, which change nothing: every row is scored by itself"
                f"{self._if_singly}",
                IgnoredDomainsWarning,
                stacklevel=stacklevel,
            )
        return data

    def _feature_columns(self) -> NDArray[np.int64]:
        """Positions of the features among the columns of X."""
        place = getattr(self, "_domain_place", None)
        return np.delete(np.arange(self.n_features_in_), [] if place is None else [place])

    def _names_of_features(self) -> list[Any]:
        """Names of the features, or their positions among the columns of X."""
        names = getattr(self, "feature_names_in_", range(self.n_features_in_))
        return [names[i] for i in self._feature_columns()]

    def _score_rows(
        self, X: Any, domains: ArrayLike | None, method: str
    ) -> tuple[NDArray[np.float64], DomainRows]:
        data = self._rows_to_score(X, domains, method, stacklevel=5)
        scores = self._scores_of(data)
        np.negative(scores, out=scores)
        scores += 0.0  # so that no score reads -0.0
        return scores, data

    def _scores_of(self, data: DomainRows) -> NDArray[np.float64]:
        """Anomaly score of every row: within its batch, or by itself against the reference."""
        if not self._scores_rows_singly() and len(data.labels) > 1:
            return self._score_batches(data.rows, data.batches())
        chunks: Any = data.rows
        if not isinstance(chunks, Chunks):
            chunks = Chunks(chunks, self._rows_per_chunk())
        return self._score_chunks(chunks)

    def _offsets(
        self, scores: NDArray[np.float64], data: DomainRows
    ) -> float | NDArray[np.float64]:
        # A row that is scored by itself is cut by itself: of one row there is no fraction to cut.
        if self._scores_rows_singly() or self.threshold == "train":
            return self.offset_
        return batch_offsets(scores, data.batches(), self.contamination, self.calibration_scores_)

    def _judged(
        self, data: DomainRows
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
        """Scores, labels and p-values of rows that are checked already, scored once for all."""
        now = self._of_now()
        scores = 0.0 - now._scores_of(data)  # not -s, so that no score reads -0.0
        labels = np.where(scores >= now._offsets(scores, data), 1, -1).astype(np.int64)
        return scores, labels, p_values(scores, now.calibration_scores_)

    def _one_batch(self, X: Any, method: str) -> DomainRows:
        self._check_for_scoring()
        who = f"{type(self).__name__}.{method}"
        refuse_chunks(X, who)
        data = read_rows(self, X, None, reset=False, method=method)
        if len(data.labels) > 1:
            raise ValueError(
                f"{who} got rows of {len(data.labels)} domains. It holds the statistics of one "
                "batch: call it once per domain, with the rows of that domain."
            )
        require_two_rows(data, who=who, in_fit=False)
        return data

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
        X : array-like of shape (n_samples, n_features) or list of such
            As in `score_samples`.
        X_ref : array-like of shape (n_ref_samples, n_features) or None, default=None
            Normal rows of the same domain. They are scored in one batch with `X`, which keeps
            all rows of the batch exchangeable, after `adapt` too. None: the rows are compared with
            `calibration_scores_`, those of other domains (of the reference after `adapt`), which
            is as good as domains are alike in how their normal rows score.
        domains : array-like of shape (n_samples,), default=None
            As in `score_samples`; each domain is compared by itself.

        Returns
        -------
        ndarray of shape (n_samples,), float64
            In (0, 1], in row order; small for anomalies.

        Raises
        ------
        ValueError
            For invalid input.
        """
        if X_ref is None:
            now = self._of_now()
            scores, _ = now._score_rows(X, domains, "p_values")
            return p_values(scores, now.calibration_scores_)
        known = self._one_batch(X_ref, "p_values")
        refuse_chunks(X, f"{type(self).__name__}.p_values")
        data = read_rows(self, X, domains, reset=False, method="p_values")
        out = np.empty(len(data.rows))
        for batch in data.batches():
            together = np.concatenate([known.rows, data.rows[batch]])
            scores = -self._score_batches(together, [np.arange(len(together))])
            out[batch] = p_values(scores[len(known.rows) :], np.sort(scores[: len(known.rows)]))
        return out


def refuse_chunks(X: Any, who: str) -> None:
    """Refuse a batch in chunks where its rows are needed together.

    Parameters
    ----------
    X : object
        What the user passed.
    who : str
        For the message.

    Raises
    ------
    ValueError
        For chunks.
    """
    if is_chunked(X):
        raise ValueError(
            f"{who} got a {type(X).__name__}, which gives a batch in chunks, but holds the rows of "
            "one batch together: join them (np.concatenate(list(chunks))), pass a memory map, or "
            "some thousands of the rows. score_samples and predict take chunks."
        )
