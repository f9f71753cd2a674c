"""Evidence of rows in a graph: units, value grid and neighbourhoods of the consensus head."""

from __future__ import annotations

from typing import Any

import numpy as np

from acr_sklearn.export.graph import Graph, Value
from acr_sklearn.export.statistics import (
    Scale,
    distances_to,
    evidence_scale,
    nearest_means,
    neighborhood_counts,
)

__all__ = ["Grid", "combination", "evidence_of", "fixed_grid", "measured_grid", "measured_units"]

#: The constants of acr_sklearn.scoring, under the same names there.
_CLIP, _NEAR_AND_WIDE, _MOST_ALARMING, _LARGEST_DROP = 3.0, (0.1, 0.3), 0.5, 0.4
_POINTS, _OUTER, _LEAST = 42, 0.005, 0.5
#: Wichura, "Algorithm AS 241: The percentage points of the normal distribution", 1988, PPND16;
#: without its last region, which begins at 1.4e-11.
_MIDDLE = (
    (
        *(3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3),
        *(1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4),
        *(3.3430575583588128105e4, 2.5090809287301226727e3),
    ),
    (
        *(1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3),
        *(2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4),
        5.2264952788528545610e3,
    ),
)
_OUTSIDE = (
    (
        *(1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0),
        *(3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1),
        *(2.27238449892691845833e-2, 7.74545014278341407640e-4),
    ),
    (
        *(1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1),
        *(1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4),
        1.05075007164441684324e-9,
    ),
)


class Grid:
    """Tables of `ValueGrid`: density and normal scores of every feature at 42 points.

    Parameters
    ----------
    low, steps : Value of shape (1, n_features)
        Where the grid begins, and points per unit.
    density, normal : Value of shape (n_features * 42,)
        The tables.
    least : Value
        Least density.
    n_features : int
        Of a row.
    """

    density: Value
    least: Value
    low: Value
    n_features: int
    normal: Value
    steps: Value

    def __init__(
        self, low: Value, steps: Value, density: Value, normal: Value, least: Value, n_features: int
    ):
        self.low, self.steps, self.least = low, steps, least
        self.density, self.normal, self.n_features = density, normal, n_features

    def look_up(self, units: Value) -> tuple[Value, Value]:
        """Rarity (n_samples, 1) and normal scores (n_samples, n_features) of rows."""
        left, part = _places(units, self.low, self.steps, self.n_features)
        tables = [
            table.take(left) + (table.take(left + 1) - table.take(left)) * part
            for table in (self.density, self.normal)
        ]
        return tables[0].at_least(self.least).of("Log").reduce("Mean", 1) * -1.0, tables[1]


def _places(units: Value, low: Value, steps: Value, n_features: int) -> tuple[Value, Value]:
    place = ((units - low) * steps + 1.0).clip(0.0, float(_POINTS - 1))
    left = place.of("Floor").at_most(float(_POINTS - 2))
    offsets = units.graph.lift(np.arange(n_features) * _POINTS, "int")
    return left.to("int") + offsets, place - left


def measured_units(rows: Value) -> tuple[Value, Value]:
    """Location and divisor of features, (1, n_features), as `BatchUnits` finds them."""
    graph = rows.graph
    location = rows.reduce("Mean", 0)
    rest = (rows - location).reduce("Mean", 0)
    location = location + rest
    around = rows - location
    spread = (around * around).reduce("Mean", 0).of("Sqrt")
    peak = rows.of("Abs").reduce("Max", 0)
    varies = spread > peak * (2 * float(np.finfo(np.float64).eps))
    # A constant feature has the power of two above it as its unit.
    power = (peak.at_least(1e-300).of("Log") / float(np.log(2.0))).of("Floor") + 1.0
    power = graph.where(peak > 0.0, power, 0.0)
    instead = (power * float(np.log(2.0))).of("Exp")
    return location, graph.where(varies, spread, instead)


def measured_grid(units: Value, n_features: int) -> Grid:
    """Measure the grid of a batch.

    Parameters
    ----------
    units : Value of shape (n_statistics, n_features)
        Rows in batch units.
    n_features : int
        Of a row.

    Returns
    -------
    Grid
        As `ValueGrid` makes it.
    """
    graph = units.graph
    n = graph.size(units)
    ordered = units.smallest(n, 0)[0]
    place = (n - 1).to("double") * _OUTER
    below = place.to("int")
    part = place - below.to("double")
    above = (below + 1).at_most(n - 1)

    def between(one: Value, other: Value) -> Value:
        first, second = (ordered.take(at.flat(1)) for at in (one, other))
        return first + (second - first) * part

    low, high = between(below, above), between(n - 1 - below, n - 1 - above)
    level = high <= low
    low = graph.where(level, ordered.take(graph.ints(0)), low)
    high = graph.where(level, ordered.take((n - 1).flat(1)), high)
    width = high - low
    varies = width > 0.0
    steps = graph.where(varies, float(_POINTS - 3) / graph.where(varies, width, 1.0), 0.0)
    left, share = _places(units, low, steps, n_features)
    counts = graph.const(np.zeros(n_features * _POINTS))
    for at, weight in ((left, 1.0 - share), (left + 1, share)):
        flat = [at.flat(-1), weight.flat(-1)]
        counts = graph.op("ScatterElements", counts, *flat, axis=0, reduction="add")
    table = counts.flat(n_features, _POINTS)
    total = graph.op("CumSum", table, graph.lift(1, "int"))
    rows = n.to("double")
    edge = 0.5 / rows
    share_below = ((total - table / 2.0) / rows).clip(edge, 1.0 - edge)
    normal = graph.where(varies.turned, _normal_quantile(share_below), 0.0)
    return Grid(low, steps, counts / rows, normal.flat(-1), _LEAST / rows, n_features)


