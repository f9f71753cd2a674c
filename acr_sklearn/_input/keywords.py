"""Keywords of public methods: an unknown one is refused with the word that is meant."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Concatenate, ParamSpec, TypeVar

__all__ = ["known_keywords"]

Detector = TypeVar("Detector")
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def known_keywords(
    method: Callable[Concatenate[Detector, Parameters], Result],
) -> Callable[Concatenate[Detector, Parameters], Result]:
    """Make a method say that domains are passed as ``domains=``, where Python would only refuse.

    scikit-learn's splitters call the same thing `groups`, other packages `sample_domain`.

    Parameters
    ----------
    method : callable
        Of a detector, with a parameter `domains`.

    Returns
    -------
    callable
        With the same signature.
    """
    known = set(signature(method).parameters)

    @wraps(method)
    def checked(self: Detector, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        unknown = [name for name in kwargs if name not in known]
        if unknown:
            raise TypeError(
                f"{type(self).__name__}.{method.__name__} got an unexpected keyword argument "
                f"{unknown[0]!r}. It takes {', '.join(sorted(known - {'self'}))}; the label of "
                "each row's domain (its group, site or batch) is passed as domains=."
            )
        return method(self, *args, **kwargs)

    return checked
