"""Door to skorch: any module, any loss, any source of steps in, a fitted net out."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from skorch import NeuralNet, NeuralNetClassifier, NeuralNetRegressor
from skorch.helper import predefined_split
from torch import Tensor, nn

from acr_sklearn._compute import isolated_rng, resolve_device, threads_for
from acr_sklearn.training.callbacks import (
    EvaluationCallback,
    HeldOutMetric,
    LossGuard,
    Progress,
    cosine,
    has_schedule,
    stopped_early,
    stopper,
)
from acr_sklearn.training.settings import (
    NetParts,
    Steps,
    TrainedNet,
    TrainingSettings,
    history_rows,
)

__all__ = ["plain_net", "train_net"]

_WITH_A_TASK_OF_THEIR_OWN = (NeuralNetClassifier, NeuralNetRegressor)


def train_net(
    steps: Steps,
    settings: TrainingSettings,
    parts: NetParts,
    *,
    held_out: Steps | None = None,
    template: NeuralNet | None = None,
    previous: NeuralNet | None = None,
) -> TrainedNet:
    """Train a network over steps.

    Parameters
    ----------
    steps : Steps
        Training steps; one pass is one evaluation, and passes go on until their limit.
    settings : TrainingSettings
        How to train.
    parts : NetParts
        The module, its loss, and what belongs to them.
    held_out : Steps or None, default=None
        Training stops, with the best weights restored, when the mean of `NetParts.measure` over
        these has not improved for `n_iter_no_change` evaluations.
    template : NeuralNet or None, default=None
        A net whose own settings win; it is cloned, never fitted.
    previous : NeuralNet or None, default=None
        A fitted net to go on from: its weights and the state of its optimizer.

    Returns
    -------
    TrainedNet
        With the network in eval mode.

    Raises
    ------
    ValueError
        When the template and the settings say the same thing, or the loss is not finite.
    KeyboardInterrupt
        Passed on: skorch's own fit would swallow it and keep a half-trained net.
    """
    if steps.limit is None:
        raise ValueError(f"{parts.name} got steps without a limit and would never end. Give one.")
    first = steps.next_step
    n_steps = steps.limit - first
    ours = _watchers(steps, settings, parts, held_out)
    with isolated_rng(settings.seed):
        net = _make_net(template, settings, parts)
        if settings.lr_schedule == "cosine" and not has_schedule(net):
            ours["our_schedule"] = cosine(n_steps)
        if net.verbose:
            ours["our_progress"] = Progress(n_steps, parts.name)
        theirs = [] if net.callbacks in (None, "disable") else net.callbacks
        net.set_params(
            verbose=0,
            max_epochs=-(-n_steps // steps.n_steps),
            train_split=None if held_out is None else predefined_split(held_out),
            callbacks=[*ours.items(), *theirs],
        )
        net.initialize()
        net.module_.float()
        if previous is not None:
            _go_on_from(previous, net, parts)
        work = parts.operations(net.module_) if parts.operations else float("inf")
        with threads_for(work):
            _run(net, steps)
    history = history_rows(net.history, steps.n_steps, steps.next_step - first)
    _drop_training_state(net, set(ours))
    return TrainedNet(net, history, steps.next_step - first, steps.next_step)


def _watchers(
    steps: Steps, settings: TrainingSettings, parts: NetParts, held_out: Steps | None
) -> dict[str, Any]:
    """Callbacks of ours that watch the evaluations, in the order in which they are called."""
    found: dict[str, Any] = {"our_loss_guard": LossGuard(settings.who)}
    if held_out is not None:
        if parts.measure is None:
            raise ValueError(
                f"{parts.name} got held-out steps but no measure of them. Give NetParts one, or "
                "leave held_out at None."
            )
        found["our_metric"] = HeldOutMetric(parts.measure)
    if settings.callback is not None:  # before the stopper, which ends the last evaluation
        found["our_callback"] = EvaluationCallback(settings.callback, steps)
    if held_out is not None and parts.measure is not None:
        found["our_stop"] = stopper(f"valid_{parts.measure.name}", settings.n_iter_no_change)
    return found


def _go_on_from(previous: NeuralNet, net: NeuralNet, parts: NetParts) -> None:
    """Copy the weights, and the state of the optimizer where it still fits."""
    before, now = previous.module_.state_dict(), net.module_.state_dict()
    if {k: v.shape for k, v in before.items()} != {k: v.shape for k, v in now.items()}:
        raise ValueError(
            f"warm_start=True asks to go on from weights of another shape: {parts.shaped_by} was "
            "changed since the fit before. Change it back, or set warm_start=False."
        )
    net.module_.load_state_dict(before)
    if type(previous.optimizer_) is type(net.optimizer_):
        # Only the moments are taken over, as a copy: rates and penalties are those of now, and
        # the fit before must not change if this one is interrupted.
        kept = copy.deepcopy(previous.optimizer_.state_dict()["state"])
        net.optimizer_.load_state_dict(net.optimizer_.state_dict() | {"state": kept})


def _run(net: NeuralNet, steps: Steps) -> None:
    net.notify("on_train_begin", X=steps, y=None)
    try:
        net.fit_loop(steps, y=None)
    except KeyboardInterrupt:
        # skorch's EarlyStopping raises it too; anything else is the user's Ctrl-C.
        if not stopped_early(net):
            raise
    net.notify("on_train_end", X=steps, y=None)


def _make_net(template: NeuralNet | None, settings: TrainingSettings, parts: NetParts) -> NeuralNet:
    ours: dict[str, Any] = {
        "module": parts.module,
        "criterion": parts.criterion,
        "optimizer": torch.optim.Adam,
        "optimizer__weight_decay": settings.weight_decay,
        "lr": settings.learning_rate,
        "batch_size": None,
        "iterator_train": _as_it_is,
        "iterator_valid": _as_it_is,
        "callbacks": settings.callbacks,
        "device": resolve_device(settings.device),
        "verbose": settings.verbose,
        **parts.options,
    }
    if template is None:
        return _PartwiseNet(**ours)
    if not isinstance(template, NeuralNet) or isinstance(template, _WITH_A_TASK_OF_THEIR_OWN):
        got = template.__name__ if isinstance(template, type) else type(template).__name__
        raise ValueError(
            f"net={got} cannot be a template: it must be an instance of skorch.NeuralNet, not of "
            "its classifiers or regressors, for example NeuralNet(None, None, "
            "optimizer=torch.optim.AdamW)."
        )
    if parts.merge is None:
        raise ValueError(f"{parts.name} takes no net template. Leave net at None.")
    return parts.merge(template, ours, settings.explicit)


class _PartwiseNet(NeuralNet):
    """Goes backward after every part of a step that the module wants run together.

    A module says so by a method `tasks_at_once(inputs, device)`, 0 for all. The activations of one
    part are freed before those of the next are needed.
    """

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Add up the gradients of the mean over all items."""
        rows, targets = batch
        asked = getattr(self.module_, "tasks_at_once", None)
        at_once = asked(rows, self.device) if asked else 0
        if not at_once:
            return dict(super().train_step_single(batch, **fit_params))
        self._set_training(True)
        losses, outputs = [], []
        for some, own in zip(rows.split(at_once), targets.split(at_once), strict=True):
            outputs.append(self.infer(some))
            loss = self.get_loss(outputs[-1], own, X=some, training=True)
            losses.append(loss * (len(some) / len(rows)))
            losses[-1].backward()
        return {"loss": torch.stack(losses).detach().sum(), "y_pred": torch.cat(outputs).detach()}


