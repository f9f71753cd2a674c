"""Networks in a graph: under the statistics of a batch, or with statistics folded in."""

from __future__ import annotations

from typing import Any

from torch import nn

from acr_sklearn.export.graph import Graph, Value
from acr_sklearn.export.statistics import Batch
from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.networks.ensemble import ACREnsemble
from acr_sklearn.networks.mlp import MLPNetwork, WhitenedLinear
from acr_sklearn.networks.normalization import TaskBatchNorm
from acr_sklearn.networks.objectives import BinaryCrossEntropy, DeepSVDD

__all__ = ["layers_and_score", "objective_distance", "require_plain"]


def require_plain(network: Any, who: str) -> None:
    """Refuse networks that this export has no operations for.

    Parameters
    ----------
    network : nn.Module
        Of a detector.
    who : str
        For the message.

    Raises
    ------
    NotImplementedError
        For another backbone than "mlp" and other objectives than "dsvdd" and "bce".
    """
    for member in _members(network):
        if type(member.backbone) is not MLPNetwork:
            raise NotImplementedError(
                f"{who} has no operations for the backbone {type(member.backbone).__name__}. It "
                "writes backbone='mlp' and MLPBackbone; freeze(X_batch) gives a plain module for "
                "torch.onnx.export."
            )
        if type(member.objective) not in (DeepSVDD, BinaryCrossEntropy):
            raise NotImplementedError(
                f"{who} has no operations for {type(member.objective).__name__}. It writes the "
                "objectives 'dsvdd' and 'bce'."
            )


def layers_and_score(network: Any, x: Value, batch: Batch | None) -> tuple[Value, Value]:
    """Run rows through all networks.

    Parameters
    ----------
    network : ACRNetwork or ACREnsemble
        Of the kinds of `require_plain`.
    x : Value of shape (n_samples, n_features)
        Standardized rows.
    batch : Batch or None
        Rows that batch norms take their statistics from; None where these are folded in.

    Returns
    -------
    layers : Value of shape (n_samples, width)
        All layers side by side.
    score : Value of shape (1, n_samples)
        Of the objective, the mean over the networks.
    """
    graph, layers, scores = x.graph, [], []
    for member in _members(network):
        hidden = x
        for linear, norm in zip(member.backbone.linears, member.backbone.norms, strict=True):
            hidden = _normed(_linear(linear, hidden), norm, batch).of("Relu")
            layers.append(hidden)
        head = member.objective
        embedding = _normed(_linear(head.linear, hidden), head.norm, batch)
        layers.append(embedding)
        scores.append(_objective(head, embedding, graph))
    score = graph.concat(scores, axis=1).reduce("Mean", 1)
    return graph.concat(layers, axis=1), score.turned


def objective_distance(network: Any, score: Value) -> Value:
    """Bring the objective's score to the scale of a distance."""
    if isinstance(_members(network)[0].objective, DeepSVDD):
        return score.at_least(0.0).of("Sqrt")
    # softplus(s) = max(s, 0) + log(1 + exp(-|s|)).
    rest = ((score.of("Abs") * -1.0).of("Exp") + 1.0).of("Log")
    return score.at_least(0.0) + rest


def _members(network: Any) -> list[Any]:
    if isinstance(network, ACREnsemble):
        return list(network.members)
    assert isinstance(network, ACRNetwork)
    return [network]


def _linear(linear: Any, x: Value) -> Value:
    if isinstance(linear, WhitenedLinear):
        plain, white = linear.weight.detach().double().split(len(linear.whitening), dim=1)
        return x @ x.graph.const((plain + white @ linear.whitening.double().T).T)
    found = x @ x.graph.const(linear.weight.detach().double().T)
    return found if linear.bias is None else found + x.graph.const(linear.bias.double())


def _normed(x: Value, norm: nn.Module | None, batch: Batch | None) -> Value:
    if batch is None or not isinstance(norm, TaskBatchNorm):
        return x
    graph = x.graph
    centred = x - batch.mean(x)
    spread = (batch.mean(centred * centred) + norm.eps).of("Sqrt")
    weight, bias = (graph.const(part.detach().double()) for part in (norm.weight, norm.bias))
    return centred / spread * weight + bias


def _objective(head: Any, embedding: Value, graph: Graph) -> Value:
    """Score of every row, (n_samples, 1)."""
    if isinstance(head, DeepSVDD):
        away = embedding - graph.const(head.center.detach().double())
        return (away * away).reduce("Sum", 1)
    return _linear(head.logit, embedding.of("Relu"))
