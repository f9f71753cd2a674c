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
from acr_sklearn.domains.odd_columns import log_spreads

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
#: A tight cluster: one over the share of rows that lie closer to one of its rows than rows usually
#: lie to so many others; the rows among which that one is looked for, and the fewest rows that can
#: tell; the share of training sets that look tighter by chance; and the multiple of that distance
#: up to which rows are of the cluster.
_CLUSTERED, _LOOKED_AT, _FEWEST, _BY_CHANCE, _OF_CLUSTER = 6, 32, 12, 0.05, 2.0
#: Multiple of what training sets show, in squared distance, below which a cluster is certain: of 30
#: rows at .8 and above a cluster as wide as the normal rows had normal ones taken for it.
_CERTAIN = 0.55
#: Rows of the small sets in which training rows are seen as well, and such sets of a domain.
_SMALL_ROWS, _SMALL_SETS = 24, 6


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
    tight : float
        Squared distance to a sixth of the rows, over the median row's, below which a row is in a
        tight cluster.
    """

    features: NDArray[np.int64]
    scale: FeatureScale
    divisor: NDArray[np.float64]
    axes: NDArray[np.float32]
    deviations: NDArray[np.float32]
    belong: float
    tight: float

    def profiles(self, rows: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
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
        return log_spreads(*self.variances(rows))

    def variances(self, rows: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Measure a data set as it is.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            In the users' units, any float type.

        Returns
        -------
        tuple of ndarray of shape (n_chosen,) and (n_axes,), float32
            Variances per feature and per axis, in units of the ruler and of the rows' usual span.
        """
        sample = self._standardized(rows)
        weights = self._kept(sample)
        by_feature, by_axis = (_variances(part, weights) for part in sample)
        return by_feature, by_axis

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
        columns = self._columns(rows, LARGEST_SAMPLE)
        with np.errstate(over="ignore"):
            return _middle(np.sort(columns, axis=1)).astype(np.float64) / self.scale.scale

    def off_center(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Measure how far each row is from the centre of the rows that belong together.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            In the users' units; all of them are looked at.

        Returns
        -------
        ndarray of shape (n_rows,)
            Squared distances.
        """
        sample = self._standardized(rows, len(rows))
        placed = self._placed(sample)
        off = placed - (placed @ self._kept(sample))[:, None]
        return np.square(off, dtype=np.float64).sum(axis=0)

    def _columns(self, rows: NDArray[Any], most: int) -> NDArray[Any]:
        sample = spaced(rows, most)
        if len(self.features) < rows.shape[1]:
            sample = sample[:, self.features]
        # Columns that lie together sort several times as fast.
        return np.ascontiguousarray(sample.T)

    def _standardized(self, rows: NDArray[Any], most: int = LARGEST_SAMPLE) -> _Rows:
        columns = self._columns(rows, most)
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
        """Coordinates, one row per column, in which both profiles count alike in a distance."""
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
        kept[kept] = ~self._clustered(placed[:, kept])
        lengths[~kept] = np.inf
        squares, middle = lengths, (np.count_nonzero(kept) - 1) // 2
        for step in range(2 * _STEPS):
            nearest = np.partition(squares, middle)[middle]
            kept = squares <= (nearest if step < _STEPS else self.belong * nearest)
            center = placed @ _weights(kept)
            # |x - c|^2 = |x|^2 - 2 x.c + |c|^2 may round to just below 0.
            squares = np.maximum(lengths - 2 * (center @ placed) + center @ center, 0)
        return _weights(kept)

    def _clustered(self, placed: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which rows lie far closer together than others: they would pass for the middle half."""
        ball = _tightest_ball(placed)
        if ball is None or not ball.near < self.tight * ball.usual:
            return np.zeros(placed.shape[1], bool)
        inside: NDArray[np.bool_] = ball.squares <= np.float32(_OF_CLUSTER**2) * ball.near
        # Of a majority there is no telling which part is the cluster.
        return inside & (2 * np.count_nonzero(inside) <= len(inside))


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
        0.0,
    )
    plain = replace(plain, belong=_belong(plain, parts))
    spread = np.sqrt(np.square(_inner(plain, parts), dtype=np.float64).mean(axis=0))
    usual = np.median(spread[spread > 0]) if (spread > 0).any() else 1.0
    level = np.maximum(spread / usual, _LEAST_LEVEL)
    levelled = replace(plain, divisor=unit * level)
    inner = _inner(levelled, parts)
    axes, deviations = _common_axes(spaced(inner, _AXIS_ROWS))
    both = replace(levelled, axes=axes, deviations=deviations)
    return replace(both, belong=_belong(both, parts), tight=_usual_tightness(both, parts))


def _belong(spreads: RobustSpreads, parts: list[NDArray[Any]]) -> float:
    ratios = []
    for part in parts:
        squares = np.square(spreads._placed(spreads._standardized(part))).sum(axis=0)
        middle = np.median(squares)
        if middle > 0:
            ratios.append(squares / middle)
    return float(np.quantile(np.concatenate(ratios), _BELONG)) if ratios else 1.0


class _Ball(NamedTuple):
    """Squared distances of all rows to one of them, and to its own and the median sixth of rows."""

    squares: NDArray[np.float32]
    near: np.float32
    usual: np.float32


def _tightest_ball(placed: NDArray[np.float32]) -> _Ball | None:
    """Look for the row around which a sixth of the rows lie closest."""
    n = placed.shape[1]
    if n < _FEWEST:
        return None
    lengths = np.einsum("ij,ij->j", placed, placed)
    # By length, not by place: the order of the rows does not matter.
    some = spaced(np.argsort(lengths), _LOOKED_AT)
    squares = lengths[some, None] - 2 * (placed[:, some].T @ placed) + lengths
    near = np.partition(squares, n // _CLUSTERED, axis=1)[:, n // _CLUSTERED]
    at = near.argmin()
    return _Ball(squares[at], max(near[at], np.float32(0)), np.median(near))


def _usual_tightness(spreads: RobustSpreads, parts: list[NDArray[Any]]) -> float:
    """Squared distance, as in `RobustSpreads.tight`, that few of the training sets stay below."""
    ratios = []
    for part in parts:
        step = max(len(part) // _SMALL_ROWS, 1)
        small = [part[start::step] for start in range(min(step, _SMALL_SETS))]
        for some in [part, *small]:
            ball = _tightest_ball(spreads._placed(spreads._standardized(some)))
            if ball is not None and ball.usual > 0:
                ratios.append(ball.near / ball.usual)
    return _CERTAIN * float(np.quantile(ratios, _BY_CHANCE)) if ratios else 0.0


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
