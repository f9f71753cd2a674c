"""Explanations: what each feature adds to the score of a row, beside rows like it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from acr_sklearn._input.chunks import Chunks
from acr_sklearn._input.domain_rows import DomainRows
from acr_sklearn._input.keywords import known_keywords
from acr_sklearn._input.numbers import read_numbers
from acr_sklearn._input.parameters import read_count
from acr_sklearn._input.validation import refuse_other_names
from acr_sklearn.detectors._pyod import PyODAdapter
from acr_sklearn.detectors._report import Worst, as_frame, row_names
from acr_sklearn.detectors._scoring import BatchScoring, refuse_chunks
from acr_sklearn.thresholds import p_values

__all__ = ["Attribution", "BatchFunction", "Explaining"]

#: From rows to what each feature adds, and what is added to: the score of a usual row.
Attribution = Callable[[NDArray[Any]], tuple[NDArray[np.float64], NDArray[np.float64]]]


@dataclass(frozen=True)
class BatchFunction:
    """Anomaly score of single rows, with a batch held fixed.

    Attributes
    ----------
    score : callable
        From checked rows to anomaly scores.
    n_features : int
        Columns that rows must have.
    who : str
        For the messages.
    names : ndarray of shape (n_features,) or None, default=None
        Of the features, where the detector was fitted on a frame.
    """

    score: Callable[[Chunks], NDArray[np.float64]]
    n_features: int
    who: str
    names: NDArray[Any] | None = None

    def __call__(self, X: Any) -> NDArray[np.float64]:
        """Score rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Any rows, in float64. A DataFrame must have the columns of fit in their order.

        Returns
        -------
        ndarray of shape (n_samples,), float64
            High for abnormal rows.

        Raises
        ------
        ValueError
            For rows of other features, and for what holds no finite numbers.
        """
        refuse_other_names(X, self.names, who=f"The function of {self.who}")
        rows = read_numbers(X, 2, who=f"The function of {self.who}", what="X")
        if rows.shape[1] != self.n_features:
            raise ValueError(
                f"The function of {self.who} got rows of {rows.shape[1]} features, but the "
                f"detector was fitted on {self.n_features} (a domain column is none of them)."
            )
        return self.score(Chunks(rows, max(len(rows), 1)))


class Explaining(BatchScoring):
    """Explanations of a detector that can hold a batch fixed; a child implements the hooks."""

    n_features_in_: int

    @abstractmethod
    def _attribution(self, batch: Chunks | None) -> Attribution:
        """Hold a batch fixed and explain rows in it; None where rows are scored singly."""

    @abstractmethod
    def _held(self, batch: Chunks | None) -> Callable[[Chunks], NDArray[np.float64]]:
        """Hold a batch fixed and score rows in it, high for abnormal ones; None as above."""

    def _held_rows(self) -> NDArray[Any] | None:
        """Rows that say what is usual where rows are scored singly; None where the batch does."""
        return None

    @known_keywords
    def explain(
        self, X: Any, *, domains: ArrayLike | None = None, return_base: bool = False
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Say how much each feature made a row anomalous in its batch.

        A row is compared with its counterpart: the mean of the five rows most like it among the
        least anomalous 90 % of its batch, or of the reference after `adapt`. With the statistics of
        the batch held fixed, the score is a function of one row, and what it rises by between the
        counterpart and the row is shared out among the features: what is a sum over the features
        exactly, what a network makes of them by integrated gradients [1]_, their joining to a score
        by integrated gradients again. See docs/explanations.md.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or list of such
            As in `score_samples`.
        domains : array-like of shape (n_samples,), default=None
            As in `score_samples`; each domain is explained within its own batch.
        return_base : bool, default=False
            Whether the anomaly score of each row's counterpart is returned too.

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features), float64
            High for the features that are the reason, in the columns of `X`; 0 for a domain column.
            A row adds up: ``base + contributions.sum(axis=1)`` is ``-score_samples(X)`` up to
            rounding. What the integration misses is shared out in proportion; docs/explanations.md
            says how much that is.
        base : ndarray of shape (n_samples,), float64
            Anomaly score of the counterpart; only if `return_base`.

        Raises
        ------
        ValueError
            For input that cannot be scored.

        References
        ----------
        .. [1] M. Sundararajan, A. Taly, Q. Yan, "Axiomatic Attribution for Deep Networks", ICML
           2017, arXiv:1703.01365.

        Examples
        --------
        >>> import numpy as np
        >>> from acr_sklearn import ZeroShotACRDetector
        >>> rng = np.random.default_rng(0)
        >>> sites = [rng.normal(rng.normal(0, 3, 4), 1.0, (200, 4)) for _ in range(6)]
        >>> detector = ZeroShotACRDetector(max_iter=20, random_state=0).fit(sites)
        >>> X = rng.normal(50.0, 1.0, (100, 4))
        >>> X[7, 2] += 9.0
        >>> int(detector.explain(X)[7].argmax())
        2
        """
        data = self._rows_to_score(X, domains, "explain")
        contributions, base = self._explained(data, np.arange(len(data.rows)))
        found = np.zeros((len(data.rows), self.n_features_in_))
        found[:, self._feature_columns()] = contributions
        return (found, base) if return_base else found

    def as_function(self, X_batch: Any = None) -> BatchFunction:
        """Give the anomaly score as a function of single rows, with a batch held fixed.

        Tools that make up rows of their own and score them, such as SHAP, partial dependence or
        LIME, score these rows as one batch if they are handed `score_samples`: every made-up row
        moves the statistics that the others are scored by, and what comes out is wrong without a
        word. Hand them this function.

        Parameters
        ----------
        X_batch : array-like of shape (n_samples, n_features) or None, default=None
            Rows of one domain, mostly normal. None: the reference held since `adapt`; a detector
            that scores rows by themselves needs no batch either.

        Returns
        -------
        function : callable
            Maps rows (n_samples, n_features), without a domain column, to anomaly scores
            (n_samples,), high for abnormal rows: those of `X_batch` to
            ``-score_samples(X_batch)``. It can be pickled. Of a detector fitted on a DataFrame it
            refuses a DataFrame whose columns have other names or another order.

        Raises
        ------
        ValueError
            For input that cannot be scored, for rows of several domains, and without a batch where
            one is needed.

        Examples
        --------
        >>> import numpy as np
        >>> from acr_sklearn import ZeroShotACRDetector
        >>> rng = np.random.default_rng(0)
        >>> sites = [rng.normal(rng.normal(0, 3, 4), 1.0, (200, 4)) for _ in range(6)]
        >>> detector = ZeroShotACRDetector(max_iter=20, random_state=0).fit(sites)
        >>> X = rng.normal(50.0, 1.0, (100, 4))
        >>> function = detector.as_function(X)
        >>> bool(np.allclose(function(X[:3]), -detector.score_samples(X)[:3]))
        True
        """
        who = f"{type(self).__name__}.as_function"
        if X_batch is not None:
            rows = self._one_batch(X_batch, "as_function").rows
            score = self._held(Chunks(rows, self._rows_per_chunk()))
        else:
            self._check_for_scoring()
            if not self._scores_rows_singly():
                raise ValueError(
                    f"{who} got no X_batch. A score compares a row with the others of its batch: "
                    "pass the batch that is to be held fixed, or call adapt(X_ref) first."
                )
            score = self._held(None)
        columns, names = self._feature_columns(), getattr(self, "feature_names_in_", None)
        return BatchFunction(score, len(columns), who, None if names is None else names[columns])

    @known_keywords
    def report(self, X: Any, *, domains: ArrayLike | None = None, n_rows: int = 20) -> Any:
        """List the most anomalous rows with the reasons.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list or mapping of such
            As in `score_samples`, but not in chunks.
        domains : array-like of shape (n_samples,), default=None
            As in `score_samples`.
        n_rows : int, default=20
            Rows to list, or all where there are fewer.

        Returns
        -------
        pandas.DataFrame
            The worst row first. Its columns are `rank`, `row` (the position in `X`, or the label in
            a DataFrame's index; of several data sets within the row's own), `domain` (of several
            data sets the position in the list, or the name in the mapping), `score`, `p_value`,
            `label` as `predict` gives it, and for each of the three strongest reasons `reason_1`
            (the name of the column, or its position), `contribution_1`, `value_1`, `median_1`, and
            `low_1` and `high_1`, between which lie the middle nine tenths of the batch (after
            `adapt`, of 512 usual rows of the reference). Fewer reasons where there are fewer
            features. ``to_html`` escapes names, ``to_csv`` writes a table.

        Raises
        ------
        ImportError
            Without pandas.
        ValueError
            For input that cannot be scored.
        """
        who = f"{type(self).__name__}.report"
        n_rows = read_count(n_rows, who=who, name="n_rows")
        refuse_chunks(X, who)
        now = self._of_now()
        data = now._rows_to_score(X, domains, "report")
        scores = -now._scores_of(data)
        margins = scores - now._offsets(scores, data)
        worst = np.argsort(margins, kind="stable")[:n_rows]
        found = Worst(
            positions=worst,
            scores=scores[worst],
            p_values=p_values(scores[worst], now.calibration_scores_),
            labels=np.where(margins[worst] >= 0, 1, -1),
            domains=data.labels[data.index[worst]],
            contributions=now._explained(data, worst)[0],
            values=data.rows[worst],
            usual=now._usual_ranges(data, worst),
        )
        return as_frame(found, row_names(X), self._names_of_features(), who=who)

    def as_pyod(self) -> PyODAdapter:
        """Give the detector the methods, attributes and signs of PyOD's.

        Returns
        -------
        adapter : PyODAdapter
            Not fitted: its ``fit(X)`` trains nothing, but holds `X` as the batch. See docs/pyod.md.

        Raises
        ------
        NotFittedError
            Before fit.
        """
        check_is_fitted(self)
        contamination = self.contamination
        return PyODAdapter(self, 0.1 if isinstance(contamination, str) else float(contamination))

    def _explained(
        self, data: DomainRows, wanted: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Explain some of the rows, each within its batch."""
        n_features = len(self._feature_columns())
        found, base = np.empty((len(data.rows), n_features)), np.empty(len(data.rows))
        is_wanted = np.zeros(len(data.rows), dtype=bool)
        is_wanted[wanted] = True
        singly = self._scores_rows_singly()
        for batch in [np.arange(len(data.rows))] if singly else data.batches():
            if not is_wanted[batch].any():
                continue
            chunks = self._chunks_of(data.rows, batch)
            attribution, start = self._attribution(None if singly else chunks), 0
            for rows in chunks:
                at = batch[start : start + len(rows)]
                here = is_wanted[at]
                found[at[here]], base[at[here]] = attribution(rows[here])
                start += len(rows)
        return found[wanted], base[wanted]

    def _usual_ranges(self, data: DomainRows, wanted: NDArray[np.int64]) -> NDArray[np.float64]:
        """Quantiles of each feature in the batch of each row, (3, n_wanted, n_features)."""
        levels = [0.05, 0.5, 0.95]
        if (held := self._held_rows()) is not None:
            ranges = np.quantile(held, levels, axis=0)
            return np.repeat(ranges[:, None], len(wanted), axis=1)
        found = np.empty((3, len(wanted), data.rows.shape[1]))
        for domain in np.unique(data.index[wanted]):
            own = data.index[wanted] == domain
            batch = np.quantile(data.rows[data.index == domain], levels, axis=0)
            found[:, own] = batch[:, None]
        return found

    def _chunks_of(self, rows: Any, batch: NDArray[np.int64]) -> Chunks:
        if isinstance(rows, Chunks):
            return rows
        whole = len(batch) == len(rows)
        return Chunks(rows, self._rows_per_chunk(), None if whole else batch)
