"""Callbacks of a training: loss guard, held-out measure, early stopping, progress, schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.utils import noop
from torch import Tensor
from tqdm.auto import tqdm

from acr_sklearn.training.settings import (
    HeldOutMeasure,
    Steps,
    TrainedNet,
    TrainingCallback,
    history_rows,
)

__all__ = [
    "EvaluationCallback",
    "HeldOutMetric",
    "LossGuard",
    "Progress",
    "cosine",
    "has_schedule",
    "stopped_early",
    "stopper",
]


class LossGuard(Callback):
    """Stops at the first loss that is not finite, before anything is kept.

    Parameters
    ----------
    who : str
        Whose training it is, for the message.
    """

    def __init__(self, who: str):
        self.who = who

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool | None = None, **step: Any
    ) -> None:
        """Look at the loss of a training step."""
        if training and not torch.isfinite(step["loss"]).all():
            raise ValueError(
                f"{self.who} ended: the training loss became {step['loss'].item()} in evaluation "
                f"{len(net.history)}. Lower learning_rate, or scale the features first "
                "(for example with StandardScaler)."
            )


class HeldOutMetric(Callback):
    """Records the mean of a measure over the held-out steps, under `valid_` and its name."""

    def __init__(self, metric: HeldOutMeasure):
        self.metric = metric

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Start a new mean."""
        self.values_: list[Tensor] = []

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool | None = None, **step: Any
    ) -> None:
        """Measure a held-out step."""
        if not training:
            self.values_.append(self.metric.measure(net.module_, step["y_pred"], batch[1]))

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Write the mean into the history."""
        net.history.record(f"valid_{self.metric.name}", float(torch.cat(self.values_).mean()))


class EvaluationCallback(Callback):
    """Tells a callback of the evaluations, and ends the training when it says so."""

    callback: TrainingCallback
    first: int
    stream: Steps

    stopped = False

    def __init__(self, callback: TrainingCallback, stream: Steps):
        self.callback, self.stream, self.first = callback, stream, stream.next_step

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Open an evaluation."""
        self.callback.begin()

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Close it, with the training so far."""
        n_steps = self.stream.next_step - self.first
        history = history_rows(net.history, self.stream.n_steps, n_steps)
        trained = TrainedNet(net, history, n_steps, self.first + n_steps)
        self.stopped = self.callback.end(trained)
        if self.stopped:
            raise KeyboardInterrupt  # as skorch's own EarlyStopping ends a training


class Progress(Callback):
    """One progress bar over all steps."""

    n_steps: int
    name: str

    def __init__(self, n_steps: int, name: str, bar: Callable[..., Any] = tqdm):
        self.n_steps, self.name = n_steps, name
        self.bar = bar

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Open the bar."""
        self.bar_: Any = self.bar(total=self.n_steps, desc=self.name, unit="step")

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool | None = None, **step: Any
    ) -> None:
        """Count a training step."""
        if training:
            self.bar_.update(1)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Show losses and measures."""
        row = net.history[-1]
        measured = [k for k in row if k.startswith(("train_loss", "valid_")) and row[k] is not None]
        shown = {k: f"{row[k]:.4g}" for k in measured if not k.endswith(("_best", "_batch_count"))}
        self.bar_.set_postfix(shown)

    def on_train_end(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Close the bar."""
        self.bar_.close()


def cosine(n_steps: int) -> LRScheduler:
    """Let the learning rate fall to zero along half a cosine (Loshchilov and Hutter, 2017)."""
    policy = torch.optim.lr_scheduler.CosineAnnealingLR
    return LRScheduler(policy, step_every="batch", event_name=None, T_max=n_steps)


def has_schedule(net: NeuralNet) -> bool:
    """Whether the user's own callbacks move the learning rate."""
    given = [] if net.callbacks in (None, "disable") else net.callbacks
    parts = [c[1] if isinstance(c, tuple) else c for c in given]
    return any(issubclass(c if isinstance(c, type) else type(c), LRScheduler) for c in parts)


def stopper(monitor: str, patience: int) -> EarlyStopping:
    """Stop after so many evaluations without improvement, and restore the best weights."""
    return EarlyStopping(
        monitor=monitor,
        patience=patience,
        threshold=1e-4,
        threshold_mode="abs",
        lower_is_better=False,
        load_best=True,
        sink=noop,
    )


def stopped_early(net: NeuralNet) -> bool:
    """Whether a callback, not the user's Ctrl-C, ended the training."""
    stoppers = [callback for _, callback in net.callbacks_ if isinstance(callback, EarlyStopping)]
    asked = any(isinstance(c, EvaluationCallback) and c.stopped for _, c in net.callbacks_)
    return asked or any(stopper.misses_ >= stopper.patience for stopper in stoppers)
