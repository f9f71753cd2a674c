"""Statistics of a batch in a graph: medians, ties, scales, spreads, neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from acr_sklearn.export.graph import Value

__all__ = [
    "Batch",
    "Scale",
    "clipped_gross",
    "distances_to",
    "evenly_spaced",
    "evidence_scale",
    "kept_rows",
    "log_scale",
    "nearest_means",
    "neighborhood_counts",
    "own_rows",
    "ranked",
    "standardized",
]

_EPSILON = float(np.finfo(np.float64).eps)
#: The constants of acr_sklearn.scoring, under the same names there.
_MOST_TIED, _TIED_FRACTION, _SAME = 3, 0.02, 1e-6
_LEAST_SPREAD, _NOTHING, _FEWEST = 1e-3, 1e-12, 5
_WITHIN, _MOST_REACHES, _LEAST_ROWS = 0.9, 100.0, 16
_FEW_ROWS, _CONSPICUOUS, _ALL_ROWS = 256, 8.0, 2048


@dataclass(frozen=True)
class Batch:
    """Rows that statistics are of, among all rows.

    Attributes
    ----------
    places : Value of shape (n_statistics,), int, or None
        Positions; None for all rows.
    mask : Value of shape (n_statistics, 1), bool
        Which of them count.
    """

    places: Value | None
    mask: Value

    def mean(self, values: Value) -> Value:
        """Mean of the rows that count, shape (1, n_columns)."""
        some = values if self.places is None else values.take(self.places)
        graph = values.graph
        count = self.mask.to("double").reduce("Sum", 0)
        return graph.where(self.mask, some, 0.0).reduce("Sum", 0) / count


@dataclass(frozen=True)
class Scale:
    """Centre and unit of several kinds of values, each of shape (n_kinds, 1)."""

    center: Value
    spread: Value
    floor: Value | None = None

    def standardise(self, values: Value) -> Value:
        """Robust z-scores, of logarithms where there is a floor."""
        if self.floor is not None:
            return ((values + self.floor).of("Log") - self.center) / self.spread
        z = (values - self.center) / self.spread
        return z.of("Sign") * (z.of("Abs") + 1.0).of("Log")


def ranked(values: Value, axis: int) -> Value:
    """Sort along an axis, the smallest first."""
    return values.smallest(values.graph.size(values, axis), axis)[0]


def _median(values: Value, count: Value) -> Value:
    """Median of the first `count` of each sorted row, both of shape (n_kinds, 1)."""
    graph = values.graph
    low = ((count - 1) / 2).at_least(0)
    high = (count / 2).at_most(graph.size(values, 1) - 1)
    both = [graph.op("GatherElements", values, place, axis=1) for place in (low, high)]
    return (both[0] + both[1]) / 2.0


def _without_ties(values: Value) -> tuple[Value, Value]:
    """Sorted rows with infinity for what ties with those before, and how many are left."""
    graph = values.graph
    n = graph.size(values, 1)
    most = (n.to("double") * _TIED_FRACTION).to("int").at_least(_MOST_TIED)
    ordered = ranked(values, 1)
    same = values.of("Abs").reduce("Mean", 1) * _SAME
    place = graph.count_to(n)
    later = ordered.take((place + most).at_most(n - 1), axis=1)
    tied = ((later - ordered) <= same) & (place + most < n).axis(0)
    begun = graph.op("CumSum", tied.to("double"), graph.lift(1, "int"), exclusive=1)
    before = begun.take((place - most).at_least(0), axis=1)
    before = graph.where((place < most).axis(0), 0.0, before)
    again = begun > before
    counts = (~again).to("int").reduce("Sum", 1)
    return ranked(graph.where(again, np.inf, ordered), 1), counts


def log_scale(distances: Value) -> Scale:
    """Scale of logarithms of distances, as `RobustLogScale.of` finds it."""
    graph = distances.graph
    counted, counts = _without_ties(distances)
    typical, mean = _median(counted, counts), distances.reduce("Mean", 1)
    instead = graph.where(mean > 0.0, mean, 1.0)
    floor = graph.where(typical > 0.0, typical * 1e-6, instead)
    logs = (counted + floor).of("Log")
    center = _median(logs, counts)
    spread = _median(ranked((logs - center).of("Abs"), 1), counts) * 1.4826
    return Scale(center, spread.at_least(_LEAST_SPREAD), floor)


def evidence_scale(values: Value) -> Scale:
    """Scale of evidence, as `EvidenceScale.of` finds it."""
    graph = values.graph
    counted, counts = _without_ties(values)
    center = _median(counted, counts)
    away = (counted - center).of("Abs")
    finite = graph.where(counted < np.inf, away, 0.0)
    mean = finite.reduce("Sum", 1) / counts.to("double")
    spread = (_median(ranked(away, 1), counts) * 1.4826).at_least(mean * (0.5 * 1.2533))
    least = center.of("Abs").at_least(1.0) * _LEAST_SPREAD
    return Scale(center, spread.at_least(least))


def kept_rows(outlying: Value, trim_fraction: float, n_roundings: float) -> Value:
    """Mark the most normal rows of (1, n_samples), as `most_normal` does."""
    n = outlying.graph.size(outlying, 1)
    trimmed = (n.to("double") * trim_fraction + 1e-9).to("int").at_most(n - 2).at_least(0)
    limit = ranked(outlying, 1).take((n - trimmed - 1).flat(1), axis=1)
    return outlying <= limit + (limit.of("Abs") + 1.0) * (n_roundings * _EPSILON)


def standardized(rows: Value, batch: Batch, unit: Any) -> Value:
    """Centre rows on those that count and divide by these rows' overall spread in units."""
    graph = rows.graph
    centred = rows - batch.mean(rows)
    centred = (centred - batch.mean(centred)) / graph.const(unit)
    spread = batch.mean(centred * centred).reduce("Mean", 1).of("Sqrt")
    return centred / graph.where(spread > 0.0, spread, 1.0)


