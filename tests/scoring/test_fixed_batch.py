import numpy as np
import pytest
import torch

from acr_sklearn.domains.covariance import whitened
from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.scoring.fixed_batch import FixedBatch
from acr_sklearn.scoring.fixed_norms import fix_norms
from acr_sklearn.scoring.fused_mlp import FusedMLP, FusedNeighbors
from acr_sklearn.scoring.neighbors import Neighbors, differences_are_cheap, nearest_distance
from acr_sklearn.scoring.standardize import Standardizer

RNG = np.random.default_rng(0)


def units(location, divisor, dtype=torch.float32):
    return Standardizer(torch.tensor(location).double(), torch.tensor(divisor).double(), dtype)


def neighbors(rows, k=3):
    exact = differences_are_cheap(len(rows), len(rows), rows.shape[1], rows.dtype)
    return Neighbors(rows, k, exact)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_rows_of_the_batch_are_no_neighbours_of_their_own(dtype):
    rows = torch.from_numpy(RNG.normal(size=(60, 5))).to(dtype)
    expected = nearest_distance(rows[None], 3)[0]
    fixed = neighbors(rows)
    torch.testing.assert_close(fixed(rows, torch.arange(60)), expected, rtol=1e-3, atol=0)
    # Nor where it is not said that they are of the batch.
    torch.testing.assert_close(fixed(rows), expected, rtol=1e-3, atol=0)


def test_other_rows_have_all_fixed_rows_for_neighbours():
    rows = torch.from_numpy(RNG.normal(size=(60, 5)))
    new = torch.from_numpy(RNG.normal(size=(7, 5)))
    expected = torch.cdist(new, rows).topk(3, largest=False).values.mean(dim=1)
    torch.testing.assert_close(neighbors(rows)(new), expected)
    nowhere = torch.full((7,), -1)
    torch.testing.assert_close(neighbors(rows)(new, nowhere), expected)


def test_a_duplicate_of_a_fixed_row_is_at_no_distance():
    rows = torch.from_numpy(RNG.normal(size=(60, 5)))
    rows[1] = rows[0]
    assert neighbors(rows, 1)(rows)[:2].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("n_rows", [1, 2, 3])
def test_few_fixed_rows_are_enough(n_rows):
    fixed = neighbors(torch.zeros(n_rows, 2, dtype=torch.float64), 5)
    assert fixed(torch.tensor([[3.0, 4.0]]).double()).item() == pytest.approx(5.0)


@pytest.mark.parametrize("kind", ["objective", "combined", "neighbors", "mahalanobis"])
def test_views_are_those_that_the_head_looks_at(kind):
    fixed = FixedBatch(kind, units([0.0] * 5, [1.0] * 5))
    fixed.network = ACRNetwork(5, objective="ntl", n_transformations=6)
    assert fixed.n_views == (7 if kind in ("objective", "combined") else 1)


def test_whitening_is_a_matrix_or_a_vector():
    x = torch.from_numpy(RNG.normal(size=(4, 3)))
    weights = torch.tensor([1.0, 2.0, 3.0]).double()
    torch.testing.assert_close(whitened(x, weights), whitened(x, torch.diag(weights)))


def test_a_score_of_the_features_needs_no_network():
    fixed = FixedBatch("mahalanobis", units([1.0, 2.0], [2.0, 2.0]))
    fixed.whitening = torch.eye(2)
    assert fixed(torch.tensor([[7.0, 10.0]])).item() == pytest.approx(5.0)
    x = torch.tensor([[7.0, 10.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(fixed(x).sum(), x)
    np.testing.assert_allclose(gradient.numpy(), [[0.3, 0.4]], rtol=1e-6)


@pytest.mark.parametrize("hidden", [(7,), (7, 6)])
@pytest.mark.parametrize("known", [True, False])
def test_a_chain_measures_what_the_network_and_its_neighbours_do(hidden, known, monkeypatch):
    monkeypatch.setattr("acr_sklearn.scoring.fused_mlp._ROWS", 9)
    torch.manual_seed(0)
    network = ACRNetwork(3, hidden_layer_sizes=hidden, embedding_dim=4).double().eval()
    x = torch.randn(50, 3).double()
    fixed = fix_norms(network, lambda: [x])
    representation, score = fixed.layers_and_score(x)
    chosen = torch.arange(0, 50, 2)
    near_rows = Neighbors(representation[chosen], 3, False)
    own = torch.where(torch.arange(50) % 2 == 0, torch.arange(50) // 2, -1) if known else None
    chain = FusedNeighbors(
        FusedMLP.of(units([1.0] * 3, [1.0] * 3, torch.float64), fixed), near_rows
    )
    near, far = chain(x + 1, own)
    torch.testing.assert_close(near, near_rows(representation, own), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(far, fixed.distance(score), rtol=1e-11, atol=0)


def test_rows_that_coincide_have_a_gradient_of_nothing():
    rows = torch.from_numpy(RNG.normal(size=(30, 5)).astype(np.float32))
    rows[1] = rows[2] = rows[0]
    x = rows.clone().requires_grad_()
    fixed = Neighbors(rows, 2, False)
    (gradient,) = torch.autograd.grad(fixed(x).sum(), x)
    assert torch.isfinite(gradient).all()
    assert gradient[3:].abs().max() > 0


def test_rows_of_another_width_are_refused():
    fixed = FixedBatch("mahalanobis", units([1.0, 2.0], [2.0, 2.0]))
    fixed.whitening = torch.eye(2)
    with pytest.raises(ValueError, match="rows of 1 features, but holds the statistics of 2"):
        fixed(torch.zeros(4, 1))
