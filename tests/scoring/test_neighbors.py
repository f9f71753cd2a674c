import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

import acr_sklearn.scoring.neighbors as module
from acr_sklearn.scoring.neighbors import nearest_distance

RNG = np.random.default_rng(0)
N_FEATURES = 4


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
    monkeypatch.setattr(module, "MOST_DISTANCES", 400)
    torch.testing.assert_close(nearest_distance(x, 4), expected)


def test_duplicates_are_neighbours_at_distance_zero():
    x = batch(20, 1)
    x[0, 1] = x[0, 0]
    assert nearest_distance(x, 1)[0, :2].tolist() == [0.0, 0.0]


def test_neighbours_come_from_the_rows_kept():
    x = batch(60, 2)
    kept = torch.ones(2, 60, dtype=torch.bool)
    kept[0, :10] = kept[1, 20:35] = False
    got = nearest_distance(x, 4, kept)
    for rows, own, distances in zip(x.numpy(), kept.numpy(), got.numpy(), strict=True):
        expected = by_scikit_learn(rows[own], rows[own], 4, skip_self=True)
        np.testing.assert_allclose(distances[own], expected, rtol=1e-10)
        expected = by_scikit_learn(rows[~own], rows[own], 4, skip_self=False)
        np.testing.assert_allclose(distances[~own], expected, rtol=1e-10)


def test_stacked_batches_have_each_their_own_number_of_neighbours():
    x = batch(6, 2)
    kept = torch.ones(2, 6, dtype=torch.bool)
    kept[1, 3:] = False
    together = nearest_distance(x, 5, kept)
    alone = [nearest_distance(x[i : i + 1], 5, kept[i : i + 1])[0] for i in range(2)]
    torch.testing.assert_close(together, torch.stack(alone))


@pytest.mark.parametrize("k", [1, 5, 60])
def test_equal_and_close_rows_in_single_precision(k):
    x = batch(400, 2) * 10
    x[0, 50:60] = x[0, 7]
    x[1, 9] = x[1, 8] + 1e-3
    kept = torch.ones(2, 400, dtype=torch.bool)
    kept[1, :8] = False
    single = nearest_distance(x.float(), k, kept).double()
    torch.testing.assert_close(
        single, nearest_distance(x.float().double(), k, kept), rtol=1e-4, atol=1e-5
    )
    if k <= 5:
        assert (single[0, 50:60] == 0).all()
    rows = x[0].float()
    own = torch.arange(400)
    measured = module.Neighbors(rows, k, exact=False)(rows, own).double()
    expected = module.Neighbors(rows.double(), k, exact=True)(rows.double(), own)
    torch.testing.assert_close(measured, expected, rtol=1e-4, atol=1e-5)
