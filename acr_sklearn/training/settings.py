"""Settings and parts of a training, and the protocols of its callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

__all__ = [
    "HeldOutMeasure",
    "NetParts",
    "Steps",
    "TrainedNet",
    "TrainingCallback",
    "TrainingSettings",
    "history_rows",
]

#: Neither the clock nor a count may make the histories of two equal fits differ.
_CLOCKS_AND_COUNTS = ("epoch", "dur", "_best", "_batch_count")


class TrainingCallback(Protocol):
    """Protocol of callbacks that are told of each evaluation of a training."""

    def begin(self) -> None:
        """Open an evaluation."""

    def end(self, trained: Any) -> bool:
        """Close it, with the training so far; True ends the training."""


@dataclass
class TrainedNet:
    """Result of training: the net, a row per evaluation, steps run, number of the next step."""

    net: Any
    history: list[dict[str, float]]
    n_iter: int
    next_step: int


class Steps(Protocol):
    """Source of training steps, iterated once per evaluation: a sized torch `IterableDataset`.

    Attributes
    ----------
    n_steps : int
        Steps per pass, which is one evaluation.
    next_step : int
        Number of the step that comes next.
    limit : int or None
        Number of the step before which passes end.
    """

    n_steps: int
    next_step: int
    limit: int | None

    def __len__(self) -> int:
        """Count the steps of the coming pass."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (input, target) of each step of the pass, stacked as the module takes it."""


@dataclass(frozen=True)
class HeldOutMeasure:
    """Measure of a network on held-out steps; the higher, the better.

    Attributes
    ----------
    name : str
        Under which it stands in the history, behind `valid_`.
    measure : callable
        Takes the module, its output and the target of a step; returns a 1-D Tensor of values.
    """

    name: str
    measure: Callable[[nn.Module, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class NetParts:
    """Parts of one training stage: module, loss, steps.

    Attributes
    ----------
    module, criterion : type
        Of `torch.nn.Module`: the network, and the loss of its output and a step's target.
    options : dict
        Their arguments, under ``module__`` and ``criterion__``.
    measure : HeldOutMeasure or None
        Of held-out steps; needed to stop early.
    name : str
        Shown beside the progress bar.
    shaped_by : str
        Settings that decide the shapes of the weights, for a message.
    operations : callable or None
        Floating-point operations of a step of the module, which decide how many threads pay; None
        where they are not known.
    merge : callable or None
        Fills a user's template with our settings; None where no template is taken.
    """

    module: type[nn.Module]
    criterion: type[nn.Module]
    options: Mapping[str, Any] = field(default_factory=dict)
    measure: HeldOutMeasure | None = None
    name: str = "training"
    shaped_by: str = "a setting of the network"
    operations: Callable[[Any], float] | None = None
    merge: Callable[[Any, dict[str, Any], frozenset[str]], Any] | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings of a training; `explicit` names those changed from their defaults.

    `who` is the method that trains, for messages.
    """

    seed: int
    learning_rate: float = 1e-3
    lr_schedule: str = "constant"
    weight_decay: float = 0.0
    n_iter_no_change: int = 10
    device: str = "cpu"
    callbacks: Sequence[Any] | None = None
    verbose: int = 0
    who: str = "Training"
    explicit: frozenset[str] = field(default_factory=frozenset)
    callback: TrainingCallback | None = None


def history_rows(
    history: Iterable[Mapping[str, Any]], steps_per_evaluation: int, n_steps: int
) -> list[dict[str, float]]:
    """Reduce the history of a training to what two equal trainings have alike.

    Parameters
    ----------
    history : iterable of mapping
        A row per evaluation.
    steps_per_evaluation : int
        The last may have had fewer.
    n_steps : int
        How many were run in all.

    Returns
    -------
    list of dict
        With the number of each evaluation, and of the steps up to it.
    """
    rows = []
    for number, row in enumerate(history, start=1):
        kept = {k: float(v) for k, v in row.items() if isinstance(v, int | float)}
        kept = {k: v for k, v in kept.items() if not k.endswith(_CLOCKS_AND_COUNTS)}
        done = min(number * steps_per_evaluation, n_steps)
        rows.append({"evaluation": number, "n_steps": done, **kept})
    return rows
