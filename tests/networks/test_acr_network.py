import numpy as np
import pytest
import torch
from small_networks import each_kind, ensemble, masks, stack

import acr_sklearn.networks.acr_network
from acr_sklearn.networks.acr_network import ACRNetwork


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def slow_network(network, rows):
    """The whole network in NumPy, one batch."""

    def norm(x, layer):
        x = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + layer.eps)
        return x * layer.weight.detach().numpy() + layer.bias.detach().numpy()

    x = rows
    for linear, layer in zip(network.backbone.linears, network.backbone.norms, strict=True):
        x = np.maximum(norm(x @ linear.weight.detach().numpy().T, layer), 0)
    head = network.objective
    z = norm(x @ head.linear.weight.detach().numpy().T, head.norm)
    return ((z - head.center.detach().numpy()) ** 2).sum(axis=1)


def test_anomaly_score_is_the_squared_distance_to_the_centre():
    network = ACRNetwork(5, hidden_layer_sizes=(8, 6), embedding_dim=4).double()
    rows = np.random.default_rng(0).normal(size=(3, 20, 5))
    got = network.anomaly_score(torch.from_numpy(rows)).detach().numpy()
    expected = [slow_network(network, task) for task in rows]
    np.testing.assert_allclose(got, expected, rtol=1e-10)


@each_kind
def test_views_are_the_layers_and_the_score(kind):
    network, x = ensemble(kind, 1).members[0], stack()
    representation, score = network.layers_and_score(x)
    torch.testing.assert_close(score, network.output_scores(network(x)))
    torch.testing.assert_close(network.anomaly_score(x), score)
    objective = network.objective
    rows, mask = objective.expand(x)
    layers = network.backbone.layers(rows, mask)
    embedding = objective.embed(layers[-1], mask)
    own = [layer[:, :10] for layer in (*layers, embedding)]
    assert representation.shape[-1] == (3 if kind.startswith("module") else 8 + 6) + 4
    torch.testing.assert_close(representation, torch.cat(own, dim=-1))
    torch.testing.assert_close(score, objective.anomaly_score(objective(embedding)))
    torch.testing.assert_close(network.distance(score), objective.distance(score))


@each_kind
@pytest.mark.parametrize("masked", [False, True])
def test_layers_need_no_views(kind, masked, monkeypatch):
    both, x, kept = ensemble(kind, 2), stack(), masks() if masked else None
    for network in (both, both.members[0]):
        expected = network.layers_and_score(x, kept)[0]
        torch.testing.assert_close(network.layers(x, kept), expected)
    seen = []
    plain = network.backbone.layers
    monkeypatch.setattr(
        network.backbone, "layers", lambda x, kept: seen.append(x.shape) or plain(x, kept)
    )
    network.layers(x, kept)
    assert seen == [x.shape]


@pytest.mark.parametrize("kind", ["mlp ntl", "module ntl", "conv ntl"])
@pytest.mark.parametrize("masked", [False, True])
def test_portions_of_views_score_as_all_together(kind, masked, monkeypatch):
    network, x, kept = ensemble(kind, 1).members[0], stack(), masks() if masked else None
    together = network.layers_and_score(x, kept)
    seen = []
    plain = network.backbone.layers
    monkeypatch.setattr(
        network.backbone, "layers", lambda x, kept: seen.append(x.shape[-2]) or plain(x, kept)
    )
    monkeypatch.setattr(network.objective, "rows_together", 80)  # two views of 4 times 10 rows
    apart = network.layers_and_score(x, kept)
    assert seen == [20, 20, 20]
    for one, other in zip(apart, together, strict=True):
        torch.testing.assert_close(one, other)


@each_kind
def test_groups_of_tasks_equal_all_together_in_values_and_gradients(kind, monkeypatch):
    network, x = ensemble(kind, 1).members[0], stack(5)
    parameters = list(network.parameters())
    runs, results = [], []
    plain = network.backbone.forward
    monkeypatch.setattr(
        network.backbone, "forward", lambda x, kept=None: runs.append(len(x)) or plain(x, kept)
    )
    largest = 10 * network.objective.n_views * network.backbone.largest
    for limit in (10**9, 2 * largest):
        monkeypatch.setattr(acr_sklearn.networks.acr_network, "_NUMBERS_TOGETHER", limit)
        out = network(x)
        results.append((out, torch.autograd.grad(out.square().sum(), parameters)))
    assert runs == [5, 2, 2, 1]
    torch.testing.assert_close(*results)


@each_kind
def test_masked_statistics_are_those_of_the_kept_rows_alone(kind):
    network, x, kept = ensemble(kind, 1).members[0], stack(), masks()
    representation, score = network.layers_and_score(x, kept)
    for task in range(4):
        own = kept[task]
        alone = network.layers_and_score(x[task][own])
        torch.testing.assert_close(representation[task][own], alone[0])
        torch.testing.assert_close(score[task][own], alone[1])
        # A row left out scores as beside the kept rows, which it does not move.
        moved = torch.where(own[:, None], x[task], 100 * x[task])
        torch.testing.assert_close(network.layers_and_score(moved, own)[1][own], alone[1])
        assert not torch.allclose(network.layers_and_score(moved, own)[1][~own], score[task][~own])
