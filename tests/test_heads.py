import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

import acr_sklearn.heads as module
from acr_sklearn.heads import SCORE_HEADS, make_head, nearest_distance, robust_z
from acr_sklearn.networks import ACRNetwork

RNG = np.random.default_rng(0)
N_FEATURES = 4
TRAINING = RNG.normal(size=(300, N_FEATURES)) @ RNG.normal(size=(N_FEATURES, N_FEATURES))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return ACRNetwork(N_FEATURES, hidden_layer_sizes=(8,), embedding_dim=4).double().eval()


def head(kind, n_neighbors=5):
    return make_head(kind, n_neighbors, TRAINING, np.repeat([0, 1, 2], 100), seed=0)


def batch(n_rows=60, n_batches=2):
    x = RNG.normal(size=(n_batches, n_rows, N_FEATURES))
    return torch.from_numpy(x - x.mean(axis=1, keepdims=True))


def by_scikit_learn(rows, references, k, *, skip_self):
    found = NearestNeighbors(n_neighbors=k + skip_self).fit(references).kneighbors(rows)[0]
    return found[:, int(skip_self) :].mean(axis=1)


@pytest.mark.parametrize("k", [1, 5, 59, 200])
def test_nearest_distance_is_scikit_learns(k):
    x = batch()
    got = nearest_distance(x, k).numpy()
    for rows, distances in zip(x.numpy(), got, strict=True):
        expected = by_scikit_learn(rows, rows, min(k, 59), skip_self=True)
        np.testing.assert_allclose(distances, expected, rtol=1e-10)


def test_chunks_change_nothing(monkeypatch):
    x = batch(50, 3)
    expected = nearest_distance(x, 4)
    monkeypatch.setattr(module, "_CHUNK", 400)
    torch.testing.assert_close(nearest_distance(x, 4), expected)


def test_large_batches_use_a_subsample_that_row_order_does_not_move(monkeypatch):
    monkeypatch.setattr(module, "_ALL_NEIGHBORS", 100)
    monkeypatch.setattr(module, "_REFERENCE_ROWS", 30)
    x = batch(200, 1)
    got = nearest_distance(x, 3)[0]
    chosen = module._reference_rows(x)[0].numpy()
    assert len(np.unique(chosen)) == 30
    rows = x[0].numpy()
    others = np.setdiff1d(np.arange(200), chosen)
    expected = by_scikit_learn(rows[others], rows[chosen], 3, skip_self=False)
    np.testing.assert_allclose(got.numpy()[others], expected)
    expected = by_scikit_learn(rows[chosen], rows[chosen], 3, skip_self=True)
    np.testing.assert_allclose(got.numpy()[chosen], expected)
    order = torch.randperm(200)
    torch.testing.assert_close(nearest_distance(x[:, order], 3)[0], got[order])


def test_duplicates_are_neighbours_at_distance_zero():
    x = batch(20, 1)
    x[0, 1] = x[0, 0]
    assert nearest_distance(x, 1)[0, :2].tolist() == [0.0, 0.0]


def test_robust_z_is_the_log_distance_over_median_and_mad():
    distances = torch.from_numpy(RNG.lognormal(size=(2, 101)))
    logs = np.log(distances.numpy())
    centred = logs - np.median(logs, axis=1, keepdims=True)
    mad = np.median(np.abs(centred), axis=1, keepdims=True)
    np.testing.assert_allclose(robust_z(distances).numpy(), centred / (1.4826 * mad), atol=1e-4)
    np.testing.assert_allclose(robust_z(50 * distances), robust_z(distances), atol=1e-8)


@pytest.mark.parametrize("values", [[0.0] * 5, [3.0] * 5, [0, 0, 0, 0, 9.0], [0, 1, 1, 1, 1.0]])
def test_robust_z_stays_finite(values):
    z = robust_z(torch.tensor([values], dtype=torch.float64))
    assert torch.isfinite(z).all()
    assert (z == 0).all() == (len(set(values)) == 1)


def test_each_head_is_what_it_says(network):
    x = batch()
    objective = head("objective").score(network, x, None)
    torch.testing.assert_close(objective, network.anomaly_score(x))
    neighbors = head("neighbors", 3).score(network, x, None)
    torch.testing.assert_close(neighbors, nearest_distance(network.backbone(x), 3))
    shape = head("mahalanobis").shape
    own = TRAINING - np.repeat(TRAINING.reshape(3, 100, -1).mean(axis=1), 100, axis=0)
    covariance = np.cov((own / shape.scale.scale).T, bias=True)
    ridge = 0.03 * np.trace(covariance) / N_FEATURES * np.eye(N_FEATURES)
    far = [np.sqrt(row @ np.linalg.inv(covariance + ridge) @ row) for row in x[0].numpy()]
    got = head("mahalanobis").score(network, x, x)[0].detach().numpy()
    np.testing.assert_allclose(got, far, rtol=1e-8)


def test_combined_sees_what_only_one_of_its_views_sees(network):
    x = batch(200, 1)
    # A tight cluster of its own is no neighbour's outlier, but far from most rows.
    x[0, :10] = 6 + 0.01 * torch.randn(10, N_FEATURES, dtype=torch.float64)
    scores = head("combined").score(network, x, x)[0]
    assert set(scores.argsort(descending=True)[:10].tolist()) == set(range(10))
    narrow = nearest_distance(x, 5)[0]
    assert narrow[:10].max() < narrow[10:].min()


@pytest.mark.parametrize("kind", SCORE_HEADS)
def test_batches_of_a_stack_are_scored_on_their_own(network, kind):
    x = batch(40, 3)
    chosen = head(kind)
    together = chosen.score(network, x, x)
    alone = torch.cat([chosen.score(network, x[i : i + 1], x[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", SCORE_HEADS)
@pytest.mark.parametrize("n_rows", [2, 3, 7])
def test_small_and_equal_batches_stay_finite(network, kind, n_rows):
    x = batch(n_rows, 1)
    assert torch.isfinite(head(kind).score(network, x, x)).all()
    assert torch.isfinite(head(kind).score(network, 0 * x, 0 * x)).all()
