import numpy as np
import pytest
import torch

import acr_sklearn.scoring.heads as module
from acr_sklearn.domains.covariance import fit_within_domain_covariance
from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.networks.ensemble import ACREnsemble
from acr_sklearn.scoring.heads import SCORE_HEADS, make_head
from acr_sklearn.scoring.neighbors import nearest_distance

RNG = np.random.default_rng(0)
N_FEATURES = 4
TRAINING = RNG.normal(size=(300, N_FEATURES)) @ RNG.normal(size=(N_FEATURES, N_FEATURES))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return ACRNetwork(N_FEATURES, hidden_layer_sizes=(8,), embedding_dim=4).double().eval()


def head(kind, n_neighbors=5, trim_fraction=0.0):
    shape = fit_within_domain_covariance(TRAINING, np.repeat([0, 1, 2], 100), 3, seed=0)
    return make_head(kind, n_neighbors, trim_fraction, shape)


def batch(n_rows=60, n_batches=2):
    x = RNG.normal(size=(n_batches, n_rows, N_FEATURES))
    return torch.from_numpy(x - x.mean(axis=1, keepdims=True))


def test_each_head_is_what_it_says(network):
    x = batch()
    objective = head("objective").score(network, x, None)
    torch.testing.assert_close(objective, network.anomaly_score(x))
    neighbors = head("neighbors", 3).score(network, x, None)
    torch.testing.assert_close(neighbors, nearest_distance(network.layers_and_score(x)[0], 3))
    shape = head("mahalanobis").covariance
    own = TRAINING - np.repeat(TRAINING.reshape(3, 100, -1).mean(axis=1), 100, axis=0)
    covariance = np.cov((own / shape.scale.scale).T, bias=True)
    ridge = 0.03 * np.trace(covariance) / N_FEATURES * np.eye(N_FEATURES)
    far = [np.sqrt(row @ np.linalg.inv(covariance + ridge) @ row) for row in x[0].numpy()]
    got = head("mahalanobis").score(network, x, x)[0].detach().numpy()
    np.testing.assert_allclose(got, far, rtol=1e-8)


class Prescribed:
    """A network whose layers are its input, and whose centre distance is given."""

    def __init__(self, centre):
        self.centre = centre

    def layers_and_score(self, x, kept=None):
        return x, self.centre

    def distance(self, score):
        return score.sqrt()


def test_combined_sees_what_only_one_of_its_views_sees():
    x = batch(200, 1)
    centre = 4 + torch.rand(1, 200, dtype=torch.float64)
    x[0, :10] = 6 + 0.01 * torch.randn(10, N_FEATURES, dtype=torch.float64)
    centre[0, :10] = 40.0  # a tight cluster: near to its neighbours, far from the centre
    x[0, 10] = 60.0  # alone, but at a usual distance from the centre
    near = nearest_distance(x, 5)[0]
    assert near[:10].max() < near[10:].min()
    scores = head("combined").score(Prescribed(centre), x, None)[0]
    assert set(scores.argsort(descending=True)[:11].tolist()) == set(range(11))


