"""Trends of columns over the rows of a batch: how large, of which kind, and whether at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, norm, rankdata

__all__ = ["LEAST_ROWS", "trends_of"]

Columns = NDArray[np.float64]

#: Fewer rows show no trend.
LEAST_ROWS = 8
#: Fewer rows show no trend that bends: each half of them has to show it to the other.
_LEAST_LOCAL_ROWS = 40
#: Rows of a window, at least: a line through fewer follows their noise.
_LEAST_WINDOW = 8
#: More rows are put together to so many blocks of neighbours, for a line needs all pairs.
_MOST_BLOCKS = 128
#: Pairs of blocks times columns in memory at once: 32 MB of doubles.
_MOST_PAIRS = 2**22
#: Standard deviations of a normal distribution in one MAD.
_SD_PER_MAD = 1.482602218505602
#: Units of noise from which on a row counts for nothing: 95 % efficiency with normal noise.
_BISQUARE = 4.685
#: Rounds of weighing: a curve that swings by 12 standard deviations is reached in 10.
_ROUNDS = 20
#: Neighbours that resemble one another show less noise than there is around the trend.
_LEAST_NOISE = 0.3
#: Part of the weights of a window below which no line is drawn.
_LEAST_SHARE = 1e-6
#: Nominal rate of false discoveries among columns. Leaving out quarters makes it far lower: of
#: batches of independent rows less than 1 % show any trend.
_LEVEL = 0.1
#: What a trend that bends has to take off the typical distance from it.
_LEAST_GAIN = 0.25
#: A column that two levels fit by this part better than a trend shows a shift, and is left alone.
_SHIFT_GAIN, _SPLITS = 0.02, 31
#: Evidence must not rest on any one quarter of the rows, at these places: a burst of anomalies or
#: a late shift of level may fill one.
_LEFT_OUT, _PLACES = 0.25, 7


def trends_of(values: Columns, kind: str, window: float) -> Columns:
    """Find the trend of each column.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features)
        Rows in the order of time, NaN where a value is missing, in units such that squares stay
        numbers.
    kind : {"auto", "linear", "local"}
        What is taken for the trend; "auto" decides by column.
    window : float
        Share of the rows that the local trend at a row is found in.

    Returns
    -------
    ndarray of shape (n_rows, n_features)
        Zero for a column without a trend, and where a value is missing. The level of a trend is
        arbitrary.
    """
    found = np.zeros_like(values)
    parts = list(_parts(values))
    if kind != "auto":
        for part in parts:
            own = part.line() if kind == "linear" else part.curve(window)
            found[np.ix_(part.rows, part.columns)] = own
        return found
    straight = [part.line() for part in parts]
    chances = [part.chance_of_line(line) for part, line in zip(parts, straight, strict=True)]
    rests = []
    for part, line, sure in zip(parts, straight, _surely(chances), strict=True):
        found[np.ix_(part.rows, part.columns[sure])] = line[:, sure]
        rests.append(replace(part, values=part.values - np.where(sure, line, 0.0)))
    rests = [part for part in rests if len(part.rows) >= _LEAST_LOCAL_ROWS]
    chances = [part.chance_of_curve(window) for part in rests]
    for part, sure in zip(rests, _surely(chances), strict=True):
        bent = replace(part, values=part.values[:, sure], columns=part.columns[sure])
        found[np.ix_(bent.rows, bent.columns)] += bent.curve(window)
    return found


@dataclass(frozen=True)
class _Part:
    """Columns whose values are there in the same rows.

    Attributes
    ----------
    rows : ndarray of shape (n_rows,)
        Where they have values.
    columns : ndarray of shape (n_columns,)
        Positions of the columns.
    values : ndarray of shape (n_rows, n_columns)
        None missing.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    values: Columns

    def line(self) -> Columns:
        """Draw one line through each column."""
        times, medians = _blocks(self.rows, self.values)
        return _between(self.rows, times, _block_line(times, medians))

    def curve(self, window: float) -> Columns:
        """Draw lines through windows, starting from one through all rows."""
        return _curve(self.rows, self.rows, self.values, window)

    def chance_of_line(self, line: Columns) -> NDArray[np.float64]:
        """Give the chance that a column without trend rises or falls as clearly."""
        ordered = np.broadcast_to(self.rows[:, None].astype(np.float64), self.values.shape)
        scores = _concordance(ordered, self.values) / _inflation(self.values - line)
        chances = 2 * norm.sf(np.abs(scores))
        return np.where(_shifts(self.values, line), 1.0, chances)

    def chance_of_curve(self, window: float) -> NDArray[np.float64]:
        """Give the chance that every other row foretells the rows between as clearly.

        1 where the curve takes too little off, or a shift of level more.
        """
        values, foretold, scores = self.values, np.empty_like(self.values), []
        for half in (0, 1):
            seen, hidden = slice(half, None, 2), slice(1 - half, None, 2)
            own = _curve(self.rows[seen], self.rows[hidden], values[seen], window)
            foretold[hidden] = own
            scores.append(_concordance(own, values[hidden]))
        # The two are not independent; their mean varies no more than either.
        mean = np.mean(scores, axis=0) / _inflation(values - foretold)
        before = np.median(np.abs(values - np.median(values, axis=0)), axis=0)
        after = np.median(np.abs(values - foretold), axis=0)
        clear = (after <= (1 - _LEAST_GAIN) * before) & ~_shifts(values, foretold)
        return np.where(clear, norm.sf(mean), 1.0)


