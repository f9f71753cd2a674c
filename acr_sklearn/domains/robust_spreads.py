"""How the rows of a data set vary around their mean, whatever a third of them do.

Rows are anomalous as a whole, so it is rows that are left out, by all features together: from the
half of the rows that lie closest together outwards, up to a distance that the training rows keep.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.domains.feature_scale import FeatureScale

__all__ = ["LARGEST_SAMPLE", "RobustSpreads", "fit_robust_spreads", "spaced"]

#: Rows of a data set that are looked at, and rows that the axes are measured on.
LARGEST_SAMPLE, _AXIS_ROWS = 512, 2048
#: Directions in which training rows vary most, and least variance that one is divided by.
_AXES, _LEAST_VARIANCE = 16, 0.01
#: Spread, as a multiple of the usual one, below which a feature is not levelled: one that is
#: constant in training has none.
_LEAST_LEVEL = 0.1
#: Multiple of the usual spread at which values are cut off, so that single precision holds their
#: squares; no row so far off is kept.
_LARGEST = 1e6
#: Steps towards the half of the rows that lie closest together, and on to all that belong to it.
_STEPS = 2
#: Share of the training rows that belong.
_BELONG = 0.95
#: One over the share of equal rows that are left out, and up to which relative difference in length
#: rows are equal: rounding only.
_TIED, _SAME = 4, np.float32(1e-6)
#: Added to variances relative to their mean, so that a feature that hardly varies does not decide.
_FLOOR = 0.1


def spaced(items: NDArray[Any], most: int = LARGEST_SAMPLE) -> NDArray[Any]:
    """Evenly spaced items.

    Parameters
    ----------
    items : ndarray of shape (n_items, ...)
        In an order.
    most : int, default=512
        How many are wanted.

    Returns
    -------
    ndarray of shape (min(n_items, most), ...)
        All of them when there are no more.
    """
    if len(items) <= most:
        return items
    return items[np.linspace(0, len(items) - 1, most).round().astype(np.int64)]


class _Rows(NamedTuple):
    """Standardized rows of a data set, one per column, and their places along the axes."""

    values: NDArray[np.float32]
    along: NDArray[np.float32]


@dataclass(frozen=True)
class RobustSpreads:
    """Log spreads per feature and along common axes, of the rows that belong together.

    Attributes
    ----------
    features : ndarray of shape (n_chosen,), int
        Positions of the chosen features.
    scale : FeatureScale
        Standardization of the chosen features.
    divisor : ndarray of shape (n_chosen,)
        Spreads of the training rows; at least a tenth of the usual one where `scale` is the unit.
    axes : ndarray of shape (n_axes, n_chosen), float32
        Directions in which centred training rows vary most.
    deviations : ndarray of shape (n_axes,), float32
        Their spreads along these.
    belong : float
        Squared distance up to which rows belong, over the median squared distance.
    """

    features: NDArray[np.int64]
    scale: FeatureScale
    divisor: NDArray[np.float64]
    axes: NDArray[np.float32]
    deviations: NDArray[np.float32]
    belong: float

    def views(self, rows: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Measure a data set.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            In the users' units, any float type.

        Returns
        -------
        tuple of ndarray of shape (n_chosen,) and (n_axes,), float32
            Log spreads per feature and per axis, relative to the overall spread.
        """
        sample = self._standardized(rows)
        weights = self._kept(sample)
        by_feature, by_axis = (_variances(part, weights) for part in sample)
        typical = max(by_feature.mean(), np.finfo(np.float32).tiny)
        logs = [0.5 * np.log(part / typical + _FLOOR) for part in (by_feature, by_axis)]
        overall = logs[0].mean()
        return logs[0] - overall, logs[1] - overall

    def center(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Median row in units of `scale`: a few gross anomalies do not move it.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            In the users' units.

        Returns
        -------
        ndarray of shape (n_chosen,)
            Not centred.
        """
        columns = self._columns(rows)
        with np.errstate(over="ignore"):
            return _middle(np.sort(columns, axis=1)).astype(np.float64) / self.scale.scale

    def _columns(self, rows: NDArray[Any]) -> NDArray[Any]:
        sample = spaced(rows)
        if len(self.features) < rows.shape[1]:
            sample = sample[:, self.features]
        # Columns that lie together sort several times as fast.
        return np.ascontiguousarray(sample.T)

    def _standardized(self, rows: NDArray[Any]) -> _Rows:
        columns = self._columns(rows)
        ordered = np.sort(columns, axis=1)
        with np.errstate(over="ignore"):
            # The median comes out in the users' units, before an offset of 1e9 costs precision.
            columns -= _middle(ordered)[:, None]
            # The overall spread comes out too, so that squares neither overflow nor vanish.
            divisor = self.divisor * _usual_span(ordered, self.divisor)
            columns /= np.maximum(divisor, np.finfo(columns.dtype).tiny).astype(columns.dtype)[
                :, None
            ]
        np.clip(columns, -_LARGEST, _LARGEST, out=columns)
        values = columns.astype(np.float32, copy=False)
        return _Rows(values, self.axes @ values)

    def _placed(self, rows: _Rows) -> NDArray[np.float32]:
        """Coordinates, one row per column, in which both views count alike in a distance."""
        n_features, n_axes = len(rows.values), len(rows.along)
        along = rows.along / (self.deviations * np.float32(max(n_axes, 1) ** 0.5))[:, None]
        return np.concatenate([rows.values / np.float32(n_features**0.5), along])

    def _kept(self, rows: _Rows) -> NDArray[np.float32]:
        """Weights of the rows that belong together, which sum to 1, and 0 for the others."""
        placed = self._placed(rows)
        lengths = np.einsum("ij,ij->j", placed, placed)
        kept = ~_tied(lengths)
        if not kept.any():
            return _weights(~kept)
        lengths[~kept] = np.inf
        squares, middle = lengths, (np.count_nonzero(kept) - 1) // 2
        for step in range(2 * _STEPS):
            nearest = np.partition(squares, middle)[middle]
            kept = squares <= (nearest if step < _STEPS else self.belong * nearest)
            center = placed @ _weights(kept)
            # |x - c|^2 = |x|^2 - 2 x.c + |c|^2 may round to just below 0.
            squares = np.maximum(lengths - 2 * (center @ placed) + center @ center, 0)
        return _weights(kept)


def fit_robust_spreads(parts: list[NDArray[Any]], scale: FeatureScale) -> RobustSpreads:
    """Measure what the spreads of data sets are relative to.

    Parameters
    ----------
    parts : list of ndarray of shape (n_rows, n_chosen)
        Training rows of each domain, the chosen features alone.
    scale : FeatureScale
        Standardization of these features.

    Returns
    -------
    RobustSpreads
        Of rows that have the chosen features alone.
    """
    n = len(scale.scale)
    unit = np.maximum(scale.relative, np.finfo(np.float64).tiny)
    plain = RobustSpreads(
        np.arange(n),
        scale,
        unit,
        np.empty((0, n), np.float32),
        np.empty(0, np.float32),
        1.0,
    )
    plain = replace(plain, belong=_belong(plain, parts))
    spread = np.sqrt(np.square(_inner(plain, parts), dtype=np.float64).mean(axis=0))
    usual = np.median(spread[spread > 0]) if (spread > 0).any() else 1.0
    level = np.maximum(spread / usual, _LEAST_LEVEL)
    levelled = replace(plain, divisor=unit * level)
    inner = _inner(levelled, parts)
    axes, deviations = _common_axes(spaced(inner, _AXIS_ROWS))
    both = replace(levelled, axes=axes, deviations=deviations)
    return replace(both, belong=_belong(both, parts))


def _belong(spreads: RobustSpreads, parts: list[NDArray[Any]]) -> float:
    ratios = []
    for part in parts:
        squares = np.square(spreads._placed(spreads._standardized(part))).sum(axis=0)
        middle = np.median(squares)
        if middle > 0:
            ratios.append(squares / middle)
    return float(np.quantile(np.concatenate(ratios), _BELONG)) if ratios else 1.0


def _inner(spreads: RobustSpreads, parts: list[NDArray[Any]]) -> NDArray[np.float32]:
    """Rows of all domains that belong, each domain centred and of unit overall spread."""
    inner = []
    for part in parts:
        rows = spreads._standardized(part)
        weights = spreads._kept(rows)
        centred = (rows.values - (rows.values @ weights)[:, None])[:, weights > 0]
        power = float(np.sqrt(np.square(centred, dtype=np.float64).mean()))
        inner.append(centred.T / np.float32(power if power > 0 else 1.0))
    return np.concatenate(inner)


def _common_axes(few: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Leading principal axes of rows, shape (n_axes, n_features), and the spreads along them."""
    values, axes = np.linalg.eigh(few.T @ few / np.float32(len(few)))
    least = np.float32(_LEAST_VARIANCE) * values.mean()
    if len(few) < few.shape[1] or not least > 0:
        # Axes of fewer rows than features follow these rows, and would find them strange or not
        # by whether they were among them. Rows that are all equal have none.
        return np.empty((0, few.shape[1]), np.float32), np.empty(0, np.float32)
    deviations = np.sqrt(np.maximum(values, least))
    return np.ascontiguousarray(axes.T[::-1][:_AXES]), deviations[::-1][:_AXES].copy()


def _middle(ordered: NDArray[Any]) -> NDArray[Any]:
    """Median of each sorted row; halved first, as the sum of two largest numbers is none."""
    n = ordered.shape[1]
    return ordered[:, (n - 1) // 2] / 2 + ordered[:, n // 2] / 2


def _usual_span(ordered: NDArray[Any], divisor: NDArray[np.float64]) -> float:
    """Median over the columns that vary of the span of their middle half, or of all their rows."""
    n = ordered.shape[1]
    for outside in (n // 4, 0):
        spans = (ordered[:, n - 1 - outside] - ordered[:, outside]) / divisor
        spans = spans[(spans > 0) & (spans < np.inf)]
        if len(spans):
            return float(np.partition(spans, len(spans) // 2)[len(spans) // 2])
    return 1.0


def _tied(lengths: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which rows are as long as a quarter of all: an idle machine's; how the others vary counts."""
    many = max(len(lengths) // _TIED, 2)
    ordered = np.sort(lengths)
    tied = ordered[many:] - ordered[:-many] <= _SAME * ordered[many:]
    if not tied.any():
        return np.zeros(len(lengths), bool)
    value = ordered[many:][tied][0]
    return np.abs(lengths - value) <= 2 * _SAME * value


def _weights(kept: NDArray[np.bool_]) -> NDArray[np.float32]:
    return kept.astype(np.float32) / np.float32(np.count_nonzero(kept))


def _variances(values: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = values - (values @ weights)[:, None]
    return np.asarray(np.square(centred, out=centred) @ weights)
