"""Score heads in a graph, whose statistics are those of the batch that comes in."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from acr_sklearn.domains.covariance import WithinDomainCovariance
from acr_sklearn.export.evidence import combination, evidence_of, measured_grid, measured_units
from acr_sklearn.export.graph import Graph, Value
from acr_sklearn.export.networks import layers_and_score, objective_distance
from acr_sklearn.export.statistics import (
    Batch,
    clipped_gross,
    distances_to,
    evenly_spaced,
    evidence_scale,
    kept_rows,
    log_scale,
    nearest_means,
    neighborhood_counts,
    own_rows,
    standardized,
)
from acr_sklearn.scoring.consensus_head import ConsensusHead
from acr_sklearn.scoring.heads import ScoreHead
from acr_sklearn.scoring.reference_rows import hash_weights

__all__ = ["consensus_of_batch", "lengths", "score_of_batch"]

#: The constants of acr_sklearn.scoring, under the same names there.
_ALL_NEIGHBORS, _REFERENCE_ROWS, _WIDE = 2048, 256, 0.3
_ALL_ROWS, _ALL_SERVE, _SOME_SERVE, _FEW_SERVE = 2048, 512, 256, 128
_ALIKE, _NEAR_AND_WIDE = 1e-5, (0.1, 0.3)


def lengths(rows: Value, whitening: Any) -> Value:
    """Length of each whitened row, (1, n_samples)."""
    found = _whitened(rows, whitening)
    return (found * found).reduce("Sum", 1).of("Sqrt").turned


def _whitened(rows: Value, whitening: Any) -> Value:
    weights = rows.graph.const(whitening)
    return rows * weights if np.ndim(whitening) == 1 else rows @ weights


def _unit(scale: Any) -> Any:
    return scale.unit(torch.float64).numpy()


def _keys(rows: Value, weights: Any) -> Value:
    return (rows * rows.graph.const(weights)).reduce("Sum", 1, keep=False)


def _names(keys: Value, n: Value, most: int) -> Value:
    """Of a batch whose rows all serve each row by itself, of others equal rows alike."""
    graph = keys.graph
    return graph.where(n <= most, graph.count_to(n).to("double"), keys)


def _all_rows(n: Value) -> Batch:
    return Batch(None, n.graph.count_to(n).axis(1) > -1)


def score_of_batch(graph: Graph, head: ScoreHead, network: Any, scale: Any) -> Value:
    """Score a batch by any head but the consensus.

    Parameters
    ----------
    graph : Graph
        Whose `rows` are the batch.
    head : ScoreHead
        Of the detector.
    network : ACRNetwork or ACREnsemble
        Of kinds that `layers_and_score` takes; not looked at by the "mahalanobis" head.
    scale : FeatureScale or None
        Of the network's input; None for a user's backbone.

    Returns
    -------
    Value of shape (1, n_samples)
        High for abnormal rows.
    """
    n = graph.size(graph.rows)
    rows = clipped_gross(graph.rows, n)
    known = scale if scale is not None else _covariance(head).scale
    keys = _keys(rows, hash_weights(known.scale, len(known.scale)))
    wanted = graph.where(n <= _ALL_NEIGHBORS, n, _REFERENCE_ROWS, "int")
    serving = evenly_spaced(keys, wanted)
    names = _names(keys, n, _ALL_NEIGHBORS)
    own = own_rows(names, names.take(serving))
    batch, features = _all_rows(n), None
    if head.covariance is not None:
        features = standardized(rows, batch, _unit(head.covariance.scale))
        if head.trim_fraction > 0:
            outlying = _initial(head, features, serving, own)
            batch = Batch(None, kept_rows(outlying, head.trim_fraction, 100.0).turned)
    if head.kind == "mahalanobis":
        assert features is not None
        centred = features - batch.mean(features)
        centred = centred - batch.mean(centred)
        return lengths(centred, _covariance(head).whitening(head.ridge_norm))
    layers, score = layers_and_score(network, standardized(rows, batch, _unit(scale)), batch)
    if head.kind == "objective":
        return score
    kept = batch.mask.take(serving)
    count = (kept.to("int").reduce("Sum", 0, keep=False).flat(1) - 1).clip(1, head.n_neighbors)
    distances = distances_to(layers, layers.take(serving))
    near = nearest_means(distances, own | ~kept.turned, [count])
    if head.kind == "neighbors":
        return near
    both = graph.concat([near, objective_distance(network, score)])
    return log_scale(both).standardise(both).reduce("Max", 0)


def _covariance(head: ScoreHead) -> WithinDomainCovariance:
    assert head.covariance is not None
    return head.covariance


def _initial(head: ScoreHead, features: Value, serving: Value, own: Value) -> Value:
    """Measure the initial outlyingness, (1, n_samples)."""
    graph, covariance = features.graph, _covariance(head)
    far = lengths(features, covariance.whitening(head.ridge_norm))
    if not head.uses_neighbors:
        return far
    most = (graph.size(serving) - 1).at_least(1)
    near = graph.lift(head.n_neighbors, "int").at_most(most)
    wide = (graph.size(serving).to("double") * _WIDE).of("Round").to("int")
    wide = wide.at_least(head.n_neighbors).at_most(most)
    parts = [far]
    narrow = _whitened(features, covariance.whitening(head.ridge_neighbors))
    for space, count in ((narrow, near), (features, wide)):
        parts.append(nearest_means(distances_to(space, space.take(serving)), own, [count]))
    values = graph.concat(parts)
    return log_scale(values).standardise(values).reduce("Max", 0)


def consensus_of_batch(graph: Graph, head: ConsensusHead, network: Any, scale: Any) -> Value:
    """Score a batch by the consensus head.

    Parameters
    ----------
    graph : Graph
        Whose `rows` are the batch.
    head : ConsensusHead
        Of the detector.
    network : ACRNetwork or ACREnsemble
        Of kinds that `layers_and_score` takes.
    scale : FeatureScale
        Of the network's input.

    Returns
    -------
    Value of shape (1, n_samples)
        High for abnormal rows.
    """
    n = graph.size(graph.rows)
    rows = clipped_gross(graph.rows, n)
    keys = _keys(rows, head.weights)
    places = evenly_spaced(keys, n.at_most(_ALL_ROWS))
    some = graph.where(n <= _ALL_ROWS, _SOME_SERVE, _FEW_SERVE, "int")
    among = evenly_spaced(keys.take(places), graph.where(n <= _ALL_SERVE, n, some, "int"))
    serving = places.take(among)
    names = _names(keys, n, _ALL_SERVE)
    own = own_rows(names, names.take(serving))
    location, divisor = measured_units(rows.take(places))
    units = (rows - location) / divisor
    grid = measured_grid(units.take(places), len(head.weights))
    learnt = head.discriminant
    evidence, projection = evidence_of(
        units,
        grid,
        units.take(serving),
        own,
        n <= _ALL_ROWS,
        (head.dependence, None if learnt is None else learnt.values),
    )
    kept = _kept(head, rows.take(places), evidence.take(places, axis=1))
    batch = Batch(places, kept.turned)
    layers = layers_and_score(network, standardized(rows, batch, _unit(scale)), batch)[0]
    near = kept.turned.take(among)
    counts = neighborhood_counts(
        near.to("int").reduce("Sum", 0, keep=False).flat(1), (head.n_neighbors, *_NEAR_AND_WIDE)
    )
    distances = distances_to(layers, layers.take(serving))
    network_evidence = nearest_means(distances, own | ~near.turned, counts)
    weights = (None, 0.0) if learnt is None else (learnt.evidence, learnt.weight)
    everything = graph.concat([evidence, network_evidence])
    return combination(everything, projection, weights, None, places)


def _kept(head: ConsensusHead, rows: Value, evidence: Value) -> Value:
    """Mark the rows that the network's statistics are of, (1, n_statistics)."""
    graph = rows.graph
    features = standardized(rows, _all_rows(graph.size(rows)), _unit(head.covariance.scale))
    far = lengths(features, head.covariance.whitening(ScoreHead.ridge_norm))
    values = graph.concat([evidence, far])
    outlying = evidence_scale(values).standardise(values).reduce("Max", 0)
    kept = kept_rows(outlying, head.trim_fraction, 4.0)
    highest = graph.where(kept, outlying, -np.inf).reduce("Max", 1)
    lowest = graph.where(kept, outlying, np.inf).reduce("Min", 1)
    alike = highest - lowest <= (highest.of("Abs") + 1.0) * _ALIKE
    return kept | alike
