"""What the settings of a protocol must be: said before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .presets import Preset

Rule = tuple[Callable[[Any], bool], str]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _several(value: Any, one: Callable[[Any], bool]) -> bool:
    """Whether it is a sequence that is not empty, names nothing twice, and holds only such."""
    sequence = isinstance(value, list | tuple) and len(value) > 0
    return sequence and all(map(one, value)) and len(set(value)) == len(value)


def _share(value: Any) -> bool:
    return _number(value) and 0 < value < 1


def _label(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


COUNT: Rule = (_count, "a whole number from 1")
COUNT_OR_NONE: Rule = (lambda v: v is None or _count(v), "a whole number from 1, or None for all")
POSITIVE: Rule = (lambda v: _number(v) and v > 0, "a number above 0")
NOT_NEGATIVE: Rule = (lambda v: _number(v) and v >= 0, "a number from 0")
RULES: dict[str, Rule] = {
    "shares": (
        lambda v: _several(v, _share),
        "different numbers between 0 and 1, such as (0.05, 0.2), or (0.05,) for one",
    ),
    "repeats": COUNT,
    "lr_step": COUNT,
    "lr_factor": POSITIVE,
    "train_rows_per_class": COUNT_OR_NONE,
    "channel_mean": (
        lambda v: isinstance(v, list | tuple) and len(v) == 3 and all(map(_number, v)),
        "three numbers",
    ),
    "channel_std": (
        lambda v: isinstance(v, list | tuple) and len(v) == 3 and all(map(POSITIVE[0], v)),
        "three numbers above 0",
    ),
    "noise": NOT_NEGATIVE,
    "noisy_copies": (lambda v: isinstance(v, bool), "True or False"),
    "sigma": NOT_NEGATIVE,
    "train_positions": COUNT_OR_NONE,
    "rotations": (
        lambda v: _several(
            v, lambda unseen: isinstance(unseen, tuple) and _several(unseen, _label)
        ),
        "the classes left out of each training, such as ((0, 1), (2, 3)), or ((0, 1),) for one",
    ),
    "most_domains": COUNT_OR_NONE,
    "most_rows": COUNT_OR_NONE,
}


def complaint(preset: Preset) -> str | None:
    """Say what is wrong with the settings of the protocol and the data, or nothing."""
    for name, value in (preset.data | preset.protocol).items():
        holds, wanted = RULES.get(name, (lambda _: True, ""))
        if not holds(value):
            return f"--set {name}={value!r}: give {wanted}"
    return None
