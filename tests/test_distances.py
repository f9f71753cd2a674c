import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

import acr_sklearn.distances as module
from acr_sklearn.distances import nearest_distance, robust_z

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
    monkeypatch.setattr(module, "_CHUNK", 400)
    torch.testing.assert_close(nearest_distance(x, 4), expected)


def test_large_batches_use_a_subsample_that_row_order_does_not_move(monkeypatch):
    monkeypatch.setattr(module, "_ALL_NEIGHBORS", 100)
    monkeypatch.setattr(module, "_REFERENCE_ROWS", 30)
    x = batch(200, 1)
    got = nearest_distance(x, 3)[0]
    chosen = module.evenly_spaced(module.projection(x))[0].numpy()
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


def test_many_equal_rows_make_the_others_stand_out_in_no_unit():
    distances = torch.zeros(1, 100, dtype=torch.float64)
    distances[0, 51:] = torch.linspace(0.5, 2.0, 49)
    torch.testing.assert_close(robust_z(distances), robust_z(1000 * distances))
