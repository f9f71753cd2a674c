"""Adaptive centred representations: the zero-shot detector as a choice of parts."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_memory
from torch import nn

from acr_sklearn._validation import DomainRows, changed_parameters
from acr_sklearn.detectors._acr_parameters import CONSTRAINTS
from acr_sklearn.detectors.base import BaseBatchDetector
from acr_sklearn.exceptions import EarlyStoppingWarning, SingleDomainWarning
from acr_sklearn.heads import ScoreHead, make_head
from acr_sklearn.meta_training import MetaTrained, MetaTrainingPlan, meta_train
from acr_sklearn.outliers import choose_outliers
from acr_sklearn.sampling import hold_out_domains
from acr_sklearn.task_settings import TaskSettings
from acr_sklearn.training_settings import TrainingSettings

__all__ = ["ZeroShotACRDetector"]

_MIN_DOMAINS_TO_HOLD_OUT = 4


class ZeroShotACRDetector(BaseBatchDetector):
    """Zero-shot anomaly detection by adaptive centred representations (ACR).

    Meta-trained once on normal data sets from several related domains (machines, years, classes).
    Every layer of the network is followed by batch norm with the statistics of the rows processed
    together; in training a row is normal in one task and an outlier in another, so only these can
    tell. A batch from a domain never seen is thereby centred on its own majority and scored in
    one pass, with no refit and no reference rows [1]_.

    Parameters
    ----------
    objective : {"dsvdd"}, default="dsvdd"
        Training loss and anomaly score: the squared distance to a learnt centre.
    backbone : {"mlp"} or torch.nn.Module, default="mlp"
        Network before the objective's head. A module maps (n_rows, n_features) to (n_rows, width)
        and has batch-norm layers; a copy of it is made to use the batch's statistics. It gets the
        rows as they are; for "mlp" they are scaled, see `feature_scale_`.
    hidden_layer_sizes : array-like of int, default=(512,)
        Widths of "mlp"; the paper has (128, 128, 128).
    embedding_dim : int, default=32
        Width of the objective's head.
    max_iter : int, default=150
        Number of optimiser steps.
    n_tasks : int, default=16
        Tasks per step.
    task_size : int, default=128
        Rows per task, fewer if no domain can fill one; a domain that cannot repeats rows.
    outlier_fraction : float, default=0.2
        Share of a task's rows that are outliers, in (0, 1).
    outlier_source : {"auto", "mixed", "domains", "synthetic"} or object, default="auto"
        Where outliers come from: other domains, rows of the task's own changed at random, a
        mixture of these and of rows between them, or an object with ``sample(X, domain_index, n,
        rng)``, see `acr_sklearn.outliers.OutlierSource`. "auto" is "mixed", or "synthetic" when
        there is one domain only or domains cannot be told apart.
    permute_features : bool, default=False
        Whether each training task has an order of features of its own, which turns few domains
        into many. Scoring never permutes.
    whiten_features : bool, default=True
        Whether "mlp" sees beside the features the same whitened by the covariance that domains
        have in common, so that broken dependence between features is in sight. Not done with
        `permute_features`, nor above 2048 features.
    score_head : {"combined", "objective", "neighbors", "mahalanobis"}, default="combined"
        "objective" is the paper's score; "neighbors" the distance to nearby rows of the batch in
        the network's layers; "mahalanobis" that to the batch's mean by the covariance of centred
        training normals; "combined" the more alarming of the first two, see docs/concepts.md.
    n_neighbors : int, default=5
        Neighbours for "neighbors" and "combined".
    trim_fraction : float, default=0.25
        Share of the batch, the most anomalous rows at first sight, that the batch statistics and
        the neighbours leave out; 0 for none. In [0, 0.5). See docs/concepts.md.
    n_estimators : int, default=1
        Networks trained on the same tasks from different random weights; neighbours are looked for
        in the layers of all, the objective's score is their mean.
    learning_rate : float, default=0.001
        Of Adam.
    lr_schedule : {"cosine", "constant"}, default="cosine"
        How the learning rate moves; "cosine" falls to zero over `max_iter` steps. A skorch
        LRScheduler among `callbacks` takes its place.
    weight_decay : float, default=0.0
        L2 penalty in Adam.
    early_stopping : bool, default=True
        Whether to hold out domains (not below 4), stop when the AUROC of their tasks no longer
        improves, and restore the best weights.
    validation_fraction : float, default=0.2
        Share of the domains held out, at least one.
    n_iter_no_change : int, default=10
        Evaluations without improvement before stopping; one every ``max(1, max_iter // 50)`` steps.
    contamination : float or "auto", default=0.1
        Share of rows to be flagged, in (0, 0.5]; "auto" takes it from the scores.
    threshold : {"train", "batch"}, default="train"
        "train" cuts at `offset_`, set on training rows in batches of up to 256 (of the held-out
        domains if there are any); "auto" puts it below all but their outliers. "batch" cuts each
        batch by itself; "auto" estimates its share, see `acr_sklearn.thresholds`.
    domain_column : int, str or None, default=None
        Column of `X` with the domain's label, kept from the network.
    device : str or torch.device, default="auto"
        "auto" takes CUDA where there is one, else the CPU.
    net : skorch.NeuralNet or None, default=None
        Template such as ``NeuralNet(None, None, optimizer=torch.optim.AdamW)``: settings unlike
        skorch's defaults win; setting a thing here and on the detector is an error.
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
        Units of the features, measured in fit; None for a user's backbone.
    head_ : ScoreHead
        How rows are scored.
    history_ : list of dict
        One row per evaluation: steps so far, training loss and, with domains held out, their loss
        (`valid_loss`) and mean AUROC (`valid_auc`).
    n_iter_ : int
        Steps run.
    offset_ : float
        With ``threshold="train"``, rows that score below it are predicted as anomalies.

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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS

    def __init__(
        self,
        *,
        objective: str = "dsvdd",
        backbone: str | nn.Module = "mlp",
        hidden_layer_sizes: tuple[int, ...] = (512,),
        embedding_dim: int = 32,
        max_iter: int = 150,
        n_tasks: int = 16,
        task_size: int = 128,
        outlier_fraction: float = 0.2,
        outlier_source: Any = "auto",
        permute_features: bool = False,
        whiten_features: bool = True,
        score_head: str = "combined",
        n_neighbors: int = 5,
        trim_fraction: float = 0.25,
        n_estimators: int = 1,
        learning_rate: float = 1e-3,
        lr_schedule: str = "cosine",
        weight_decay: float = 0.0,
        early_stopping: bool = True,
        validation_fraction: float = 0.2,
        n_iter_no_change: int = 10,
        contamination: float | str = 0.1,
        threshold: str = "train",
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
        self.embedding_dim = embedding_dim
        self.max_iter = max_iter
        self.n_tasks = n_tasks
        self.task_size = task_size
        self.outlier_fraction = outlier_fraction
        self.outlier_source = outlier_source
        self.permute_features = permute_features
        self.whiten_features = whiten_features
        self.score_head = score_head
        self.n_neighbors = n_neighbors
        self.trim_fraction = trim_fraction
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.contamination = contamination
        self.threshold = threshold
        self.domain_column = domain_column
        self.device = device
        self.net = net
        self.callbacks = callbacks
        self.memory = memory
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    def _hold_out(self, data: DomainRows, seed: int) -> NDArray[np.int64]:
        n_domains = len(data.labels)
        who = f"{type(self).__name__}.fit"
        if n_domains == 1:
            warnings.warn(
                f"{who} got a single data set: there is no other domain to draw outliers from, and "
                "nothing to learn how normals differ between domains. Pass a list of data sets, "
                "or domains=, if the rows come from several.",
                SingleDomainWarning,
                stacklevel=5,
            )
        elif self.early_stopping and n_domains < _MIN_DOMAINS_TO_HOLD_OUT:
            warnings.warn(
                f"{who} got {n_domains} domains; early stopping holds some out and needs at least "
                f"{_MIN_DOMAINS_TO_HOLD_OUT}, so it is off and all max_iter={self.max_iter} steps "
                "are run. Pass more domains, or set early_stopping=False.",
                EarlyStoppingWarning,
                stacklevel=5,
            )
        if not self.early_stopping or n_domains < _MIN_DOMAINS_TO_HOLD_OUT:
            return super()._hold_out(data, seed)
        rng = np.random.default_rng((seed, 0))
        return hold_out_domains(n_domains, self.validation_fraction, rng)[1]

    def _make_head(self, trained: MetaTrained) -> ScoreHead:
        return make_head(self.score_head, self.n_neighbors, self.trim_fraction, trained.shape)

    def _train(
        self, data: DomainRows, held_out: NDArray[Any], seed: int, watch: Any
    ) -> MetaTrained:
        widths = list(self.hidden_layer_sizes)
        if not widths or not all(isinstance(w, Integral) and w >= 1 for w in widths):
            raise ValueError(
                f"{type(self).__name__} got hidden_layer_sizes={self.hidden_layer_sizes!r}. It "
                "needs a sequence of layers, each a positive whole number of units."
            )
        settings = TrainingSettings(
            network={
                "n_features": data.rows.shape[1],
                "backbone": self.backbone,
                "hidden_layer_sizes": tuple(int(width) for width in widths),
                "embedding_dim": self.embedding_dim,
                "objective": self.objective,
            },
            n_estimators=self.n_estimators,
            learning_rate=self.learning_rate,
            lr_schedule=self.lr_schedule,
            weight_decay=self.weight_decay,
            n_iter_no_change=self.n_iter_no_change,
            device=self.device,
            callbacks=None if self.callbacks is None else list(self.callbacks),
            verbose=int(self.verbose),
            seed=seed,
            explicit=changed_parameters(self),
            watch=watch,
        )
        tasks = TaskSettings(
            self.n_tasks, self.task_size, self.outlier_fraction, self.permute_features
        )
        who = f"{type(self).__name__}.fit"
        mix, source = choose_outliers(self.outlier_source, len(data.labels), who=who)
        whiten = self.whiten_features and not self.permute_features
        capped = tasks.capped(np.delete(data.sizes, held_out).max())
        plan = MetaTrainingPlan(self.max_iter, capped, held_out, mix, source, whiten)
        previous = self._previous(data) if self.warm_start else None
        # Only a fit that a key can stand for is cached: same rows, same parameters, same result.
        repeats = isinstance(self.random_state, int | np.integer) and self.callbacks is None
        memory = check_memory(self.memory if repeats and not self.warm_start else None)
        return meta_train(
            data.rows,
            data.index,
            plan,
            settings,
            template=self.net,
            previous=previous,
            memory=memory,
        )
