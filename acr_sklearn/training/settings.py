"""How a network is to be trained, and who is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["TrainingCallback", "TrainingSettings", "history_rows"]

#: Neither the clock nor a count may make the histories of two equal fits differ.
_CLOCKS_AND_COUNTS = ("epoch", "dur", "_best", "_batch_count")


class TrainingCallback(Protocol):
    """What is told of each evaluation of a training."""

    def begin(self) -> None:
        """Open an evaluation."""

    def end(self, trained: Any) -> bool:
        """Close it, with the training so far; True ends the training."""


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; `explicit` names the settings that the user changed from their defaults."""

    network: dict[str, Any]
    n_estimators: int
    learning_rate: float
    lr_schedule: str
    weight_decay: float
    n_iter_no_change: int
    device: str
    callbacks: Sequence[Any] | None
    verbose: int
    seed: int
    explicit: frozenset[str] = field(default_factory=frozenset)
    watch: TrainingCallback | None = None


def history_rows(
    history: Iterable[Mapping[str, Any]], steps_per_evaluation: int, n_steps: int
) -> list[dict[str, float]]:
    """Give the history of a training without what differs between two equal trainings.

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
