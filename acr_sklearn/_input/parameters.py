"""Numbers that scikit-learn's constraints let pass: truth values and counts beyond all memory."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

__all__ = ["LARGEST_COUNT", "check_numbers"]

#: More of anything that is counted fits into no memory.
LARGEST_COUNT = 2**31 - 1


def check_numbers(estimator: Any) -> None:
    """Refuse truth values where numbers belong, which Python takes for 0 and 1, and huge counts.

    Parameters
    ----------
    estimator : BaseEstimator
        With `_parameter_constraints`, which name the parameters that are truth values.

    Raises
    ------
    ValueError
        Naming class, parameter and value.
    """
    who = type(estimator).__name__
    for name, value in estimator.get_params(deep=False).items():
        truth = "boolean" in estimator._parameter_constraints[name] or name == "verbose"
        if isinstance(value, bool | np.bool_) and not truth:
            raise ValueError(f"{who} got {name}={value!r}. It needs a number, not a truth value.")
        if name != "random_state" and isinstance(value, Integral) and int(value) > LARGEST_COUNT:
            raise ValueError(f"{who} got {name}={value}. It can be at most {LARGEST_COUNT}.")
