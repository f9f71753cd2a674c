"""ResAD: residuals to a few normal references, as a choice of parts."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from acr_sklearn._input.domain_rows import DomainRows
from acr_sklearn._input.known_anomalies import TrainingRows
from acr_sklearn._input.parameters import RealInterval, check_numbers, plain_number
from acr_sklearn.detectors._acr_plan import held_out_domains
from acr_sklearn.detectors._few_references import FewReferencesMixin
from acr_sklearn.detectors.base import BaseBatchDetector
from acr_sklearn.detectors.parts import HeldOutDomains
from acr_sklearn.networks.residuals import METRICS, RESIDUALS, Converter
from acr_sklearn.scoring.residual_scorer import ResidualScorer
from acr_sklearn.tasks.outliers import choose_outliers
from acr_sklearn.training.residual_training import ResidualPlan, ResidualTrained, train_residuals
from acr_sklearn.training.settings import TrainingSettings

__all__ = ["ResADDetector"]


class ResADDetector(FewReferencesMixin, BaseBatchDetector):
    """Anomaly detection by residuals to a few normal rows of a new domain (ResAD).

    A row is seen only by its differences from normal references of its domain, which look alike in
    all domains: 2, 4 or 8 references of a new one suffice, and nothing is trained again [1]_ [2]_.
    Rows of other domains, synthetic ones and, where given, known anomalies teach what is abnormal.
    Ours, see docs/resad.md: what is read off features; weighted distances. `explain` says why.

    Parameters
    ----------
    metric : {"euclidean", "cosine"}, default="euclidean"
        By which references are near.
    residual : {"plain", "squared", "none"}, default="plain"
        Absolute differences, or their squares; "none" looks at the rows alone, for comparison.
    reference_blend : int, default=1
        So many nearest references are averaged to one.
    constraintor : bool, default=True
        Whether a constraintor pulls normal residuals into a sphere.
    invariance : float, default=1.0
        Weight of the term by which it leaves abnormal residuals where they are.
    n_blocks : int, default=4
        Affine coupling blocks of the flow; the paper has 10.
    likelihood_weight : float, default=0.0
        Of the flow's likelihood in the score; without, it shapes only what the classifier sees.
    max_iter : int, default=120
        Number of optimiser steps.
    learning_rate : float, default=0.004
        Of Adam; it falls to zero along half a cosine.
    outlier_source : {"auto", "mixed", "domains", "synthetic"} or object, default="auto"
        Anomalies of training beside known ones, see `ZeroShotACRDetector`.
    early_stopping : bool or HeldOutDomains, default=True
        Whether domains are held out (not below 4), to keep the step that was best on them.
    contamination : float or "auto", default=0.1
        Fraction of rows to be flagged, in (0, 0.5]; "auto" takes it from the scores.
    threshold : {"train", "batch"}, default="train"
        "train" cuts at `offset_`, "batch" each batch by itself.
    domain_column : int, str or None, default=None
        Column of `X` with the domain's label, kept from the network.
    random_state : int, RandomState or None, default=None
        Decides all; no global generator is used. None draws fresh entropy.

    Attributes
    ----------
    n_features_in_ : int
        Columns of `X` in fit, the domain column included.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, when all are strings.
    domains_, n_domains_ : ndarray, int
        Labels of the training domains, and their number.
    net_, module_ : skorch.NeuralNet, torch.nn.Module
        The fitted net and its network.
    feature_scale_ : FeatureScale
        Standardization of the features, measured in fit.
    history_ : list of dict
        One row per evaluation, with the held-out domains' loss and AUROC where there are any.
    n_iter_ : int
        Steps run.
    offset_ : float
        With ``threshold="train"``, rows that score below it are predicted as anomalies. After
        `adapt` that of normal training rows under as many references.
    calibration_scores_ : ndarray of shape (n_scores,)
        Sorted scores of the normal rows that `offset_` was set on, at most 4096 quantiles of them.

    See Also
    --------
    ZeroShotACRDetector : For whole batches of a new domain, or some hundred references of it.

    References
    ----------
    .. [1] X. Yao, Z. Chen, C. Gao, G. Zhai, C. Zhang, "ResAD: A Simple Framework for Class
       Generalizable Anomaly Detection", NeurIPS 2024, arXiv:2410.20047.
    .. [2] Its successor ResAD++, International Journal of Computer Vision, 2026, arXiv:2509.23741.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn import ResADDetector
    >>> rng = np.random.default_rng(0)
    >>> sites = [rng.normal(rng.normal(0, 3, 4), 1.0, (200, 4)) for _ in range(6)]
    >>> detector = ResADDetector(max_iter=50, random_state=0).fit(sites)
    >>> detector.adapt(rng.normal(50.0, 1.0, (4, 4))).predict([[50.0] * 4, [50.0, 50, 50, 70]])
    array([ 1, -1])
    """

    history_: list[dict[str, float]]
    module_: Any
    n_iter_: int
    net_: Any

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "metric": [StrOptions(set(METRICS))],
        "residual": [StrOptions(set(RESIDUALS))],
        "reference_blend": [Interval(Integral, 1, None, closed="left")],
        "constraintor": ["boolean"],
        "invariance": [RealInterval(0, 1e30, closed="both")],
        "n_blocks": [Interval(Integral, 1, None, closed="left")],
        "likelihood_weight": [RealInterval(0, 1e30, closed="both")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [RealInterval(0, 1e30, closed="right")],
        "outlier_source": [
            StrOptions({"auto", "mixed", "domains", "synthetic"}),
            HasMethods("sample"),
        ],
        "early_stopping": ["boolean", HeldOutDomains],
        "contamination": [RealInterval(0, 0.5, closed="right"), StrOptions({"auto"})],
        "threshold": [StrOptions({"train", "batch"})],
        "domain_column": [Integral, str, None],
        "random_state": ["random_state"],
    }
    _if_not_finite: ClassVar[str] = "Lower learning_rate."

    def __init__(
        self,
        *,
        metric: str = "euclidean",
        residual: str = "plain",
        reference_blend: int = 1,
        constraintor: bool = True,
        invariance: float = 1.0,
        n_blocks: int = 4,
        likelihood_weight: float = 0.0,
        max_iter: int = 120,
        learning_rate: float = 4e-3,
        outlier_source: Any = "auto",
        early_stopping: bool | HeldOutDomains = True,
        contamination: float | str = 0.1,
        threshold: str = "train",
        domain_column: str | int | None = None,
        random_state: Any = None,
    ):
        self.metric = metric
        self.residual = residual
        self.reference_blend = reference_blend
        self.constraintor = constraintor
        self.invariance = invariance
        self.n_blocks = n_blocks
        self.likelihood_weight = likelihood_weight
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.outlier_source = outlier_source
        self.early_stopping = early_stopping
        self.contamination = contamination
        self.threshold = threshold
        self.domain_column = domain_column
        self.random_state = random_state

    def _hold_out(self, data: DomainRows, seed: int) -> NDArray[np.int64]:
        return held_out_domains(self, len(data.labels), seed, named=data.named)

    def _train(
        self, data: TrainingRows, held_out: NDArray[np.int64], seed: int, callback: Any
    ) -> ResidualTrained:
        check_numbers(self)
        who, stopping = f"{type(self).__name__}.fit", self.early_stopping
        patience = stopping if isinstance(stopping, HeldOutDomains) else HeldOutDomains()
        settings = TrainingSettings(
            seed=seed,
            learning_rate=plain_number(self.learning_rate),
            lr_schedule="cosine",
            n_iter_no_change=plain_number(patience.n_iter_no_change),
            who=who,
        )
        plan = ResidualPlan(
            Converter(self.metric, self.residual, plain_number(self.reference_blend)),
            plain_number(self.max_iter),
            plain_number(self.n_blocks),
            plain_number(self.likelihood_weight),
            bool(self.constraintor),
            plain_number(self.invariance),
            *choose_outliers(self.outlier_source, len(data.labels), who=who),
        )
        return train_residuals(data, held_out, plan, settings)

    def _keep_trained(self, trained: ResidualTrained) -> None:
        self.net_, self.module_ = trained.fitted.net, trained.fitted.net.module_
        self.history_, self.n_iter_ = trained.fitted.history, trained.fitted.n_iter
        self.feature_scale_: Any = trained.scale
        scorer = ResidualScorer(self.module_, trained.scale, trained.converter)
        self._start_scoring(scorer, trained.levels)
