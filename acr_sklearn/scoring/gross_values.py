"""Values so far from the rest of their batch that they say no more than that they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["clip_gross", "gross_bounds", "within"]

#: Part of the rows, the nearest to the median of a feature, whose farthest is its reach there.
_WITHIN = 0.9
#: Reaches from the median beyond which a value is gross: 164 standard deviations of normal values.
_MOST_REACHES = 100.0
#: Rows below which two of three may lie next to each other by chance.
_LEAST_ROWS = 16
#: Rows up to which every feature is looked at, and mean deviations from the mean beyond which one
#: of a larger batch is: 5 are usual of 2,000 normal values, and beyond 8 lies any gross value that
#: less than one row in 16 has.
_FEW_ROWS, _CONSPICUOUS = 256, 8.0


def gross_bounds(batches: NDArray[Any]) -> NDArray[np.float64] | None:
    """Find the bounds beyond which values of batches are gross.

    One row of 1e6 among a hundred of 1 makes a hundredth of its size of every mean, and all of
    every standard deviation: nothing would be left of the differences between the others. Brought
    to these bounds it is still beyond all others.

    Parameters
    ----------
    batches : ndarray of shape (n_batches, n_rows, n_features)
        Rows in the users' units, finite.

    Returns
    -------
    ndarray of shape (2, n_batches, n_features) or None
        Lower and upper bounds, infinite for features without gross values; None where there are
        none, as in any ordinary batch. Of a feature in which more than a tenth of the rows lie
        elsewhere, or nine tenths are equal, no value is gross, and none in fewer than 16 rows.
    """
    n_rows = batches.shape[1]
    if n_rows < _LEAST_ROWS:
        return None
    with np.errstate(over="ignore"):
        looked_at = np.ones(batches[:, 0].shape, dtype=bool)
        if n_rows > _FEW_ROWS:
            looked_at = _conspicuous(batches)
        batch, feature = np.nonzero(looked_at)
        if not len(batch):
            return None
        values = batches[batch, :, feature].astype(np.float64)
        center = np.median(values, axis=1)
        away = np.abs(values - center[:, None])
        nearest = int(_WITHIN * (n_rows - 1))
        reach = _MOST_REACHES * np.partition(away, nearest, axis=1)[:, nearest]
        gross = (away.max(axis=1) > reach) & (reach > 0)
    if not gross.any():
        return None
    bounds = np.full((2, *batches[:, 0].shape), np.inf)
    bounds[0] = -np.inf
    bounds[:, batch[gross], feature[gross]] = center[gross] - reach[gross], (center + reach)[gross]
    return bounds


def clip_gross(batches: NDArray[Any]) -> NDArray[Any]:
    """Bring gross values of batches to their bounds, see `gross_bounds`.

    Parameters
    ----------
    batches : ndarray of shape (n_batches, n_rows, n_features)
        Rows in the users' units, finite.

    Returns
    -------
    ndarray of the shape of `batches`
        The array itself where there is no gross value, else a copy.
    """
    bounds = gross_bounds(batches)
    return batches if bounds is None else within(batches, bounds[:, :, None])


def within(rows: NDArray[Any], bounds: NDArray[np.float64]) -> NDArray[Any]:
    """Bring values to bounds.

    Parameters
    ----------
    rows : ndarray of shape (..., n_features)
        In the users' units.
    bounds : ndarray of shape (2, ..., n_features)
        Lower and upper ones.

    Returns
    -------
    ndarray of the shape and type of `rows`
        A copy.
    """
    with np.errstate(over="ignore"):  # what single precision cannot hold bounds nothing there
        low, high = bounds.astype(rows.dtype)
    return np.clip(rows, low, high)


def _conspicuous(batches: NDArray[Any]) -> NDArray[np.bool_]:
    """Features of each batch with a value far out, by a measure that no value can overflow."""
    away = np.abs(batches - batches.mean(axis=1, keepdims=True, dtype=np.float64))
    found: NDArray[np.bool_] = away.max(axis=1) > _CONSPICUOUS * away.mean(axis=1)
    return found