def clipped_gross(rows: Value, n: Value) -> Value:
    """Bring gross values of a batch of up to 2048 rows to bounds, as `clip_gross` does."""
    graph = rows.graph
    ordered = ranked(rows, 0)
    low, high = ((n - 1) / 2, n / 2)
    center = (ordered.take(low.flat(1)) + ordered.take(high.flat(1))) / 2.0
    away = ranked((rows - center).of("Abs"), 0)
    nearest = ((n - 1).to("double") * _WITHIN).to("int")
    reach = away.take(nearest.flat(1)) * _MOST_REACHES
    from_mean = (rows - rows.reduce("Mean", 0)).of("Abs")
    odd = from_mean.reduce("Max", 0) > from_mean.reduce("Mean", 0) * _CONSPICUOUS
    looked_at = (odd | (n <= _FEW_ROWS)) & ((n > _LEAST_ROWS - 1) & (n <= _ALL_ROWS))
    gross = (away.reduce("Max", 0) > reach) & (reach > 0.0) & looked_at
    bound = graph.where(gross, reach, np.inf)
    return rows.clip(center - bound, center + bound)


def evenly_spaced(keys: Value, n_chosen: Value) -> Value:
    """Positions of rows evenly spaced among the sorted keys of (n,), ascending."""
    graph = keys.graph
    n = graph.size(keys)
    order = keys.smallest(n, 0)[1]
    chosen = order.take(graph.count_to(n_chosen) * n / n_chosen)
    return chosen.smallest(n_chosen, 0)[0]


def own_rows(names: Value, serving: Value) -> Value:
    """Mark which serving row each row is: the first of the same name, if any.

    Parameters
    ----------
    names : Value of shape (n_samples,)
        Equal for rows that are one.
    serving : Value of shape (n_references,)
        Of the serving rows.

    Returns
    -------
    Value of shape (n_samples, n_references), bool
        At most one per row.
    """
    graph = names.graph
    same = names.axis(1).equals(serving.axis(0))
    where = graph.op("ArgMax", same.to("int"), axis=1, keepdims=1, kind="int")
    return same & where.equals(graph.count_to(graph.size(serving)).axis(0))


def distances_to(x: Value, rows: Value, *, manhattan: bool = False) -> Value:
    """Distances of all rows to all others, Euclidean by products of matrices."""
    graph = x.graph
    if manhattan:
        return graph.cityblock(x, rows)
    center = rows.reduce("Mean", 0)
    around, others = x - center, rows - center
    own = (around * around).reduce("Sum", 1)
    squares = (others * others).reduce("Sum", 1).turned - (around @ others.turned) * 2.0 + own
    return graph.where(squares > own * _NOTHING, squares, 0.0).of("Sqrt")


def nearest_means(distances: Value, barred: Value, counts: list[Value]) -> Value:
    """Mean of the smallest distances of each row, for several counts: (n_counts, n_samples)."""
    graph = distances.graph
    most = counts[0]
    for count in counts[1:]:
        most = most.at_least(count)
    nearest, _ = graph.where(barred, np.inf, distances).smallest(most)
    means = [nearest.first(count, 1).reduce("Mean", 1).turned for count in counts]
    return graph.concat(means)


def neighborhood_counts(n_serving: Value, widths: tuple[float, ...]) -> list[Value]:
    """How many neighbours each neighbourhood has, as `Neighborhoods` counts them."""
    most = (n_serving - 1).at_least(1)
    graph = n_serving.graph
    return [
        graph.lift(width, "int").at_most(most)
        if isinstance(width, int)
        else (most.to("double") * width).of("Round").to("int").at_least(_FEWEST).at_most(most)
        for width in widths
    ]
