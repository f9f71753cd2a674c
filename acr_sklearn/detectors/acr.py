"""Adaptive centred representations: the zero-shot detector as a choice of parts."""

from __future__ import annotations

import copy
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from torch import nn

from acr_sklearn._input.domain_rows import DomainRows
from acr_sklearn._input.known_anomalies import TrainingRows
from acr_sklearn._input.parameters import RealInterval, plain_number
from acr_sklearn.detectors._acr_plan import held_out_domains, training_plan, training_settings
from acr_sklearn.detectors._known import learn_known, require_head_that_learns
from acr_sklearn.detectors._reference import ReferenceMixin
from acr_sklearn.detectors._reference_state import SavedReference, load_reference, save_reference
from acr_sklearn.detectors.base import BaseBatchDetector
from acr_sklearn.detectors.parts import (
    ConvBackbone,
    HeldOutDomains,
    MLPBackbone,
    NeuralTransformation,
)
from acr_sklearn.networks.objectives import OBJECTIVES
from acr_sklearn.scoring.consensus_head import ConsensusHead
from acr_sklearn.scoring.dependence import fit_dependence
from acr_sklearn.scoring.heads import SCORE_HEADS, make_head
from acr_sklearn.training.cache import open_memory
from acr_sklearn.training.meta_training import MetaTrained, meta_train
from acr_sklearn.training.saved_net import load_net, save_net
from acr_sklearn.training.settings import TrainedNet

__all__ = ["ZeroShotACRDetector"]


_CONSTRAINTS: dict[str, list[Any]] = {
    "objective": [StrOptions(set(OBJECTIVES)), NeuralTransformation],
    "backbone": [StrOptions({"mlp"}), MLPBackbone, ConvBackbone, nn.Module],
    "hidden_layer_sizes": ["array-like"],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "n_tasks": [Interval(Integral, 1, None, closed="left")],
    "task_size": [Interval(Integral, 4, None, closed="left")],
    "outlier_fraction": [RealInterval(0, 1, closed="neither")],
    "outlier_source": [
        StrOptions({"auto", "mixed", "domains", "synthetic"}),
        HasMethods("sample"),
    ],
    "permute_features": ["boolean"],
    "score_head": [StrOptions({*SCORE_HEADS, "consensus"})],
    "n_neighbors": [Interval(Integral, 1, None, closed="left")],
    "trim_fraction": [RealInterval(0, 0.5, closed="left")],
    "n_estimators": [Interval(Integral, 1, None, closed="left")],
    # A weight is of single precision, and so is its step.
    "learning_rate": [RealInterval(0, 1e30, closed="right")],
    "early_stopping": ["boolean", HeldOutDomains],
    "contamination": [RealInterval(0, 0.5, closed="right"), StrOptions({"auto"})],
    "threshold": [StrOptions({"train", "batch"})],
    "norm_mode": [StrOptions({"auto", "batch", "reference"})],
    "max_reference_rows": [Interval(Integral, 2, None, closed="left"), None],
    "chunk_size": [Interval(Integral, 1, None, closed="left"), None],
    "domain_column": [Integral, str, None],
    "device": [str, torch.device],
    "net": [HasMethods(["initialize", "fit_loop"]), None],
    "callbacks": [list, tuple, None],
    "memory": [str, HasMethods("cache"), None],
    "warm_start": ["boolean"],
    "verbose": ["verbose"],
    "random_state": ["random_state"],
}


