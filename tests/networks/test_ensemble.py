"""Ensembles: members on the same tasks, stacked or one by one, apart and side by side."""

import copy
import pickle
import threading

import pytest
import torch
from small_networks import N_FEATURES, each_kind, ensemble, masks, stack, users_module
from torch import nn

from acr_sklearn.networks.ensemble import ACREnsemble


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


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