def with_ties(x):
    """A batch whose first rows come twice."""
    return torch.cat([x, x[:, : x.shape[1] // 4]], dim=1)


both_passes = pytest.mark.parametrize("trim_fraction", [0.0, 0.25, 0.49])
each_head = pytest.mark.parametrize("kind", SCORE_HEADS)


@each_head
@both_passes
def test_batches_of_a_stack_are_scored_on_their_own(network, kind, trim_fraction):
    x = batch(40, 3)
    chosen = head(kind, trim_fraction=trim_fraction)
    together = chosen.score(network, x, x)
    alone = torch.cat([chosen.score(network, x[i : i + 1], x[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-9)


@each_head
@both_passes
def test_scores_follow_row_order_and_equal_rows_score_alike(network, kind, trim_fraction):
    x = with_ties(batch(40, 1))
    chosen = head(kind, trim_fraction=trim_fraction)
    scores = chosen.score(network, x, x)
    for seed in range(5):
        order = torch.randperm(50, generator=torch.Generator().manual_seed(seed))
        again = chosen.score(network, x[:, order], x[:, order])
        torch.testing.assert_close(again, scores[:, order], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(scores[:, :10], scores[:, 40:], rtol=1e-9, atol=1e-9)


@each_head
@both_passes
def test_single_precision_says_the_same(network, kind, trim_fraction):
    x = batch(200, 1)
    chosen = head(kind, trim_fraction=trim_fraction)
    exact = chosen.score(network, x, x)
    rough = chosen.score(network.float(), x.float(), x.float())
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough.double(), exact, rtol=1e-2, atol=1e-2)


@each_head
@pytest.mark.parametrize("trim_fraction", [0.25, 0.49])
@pytest.mark.parametrize("n_rows", [2, 3, 4, 7])
def test_small_and_equal_batches_stay_finite(network, kind, n_rows, trim_fraction):
    x = batch(n_rows, 1)
    chosen = head(kind, trim_fraction=trim_fraction)
    assert torch.isfinite(chosen.score(network, x, x)).all()
    constant = chosen.score(network, 0 * x, 0 * x)
    assert torch.isfinite(constant).all()
    assert (constant == constant[0, 0]).all()
    twice = torch.cat([x, x], dim=1)
    assert torch.isfinite(chosen.score(network, twice, twice)).all()


# ------------------------------------------------------------------ two passes


@each_head
def test_what_is_initially_outlying_is_left_out(network, kind, monkeypatch):
    masks = []
    plain = module.ScoreHead.distances

    def distances(self, network, x, units, kept):
        masks.append(kept)
        return plain(self, network, x, units, kept)

    monkeypatch.setattr(module.ScoreHead, "distances", distances)
    x = batch(20, 2)
    x[0, 3:8] += 30
    x[1, 11:16] -= 30
    head(kind).score(network, x, x)
    head(kind, trim_fraction=0.25).score(network, x, x)
    assert masks[0] is None
    assert (~masks[1]).nonzero().tolist() == [
        *([0, i] for i in range(3, 8)),
        *([1, i] for i in range(11, 16)),
    ]
    assert len(masks) == 2


@pytest.mark.parametrize("kind", ["objective", "neighbors", "mahalanobis"])
def test_rows_left_out_change_the_score_of_no_row_kept(network, kind):
    x = batch(40, 2)
    kept = torch.ones(2, 40, dtype=torch.bool)
    kept[0, :5] = kept[1, 7:12] = False
    chosen = head(kind)
    masked = chosen.distances(network, x, x, kept)[0]
    for rows, own, scores in zip(x, kept, masked, strict=True):
        alone = chosen.distances(network, rows[None, own], rows[None, own], None)[0, 0]
        torch.testing.assert_close(scores[own], alone, rtol=1e-9, atol=1e-9)


def test_a_large_cluster_of_anomalies_no_longer_pulls_the_centre():
    x = batch(100, 1)
    x[0, :20] = 5 + 0.3 * torch.from_numpy(RNG.normal(size=(20, N_FEATURES)))
    network = ACRNetwork(N_FEATURES).double()
    one, two = (
        head("mahalanobis", trim_fraction=trim).score(network, x, x)[0] for trim in (0.0, 0.25)
    )
    clean = x[:, 20:]
    alone = head("mahalanobis").score(network, clean, clean)[0]
    # Against the scores that the normal rows get without the cluster.
    error = [(scores[20:] - alone).abs().mean().item() for scores in (one, two)]
    assert error[1] < 0.3 * error[0]
    assert (two[:20, None] > two[20:]).double().mean() > 0.99


def test_an_ensemble_is_scored_like_one_network():
    torch.manual_seed(0)
    ensemble = ACREnsemble(3, n_features=N_FEATURES, hidden_layer_sizes=(8,), embedding_dim=4)
    ensemble, x = ensemble.double(), batch(30, 2)
    members = [head("objective").score(member, x, None) for member in ensemble.members]
    objective = head("objective").score(ensemble, x, None)
    torch.testing.assert_close(objective, torch.stack(members).mean(dim=0))
    squares = [
        nearest_distance(member.layers_and_score(x)[0], 29).square().mean()
        for member in ensemble.members
    ]
    near = nearest_distance(ensemble.layers_and_score(x)[0], 29)
    assert near.square().mean() > max(squares)  # distances in all members' layers together
