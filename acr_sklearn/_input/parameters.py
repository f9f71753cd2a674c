"""Numbers and counts among parameters, told from what Python or scikit-learn takes for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval

__all__ = [
    "LARGEST_COUNT",
    "RealInterval",
    "are_counts",
    "check_numbers",
    "is_real",
    "plain_number",
    "plain_numbers",
    "read_count",
    "read_size",
]

Estimator = TypeVar("Estimator", bound=BaseEstimator)

#: More of anything that is counted fits into no memory.
LARGEST_COUNT = 2**31 - 1
#: Longest side of a picture or map: more is a mistake, and no memory would hold it.
_MOST_PIXELS = 2**16


class RealInterval(Interval):
    """Interval of scikit-learn's that holds Python's and NumPy's numbers, and refuses all others.

    A Fraction is a real number to Python, but NumPy's functions fail on it, those of scikit-learn's
    own interval among them.

    Parameters
    ----------
    left, right : float, int or None
        Bounds.
    closed : {"left", "right", "both", "neither"}
        Which bounds belong to it.
    """

    def __init__(self, left: float | None, right: float | None, *, closed: str) -> None:
        super().__init__(Real, left, right, closed=closed)

    def is_satisfied_by(self, val: Any) -> bool:
        """Say whether a value is a number in the interval, and as a Python float still is."""
        return is_real(val, truth=True) and float(val) in self


def is_real(value: Any, *, truth: bool = False) -> bool:
    """Tell whether a value is a number that a Python float can hold.

    Parameters
    ----------
    value : object
        What the user gave.
    truth : bool, default=False
        Whether True and False are numbers, as they are to Python.

    Returns
    -------
    bool
        Fractions, Decimals, strings and arrays are none.
    """
    if not isinstance(value, float | int | np.floating | np.integer):
        return False
    if isinstance(value, bool) and not truth:
        return False
    try:
        return bool(np.isfinite(float(value)))
    except OverflowError:  # an int of many digits
        return False


def read_count(value: Any, *, who: str, name: str) -> int:
    """Read a whole number of things.

    Parameters
    ----------
    value : object
        What the user gave.
    who, name : str
        Class and parameter, for the message.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ValueError
        For all else.
    """
    if not are_counts([value]):
        raise ValueError(
            f"{who} got {name}={value!r}. It needs a whole number from 1 to {LARGEST_COUNT}."
        )
    return int(value)


def read_size(given: Any, *, who: str, name: str) -> tuple[int, int] | None:
    """Read the height and width of pictures or maps.

    Parameters
    ----------
    given : object
        What the user gave: two whole numbers, one for a square, or None.
    who, name : str
        Class and parameter, for the message.

    Returns
    -------
    (int, int) or None
        Height and width.

    Raises
    ------
    ValueError
        For all else.
    """
    if given is None:
        return None
    size = [given, given] if isinstance(given, int | np.integer) else given
    if not are_counts(size) or len(size) != 2 or max(size) > _MOST_PIXELS:
        raise ValueError(
            f"{who} got {name}={given!r}. It needs the height and width in pixels, two whole "
            f"numbers from 1 to {_MOST_PIXELS} such as (256, 256), or one such number for a square."
        )
    return int(size[0]), int(size[1])


def are_counts(given: Any) -> bool:
    """Tell whether a parameter is a sequence of positive whole numbers, and not empty.

    Parameters
    ----------
    given : object
        What the user gave.

    Returns
    -------
    bool
        Strings are none, arrays may be.
    """
    # A set has no order, and bool is an int to Python only.
    # A 0-d array claims to be iterable.
    unordered = isinstance(given, str | bytes | set | frozenset | Mapping)
    if unordered or not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0:
        return False
    items = list(given)
    if any(isinstance(n, bool) or not isinstance(n, int | np.integer) for n in items):
        return False
    return bool(items) and all(1 <= n <= LARGEST_COUNT for n in items)


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


def plain_numbers(estimator: Estimator) -> Estimator:
    """Give an estimator of the same parameters, those of NumPy's types as Python's numbers.

    Eight bits of NumPy's, multiplied, overflow or wrap around: ``np.uint8(20) * np.uint8(20)`` is
    144.

    Parameters
    ----------
    estimator : BaseEstimator
        With valid parameters; left as it is.

    Returns
    -------
    BaseEstimator
        Of the same class, not fitted; the other parameters are the same objects.
    """
    params = estimator.get_params(deep=False)
    return type(estimator)(**{name: plain_number(value) for name, value in params.items()})


def plain_number(value: Any) -> Any:
    """Turn a number of NumPy's into Python's, and leave all else.

    Parameters
    ----------
    value : object
        A parameter.

    Returns
    -------
    object
        An equal one.
    """
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    return float(value) if isinstance(value, np.floating) else value
