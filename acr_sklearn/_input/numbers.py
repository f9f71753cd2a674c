"""Arrays of numbers that are no table: scores, maps and masks; and the rows of what is one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.validation import FOREIGN_ERRORS, plain_array

__all__ = ["count_rows", "read_numbers"]


def read_numbers(
    given: Any, n_axes: int | None, *, who: str, what: str, axes: str = ""
) -> NDArray[np.float64]:
    """Read an array of finite numbers.

    Parameters
    ----------
    given : array-like
        What the user passed.
    n_axes : int or None
        Of the array; None: any number of them.
    who, what : str
        For the messages.
    axes : str, default=""
        What the axes are, such as "(n_images, height, width)", for the message.

    Returns
    -------
    ndarray, float64
        Of as many axes as asked for, and not empty.

    Raises
    ------
    ValueError, TypeError
        For what holds no numbers, complex ones, text or times, has other axes, or is not finite.
    """
    values = plain_array(given, who=who, what=what)
    try:
        array: NDArray[Any] = np.asarray(values)
        if array.dtype.kind not in "biufO" or _holds_complex(array):
            raise TypeError(f"values of type {array.dtype}")
        # Numbers of more digits than a float has become infinite, and are refused as such.
        with np.errstate(over="ignore"):
            numbers = array.astype(np.float64)
    except FOREIGN_ERRORS as error:
        raise ValueError(
            f"{who} got {what} of type {type(given).__name__} that are no numbers: {error}. Pass "
            "an array of plain numbers."
        ) from error
    if n_axes not in (None, numbers.ndim) or numbers.size == 0:
        needs = "numbers" if n_axes is None else f"numbers along {n_axes} axes"
        needs += f": {axes}" if axes else ""
        raise ValueError(f"{who} got {what} of shape {numbers.shape}. It needs {needs}.")
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"{who} got {what} that are not finite. Leave NaN and infinite values out, with what "
            "belongs to them."
        )
    return numbers


def _holds_complex(array: NDArray[Any]) -> bool:
    # Of a complex number in an object array NumPy would keep the real part.
    return array.dtype.kind == "O" and any(
        isinstance(value, complex | np.complexfloating) for value in array.flat
    )


def count_rows(X: Any, *, who: str, what: str = "X") -> int:
    """Count the rows of a table, or the values of a vector.

    Parameters
    ----------
    X : array-like
        What the user passed.
    who, what : str
        For the message.

    Returns
    -------
    int
        Length of the first axis.

    Raises
    ------
    TypeError
        For what has none.
    """
    try:
        return int(X.shape[0]) if hasattr(X, "shape") else len(X)
    except FOREIGN_ERRORS as error:
        raise TypeError(
            f"{who} got {what} of type {type(X).__name__}, which has no rows to count. Pass an "
            "array, a DataFrame or a list."
        ) from error
