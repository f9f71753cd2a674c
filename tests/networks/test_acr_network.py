import copy
import pickle
import threading

import numpy as np
import pytest
import torch
from torch import nn

import acr_sklearn.networks.acr_network
from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.networks.ensemble import ACREnsemble

N_FEATURES = 5


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def users_module():
    return nn.Sequential(nn.Linear(N_FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


BACKBONES = {"mlp": "mlp", "module": users_module(), "conv": "conv"}
#: Every backbone with an objective behind it and with the one that begins before it.
KINDS = ["mlp", "module", "conv", "mlp bce", "mlp ntl", "module ntl", "conv ntl"]
each_kind = pytest.mark.parametrize("kind", KINDS)


def spread_out(network):
    """Affine weights of 1 and 0, and members with equal modules, would hide a mix-up."""
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return network.double()


def ensemble(kind, n_estimators=3):
    backbone, objective = (*kind.split(), "dsvdd")[:2]
    parts = {
        "backbone": BACKBONES[backbone],
        "objective": objective,
        "hidden_layer_sizes": (8, 6),
        "embedding_dim": 4,
        "n_transformations": 3,
        "input_shape": (1, 1, N_FEATURES),
        "conv_channels": (8, 6),
    }
    return spread_out(ACREnsemble(n_estimators, n_features=N_FEATURES, **parts))


def stack(n_tasks=4, n_rows=10):
    return torch.randn(n_tasks, n_rows, N_FEATURES, dtype=torch.float64)


def masks(n_tasks=4, n_rows=10):
    kept = torch.rand(n_tasks, n_rows) < 0.6
    kept[:, :2] = True
    return kept


# ------------------------------------------------------------------ one network


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


# ------------------------------------------------------------------ several networks


@each_kind
def test_members_stacked_equal_members_run_one_by_one_in_values_and_gradients(kind):
    network, x = ensemble(kind), stack()
    together = network(x)
    looped = torch.stack([member(x) for member in network.members])
    assert together.shape[:3] == (3, 4, 10)
    torch.testing.assert_close(together, looped, rtol=1e-10, atol=1e-10)
    weight = torch.randn_like(together)
    parameters = list(network.parameters())
    one = torch.autograd.grad((together * weight).sum(), parameters)
    other = torch.autograd.grad((looped * weight).sum(), parameters)
    torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)
    mean = network.output_scores(together)
    scores = [member.output_scores(member(x)) for member in network.members]
    torch.testing.assert_close(mean, torch.stack(scores).mean(dim=0))
    assert mean.shape == (4, 10)


@each_kind
def test_members_go_their_own_way_where_they_share_no_input(kind):
    # A device without numbers stands in for an accelerator, where built-in members run stacked.
    network, x = ensemble(kind), stack()
    assert network.to("meta")(x.to("meta")).shape == ensemble(kind)(x).shape


@each_kind
def test_gradients_reach_every_member(kind):
    network = ensemble(kind)
    network(stack()).mean().backward()
    for member in network.members:
        for name, parameter in member.named_parameters():
            # A bias before a batch norm is cancelled by it.
            cancelled = name.endswith(("module.0.bias", "module.3.bias")) and "ntl" not in kind
            cancelled |= name.endswith("module.0.bias")
            assert cancelled or parameter.grad.abs().max() > 1e-6


@each_kind
def test_nothing_leaks_between_members_or_tasks(kind):
    network, x = ensemble(kind), stack()
    before = network(x)
    changed = x.clone()
    changed[1] = 10 * torch.randn_like(changed[1])
    others = [0, 2, 3]
    torch.testing.assert_close(network(changed)[:, others], before[:, others])
    for parameter in network.members[1].parameters():
        parameter.data += 1
    after = network(x)
    torch.testing.assert_close(after[[0, 2]], before[[0, 2]])
    assert not torch.allclose(after[1], before[1])


@each_kind
def test_views_of_the_members_stand_side_by_side(kind):
    network, x, kept = ensemble(kind), stack(), masks()
    for mask in (None, kept):
        representation, score = network.layers_and_score(x, mask)
        alone = [member.layers_and_score(x, mask) for member in network.members]
        torch.testing.assert_close(representation, torch.cat([a for a, _ in alone], dim=-1))
        torch.testing.assert_close(score, torch.stack([b for _, b in alone]).mean(dim=0))
        torch.testing.assert_close(network.anomaly_score(x, mask), score)
    torch.testing.assert_close(
        network.layers_and_score(x[0], kept[0])[1], network.layers_and_score(x, kept)[1][0]
    )


def test_members_start_apart():
    network = ACREnsemble(3, n_features=N_FEATURES)
    first, *others = (member.backbone.linears[0].weight for member in network.members)
    assert all(not torch.allclose(first, other) for other in others)


def test_members_of_a_users_module_have_copies_and_heads_of_their_own():
    module = users_module()
    network = ACREnsemble(2, n_features=N_FEATURES, backbone=module)
    one, other = network.members
    assert torch.equal(one.backbone.module[0].weight, other.backbone.module[0].weight)
    assert one.backbone.module[0].weight is not other.backbone.module[0].weight
    assert not torch.allclose(one.objective.center, other.objective.center)


def test_dropout_differs_between_members():
    module = nn.Sequential(nn.Linear(N_FEATURES, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
    network = ACREnsemble(2, n_features=N_FEATURES, backbone=module)
    network.members[1].load_state_dict(network.members[0].state_dict())
    x = stack().float()
    one, other = network.train()(x)
    assert not torch.allclose(one, other)
    one, other = network.eval()(x)
    torch.testing.assert_close(one, other)


@each_kind
def test_threads_score_as_one_does(kind):
    network, x, kept = ensemble(kind), stack(2, 30), masks(16, 30).view(8, 2, 30)
    with torch.no_grad():
        expected = [network.layers_and_score(x, own) for own in kept]
    wrong = []

    def run(i):
        for _ in range(20):
            with torch.no_grad():
                got = network.layers_and_score(x, kept[i])
            if not all(torch.equal(a, b) for a, b in zip(got, expected[i], strict=True)):
                wrong.append(i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@each_kind
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_and_pickles_are_equal(kind, copied):
    network, x, kept = ensemble(kind), stack(), masks()
    twin = copied(network)
    for one, other in zip(
        twin.layers_and_score(x, kept), network.layers_and_score(x, kept), strict=True
    ):
        assert torch.equal(one, other)
    torch.testing.assert_close(twin(x), network(x))
