"""The only door to skorch: a network, tasks and settings in, a fitted net out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from skorch import NeuralNet, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.helper import predefined_split
from skorch.utils import noop
from torch import Tensor
from tqdm.auto import tqdm

from acr_sklearn._compute import isolated_rng, resolve_device, threads_for
from acr_sklearn.metrics.detection import task_auc
from acr_sklearn.networks.acr_network import ACREnsemble, ACRNetwork
from acr_sklearn.networks.mlp import MLPBackbone
from acr_sklearn.networks.objectives import ObjectiveLoss
from acr_sklearn.tasks.sampler import TaskStream
from acr_sklearn.training.net_template import merge_template
from acr_sklearn.training.settings import TrainingCallback, TrainingSettings, history_rows

__all__ = ["TrainedNet", "TrainingCallback", "TrainingSettings", "train"]

_WITH_A_TASK_OF_THEIR_OWN = (NeuralNetClassifier, NeuralNetRegressor)


@dataclass
class TrainedNet:
    """What training leaves: the net, a row per evaluation, steps run, number of the next step."""

    net: NeuralNet
    history: list[dict[str, float]]
    n_iter: int
    next_step: int


def train(
    stream: TaskStream,
    held_out: TaskStream | None,
    settings: TrainingSettings,
    template: NeuralNet | None = None,
    previous: NeuralNet | None = None,
) -> TrainedNet:
    """Meta-train a network.

    Parameters
    ----------
    stream : TaskStream
        Training steps; one pass is one evaluation, and passes go on until its limit.
    held_out : TaskStream or None
        Tasks of held-out domains: training stops, with the best weights restored, when their
        mean AUROC has not improved for `n_iter_no_change` evaluations.
    settings : TrainingSettings
        The detector's.
    template : NeuralNet or None
        A net whose own settings win; it is cloned, never fitted.
    previous : NeuralNet or None
        A fitted net to go on from: its weights and the state of its optimizer.

    Returns
    -------
    TrainedNet
        With the network in eval mode.

    Raises
    ------
    ValueError
        When the template and the detector set the same thing, or the loss is not finite.
    KeyboardInterrupt
        Passed on: skorch's own fit would swallow it and keep a half-trained net.
    """
    assert stream.limit is not None
    first = stream.next_step
    watchers: list[tuple[str, Callback]] = [("acr_loss_guard", _LossGuard())]
    if held_out is not None:
        watchers.append(("acr_auc", _HeldOutAUC()))
    if settings.watch is not None:  # before the stopper, which ends the last evaluation
        watchers.append(("acr_watch", _Watched(settings.watch, stream)))
    if held_out is not None:
        watchers.append(("acr_stop", _stopper(settings.n_iter_no_change)))
    with isolated_rng(settings.seed):
        net = _make_net(template, settings)
        if settings.lr_schedule == "cosine" and not _has_schedule(net):
            watchers.append(("acr_schedule", _cosine(stream.limit - first)))
        if net.verbose:
            watchers.append(("acr_progress", _Progress(stream.limit - first)))
        net.set_params(
            verbose=0,
            max_epochs=-(-(stream.limit - first) // stream.n_steps),
            train_split=None if held_out is None else predefined_split(held_out),
            callbacks=[*watchers, *([] if net.callbacks in (None, "disable") else net.callbacks)],
        )
        net.initialize()
        net.module_.float()
        if previous is not None:
            _go_on_from(previous, net)
        with threads_for(_operations_per_step(net, stream)):
            _run(net, stream)
    n_steps = stream.next_step - first
    history = history_rows(net.history, stream.n_steps, n_steps)
    _drop_training_state(net, {name for name, _ in watchers})
    return TrainedNet(net, history, n_steps, stream.next_step)


def _go_on_from(previous: NeuralNet, net: NeuralNet) -> None:
    """Copy the weights, and the state of the optimizer where it still fits."""
    before, now = previous.module_.state_dict(), net.module_.state_dict()
    if {k: v.shape for k, v in before.items()} != {k: v.shape for k, v in now.items()}:
        raise ValueError(
            "warm_start=True asks to go on from weights of another shape: the backbone, its "
            "layers, embedding_dim, n_estimators, whiten_features, permute_features, the "
            "objective or its transformations was changed since the fit before. Change it back, "
            "or set warm_start=False."
        )
    net.module_.load_state_dict(before)
    if type(previous.optimizer_) is type(net.optimizer_):
        # Only the moments are taken over, as a copy: rates and penalties are those of now, and
        # the fit before must not change if this one is interrupted.
        kept = copy.deepcopy(previous.optimizer_.state_dict()["state"])
        net.optimizer_.load_state_dict(net.optimizer_.state_dict() | {"state": kept})


def _run(net: NeuralNet, stream: TaskStream) -> None:
    net.notify("on_train_begin", X=stream, y=None)
    try:
        net.fit_loop(stream, y=None)
    except KeyboardInterrupt:
        # skorch's EarlyStopping raises it too; anything else is the user's Ctrl-C.
        if not _stopped_early(net):
            raise
    net.notify("on_train_end", X=stream, y=None)


def _operations_per_step(net: NeuralNet, stream: TaskStream) -> float:
    """Count a multiply and an add per weight and row, forward and twice backward."""
    if not isinstance(net.module_.backbone, MLPBackbone):
        return float("inf")  # what a user's module does with a weight is not known
    tasks = stream.sampler.settings
    n_weights = sum(parameter.numel() for parameter in net.module_.parameters())
    n_rows = tasks.n_tasks * tasks.task_size * net.module_.objective.n_views
    return 6.0 * n_weights * n_rows


def _make_net(template: NeuralNet | None, settings: TrainingSettings) -> NeuralNet:
    ours: dict[str, Any] = {
        "module": ACRNetwork if settings.n_estimators == 1 else ACREnsemble,
        "criterion": ObjectiveLoss,
        "criterion__objective": settings.network["objective"],
        "optimizer": torch.optim.Adam,
        "optimizer__weight_decay": settings.weight_decay,
        "lr": settings.learning_rate,
        "batch_size": None,
        "iterator_train": _as_it_is,
        "iterator_valid": _as_it_is,
        "callbacks": settings.callbacks,
        "device": resolve_device(settings.device),
        "verbose": settings.verbose,
    }
    ours |= {f"module__{name}": value for name, value in settings.network.items()}
    if settings.n_estimators > 1:
        ours["module__n_estimators"] = settings.n_estimators
    if template is None:
        return _PartwiseNet(**ours)
    if not isinstance(template, NeuralNet) or isinstance(template, _WITH_A_TASK_OF_THEIR_OWN):
        got = template.__name__ if isinstance(template, type) else type(template).__name__
        raise ValueError(
            f"net={got} cannot be a template: it must be an instance of skorch.NeuralNet, not of "
            "its classifiers or regressors, for example NeuralNet(None, None, "
            "optimizer=torch.optim.AdamW)."
        )
    return merge_template(template, ours, settings.explicit)


class _PartwiseNet(NeuralNet):
    """Goes backward after every part of a step that a CPU runs together.

    The activations of one part are freed before those of the next are needed.
    """

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Add up the gradients of the mean over all tasks."""
        rows, is_outlier = batch
        one = isinstance(self.module_, ACRNetwork)
        at_once = self.module_.tasks_at_once(rows, self.device) if one else 0
        if not at_once:
            return dict(super().train_step_single(batch, **fit_params))
        self._set_training(True)
        losses, outputs = [], []
        for some, own in zip(rows.split(at_once), is_outlier.split(at_once), strict=True):
            outputs.append(self.infer(some))
            loss = self.get_loss(outputs[-1], own, X=some, training=True)
            losses.append(loss * (len(some) / len(rows)))
            losses[-1].backward()
        return {"loss": torch.stack(losses).detach().sum(), "y_pred": torch.cat(outputs).detach()}