def _parts(values: Columns) -> Iterator[_Part]:
    """Yield the columns that have values in the same rows, if these are enough."""
    missing = np.isnan(values)
    patterns, which = np.unique(missing, axis=1, return_inverse=True)
    for number, pattern in enumerate(patterns.T):
        rows, columns = np.flatnonzero(~pattern), np.flatnonzero(which.ravel() == number)
        if len(rows) >= LEAST_ROWS:
            yield _Part(rows, columns, values[np.ix_(rows, columns)])


def _surely(chances: list[NDArray[np.float64]]) -> list[NDArray[np.bool_]]:
    """Say which chances are small enough, whatever part they come from."""
    if not chances:
        return []
    sure = false_discovery_control(np.concatenate(chances)) <= _LEVEL
    return np.split(sure, np.cumsum([len(part) for part in chances])[:-1])


def _shifts(values: Columns, trend: Columns) -> NDArray[np.bool_]:
    """Say which columns are nearer to two levels, one after the other, than to a trend."""
    n_rows, rest = len(values), values - trend
    bound = (1 - _SHIFT_GAIN) * np.abs(rest - np.median(rest, axis=0)).sum(axis=0)
    shifts = np.zeros(values.shape[1], dtype=bool)
    for split in np.unique(np.linspace(2, n_rows - 2, _SPLITS).astype(int)):
        sides = (values[:split], values[split:])
        shifts |= sum(np.abs(s - np.median(s, axis=0)).sum(axis=0) for s in sides) <= bound
    return shifts


def _blocks(rows: NDArray[np.intp], values: Columns) -> tuple[NDArray[np.float64], Columns]:
    """Put neighbouring rows together: mean position and median of each block."""
    n_rows = len(values)
    if n_rows <= _MOST_BLOCKS:
        return rows.astype(np.float64), values
    edges = np.linspace(0, n_rows, _MOST_BLOCKS + 1).astype(int)
    spans = [slice(a, b) for a, b in pairwise(edges)]
    times = np.array([rows[span].mean() for span in spans])
    return times, np.stack([np.median(values[span], axis=0) for span in spans])


def _curve(
    rows: NDArray[np.intp], wanted: NDArray[np.intp], values: Columns, window: float
) -> Columns:
    """Draw a line through the window around each block, and evaluate at the wanted rows."""
    times, medians = _blocks(rows, values)
    width = min(len(times), max(int(np.ceil(window * len(times))), _LEAST_WINDOW))
    away = np.abs(times[:, None] - times)
    # The tricube of local regression (Cleveland, 1979); the farthest block of a window counts too.
    reach = 1.01 * np.sort(away, axis=1)[:, width - 1 : width]
    near = np.clip(1 - (away / reach) ** 3, 0, None) ** 3
    curve = _reweighted(times, medians, near, _block_line(times, medians))
    return _between(wanted, times, curve)


def _block_line(times: NDArray[np.float64], medians: Columns) -> Columns:
    slopes = _slopes(times, medians)
    start = slopes * times[:, None]
    start += np.median(medians - start, axis=0)
    return _reweighted(times, medians, np.ones((1, len(times))), start)


