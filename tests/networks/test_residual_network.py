"""ResAD's network: the order of features, rising distances, stacks, and a loss that is learnt."""

import pytest
import torch

from acr_sklearn.networks.residual_network import (
    EPSILON,
    N_DISTANCES,
    ResidualLoss,
    ResidualNetwork,
)


def network(n_features=5, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ResidualNetwork(n_features, **options).double().eval()


def drawn(*shape):
    generator = torch.Generator().manual_seed(1)
    signs = torch.rand(*shape, 5, generator=generator, dtype=torch.float64)
    signs[..., 4] = 0.5  # the number of references is that of all features
    return signs


def test_untrained_it_knows_no_feature_by_name():
    net, signs = network(), drawn(6, 5)
    score = net.anomaly_score(net(signs))
    torch.testing.assert_close(net.anomaly_score(net(signs.flip(1))), score)


def test_a_larger_residual_is_never_more_normal_by_the_distances():
    net, signs = network(), drawn(6, 5)
    before = net(signs).distance
    for sign in range(3):
        larger = signs.clone()
        larger[:, 2, sign] += 1
        assert (net(larger).distance > before).all()


@pytest.mark.parametrize("likelihood_weight", [0.0, 0.5])
@pytest.mark.parametrize("constrained", [True, False])
def test_rows_are_judged_by_sums_over_the_features(likelihood_weight, constrained):
    net = network(likelihood_weight=likelihood_weight, constrained=constrained)
    torch.nn.init.normal_(net.weights)
    signs = drawn(6, 5)
    terms = net.terms(signs)
    sums = terms.sum(dim=1)
    sums[:, -N_DISTANCES:] = torch.log(sums[:, -N_DISTANCES:] + EPSILON)
    torch.testing.assert_close(net.judged(sums, signs[:, 0, -1:]), net.scores(signs))
    changed = signs.clone()
    changed[:, 3, :4] += 1.0
    same = (net.terms(changed) == terms).all(dim=-1)
    assert same[:, [0, 1, 2, 4]].all()
    assert not same[:, 3].any()


def test_stacked_tasks_are_looped_tasks():
    net, signs = network(), drawn(3, 6, 5)
    together = net.anomaly_score(net(signs))
    for task in range(3):
        torch.testing.assert_close(together[task], net.anomaly_score(net(signs[task])))


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_the_likelihood_has_the_weight_that_it_is_given(weight):
    net, signs = network(likelihood_weight=weight), drawn(6, 5)
    output = net(signs)
    torch.testing.assert_close(net.scores(signs), net.anomaly_score(output))
    expected = (output.distance + output.contrast) / 2 - weight * output.normal
    torch.testing.assert_close(net.scores(signs), expected)


@pytest.mark.parametrize("constrained", [True, False])
def test_it_learns(constrained):
    net, loss = network(constrained=constrained).train(), ResidualLoss(1.0, constrained)
    signs, target = drawn(40, 5), torch.arange(40) >= 20
    signs[20:] += 1
    assert (net.constraintor is not None) == constrained
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(40):
        losses.append(loss(net(signs), target))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1].item() < 0.7 * losses[0].item()
    score = net.eval().anomaly_score(net(signs))
    assert score[20:].min() > score[:20].mean()


def test_wide_rows_are_read_in_part_in_training_only():
    net, signs = network(300), drawn(4, 300)
    torch.testing.assert_close(net(signs).contrast, net(signs).contrast)
    with torch.random.fork_rng(devices=[]):
        net.train()
        assert not torch.equal(net(signs).before, net(signs).before)