class _LoadedNet(_PartwiseNet):
    """Has an optimizer once somebody asks for it.

    Scoring does not, and the first optimizer of a process makes PyTorch import its compiler: a
    second, more than all the rest of loading.
    """

    def _initialize_optimizer(self, reason: str | None = None) -> _LoadedNet:
        return self

    def __getattr__(self, name: str) -> Any:
        """Make the optimizer; other attributes that are asked for here do not exist."""
        if name == "optimizer_" and self.__dict__.get("initialized_"):
            del self.__dict__["prefixes_"]  # with it skorch would take no note of the optimizer
            super()._initialize_optimizer()
            return self.__dict__[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def plain_net(
    module: nn.Module,
    criterion: type[nn.Module],
    settings: Mapping[str, Any],
    history: list[dict[str, float]],
    device: str,
) -> NeuralNet:
    """Make a fitted net around a trained network.

    Parameters
    ----------
    module : nn.Module
        Trained; it becomes the net's as it is.
    criterion : type
        Of the loss.
    settings : mapping
        Further ones, under skorch's names.
    history : list of dict
        Numbers of each epoch.
    device : str
        Where the network is.

    Returns
    -------
    NeuralNet
        Initialised, with a fresh optimizer as soon as it is asked for.
    """
    options = {k: v for k, v in settings.items() if k.startswith("module__")}
    net = _LoadedNet(
        module=module,
        criterion=criterion,
        optimizer=torch.optim.Adam,
        batch_size=None,
        iterator_train=_as_it_is,
        iterator_valid=_as_it_is,
        train_split=None,
        callbacks=[],
        device=device,
        verbose=0,
        **{k: v for k, v in settings.items() if k not in options},
    )
    # skorch learns this name from the optimizer, and refuses its options before.
    net.__dict__["prefixes_"] = [*net.prefixes_, "optimizer"]
    net.initialize()
    # Options beside an instance would make skorch build it anew, with other weights.
    net.__dict__.update(options, module=type(module))
    for row in history:
        net.history_.new_epoch()
        for name, value in row.items():
            net.history_.record(name, value)
    return net


def _as_it_is(dataset: Steps, **_: Any) -> Steps:
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
