import numpy as np
import pytest
import torch

from acr_sklearn.distances import differences_are_cheap, nearest_distance
from acr_sklearn.frozen import FrozenBatch, Neighbors, whitened

RNG = np.random.default_rng(0)


def neighbors(rows, k=3):
    exact = differences_are_cheap(len(rows), len(rows), rows.shape[1], rows.dtype)
    return Neighbors(rows, torch.arange(len(rows)), k, exact)


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


def test_whitening_is_a_matrix_or_a_vector():
    x = torch.from_numpy(RNG.normal(size=(4, 3)))
    weights = torch.tensor([1.0, 2.0, 3.0]).double()
    torch.testing.assert_close(whitened(x, weights), whitened(x, torch.diag(weights)))


def test_a_score_of_the_features_needs_no_network():
    frozen = FrozenBatch("mahalanobis", torch.tensor([1.0, 2.0]), torch.tensor([2.0, 2.0]))
    frozen.whitening = torch.eye(2)
    assert frozen(torch.tensor([[7.0, 10.0]])).item() == pytest.approx(5.0)
    x = torch.tensor([[7.0, 10.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(frozen(x).sum(), x)
    np.testing.assert_allclose(gradient.numpy(), [[0.3, 0.4]], rtol=1e-6)
