"""Random choice of rows and domains by position."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_distinct", "hold_out_domains"]


def draw_distinct(sizes: NDArray[np.int64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw `n` distinct numbers below each size, for all sizes at once.

    Parameters
    ----------
    sizes : ndarray of shape (n_tasks,)
        Exclusive upper bounds, at least 1.
    n : int
        Numbers per task; where a size is smaller, numbers repeat.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of shape (n_tasks, n), int64
        Every subset of size `n` is equally likely.
    """
    drawn = (rng.random((len(sizes), n)) * sizes[:, None]).astype(np.int64)
    tight = (sizes >= n) & (sizes < 2 * n)
    if tight.any():
        # The smallest keys of a shuffled range: exact, and cheap because the range is short.
        keys = rng.random((int(tight.sum()), int(sizes[tight].max())))
        keys[np.arange(keys.shape[1]) >= sizes[tight][:, None]] = 2.0
        drawn[tight] = np.argsort(keys, axis=1)[:, :n]
    loose = np.flatnonzero(sizes >= 2 * n)
    while len(loose):
        # Repeated numbers are drawn again until none is left, which keeps subsets equally likely.
        rows = np.sort(drawn[loose], axis=1)
        repeats = np.zeros(rows.shape, bool)
        repeats[:, 1:] = rows[:, 1:] == rows[:, :-1]
        again, columns = np.nonzero(repeats)
        rows[again, columns] = (rng.random(len(again)) * sizes[loose[again]]).astype(np.int64)
        drawn[loose] = rows
        loose = loose[repeats.any(axis=1)]
    return drawn


def hold_out_domains(
    n_domains: int, fraction: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split the domains into training and held-out ones.

    Parameters
    ----------
    n_domains : int
        At least 4.
    fraction : float
        Fraction held out; at least one domain is, and at least two are left.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    training, held_out : ndarray of int
        Sorted positions.
    """
    n_held_out = min(max(1, round(fraction * n_domains)), n_domains - 2)
    order = rng.permutation(n_domains)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])