def _as_it_is(dataset: TaskStream, **_: Any) -> TaskStream:
    """Stand in for a DataLoader: a step comes stacked, and nothing draws global randomness."""
    return dataset


def _drop_training_state(net: NeuralNet, names: set[str]) -> None:
    """Leave a net that can be pickled and holds no training rows."""
    net.train_split = None
    net.callbacks = [c for c in net.callbacks if not (isinstance(c, tuple) and c[0] in names)]
    net.callbacks_ = [(name, c) for name, c in net.callbacks_ if name not in names]
    net.module_.eval()
    for parameter in net.module_.parameters():
        parameter.grad = None


class _LossGuard(Callback):
    """Stops at the first loss that is not finite, before anything is kept."""

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool | None = None, **step: Any
    ) -> None:
        if training and not torch.isfinite(step["loss"]).all():
            raise ValueError(
                f"The training loss became {step['loss'].item()} in evaluation "
                f"{len(net.history)}. Lower learning_rate, or scale the features first "
                "(for example with StandardScaler)."
            )


class _HeldOutAUC(Callback):
    """Records the mean AUROC over the tasks of the held-out domains."""

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.values_: list[Tensor] = []

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool | None = None, **step: Any
    ) -> None:
        if not training:
            scores = net.module_.output_scores(step["y_pred"])
            self.values_.append(task_auc(scores, batch[1].to(scores.device)))

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        net.history.record("valid_auc", float(torch.cat(self.values_).mean()))