def fixed_grid(graph: Graph, grid: Any, n_features: int) -> Grid:
    """Take over a `ValueGrid` as constants."""
    parts = [graph.const(part.double()) for part in (grid.low, grid.steps)]
    tables = [graph.const(part.double()) for part in (grid.density, grid.normal)]
    return Grid(parts[0], parts[1], tables[0], tables[1], graph.const(grid.least), n_features)


def _normal_quantile(p: Value) -> Value:
    graph = p.graph
    q = p - 0.5
    middle = q * _ratio(0.180625 - q * q, _MIDDLE)
    tail = (p.at_most(1.0 - p).of("Log") * -1.0).of("Sqrt")
    outside = q.of("Sign") * _ratio(tail - 1.6, _OUTSIDE)
    return graph.where(q.of("Abs") <= 0.425, middle, outside)


def _ratio(x: Value, of: tuple[tuple[float, ...], tuple[float, ...]]) -> Value:
    parts = []
    for coefficients in of:
        total = x * coefficients[-1] + coefficients[-2]
        for coefficient in coefficients[-3::-1]:
            total = total * x + coefficient
        parts.append(total)
    return parts[0] / parts[1]


def evidence_of(
    units: Value,
    grid: Grid,
    serving: Value,
    own: Value,
    manhattan: Value | bool,
    learnt: tuple[Any, Any],
) -> tuple[Value, Value | None]:
    """Measure rows without the network.

    Parameters
    ----------
    units : Value of shape (n_samples, n_features)
        Rows in batch units.
    grid : Grid
        Of the batch.
    serving : Value of shape (n_references, n_features)
        Rows that serve as neighbours, in batch units.
    own : Value of shape (n_samples, n_references), bool
        Of `own_rows`.
    manhattan : Value or bool
        Whether distances are sums of absolute differences.
    learnt : tuple of two ndarray or None
        Dependence and the projection of a discriminant.

    Returns
    -------
    evidence : Value of shape (4, n_samples)
        As `BatchEvidence` gives it.
    projection : Value of shape (1, n_samples) or None
        Given a discriminant.
    """
    graph = units.graph
    x, others = units.clip(-_CLIP, _CLIP), serving.clip(-_CLIP, _CLIP)
    if isinstance(manhattan, Value):
        distances = graph.choose(
            manhattan,
            lambda: distances_to(x, others, manhattan=True),
            lambda: distances_to(x, others),
        )
    else:
        distances = distances_to(x, others, manhattan=manhattan)
    counts = neighborhood_counts(graph.size(serving), _NEAR_AND_WIDE)
    near_and_wide = nearest_means(distances, own, counts)
    rarity, scores = grid.look_up(units)
    dependence, weights = learnt
    found = scores if dependence is None else scores @ graph.const(dependence)
    residuals = (found * found + 1.0).of("Log").reduce("Sum", 1)
    evidence = graph.concat([near_and_wide, rarity.turned, residuals.turned])
    if weights is None:
        return evidence, None
    signed, absolute = np.split(np.asarray(weights, np.float64), 2)
    projection = scores @ graph.const(signed[:, None])
    return evidence, (projection + scores.of("Abs") @ graph.const(absolute[:, None])).turned


def combination(
    evidence: Value,
    projection: Value | None,
    weights: tuple[Any, float],
    scale: Scale | None,
    places: Value | None = None,
) -> Value:
    """Make scores of evidence.

    Parameters
    ----------
    evidence : Value of shape (7, n_samples)
        Of all kinds.
    projection : Value of shape (1, n_samples) or None
        Of a discriminant.
    weights : tuple of (ndarray or None, float)
        Of the standardised evidence in the discriminant, and of this in the score.
    scale : Scale or None
        Fixed; None measures that of `places`.
    places : Value of shape (n_statistics,), int, or None
        Rows that the scale is of; None for all.

    Returns
    -------
    Value of shape (1, n_samples)
        High for abnormal rows.
    """
    graph = evidence.graph

    def of_statistics(values: Value) -> Value:
        return values if places is None else values.take(places, axis=1)

    own = scale
    if scale is None:
        own = evidence_scale(of_statistics(evidence))
    else:
        own = Scale(scale.center.first(7, 0), scale.spread.first(7, 0))
    standardised = own.standardise(evidence)
    n_taken = int(np.ceil(_MOST_ALARMING * 7))
    agreed = (standardised * -1.0).smallest(n_taken, 0)[0].reduce("Mean", 0) * -1.0
    if projection is None:
        return agreed
    found = graph.const(np.asarray(weights[0])[None]) @ standardised + projection
    if scale is None:
        last = evidence_scale(of_statistics(found))
    else:
        last = Scale(scale.center.take(graph.ints(7)), scale.spread.take(graph.ints(7)))
    mixed = agreed + (last.standardise(found) - agreed) * weights[1]
    return mixed.at_least(agreed - _LARGEST_DROP)