def _slopes(times: NDArray[np.float64], medians: Columns) -> NDArray[np.float64]:
    """Repeated medians (Siegel, 1982): of each block's median slope to all others, the median."""
    n_blocks, n_features = medians.shape
    first, other = np.nonzero(~np.eye(n_blocks, dtype=bool))
    spans = (times[other] - times[first])[:, None]
    out = np.empty(n_features)
    step = max(1, _MOST_PAIRS // len(first))
    for start in range(0, n_features, step):
        some = medians[:, start : start + step]
        pairs = ((some[other] - some[first]) / spans).reshape(n_blocks, n_blocks - 1, -1)
        out[start : start + step] = np.median(np.median(pairs, axis=1), axis=0)
    return out


def _reweighted(
    times: NDArray[np.float64], medians: Columns, near: NDArray[np.float64], start: Columns
) -> Columns:
    """Fit lines by Tukey's bisquare weights, on top of the weights `near` of each line.

    What is far off in units of the noise between neighbours counts for nothing. A trend that is
    gradual is followed step by step nevertheless; a burst or a shift of level is not.
    """
    place = np.interp(times, times[[0, -1]], [-1.0, 1.0])[:, None]
    noise = _SD_PER_MAD / np.sqrt(2) * np.median(np.abs(np.diff(medians, axis=0)), axis=0)
    fitted = start
    for _ in range(_ROUNDS):
        away = medians - fitted
        spread = _SD_PER_MAD * np.median(np.abs(away), axis=0)
        unit = np.maximum(noise, _LEAST_NOISE * spread)
        weights = np.clip(1 - (away / (_BISQUARE * np.where(unit > 0, unit, 1.0))) ** 2, 0, None)
        weights = np.where(unit > 0, weights**2, away == 0)
        sums = [near @ (weights * place**power) for power in range(3)]
        means = [near @ (weights * place**power * medians) for power in range(2)]
        share = sums[0] * sums[2] - sums[1] ** 2
        # Too few blocks are left for a line here: what was fitted before stays.
        known = share > _LEAST_SHARE * near.sum(axis=1, keepdims=True) ** 2
        share = np.where(known, share, 1.0)
        slopes = (sums[0] * means[1] - sums[1] * means[0]) / share
        levels = (sums[2] * means[0] - sums[1] * means[1]) / share
        fitted = np.where(known, levels + slopes * place, fitted)
    return fitted


def _between(wanted: NDArray[np.intp], times: NDArray[np.float64], values: Columns) -> Columns:
    """Interpolate between blocks, and go on beyond the outermost as between the last two."""
    left = np.clip(np.searchsorted(times, wanted, side="right") - 1, 0, len(times) - 2)
    part = ((wanted - times[left]) / (times[left + 1] - times[left]))[:, None]
    return np.asarray(values[left] + part * (values[left + 1] - values[left]))


def _concordance(first: Columns, second: Columns) -> NDArray[np.float64]:
    """Rank correlation in standard deviations, with the quarter left out that it rests on most."""
    n_rows = len(first)
    scores = []
    for place in np.linspace(0, 1 - _LEFT_OUT, _PLACES):
        kept = np.ones(n_rows, dtype=bool)
        kept[round(place * n_rows) : round((place + _LEFT_OUT) * n_rows)] = False
        scores.append(_rank_correlation(first[kept], second[kept]) * np.sqrt(kept.sum() - 1))
    low, high = np.min(scores, axis=0), np.max(scores, axis=0)
    return np.where(low > 0, low, np.where(high < 0, high, 0.0))


def _rank_correlation(first: Columns, second: Columns) -> NDArray[np.float64]:
    """Spearman's, 0 for a column that does not vary."""
    ranks = [rankdata(part, axis=0) - (len(part) + 1) / 2 for part in (first, second)]
    lengths = np.prod([np.sqrt((part**2).sum(axis=0)) for part in ranks], axis=0)
    return np.asarray((ranks[0] * ranks[1]).sum(axis=0) / np.where(lengths > 0, lengths, 1.0))


def _inflation(rest: Columns) -> NDArray[np.float64]:
    """How much wider a rank correlation varies where rows resemble the rows before them."""
    own: Any = _rank_correlation(rest[:-1], rest[1:])
    # What chance makes of independent rows is left alone.
    own = np.clip(np.where(own > 2 / np.sqrt(len(rest)), own, 0.0), 0.0, 0.95)
    return np.asarray(np.sqrt((1 + own) / (1 - own)))
