"""Units for rows scored by themselves: standardized, heavy tails drawn in, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowUnits", "fit_row_units"]

#: Largest value, in units of training: a row so far out is no less of an outlier there.
_LARGEST = 50.0
#: Argument of the hyperbolic sine that users' units are made from: beyond it lie 8e4 deviations.
_LARGEST_ARGUMENT = 12.0


@dataclass(frozen=True)
class RowUnits:
    """Fixed map u = (asinh((x - location) / scale) - center) / spread of each feature.

    Attributes
    ----------
    location, scale : ndarray of shape (n_features,), float64
        Mean and standard deviation of the training rows; `scale` is positive.
    center, spread : ndarray of shape (n_features,), float64
        The same of the inverse hyperbolic sine, which is linear within a deviation and
        logarithmic beyond it.
    """

    location: NDArray[np.float64]
    scale: NDArray[np.float64]
    center: NDArray[np.float64]
    spread: NDArray[np.float64]

    def standardized(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Bring rows from the users' units to those of training.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            In the users' units.

        Returns
        -------
        ndarray of shape (n_samples, n_features), float64
            At most 50 in magnitude.
        """
        away = np.subtract(rows, self.location, dtype=np.float64)
        with np.errstate(over="ignore"):
            np.divide(away, self.scale, out=away)
        np.clip(away, -1e300, 1e300, out=away)
        np.arcsinh(away, out=away)
        away -= self.center
        away /= self.spread
        return np.clip(away, -_LARGEST, _LARGEST, out=away)

    def users(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Bring rows from the units of training back to the users'.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            In the units of training.

        Returns
        -------
        ndarray of shape (n_samples, n_features), float64
            Finite.
        """
        argument = np.asarray(rows, dtype=np.float64) * self.spread + self.center
        size = np.sinh(np.clip(argument, -_LARGEST_ARGUMENT, _LARGEST_ARGUMENT))
        largest = np.finfo(np.float64).max / 4
        with np.errstate(over="ignore"):
            away = np.clip(size * self.scale, -largest, largest)
        return self.location + away


def fit_row_units(rows: NDArray[Any]) -> RowUnits:
    """Measure the units of features.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        Normal rows.

    Returns
    -------
    RowUnits
        A constant feature gets the median scale of the others, or, where all are constant, its
        own magnitude or one: another value there is then a deviation like any other.
    """
    location = rows.mean(axis=0, dtype=np.float64)
    away = rows - location
    peak = np.abs(away).max(axis=0).astype(np.float64)
    peak = np.where(peak > 0, peak, 1.0)  # squares of what is left do not overflow
    scale = np.sqrt(np.square(away / peak).mean(axis=0)) * peak
    magnitude = np.abs(rows).max(axis=0).astype(np.float64)
    # What a constant feature leaves is rounding: it is no unit to measure anything by.
    varies = scale > 1e-9 * magnitude
    location = np.where(varies, location, rows[0])
    usual = np.median(scale[varies]) if varies.any() else 0.0
    spare = np.maximum(usual, 1e-9 * magnitude)
    scale = np.where(varies, scale, np.where(spare > 0, spare, 1.0))
    drawn = np.arcsinh(np.where(varies, away, 0.0) / scale)
    spread = drawn.std(axis=0)
    return RowUnits(location, scale, drawn.mean(axis=0), np.where(spread > 1e-9, spread, 1.0))
