"""Arguments that list names or whole numbers; one name is not taken for a list of its letters."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

__all__ = ["listed_names", "listed_numbers"]


def listed_names(values: Any, *, who: str, name: str, example: str) -> list[str]:
    """Return an argument that lists names.

    Parameters
    ----------
    values : object
        What the user gave.
    who, name : str
        The function and its argument, for the message.
    example : str
        A name that it could hold, for the message.

    Returns
    -------
    list of str
        The names in their order.

    Raises
    ------
    TypeError
        If it is one string, no list, or holds something else.
    """
    items = _items(values)
    if items is None or not all(isinstance(item, str) for item in items):
        given = values if isinstance(values, str) else example
        raise TypeError(
            f"{who} got {name}={values!r}. Give a list of strings, such as {name}=[{given!r}]."
        )
    return items


def listed_numbers(values: Any, *, who: str, name: str, example: int) -> list[int]:
    """Return an argument that lists whole numbers, as `listed_names` does it for names."""
    items = _items(values)
    if items is None or not all(isinstance(item, Integral) for item in items):
        given = int(values) if isinstance(values, Integral) else example
        raise TypeError(
            f"{who} got {name}={values!r}. Give a list of whole numbers, such as {name}=[{given}]."
        )
    return [int(item) for item in items]


def _items(values: Any) -> list[Any] | None:
    # A 0-d array claims to be iterable.
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        return None
    if getattr(values, "ndim", 1) == 0:
        return None
    return list(values)
