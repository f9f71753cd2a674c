import threading

import numpy as np
import pytest
import torch
from torch import nn

from acr_sklearn.domains.covariance import fit_within_domain_covariance
from acr_sklearn.domains.feature_scale import FeatureScale
from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.networks.ensemble import ACREnsemble
from acr_sklearn.scoring.heads import make_head
from acr_sklearn.scoring.scorer import Scorer

RNG = np.random.default_rng(0)
UNIT = FeatureScale(np.zeros(4), np.array([1.0, 2.0, 0.5, 1.0]))
AS_IT_IS = None
SHAPE = fit_within_domain_covariance(RNG.normal(size=(90, 4)), np.repeat([0, 1, 2], 30), 3, seed=0)


def score_batches(network, scale, rows, batches, *, kind="objective", trim_fraction=0.0):
    return Scorer(network, scale, make_head(kind, 5, trim_fraction, SHAPE)).batches(rows, batches)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return ACRNetwork(4, hidden_layer_sizes=(8, 8), embedding_dim=4).eval()


def whole(rows):
    return [np.arange(len(rows))]


def test_batches_of_equal_and_unequal_size_equal_separate_calls(network):
    rows = RNG.normal(size=(200, 4)) + np.repeat(RNG.normal(0, 9, (5, 4)), 40, axis=0)
    batches = np.split(RNG.permutation(200), [40, 80, 120, 150])
    together = score_batches(network, UNIT, rows, batches)
    for batch in batches:
        alone = score_batches(network, UNIT, rows[batch], whole(batch))
        np.testing.assert_allclose(together[batch], alone, rtol=1e-11)


def test_many_batches_are_cut_into_passes_of_bounded_size(network, monkeypatch):
    rows = RNG.normal(size=(120, 4))
    batches = np.split(np.arange(120), 12)
    expected = score_batches(network, UNIT, rows, batches)
    sizes = []
    plain = ACRNetwork.anomaly_score

    def record(self, x, kept=None):
        sizes.append(x.shape[0] * x.shape[1])
        return plain(self, x, kept)

    monkeypatch.setattr(ACRNetwork, "anomaly_score", record)
    monkeypatch.setattr("acr_sklearn.scoring.scorer._STACKED_ROWS", 30)
    np.testing.assert_allclose(score_batches(network, UNIT, rows, batches), expected, rtol=1e-11)
    assert sizes == [30, 30, 30, 30]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scoring_is_pure(network, dtype):
    before = {k: v.clone() for k, v in network.state_dict().items()}
    versions = [p._version for p in network.parameters()]
    rows = RNG.normal(size=(30, 4)).astype(dtype)
    kept, state = rows.copy(), torch.get_rng_state()
    score_batches(network, UNIT, rows, whole(rows))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert [p._version for p in network.parameters()] == versions
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(rows, kept)
    assert not network.training


def test_float64_is_computed_in_float64(network):
    rows = RNG.normal(size=(60, 4))
    exact = score_batches(network, UNIT, rows, whole(rows))
    order = RNG.permutation(60)
    again = score_batches(network, UNIT, rows[order], whole(rows))
    np.testing.assert_allclose(again, exact[order], rtol=1e-11)
    single = score_batches(network, UNIT, rows.astype(np.float32), whole(rows))
    assert single.dtype == np.float64
    assert 1e-9 < np.abs(single / exact - 1).max() < 1e-3


def test_scores_do_not_move_with_the_batch(network):
    rows = RNG.normal(size=(60, 4))
    exact = score_batches(network, UNIT, rows, whole(rows))
    np.testing.assert_allclose(
        score_batches(network, UNIT, rows + 1e3, whole(rows)), exact, rtol=1e-8
    )
    np.testing.assert_allclose(score_batches(network, UNIT, rows * 1e6, whole(rows)), exact, 1e-8)


@pytest.mark.parametrize("kind", ["one network", "ensemble", "module"])
def test_sixteen_threads_score_as_one_does(network, kind):
    if kind == "ensemble":
        network = ACREnsemble(3, n_features=4, hidden_layer_sizes=(8,), embedding_dim=4).eval()
    elif kind == "module":
        backbone = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
        network = ACRNetwork(4, backbone, embedding_dim=4).eval()
    batches = [RNG.normal(size=(20 + i, 4)).astype([np.float32, float][i % 2]) for i in range(16)]

    def score(rows):
        return score_batches(network, UNIT, rows, whole(rows), kind="combined", trim_fraction=0.25)

    expected = [score(rows) for rows in batches]
    wrong = []

    def repeat(i):
        for _ in range(15):
            if not np.array_equal(score(batches[i]), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=repeat, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_rows_reach_the_network_as_they_are_without_a_scale(network):
    rows = RNG.normal(size=(9, 4)).astype(np.float32)
    seen = []
    network.backbone.linears[0].register_forward_pre_hook(
        lambda module, args: seen.append(args[0].numpy().copy())
    )
    score_batches(network, AS_IT_IS, rows, whole(rows))
    np.testing.assert_array_equal(seen[0][:, 0], rows)  # rows first, then the one batch


def test_a_head_keeps_its_units_where_the_networks_are_others(network):
    rows = RNG.normal(size=(50, 4))
    plain = score_batches(network, AS_IT_IS, rows, whole(rows), kind="mahalanobis")
    np.testing.assert_allclose(
        score_batches(network, UNIT, rows, whole(rows), kind="mahalanobis"), plain, rtol=1e-9
    )


@pytest.mark.parametrize("kind", ["combined", "mahalanobis"])
def test_a_head_has_units_of_its_own_where_the_network_has_none(network, kind):
    rows = RNG.normal(size=(50, 4))
    unscaled = score_batches(network, AS_IT_IS, rows, whole(rows), kind=kind)
    shifted = score_batches(network, AS_IT_IS, rows + 100.0, whole(rows), kind=kind)
    np.testing.assert_allclose(shifted, unscaled, rtol=1e-6)
    assert unscaled.std() > 0


def test_one_gross_row_presses_no_other_below_the_batch_norms_epsilon(network):
    # A network on scaled rows; what the others score may depend on the gross row's rank only.
    rows = np.random.default_rng(3).normal(size=(80, 4))
    scores = []
    for gross in (1e4, 1e9):
        changed = rows.copy()
        changed[0] = gross
        scores.append(score_batches(network, UNIT, changed, whole(rows), trim_fraction=0.25))
    np.testing.assert_allclose(scores[1][1:], scores[0][1:], rtol=1e-3)
