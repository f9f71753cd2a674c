import pickle

import numpy as np
import pytest

import acr_sklearn.domains.covariance as module
from acr_sklearn.domains.covariance import fit_within_domain_covariance

RNG = np.random.default_rng(0)
MIXING = RNG.normal(size=(4, 4))


def two_domains(n_rows=1500):
    rows = RNG.normal(size=(2 * n_rows, 4)) @ MIXING
    rows[:n_rows] += 40
    return rows, np.repeat([0, 1], n_rows)


def test_whitened_normals_have_unit_covariance_within_their_domain():
    rows, index = two_domains()
    shape = fit_within_domain_covariance(rows, index, 2, seed=0)
    for domain in (0, 1):
        own = (rows[index == domain] - rows[index == domain].mean(axis=0)) / shape.scale.scale
        white = own @ shape.whitening(0.0)
        np.testing.assert_allclose(np.cov(white.T), np.eye(4), atol=0.15)


def test_a_ridge_bounds_the_weight_of_axes_without_spread():
    rows, index = two_domains()
    rows[:, 3] = rows[:, 0] - rows[:, 1]  # one axis without any spread
    shape = fit_within_domain_covariance(rows, index, 2, seed=0)
    assert shape.variances[0] < 1e-10 * shape.variances[-1]
    weights = shape.inverse_spread(0.04)
    assert weights.max() == pytest.approx(1 / np.sqrt(0.04 * shape.variances.mean()), rel=1e-6)
    constant = fit_within_domain_covariance(np.ones((5, 2)), np.zeros(5, np.int64), 1, seed=0)
    assert np.isfinite(constant.inverse_spread(0.04)).all()


def test_large_domains_are_sampled_and_small_ones_are_not(monkeypatch):
    rows, index = two_domains(300)
    whole = fit_within_domain_covariance(rows, index, 2, seed=0)
    again = fit_within_domain_covariance(rows, index, 2, seed=1).variances
    np.testing.assert_allclose(again, whole.variances, rtol=1e-10)
    monkeypatch.setattr(module, "_ROWS_PER_DOMAIN", 200)
    sampled = [
        fit_within_domain_covariance(rows, index, 2, seed=seed).variances for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(sampled[0], sampled[1])
    assert not np.array_equal(sampled[0], sampled[2])
    np.testing.assert_allclose(sampled[0], whole.variances, rtol=0.3)


def test_many_features_get_a_diagonal(monkeypatch):
    monkeypatch.setattr(module, "_FULL_COVARIANCE", 3)
    rows, index = two_domains()
    shape = fit_within_domain_covariance(rows, index, 2, seed=0)
    assert shape.axes is None  # a dense identity would weigh the square of the features
    assert shape.is_diagonal
    own = (rows[:1500] - rows[:1500].mean(axis=0)) / shape.scale.scale
    np.testing.assert_allclose(shape.variances, own.var(axis=0), rtol=0.2)
    np.testing.assert_allclose((own * shape.whitening(0.0)).var(axis=0), 1.0, rtol=0.2)


def test_a_diagonal_shape_takes_no_memory_of_the_square_of_the_features():
    n_features = 2500
    rows = RNG.normal(size=(40, n_features)).astype(np.float32)
    shape = fit_within_domain_covariance(rows, np.repeat([0, 1], 20), 2, seed=0)
    assert len(pickle.dumps(shape)) < 100 * n_features
