"""Spreads of the columns of a data set, and which few of them make a batch unfamiliar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "OddColumn",
    "log_spreads",
    "odd_columns",
    "odd_columns_in_words",
    "spread_ratios",
    "variances_of",
]

#: Columns that are named at most: more are no longer a few of them.
_MOST = 3
#: How many times as far off, in the logarithm of the spread, the last one named must be as the
#: first one that is not. In permuted batches of made domains hardly any column is then named.
_APART = 2.0
#: How many times as wide, or as narrow, a column must be.
_LEAST = 2.0
#: Added to variances relative to their mean, or to the typical one, so that a column that hardly
#: varies does not decide.
_FLOOR = 0.1
#: Ratios from here on are not told apart.
_MANY = 1e6
#: Spread relative to the typical one below which a column is as good as constant: the spreads of
#: training domains are kept in single precision.
_CONSTANT = 1e-3


def log_spreads(
    by_feature: NDArray[Any], by_axis: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Turn variances into what data sets are compared by.

    Parameters
    ----------
    by_feature : ndarray of shape (n_chosen,)
        Variance of each feature.
    by_axis : ndarray of shape (n_axes,)
        Variance along each axis.

    Returns
    -------
    tuple of ndarray of the shapes of the arguments
        Log spreads relative to the overall spread; features that hardly vary are all alike.
    """
    typical = max(by_feature.mean(), np.finfo(np.float32).tiny)
    logs = [0.5 * np.log(part / typical + _FLOOR) for part in (by_feature, by_axis)]
    overall = logs[0].mean()
    return logs[0] - overall, logs[1] - overall


def variances_of(profile: NDArray[Any]) -> NDArray[np.float64]:
    """Turn log spreads of the features back into variances.

    Parameters
    ----------
    profile : ndarray of shape (n_chosen,)
        From `log_spreads`.

    Returns
    -------
    ndarray of shape (n_chosen,)
        Relative to their mean.
    """
    # The profile is 0.5 log(v / mean v + floor) less a constant, and the v / mean v sum to n.
    floored = np.exp(2 * np.asarray(profile, dtype=np.float64))
    return np.asarray(np.maximum(floored * (1 + _FLOOR) / floored.mean() - _FLOOR, 0))


class OddColumn(NamedTuple):
    """A column and how wide it is, relative to the others, beside a training domain.

    Attributes
    ----------
    position : int
        Among the columns looked at.
    ratio : float
        Spread as a multiple of that in the training domain; 0 where it is as good as constant in
        the batch, infinite where it is so in the training domain.
    """

    position: int
    ratio: float


def odd_columns(
    batch: NDArray[Any], known: NDArray[Any], is_familiar: Callable[[NDArray[np.float64]], bool]
) -> list[OddColumn]:
    """Find the fewest columns that stand out and without which the batch would be familiar.

    Parameters
    ----------
    batch : ndarray of shape (n_columns,)
        Variances of the batch, in any one unit.
    known : ndarray of shape (n_columns,)
        Those of the nearest training domain, in a unit of their own.
    is_familiar : callable
        From variances of a batch to whether such a batch would be familiar.

    Returns
    -------
    list of OddColumn
        The one furthest off first; at most three and fewer than half of the columns, as the others
        say what is usual. Empty where none stands out.
    """
    own, usual = _relative(batch), _relative(known)
    logs = 0.5 * np.log((own + _FLOOR) / (usual + _FLOOR))
    off = np.abs(logs - np.median(logs))
    order = np.argsort(-off, kind="stable")
    ratios = spread_ratios(batch, known)
    changed = (ratios >= _LEAST) | (ratios <= 1 / _LEAST)
    mended = own.copy()
    for n_named in range(1, min(_MOST, (len(own) - 1) // 2) + 1):
        last, following = order[n_named - 1], order[n_named]
        if not changed[last]:
            break
        mended[last] = usual[last]
        if off[last] >= _APART * off[following] and is_familiar(mended):
            return [OddColumn(int(i), float(ratios[i])) for i in order[:n_named]]
    return []


def spread_ratios(batch: NDArray[Any], known: NDArray[Any]) -> NDArray[np.float64]:
    """Compare spreads, each relative to the others of its data set.

    Parameters
    ----------
    batch, known : ndarray of shape (n_columns,)
        Variances, as for `odd_columns`.

    Returns
    -------
    ndarray of shape (n_columns,)
        Ratios, 1 for the median column; 0 and infinity as in `OddColumn`.
    """
    own, usual = _relative(batch), _relative(known)
    constant, was_constant = (part < _CONSTANT**2 for part in (own, usual))
    ratios = np.sqrt(np.where(constant, 0, own) / np.where(was_constant, 1, usual))
    vary = ~constant & ~was_constant
    ratios /= np.median(ratios[vary]) if vary.any() else 1.0
    return np.where(was_constant, np.where(constant, 1.0, np.inf), ratios)


def odd_columns_in_words(columns: Sequence[OddColumn], names: Sequence[Any]) -> str:
    """List columns for a message.

    Parameters
    ----------
    columns : sequence of OddColumn
        At least one.
    names : sequence
        Of all columns: strings, or positions where they have no names.

    Returns
    -------
    str
        The first one with the unit of its ratio.
    """
    parts = []
    for i, column in enumerate(columns):
        name = names[column.position]
        shown = repr(str(name)) if isinstance(name, str) else f"column {name}"
        parts.append(f"{shown} ({_in_words(column.ratio, first=i == 0)})")
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _in_words(ratio: float, *, first: bool) -> str:
    there = "in the nearest training domain" if first else "there"
    if ratio == 0:
        return f"constant, or less than a thousandth as wide as {there}"
    if ratio == np.inf:
        return f"constant {there}"
    if ratio >= _MANY:
        return f"over a million times as wide as {there}" if first else "over a million times"
    number = f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2g}"
    return f"{number} times as wide as {there}" if first else f"{number} times"


def _relative(variances: NDArray[Any]) -> NDArray[np.float64]:
    """Variances over the typical one: the median of those that are not zero."""
    positive = variances[variances > 0]
    typical = np.median(positive) if len(positive) else 1.0
    return np.asarray(variances, dtype=np.float64) / typical