def _cosine(n_steps: int) -> LRScheduler:
    """Let the learning rate fall to zero along half a cosine (Loshchilov and Hutter, 2017)."""
    policy = torch.optim.lr_scheduler.CosineAnnealingLR
    return LRScheduler(policy, step_every="batch", event_name=None, T_max=n_steps)


def _has_schedule(net: NeuralNet) -> bool:
    """Whether the user's own callbacks move the learning rate."""
    given = [] if net.callbacks in (None, "disable") else net.callbacks
    parts = [c[1] if isinstance(c, tuple) else c for c in given]
    return any(issubclass(c if isinstance(c, type) else type(c), LRScheduler) for c in parts)


def _stopper(patience: int) -> EarlyStopping:
    return EarlyStopping(
        monitor="valid_auc",
        patience=patience,
        threshold=1e-4,
        threshold_mode="abs",
        lower_is_better=False,
        load_best=True,
        sink=noop,
    )


def _stopped_early(net: NeuralNet) -> bool:
    stoppers = [callback for _, callback in net.callbacks_ if isinstance(callback, EarlyStopping)]
    asked = any(isinstance(c, _Watched) and c.stopped for _, c in net.callbacks_)
    return asked or any(stopper.misses_ >= stopper.patience for stopper in stoppers)


class _Watched(Callback):
    """Tells a watch of the evaluations, and ends the training when it says so."""

    stopped = False

    def __init__(self, watch: TrainingCallback, stream: TaskStream):
        self.watch, self.stream, self.first = watch, stream, stream.next_step

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.watch.begin()

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        n_steps = self.stream.next_step - self.first
        history = history_rows(net.history, self.stream.n_steps, n_steps)
        self.stopped = self.watch.end(TrainedNet(net, history, n_steps, self.first + n_steps))
        if self.stopped:
            raise KeyboardInterrupt  # as skorch's own EarlyStopping ends a training


class _Progress(Callback):
    """One progress bar over all steps."""

    def __init__(self, n_steps: int, bar: Callable[..., Any] = tqdm):
        self.n_steps = n_steps
        self.bar = bar

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.bar_ = self.bar(total=self.n_steps, desc="meta-training", unit="step")

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool | None = None, **step: Any
    ) -> None:
        if training:
            self.bar_.update(1)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        row = net.history[-1]
        shown = {k: f"{row[k]:.4g}" for k in ("train_loss", "valid_loss", "valid_auc") if k in row}
        self.bar_.set_postfix(shown)

    def on_train_end(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.bar_.close()
