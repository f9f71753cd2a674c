"""What all detectors share: validation, batches, offset, atomic fits."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin, _fit_context
from sklearn.utils import check_random_state

from acr_sklearn._input.batch_checks import require_two_rows, warn_small_domains
from acr_sklearn._input.callers import is_clone_for_a_repeated_fit
from acr_sklearn._input.domain_rows import DomainRows, read_rows
from acr_sklearn._input.keywords import known_keywords
from acr_sklearn._input.known_anomalies import TrainingRows, take_out_known, with_outliers
from acr_sklearn._input.labels import read_y
from acr_sklearn.detectors._callback_support import CallbackSupport, FitCallback, open_fit_callback
from acr_sklearn.detectors._notebook import NotebookDisplay
from acr_sklearn.detectors._scoring import BatchScoring
from acr_sklearn.domains.domain_shift import fit_domain_shift
from acr_sklearn.metrics.detection import OneLabelError, mean_domain_auc, refused_in_search
from acr_sklearn.persistence.estimators import FileStorage
from acr_sklearn.thresholds import calibration_batches

__all__ = ["BaseBatchDetector"]

#: Domains that the offset is set on, and batches of each: more cost time and change nothing.
_CALIBRATION_DOMAINS, _BATCHES_PER_DOMAIN = 64, 4


class BaseBatchDetector(
    BatchScoring,
    CallbackSupport,
    FileStorage,
    NotebookDisplay,
    OutlierMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """Fit skeleton and scoring methods of detectors that score a batch as a whole.

    A child stores its parameters in `__init__`, among them `contamination`, `threshold` and
    `random_state`, and implements three hooks: `_train` returns what was learnt, `_keep_trained`
    sets it as fitted attributes, `_score_batches` scores rows within their batches. All others
    have a default. What is learnt may be anything: only the child looks at it.
    """

    #: What a user can do when training ends in scores that are not finite.
    _if_not_finite: ClassVar[str] = "Scale the features first (for example with StandardScaler)."

    # Class-level, so that routing works without set_fit_request and its kin.
    __metadata_request__fit: ClassVar[dict[str, bool]] = {
        "domains": True,
        "known_anomalies": True,
        "outliers": True,
    }
    __metadata_request__predict: ClassVar[dict[str, bool]] = {"domains": True}
    __metadata_request__decision_function: ClassVar[dict[str, bool]] = {"domains": True}
    # Pipeline.score passes sample_weight=None on; None here means refused if it is anything else.
    __metadata_request__score: ClassVar[dict[str, bool | None]] = {
        "domains": True,
        "sample_weight": None,
    }

    random_state: Any
    #: Of a clone for a cross-validation: whether another of its fits has given the advice.
    _repeats_a_fit = False

    @abstractmethod
    def _train(
        self,
        data: TrainingRows,
        held_out: NDArray[np.int64],
        seed: int,
        callback: FitCallback | None,
    ) -> Any:
        """Train on the rows of `data` but for the held-out domains; may not set attributes."""

    @abstractmethod
    def _keep_trained(self, trained: Any) -> None:
        """Set the fitted attributes that hold what `_train` returned."""

    def _prepare_scoring(self, data: TrainingRows, trained_on: NDArray[np.int64]) -> None:
        """Measure what scoring needs of the training rows, once the training is kept."""

    def _calibrate_reference(self, data: DomainRows, positions: NDArray[np.int64]) -> None:
        """Set what rows scored by themselves are held against, where fit makes them so."""

    def _detach_from_training(self) -> None:
        """Copy what a training in progress goes on changing; for callbacks that keep it."""

    def _training_rows(self, data: TrainingRows, who: str) -> TrainingRows:
        """Refuse what cannot be trained on, and say what is trained on."""
        require_two_rows(data, who=who, in_fit=True)
        warn_small_domains(data, who=who)
        return data

    def _hold_out(self, data: DomainRows, seed: int) -> NDArray[np.int64]:
        """Positions of the domains that are kept from training; none unless a child says so."""
        return np.empty(0, np.int64)

    def __sklearn_clone__(self) -> Self:
        """Clone, and take down whether a cross-validation has said already what it warns of."""
        twin: Self = super().__sklearn_clone__()
        if is_clone_for_a_repeated_fit(self._repeats_a_fit):
            twin._repeats_a_fit = True
        return twin

    @_fit_context(prefer_skip_nested_validation=True)
    @known_keywords
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        domains: ArrayLike | None = None,
        known_anomalies: Any = None,
        outliers: Any = None,
    ) -> Self:
        """Train on normal data sets, one per domain.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list or mapping of such
            Normal rows: one 2-D array per domain, in a list or under the domain's name, or one
            2-D array or DataFrame with `domains` or the detector's `domain_column`. Without any
            of these all rows are one domain.
        y : Ignored
            Not used, present for API consistency by convention.
        domains : array-like of shape (n_samples,), default=None
            Label of the domain each row comes from: any hashable values.
        known_anomalies : array-like of bool of shape (n_samples,), list or mapping of such, \
