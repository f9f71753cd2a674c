"""Outlier synthesis: one normal data set, and a classifier against outliers made from it."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from acr_sklearn._compute import in_order
from acr_sklearn._input.chunks import Chunks
from acr_sklearn._input.domain_rows import DomainRows
from acr_sklearn._input.known_anomalies import TrainingRows
from acr_sklearn._input.parameters import RealInterval, are_counts, plain_number
from acr_sklearn.detectors._explaining import Attribution, Explaining
from acr_sklearn.detectors.base import BaseBatchDetector
from acr_sklearn.scoring.attribution import RowAttribution, usual_rows
from acr_sklearn.tasks.latent_outliers import OUTSKIRTS
from acr_sklearn.training.outlier_synthesizer import Synthesis, SynthesisPlan, train_synthesis
from acr_sklearn.training.settings import TrainingSettings

__all__ = ["OutlierSynthesisDetector"]

_ROWS_AT_ONCE = 512  # with their distances to all known rows they fit a core's cache


class OutlierSynthesisDetector(Explaining, BaseBatchDetector):
    """Outlier detection from one normal data set, by a classifier against outliers made from it.

    An autoencoder describes rows at several depths; a variational autoencoder maps the fused
    descriptors of each to a latent Gaussian. Gaussians on the outskirts of the data are sampled and
    decoded to outliers [1]_. A classifier tells these from the rows by signs of abnormality:
    distances to normal rows in several spaces, and reconstruction errors of both levels. What the
    paper leaves open is ours, see docs/outlier_synthesis.md: the criterion of the outskirts, the
    signs, and the classifier. A row is scored by itself; `explain` says why it is anomalous.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int or None, default=None
        Widths of the autoencoder's depths, the last its bottleneck; None takes three, of at most
        64, 32 and 16, by the width of the rows.
    n_latent : int, default=8
        Dimensions of the variational level, at most half of the features; 0 leaves the level out.
    outskirts : {"coverage", "mahalanobis", "divergence", "random"}, default="coverage"
        Whose latent Gaussians are sampled: those that the other rows' cover least, that lie
        furthest from the centre, that diverge most from the prior; or any.
    outskirts_fraction : float, default=0.3
        Fraction of the rows that are outskirts, in (0, 1].
    outlier_source : "latent" or object, default="latent"
        Where outliers come from: the latent space, or an object with
        ``sample(X, domain_index, n, rng)``, see `acr_sklearn.outliers.OutlierSource`.
    n_known_rows : int, default=1024
        Distinct training rows, drawn at random, that others are compared with; scoring takes time
        in proportion.
    max_iter : int, default=250
        Optimiser steps of each level, of 256 rows.
    learning_rate : float, default=0.002
        Of Adam, for both levels; it falls to zero along half a cosine.
    contamination : float or "auto", default=0.1
        Fraction of rows to be flagged, in (0, 0.5]; "auto" takes it from the scores.
    random_state : int, RandomState or None, default=None
        Decides all; no global generator is used. None draws fresh entropy.

    Attributes
    ----------
    n_features_in_ : int
        Columns of `X` in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, when all are strings.
    offset_ : float
        Rows that score below it are predicted as anomalies; set on the training rows, none of
        which is compared with itself unless another row equals it.
    calibration_scores_ : ndarray of shape (n_scores,)
        Sorted scores of the training rows, at most 4096 quantiles of them.
    n_iter_ : int
        Optimiser steps of each level.
    history_ : list of dict
        Losses of each stage: "autoencoder", "variational", "classifier".
    units_, signs_, classifier_ : RowUnits, torch.nn.Module, torch.nn.Module
        From rows to standardized ones, to signs, to the logit of being an outlier.
    domains_, n_domains_ : ndarray, int
        One domain: rows of several are pooled.

    See Also
    --------
    ZeroShotACRDetector : For data sets from several related domains, and new ones to come.

    References
    ----------
    .. [1] A. R. Rivera, A. Khan, I. E. I. Bekkouch, T. S. Sheikh, "Anomaly Detection Based on
       Zero-Shot Outlier Synthesis and Hierarchical Feature Distillation", IEEE Transactions on
       Neural Networks and Learning Systems, 2020, arXiv:2010.05119.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn import OutlierSynthesisDetector
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> detector = OutlierSynthesisDetector(max_iter=20, random_state=0).fit(X)
    >>> detector.predict([[9.0, 9.0, 9.0, 9.0]])
    array([-1])
    """

    history_: list[dict[str, object]]
    n_iter_: Any
    signs_: Any
    units_: Any

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", None],
        "n_latent": [Interval(Integral, 0, None, closed="left")],
        "outskirts": [StrOptions(set(OUTSKIRTS))],
        "outskirts_fraction": [RealInterval(0, 1, closed="right")],
        "outlier_source": [StrOptions({"latent"}), HasMethods("sample")],
        "n_known_rows": [Interval(Integral, 2, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [RealInterval(0, 1e30, closed="right")],
        "contamination": [RealInterval(0, 0.5, closed="right"), StrOptions({"auto"})],
        "random_state": ["random_state"],
    }
    _used_in_scoring: ClassVar[tuple[str, ...]] = ("contamination",)
    _if_singly: ClassVar[str] = ". Leave them out."
    _if_not_finite: ClassVar[str] = "Lower learning_rate."

    def __init__(
        self,
        *,
        hidden_layer_sizes: tuple[int, ...] | None = None,
        n_latent: int = 8,
        outskirts: str = "coverage",
        outskirts_fraction: float = 0.3,
        outlier_source: Any = "latent",
        n_known_rows: int = 1024,
        max_iter: int = 250,
        learning_rate: float = 2e-3,
        contamination: float | str = 0.1,
        random_state: Any = None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_latent = n_latent
        self.outskirts = outskirts
        self.outskirts_fraction = outskirts_fraction
        self.outlier_source = outlier_source
        self.n_known_rows = n_known_rows
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.contamination = contamination
        self.random_state = random_state

    def _training_rows(self, data: TrainingRows, who: str) -> TrainingRows:
        if len(data.rows) < 2:
            raise ValueError(
                f"{who} got 1 sample. What is normal is how rows vary, so at least 2 are needed: "
                "give it some hundred normal rows."
            )
        return TrainingRows.one(data.rows)

    def _train(self, data: DomainRows, held_out: Any, seed: int, callback: Any) -> Synthesis:
        rate = plain_number(self.learning_rate)
        who = f"{type(self).__name__}.fit"
        settings = TrainingSettings(seed=seed, learning_rate=rate, lr_schedule="cosine", who=who)
        plan = SynthesisPlan(
            self._widths(),
            plain_number(self.n_latent),
            plain_number(self.max_iter),
            self.outskirts,
            plain_number(self.outskirts_fraction),
            None if isinstance(self.outlier_source, str) else self.outlier_source,
            plain_number(self.n_known_rows),
        )
        return train_synthesis(data.rows, plan, settings, who=who)

    def _widths(self) -> tuple[int, ...] | None:
        if self.hidden_layer_sizes is None:
            return None
        if not are_counts(self.hidden_layer_sizes):
            raise ValueError(
                f"{type(self).__name__} got hidden_layer_sizes={self.hidden_layer_sizes!r}. Give "
                "positive whole numbers such as (64, 32, 16), or None to choose by the width."
            )
        return tuple(int(width) for width in self.hidden_layer_sizes)

    def _keep_trained(self, trained: Synthesis) -> None:
        self.history_, self.n_iter_ = trained.history, plain_number(self.max_iter)
        self.units_, self.signs_ = trained.units, trained.signs
        self.classifier_: torch.nn.Module = trained.classifier

    def _scores_rows_singly(self) -> bool:
        return True

    def _rows_per_chunk(self) -> int:
        return _ROWS_AT_ONCE

    def _score_batches(
        self, rows: NDArray[Any], batches: list[NDArray[np.int64]]
    ) -> NDArray[np.float64]:
        return self._score_chunks(Chunks(rows, _ROWS_AT_ONCE))

    def _score_chunks(self, chunks: Chunks) -> NDArray[np.float64]:
        logits = in_order(self._logits, chunks, torch.device("cpu"))
        return np.concatenate([part.numpy() for part in logits])

    def _logits(self, rows: NDArray[Any]) -> torch.Tensor:
        """Logit of each row's being an outlier."""
        return self._of_standardized(torch.from_numpy(self.units_.standardized(rows)))

    def _of_standardized(self, rows: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.classifier_(self.signs_(rows))[0]
        return logits

    def _attribution(self, batch: Chunks | None) -> Attribution:
        known = self.signs_.known
        with torch.no_grad():
            usual = usual_rows(self._of_standardized(known).numpy())
        return RowAttribution(self._of_standardized, self.units_.standardized, known[usual])

    def _held(self, batch: Chunks | None) -> Callable[[Chunks], NDArray[np.float64]]:
        return self._score_chunks

    def _held_rows(self) -> NDArray[Any]:
        return self.units_.users(self.signs_.known.numpy())