class ZeroShotACRDetector(ReferenceMixin, BaseBatchDetector):
    """Zero-shot anomaly detection by adaptive centred representations (ACR).

    Meta-trained once on normal data sets from several related domains (machines, years, classes).
    Every layer of the network is followed by batch norm with the statistics of the rows processed
    together; in training a row is normal in one task and an outlier in another, so only these can
    tell. A batch from a domain never seen is thereby centred on its own majority and scored in
    one pass, with no refit and no reference rows [1]_.

    Parameters
    ----------
    objective : {"dsvdd", "bce", "ntl"} or NeuralTransformation, default="dsvdd"
        Training loss and anomaly score: the squared distance to a learnt centre; the logit of
        being an outlier; or, neural transformation learning [2]_, how little learnt
        transformations of a row agree with it; `NeuralTransformation` is "ntl" with options.
    backbone : "mlp", MLPBackbone, ConvBackbone or torch.nn.Module, default="mlp"
        Network before the objective's head: `MLPBackbone` is "mlp" with options, `ConvBackbone`
        is for rows that are images. A module maps (n_samples, n_features) to (n_samples, width)
        and has batch-norm layers; a copy of it is made to use the batch's statistics. It gets the
        rows as they are ("ntl" centres and scales each batch); for the others they are scaled,
        see `feature_scale_`.
    hidden_layer_sizes : array-like of int, default=(512,)
        Widths of "mlp"; the paper has (128, 128, 128).
    max_iter : int, default=150
        Number of optimiser steps.
    n_tasks : int, default=16
        Tasks per step.
    task_size : int, default=128
        Rows per task, fewer if no domain can fill one; a domain that cannot repeats rows.
    outlier_fraction : float, default=0.2
        Fraction of a task's rows that are outliers, in (0, 1).
    outlier_source : {"auto", "mixed", "domains", "synthetic"} or object, default="auto"
        Where outliers come from: other domains, rows of the task's own changed at random, a
        mixture of these and of rows between them, or an object with ``sample(X, domain_index, n,
        rng)``, see `acr_sklearn.outliers.OutlierSource`. "auto" is "mixed", or "synthetic" when
        there is one domain only or domains cannot be told apart.
    permute_features : bool, default=False
        Whether each training task has an order of features of its own, which turns few domains
        into many. Scoring never permutes.
    score_head : {"consensus", "combined", "objective", "neighbors", "mahalanobis"}, \
default="consensus"
        "consensus" weighs seven kinds of evidence: distances to neighbours in the network's layers
        and in the features, rarity of values, conditional residuals. "objective" is the paper's
        score; "neighbors" the distance to nearby rows of the batch in the network's layers;
        "mahalanobis" that to the batch's mean by the covariance of centred training normals;
        "combined" the more alarming of "objective" and "neighbors". See docs/scores.md.
        Thresholds hold for one head: set after fit, this and the next two make scoring raise
        until the next fit.
    n_neighbors : int, default=5
        Neighbours in the network's layers; "consensus" also looks at a tenth and three tenths of
        the batch.
    trim_fraction : float, default=0.25
        Fraction of the batch, the rows of largest initial outlyingness, that the batch
        statistics and the neighbours leave out; 0 for none. In [0, 0.5). See docs/scores.md.
    n_estimators : int, default=1
        Networks trained on the same tasks from different random weights; neighbours are looked for
        in the layers of all, the objective's score is their mean.
    learning_rate : float, default=0.001
        Of Adam; it falls to zero over `max_iter` steps along half a cosine, unless a skorch
        LRScheduler among `callbacks` or in `net` takes its place.
    early_stopping : bool or HeldOutDomains, default=True
        Whether to hold out domains (not below 4), stop when the AUROC of their tasks no longer
        improves, and restore the best weights; `HeldOutDomains` says how many and when.
    contamination : float or "auto", default=0.1
        Fraction of rows to be flagged, in (0, 0.5]; "auto" takes it from the scores.
    threshold : {"train", "batch"}, default="train"
        "train" cuts at `offset_`, set on training rows in batches of up to 256 (of the held-out
        domains if there are any); "auto" puts it below all but their outliers. "batch" cuts each
        batch by itself; "auto" estimates its fraction, see `acr_sklearn.thresholds`.
    norm_mode : {"auto", "batch", "reference"}, default="auto"
        "batch" scores rows under the statistics of their batch, "reference" each by itself under
        fixed ones: of the rows given to `adapt`, or else, if set before fit, of all training
        rows. "auto" is "batch" unless the detector holds a reference.
    max_reference_rows : int or None, default=None
        Larger batches take their statistics from so many of their rows, spread evenly; at least
        16. A reference already held stays as it is.
    chunk_size : int or None, default=None
        Larger batches are scored in chunks of so many rows, with the same result in less memory.
        None does so above 2048 rows.
    domain_column : int, str or None, default=None
        Column of `X` with the domain's label, kept from the network.
    device : str or torch.device, default="auto"
        "auto" takes CUDA where there is one, else the CPU.
    net : skorch.NeuralNet or None, default=None
        Template such as ``NeuralNet(None, None, optimizer=torch.optim.AdamW)``: settings unlike
        skorch's defaults win, among them ``optimizer__weight_decay`` and the width of the
        objective's head, ``module__embedding_dim``; setting a thing here and on the detector is
        an error.
    callbacks : list of skorch callbacks or None, default=None
        Called during training.
    memory : str, joblib.Memory or None, default=None
        Cache of trainings, keyed on the data and what training depends on. Bypassed unless
        `random_state` is an int, and with `warm_start` or `callbacks`.
    warm_start : bool, default=False
        Whether fit goes on from the weights of the fit before.
    verbose : int, default=0
        1 shows a progress bar.
    random_state : int, RandomState or None, default=None
        Decides all; no global generator is used. None draws fresh entropy.

    Attributes
    ----------
    n_features_in_ : int
        Columns of `X` in fit, the domain column included.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, when all are strings.
    domains_ : ndarray of shape (n_domains_,)
        Labels of the training domains, or their positions in the list.
    n_domains_ : int
        Number of training domains.
    net_ : skorch.NeuralNet
        The fitted net.
    module_ : torch.nn.Module
        Its network.
    feature_scale_ : FeatureScale or None
        Standardization of the features, measured in fit; None for a user's backbone.
    head_ : ScoreHead or ConsensusHead
        How rows are scored.
    selection_ : dict or None
        After a fit with known anomalies the "weight" that a discriminant learnt from them has in
        the score; for each weight tried the mean "auroc" over labelled domains left out and, as
        rows of "domain_auroc", that of each; the labelled "domains" with their "n_anomalies".
    history_ : list of dict
        One row per evaluation: steps so far, training loss and, with domains held out, their loss
        (`valid_loss`) and mean AUROC (`valid_auc`). Known anomalies are learnt from after the
        training: the held-out AUROC of that is in `selection_`.
    n_iter_ : int
        Steps run.
    offset_ : float
        With ``threshold="train"``, rows that score below it are predicted as anomalies.
    calibration_scores_ : ndarray of shape (n_scores,)
        Sorted scores of the normal rows that `offset_` was set on, at most 4096 quantiles of them.
    reference_stats_ : torch.nn.Module
        After `adapt`, and with ``norm_mode="reference"``, what scores rows: see `freeze`.

    See Also
    --------
    NormalTrainSplit : Cross-validation with training folds freed of anomalies.

    Notes
    -----
    Score the rows of one domain together, never several domains as one batch (use `domains`).

    References
    ----------
    .. [1] A. Li, C. Qiu, M. Kloft, P. Smyth, M. Rudolph, S. Mandt, "Zero-Shot Anomaly Detection via
       Batch Normalization", NeurIPS 2023, arXiv:2302.07849.
    .. [2] C. Qiu, T. Pfrommer, M. Kloft, S. Mandt, M. Rudolph, "Neural Transformation Learning for
       Deep Anomaly Detection Beyond Images", ICML 2021, arXiv:2103.16440.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn import ZeroShotACRDetector
    >>> rng = np.random.default_rng(0)
    >>> sites = [rng.normal(rng.normal(0, 3, 4), 1.0, (200, 4)) for _ in range(6)]
    >>> detector = ZeroShotACRDetector(max_iter=20, random_state=0).fit(sites)
    >>> detector.predict(rng.normal(50.0, 1.0, (100, 4))).shape
    (100,)
    """

    selection_: dict[str, Any] | None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = _CONSTRAINTS
    _set_by_fit: ClassVar[tuple[str, ...]] = ("score_head", "n_neighbors", "trim_fraction")
    _used_in_scoring: ClassVar[tuple[str, ...]] = (*ReferenceMixin._used_in_scoring, *_set_by_fit)
    _if_not_finite: ClassVar[str] = (
        "Lower learning_rate, or scale the features first (for example with StandardScaler)."
    )

    def __init__(
        self,
        *,
        objective: str | NeuralTransformation = "dsvdd",
        backbone: str | MLPBackbone | ConvBackbone | nn.Module = "mlp",
        hidden_layer_sizes: tuple[int, ...] = (512,),
        max_iter: int = 150,
        n_tasks: int = 16,
        task_size: int = 128,
        outlier_fraction: float = 0.2,
        outlier_source: Any = "auto",
        permute_features: bool = False,
        score_head: str = "consensus",
        n_neighbors: int = 5,
        trim_fraction: float = 0.25,
        n_estimators: int = 1,
        learning_rate: float = 1e-3,
        early_stopping: bool | HeldOutDomains = True,
        contamination: float | str = 0.1,
        threshold: str = "train",
        norm_mode: str = "auto",
        max_reference_rows: int | None = None,
        chunk_size: int | None = None,
        domain_column: str | int | None = None,
        device: str = "auto",
        net: Any = None,
        callbacks: Any = None,
        memory: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        random_state: Any = None,
    ):
        self.objective = objective
        self.backbone = backbone
        self.hidden_layer_sizes = hidden_layer_sizes
        self.max_iter = max_iter
        self.n_tasks = n_tasks
        self.task_size = task_size
        self.outlier_fraction = outlier_fraction
        self.outlier_source = outlier_source
        self.permute_features = permute_features
        self.score_head = score_head
        self.n_neighbors = n_neighbors
        self.trim_fraction = trim_fraction
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.early_stopping = early_stopping
        self.contamination = contamination
        self.threshold = threshold
        self.norm_mode = norm_mode
        self.max_reference_rows = max_reference_rows
        self.chunk_size = chunk_size
        self.domain_column = domain_column
        self.device = device
        self.net = net
        self.callbacks = callbacks
        self.memory = memory
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    def _whole_state(self) -> dict[str, Any]:
        """Leave out of a reference what can be made again: it is most of it."""
        state = self._settled(dict(super()._whole_state()))
        if state.get("_reference") is not None:
            state["_reference"] = save_reference(state["_reference"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make a reference whole again."""
        saved = state.get("_reference")
        super().__setstate__(state)
        if isinstance(saved, SavedReference):
            self._reference = load_reference(saved)

    def _file_state(self) -> dict[str, Any]:
        """Leave out of a file what of the net neither scoring nor a further fit needs."""
        state = self._whole_state()
        return state | {"net_": save_net(state["net_"])} if "net_" in state else state

    def _set_file_state(self, state: dict[str, Any]) -> None:
        """Make the net and the reference whole again."""
        self.__setstate__(state | {"net_": load_net(state["net_"])} if "net_" in state else state)

    def _hold_out(self, data: DomainRows, seed: int) -> NDArray[np.int64]:
        return held_out_domains(self, len(data.labels), seed, named=data.named)

    def _keep_trained(self, trained: MetaTrained) -> None:
        self.net_: Any = trained.fitted.net
        self.module_ = trained.fitted.net.module_
        self.history_: list[dict[str, float]] = trained.fitted.history
        self.n_iter_: int = trained.fitted.n_iter
        self.feature_scale_ = trained.scale
        self._shape = trained.shape
        self._next_step = trained.fitted.next_step
        self._set_in_fit = tuple(getattr(self, name) for name in self._set_by_fit)

    def _prepare_scoring(self, data: TrainingRows, trained_on: NDArray[np.int64]) -> None:
        n_neighbors, trimmed = plain_number(self.n_neighbors), plain_number(self.trim_fraction)
        if self.score_head == "consensus":
            rows = np.flatnonzero(np.isin(data.index, trained_on))
            index = np.searchsorted(trained_on, data.index[rows])
            dependence = fit_dependence(data.rows[rows], index, len(trained_on))
            self.head_ = ConsensusHead.of(n_neighbors, trimmed, self._shape, dependence)
        else:
            self.head_ = make_head(self.score_head, n_neighbors, trimmed, self._shape)
        self.selection_ = None
        if data.known is not None:
            self.head_, self.selection_ = learn_known(self._scorer(), data)
        super()._prepare_scoring(data, trained_on)

    def _detach_from_training(self) -> None:
        self.module_ = copy.deepcopy(self.module_).eval()

    def _previous(self, data: DomainRows) -> MetaTrained | None:
        """Training of the fit before, to go on from."""
        if not hasattr(self, "net_"):
            return None
        before, now = self.net_.module__n_features, data.rows.shape[1]
        if before != now:
            raise ValueError(
                f"{type(self).__name__}.fit with warm_start=True got {now} features, but the "
                f"network to go on from was trained on {before}. Set warm_start=False."
            )
        fitted = TrainedNet(self.net_, self.history_, self.n_iter_, self._next_step)
        return MetaTrained(fitted, self.feature_scale_, self._shape)

    def _train(
        self, data: TrainingRows, held_out: NDArray[Any], seed: int, callback: Any
    ) -> MetaTrained:
        self._check_reference_rows()
        require_head_that_learns(self, data.known)
        settings = training_settings(self, data.rows.shape[1], seed, callback)
        plan = training_plan(self, data, held_out)
        previous = self._previous(data) if self.warm_start else None
        # Only a fit that a key can stand for is cached: same rows, same parameters, same result.
        repeats = isinstance(self.random_state, int | np.integer) and self.callbacks is None
        given = self.memory if repeats and not self.warm_start else None
        memory = open_memory(given, who=type(self).__name__)
        return meta_train(
            data.rows,
            data.index,
            plan,
            settings,
            template=self.net,
            previous=previous,
            memory=memory,
        )