default=None
            True for rows that are known to be anomalies of their domain; beside a list or mapping
            of data sets one mask for each. They are taken out before anything is learnt of what
            is normal; a detector that can learn from them does, see docs/known_anomalies.md.
            `y` is not looked at.
        outliers : array-like of shape (n_outliers, n_features), default=None
            Rows that are normal in no domain (outlier exposure), in the columns of `X`: each
            counts as a known anomaly of one of the domains.

        Returns
        -------
        self : object
            Fitted detector. When anything fails, or Ctrl-C is pressed, it stays as it was before.

        Raises
        ------
        ValueError
            For input that cannot be trained on; the message says why and what to do.

        Warns
        -----
        NoKnownAnomaliesWarning
            For `known_anomalies` that mark no row.
        """
        metadata = {
            "domains": domains,
            "known_anomalies": known_anomalies,
            "outliers": outliers,
        }
        callback = open_fit_callback(self, X, y, metadata)
        before = dict(self.__dict__)
        try:
            self._fit(X, metadata, callback)
        except BaseException:
            self.__dict__ = before
            raise
        self.__dict__.pop("_repeats_a_fit", None)
        if callback is not None:
            callback.close()
        return self

    def _fit(self, X: Any, given: dict[str, Any], callback: FitCallback | None) -> None:
        who = f"{type(self).__name__}.fit"
        rows = read_rows(self, X, given["domains"], reset=True, method="fit")
        data = take_out_known(rows, given["known_anomalies"], X, who=who)
        if (outliers := given["outliers"]) is not None:
            read = read_rows(self, outliers, None, reset=False, method="fit(outliers=)")
            data = with_outliers(data, read.rows)
        data = self._training_rows(data, who)
        seed = self._draw_seed()
        held_out = self._hold_out(data, seed)
        if callback is not None:
            callback.complete = lambda part, trained: part._keep(data, held_out, trained, seed)
        self._keep(data, held_out, self._train(data, held_out, seed, callback), seed)

    def _keep(
        self, data: TrainingRows, held_out: NDArray[np.int64], trained: Any, seed: int
    ) -> None:
        """Set every fitted attribute."""
        self.domains_: NDArray[Any] = data.labels
        self.n_domains_: int = len(data.labels)
        self._keep_trained(trained)
        trained_on = np.setdiff1d(np.arange(self.n_domains_), held_out)
        self._prepare_scoring(data, trained_on)
        batches = self._calibration_batches(data, held_out, seed)
        positions = np.concatenate(batches)
        self._batch_calibration = self._calibrated_on(
            -self._score_batches(data.rows, batches)[positions]
        )
        self._calibrate_reference(data, positions)
        if not np.isfinite(self.offset_):
            raise ValueError(
                f"{type(self).__name__}.fit ended with scores that are not finite. "
                + self._if_not_finite
            )
        self._domain_shift = fit_domain_shift(data.rows, data.index, trained_on)

    def _draw_seed(self) -> int:
        if self.random_state is None:
            # Not NumPy's global generator, which scikit-learn would move here.
            return int(np.random.default_rng().integers(2**31))
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _calibration_batches(
        self, data: DomainRows, held_out: NDArray[np.int64], seed: int
    ) -> list[NDArray[np.int64]]:
        domains = data.batches()
        if len(domains) == 1:
            return domains
        rng = np.random.default_rng((seed, 1))
        # All domains, those held out from training first: one or two of them alone say less of the
        # next domain's scores than many that were trained on, see docs/thresholds.md.
        others = rng.permutation(np.setdiff1d(np.arange(len(domains)), held_out))
        chosen = [*held_out, *others[: max(0, _CALIBRATION_DOMAINS - len(held_out))]]
        return calibration_batches([domains[i] for i in chosen], rng, _BATCHES_PER_DOMAIN)

    @known_keywords
    def score_samples(self, X: Any, *, domains: ArrayLike | None = None) -> NDArray[np.float64]:
        """Score rows within their batch; the higher, the more normal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list, mapping or iterable of such
            One batch, or one per array of the list or mapping, or one per value of `domains` or of
            the domain column. Batch statistics are computed over a batch as a whole, so the rows
            of a batch should come from one domain and be mostly normal. Any other iterable is one
            batch in chunks; it must start anew each time it is iterated.
        domains : array-like of shape (n_samples,), default=None
            Label of each row's domain; each domain is scored as a batch of its own. The labels need
            not have been seen in fit.

        Returns
        -------
        ndarray of shape (n_samples,), float64
            The negative anomaly score, in row order (lists are concatenated). float64 input is
            computed in float64, float32 input in float32.

        Raises
        ------
        ValueError
            For invalid input, and for a batch of one row.

        Warns
        -----
        SmallBatchWarning
            For a batch of fewer than 16 rows, too few to say what is normal in it.
        UnfamiliarBatchWarning
            For a batch that varies unlike every training domain, given 3 or more of these.
        """
        return self._score_rows(X, domains, "score_samples")[0]

    @known_keywords
    def decision_function(self, X: Any, *, domains: ArrayLike | None = None) -> NDArray[np.float64]:
        """Score rows relative to the threshold; negative for anomalies.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or list of such
            As in `score_samples`.
        domains : array-like of shape (n_samples,), default=None
            As in `score_samples`.

        Returns
        -------
        ndarray of shape (n_samples,), float64
            ``score_samples(X) - offset_``, or with ``threshold="batch"`` relative to the offset of
            the row's own batch.
        """
        now = self._of_now()
        scores, data = now._score_rows(X, domains, "decision_function")
        return scores - now._offsets(scores, data)

    @known_keywords
    def predict(self, X: Any, *, domains: ArrayLike | None = None) -> NDArray[np.int64]:
        """Label rows as normal or anomalous.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or list of such
            As in `score_samples`.
        domains : array-like of shape (n_samples,), default=None
            As in `score_samples`.

        Returns
        -------
        ndarray of shape (n_samples,), int64
            1 for normal rows, -1 for anomalies: rows whose `decision_function` is negative.
        """
        now = self._of_now()
        scores, data = now._score_rows(X, domains, "predict")
        return np.where(scores >= now._offsets(scores, data), 1, -1).astype(np.int64)

    @known_keywords
    def fit_predict(
        self,
        X: Any,
        y: Any = None,
        *,
        domains: ArrayLike | None = None,
        known_anomalies: Any = None,
        outliers: Any = None,
    ) -> NDArray[np.int64]:
        """Fit, then label the training rows, each domain as one batch.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or list of such
            As in `fit`.
        y : Ignored
            Not used, present for API consistency by convention.
        domains : array-like of shape (n_samples,), default=None
            As in `fit`.
        known_anomalies : array-like of bool of shape (n_samples,), list or mapping of such, \
