import numpy as np
import pytest
import torch
from torch import nn

import acr_sklearn._compute as compute
import acr_sklearn.scoring.fused_mlp as matrix_chain
import acr_sklearn.scoring.neighbors as distances
from acr_sklearn._input.chunks import Chunks
from acr_sklearn.domains.covariance import fit_within_domain_covariance
from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.networks.ensemble import ACREnsemble
from acr_sklearn.scoring.heads import SCORE_HEADS, make_head
from acr_sklearn.scoring.measure import measure_batch
from acr_sklearn.scoring.scorer import Scorer

RNG = np.random.default_rng(0)
N_FEATURES = 5
MIXING = RNG.normal(size=(N_FEATURES, N_FEATURES))
SHAPE = fit_within_domain_covariance(
    RNG.normal(size=(90, N_FEATURES)) @ MIXING, np.repeat([0, 1, 2], 30), 3, seed=0
)


def batch(n_rows=150):
    rows = 40 + 3 * RNG.normal(size=(n_rows, N_FEATURES)) @ MIXING
    rows[: n_rows // 6] += 9
    return RNG.permutation(rows)


def make(kind="network"):
    torch.manual_seed(0)
    options = {"n_features": N_FEATURES, "hidden_layer_sizes": (8,), "embedding_dim": 4}
    if kind == "ensemble":
        return ACREnsemble(2, **options).eval()
    if kind == "module":
        layers = nn.Sequential(nn.Linear(N_FEATURES, 6), nn.BatchNorm1d(6), nn.ReLU())
        return ACRNetwork(**options, backbone=layers).eval()
    return ACRNetwork(**options, whitening=torch.from_numpy(SHAPE.whitening(0.1)).float()).eval()


def check(network, scale, head, rows, sizes, tolerance):
    expected = Scorer(network, scale, head).batches(rows, [np.arange(len(rows))])
    network = network.double() if rows.dtype == np.float64 else network
    for size in sizes:
        fixed, scores = measure_batch(network, scale, head, Chunks(rows, size))
        bound = tolerance * np.abs(expected).max()
        np.testing.assert_allclose(scores, expected, rtol=tolerance, atol=bound)
        with torch.no_grad():
            own = fixed(torch.from_numpy(rows)).numpy()
        np.testing.assert_allclose(own, expected, rtol=tolerance, atol=bound)


@pytest.mark.parametrize("trim_fraction", [0.0, 0.25])
@pytest.mark.parametrize("kind", SCORE_HEADS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_chunks_of_any_size_score_as_one_piece(kind, trim_fraction, dtype):
    head = make_head(kind, 5, trim_fraction, SHAPE)
    tolerance = 1e-9 if dtype == np.float64 else 1e-4
    check(make(), SHAPE.scale, head, batch().astype(dtype), [1, 7, 149, 1000], tolerance)


@pytest.mark.parametrize("kind", SCORE_HEADS)
def test_so_do_batches_of_which_some_rows_serve_as_neighbours(kind, monkeypatch):
    monkeypatch.setattr(distances, "_ALL_NEIGHBORS", 100)
    monkeypatch.setattr(distances, "_REFERENCE_ROWS", 40)
    monkeypatch.setattr(compute, "_ROWS", 16)
    monkeypatch.setattr(matrix_chain, "_ROWS", 8)
    check(make(), SHAPE.scale, make_head(kind, 5, 0.25, SHAPE), batch(), [7, 50], 1e-9)


@pytest.mark.parametrize("network", ["ensemble", "module"])
@pytest.mark.parametrize("kind", SCORE_HEADS)
def test_so_do_an_ensemble_and_a_users_module(network, kind):
    scale = None if network == "module" else SHAPE.scale
    check(make(network), scale, make_head(kind, 5, 0.25, SHAPE), batch(), [13], 1e-9)


@pytest.mark.parametrize("kind", SCORE_HEADS)
def test_row_order_changes_nothing(kind):
    rows, order = batch(), RNG.permutation(150)
    head, network = make_head(kind, 5, 0.25, SHAPE), make().double()
    _, scores = measure_batch(network, SHAPE.scale, head, Chunks(rows, 20))
    _, again = measure_batch(network, SHAPE.scale, head, Chunks(rows[order], 20))
    np.testing.assert_allclose(again, scores[order], rtol=1e-9, atol=1e-9)


def test_a_batch_of_equal_rows_and_one_in_other_units_are_taken():
    head, network = make_head("combined", 5, 0.25, SHAPE), make().double()
    constant = np.full((30, N_FEATURES), 7.0)
    assert np.isfinite(measure_batch(network, SHAPE.scale, head, Chunks(constant, 8))[1]).all()
    rows = batch()
    _, scores = measure_batch(network, SHAPE.scale, head, Chunks(rows, 20))
    for moved in (1e150 * rows, 1e-150 * rows, rows + 1e6):
        _, again = measure_batch(network, SHAPE.scale, head, Chunks(moved, 20))
        np.testing.assert_allclose(again, scores, rtol=1e-4, atol=1e-4)


def test_memory_is_that_of_a_chunk(monkeypatch):
    seen = []
    plain = ACRNetwork.layers

    def record(self, x, kept=None):
        seen.append(len(x))
        return plain(self, x, kept)

    monkeypatch.setattr(ACRNetwork, "layers", record)
    head = make_head("neighbors", 5, 0.0, SHAPE)
    measure_batch(make().double(), SHAPE.scale, head, Chunks(batch(), 10))
    # The rows that serve as neighbours are gathered once; here that is all of them.
    assert sorted(seen)[-2:] == [10, 150]
