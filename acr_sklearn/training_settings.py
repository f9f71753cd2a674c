"""How a network is to be trained, and who is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["TrainingSettings", "TrainingWatch"]


class TrainingWatch(Protocol):
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
    watch: TrainingWatch | None = None