default=None
            As in `fit`; these rows are labelled like the others, in the batch of their domain.
        outliers : array-like of shape (n_outliers, n_features), default=None
            As in `fit`; they are not labelled.

        Returns
        -------
        ndarray of shape (n_samples,), int64
            1 for normal rows, -1 for anomalies.
        """
        self.fit(X, domains=domains, known_anomalies=known_anomalies, outliers=outliers)
        return self.predict(X, domains=domains)

    @known_keywords
    def score(self, X: Any, y: Any, *, domains: ArrayLike | None = None) -> float:
        """Mean over domains of the area under the ROC curve.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or list of such
            As in `score_samples`.
        y : array-like of shape (n_samples,), list or mapping of such
            1 for normal rows, -1 for anomalies.
        domains : array-like of shape (n_samples,), default=None
            As in `score_samples`.

        Returns
        -------
        float
            0.5 for chance, 1 when every anomaly lies below every normal row of its domain; nan,
            with a warning, when `y` has labels other than 1 and -1. scikit-learn's checks pass
            class labels and forbid an exception, and a number would mislead.

        Raises
        ------
        ValueError
            When no domain has both labels. It stops a search too, whose every mean would be nan,
            unless its `error_score` is a number.
        """
        scores, data = self._score_rows(X, domains, "score")
        who = f"{type(self).__name__}.score"
        labels = read_y(y, len(scores), who=who, like=X)
        try:
            return mean_domain_auc(scores, labels, data.labels, data.batches(), who=who)
        except OneLabelError as error:
            refusal: float = refused_in_search(error)
            return refusal
