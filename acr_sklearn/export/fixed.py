"""Fixed batch statistics in a graph: every row is scored by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from acr_sklearn.export.evidence import combination, evidence_of, fixed_grid
from acr_sklearn.export.graph import Graph, Value
from acr_sklearn.export.heads import lengths
from acr_sklearn.export.networks import layers_and_score, objective_distance
from acr_sklearn.export.statistics import Scale, distances_to, nearest_means
from acr_sklearn.scoring.consensus_batch import ConsensusBatch
from acr_sklearn.scoring.fixed_batch import FixedBatch

__all__ = ["score_of_rows"]

_ROUNDING = 3e-5  # within which a row agrees with a fixed one, as in acr_sklearn.scoring


def score_of_rows(graph: Graph, fixed: FixedBatch) -> Value:
    """Score rows under fixed statistics.

    Parameters
    ----------
    graph : Graph
        Whose `rows` come in.
    fixed : FixedBatch or ConsensusBatch
        In double precision.

    Returns
    -------
    Value of shape (1, n_samples)
        High for abnormal rows.
    """
    rows = graph.rows
    if fixed.bounds is not None:
        low, high = fixed.bounds.double().unbind()
        rows = rows.clip(graph.const(low), graph.const(high))
    inputs = _standardized(rows, fixed.standardizer)
    if isinstance(fixed, ConsensusBatch):
        return _consensus(rows, inputs, fixed)
    if fixed.kind == "mahalanobis":
        return lengths(inputs, fixed.whitening.double().numpy())
    layers, score = layers_and_score(fixed.network, inputs, None)
    if fixed.kind == "objective":
        return score
    near = _near(layers, fixed.neighbors)
    if fixed.kind == "neighbors":
        return near
    both = graph.concat([near, objective_distance(fixed.network, score)])
    floor, center, spread = (graph.const(part) for part in fixed.scales.double().unbind())
    return Scale(center, spread, floor).standardise(both).reduce("Max", 0)


def _standardized(rows: Value, standardizer: Any, factor: Any = None) -> Value:
    graph = rows.graph
    location = standardizer.location.double() + standardizer.rest.double()
    scaled = rows if factor is None else rows * graph.const(factor.double())
    return (scaled - graph.const(location)) / graph.const(standardizer.divisor.double())


def _near(layers: Value, neighbors: Any) -> Value:
    """Mean distance to the nearest fixed rows but the row itself, (1, n_samples)."""
    graph = layers.graph
    fixed, k = graph.const(neighbors.rows.double()), neighbors.n_neighbors
    distances = distances_to(layers, fixed)
    nearest, where = distances.smallest(min(k + 1, len(neighbors.rows)))
    apart = layers - fixed.take(where.first(1, 1).flat(-1))
    size = (layers * layers).reduce("Sum", 1).of("Sqrt")
    itself = (apart * apart).reduce("Sum", 1).of("Sqrt") <= size * _ROUNDING
    total, n = nearest.reduce("Sum", 1), min(k + 1, len(neighbors.rows))
    if n == k:
        return (total / float(k)).turned
    # All but the last, or all but the first.
    ends = (nearest.take(graph.ints(n - 1), axis=1), nearest.take(graph.ints(0), axis=1))
    return ((total - graph.where(itself, ends[1], ends[0])) / float(k)).turned


def _consensus(rows: Value, inputs: Value, fixed: ConsensusBatch) -> Value:
    graph, batch = rows.graph, fixed.evidence
    units = _standardized(rows, batch.units.standardizer, batch.units.factor)
    known = graph.const(batch.known.double())
    apart = graph.cityblock(units, known)
    closest, where = apart.smallest(1)
    itself = closest <= units.of("Abs").reduce("Sum", 1) * _ROUNDING
    own = where.equals(graph.lift(np.arange(len(batch.known)), "int").axis(0)) & itself
    learnt = [
        None if p is None else p.double().numpy() for p in (batch.dependence, batch.projection)
    ]
    evidence, projection = evidence_of(
        units,
        fixed_grid(graph, batch.grid, batch.known.shape[1]),
        known,
        own,
        batch.neighborhoods.manhattan,
        (learnt[0], learnt[1]),
    )
    layers = layers_and_score(fixed.network, inputs, None)[0]
    near = fixed.neighborhoods
    barred = own
    if near.barred is not None:
        barred = own | graph.lift(near.barred.numpy()[None], "bool")
    counts = [graph.lift([count], "int") for count in near.counts]
    distances = distances_to(layers, graph.const(near.rows.double()))
    everything = graph.concat([evidence, nearest_means(distances, barred, counts)])
    center, spread = (graph.const(part) for part in fixed.scales.double().unbind())
    found = fixed.combination
    weights = None if found.evidence is None else found.evidence.double().numpy()
    return combination(everything, projection, (weights, found.weight), Scale(center, spread))
