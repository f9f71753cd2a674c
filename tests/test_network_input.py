import numpy as np
import pytest

import acr_sklearn.normal_shape as shapes
from acr_sklearn.network_input import _RIDGE, NetworkInput
from acr_sklearn.normal_shape import fit_shape

RNG = np.random.default_rng(0)
MIXING = RNG.normal(size=(4, 4))
INDEX = np.repeat([0, 1, 2], 600)
ROWS = RNG.normal(size=(1800, 4)) @ MIXING + np.repeat(RNG.normal(0, 30, (3, 4)), 600, axis=0)


def fit(rows=ROWS, *, whiten=True):
    return NetworkInput.of(fit_shape(rows, INDEX, 3, seed=0), whiten=whiten)


def pooled_covariance(rows):
    own = [part - part.mean(axis=0) for part in np.split(rows.astype(np.float64), 3)]
    return np.cov(np.concatenate(own).T, bias=True)


def test_whitened_features_are_uncorrelated_within_domains(monkeypatch):
    monkeypatch.setattr("acr_sklearn.network_input._RIDGE", 1e-6)
    seen = fit().training_rows(ROWS)
    np.testing.assert_allclose(pooled_covariance(seen[:, 4:]), np.eye(4), atol=1e-3)
    assert np.abs(pooled_covariance(seen[:, :4]) - np.eye(4)).max() > 0.5


def test_the_ridge_only_damps_the_weak_directions():
    spread = np.diag(pooled_covariance(fit().training_rows(ROWS)[:, 4:]))
    variances = fit_shape(ROWS, INDEX, 3, seed=0).variances
    np.testing.assert_allclose(spread, variances / (variances + _RIDGE * variances.mean()), 1e-3)


def test_the_features_themselves_stand_first():
    both, alone = fit(), fit(whiten=False)
    assert (both.width(4), alone.width(4)) == (8, 4)
    assert alone.whitening is None
    seen = both.training_rows(ROWS)
    assert seen.dtype == np.float32
    np.testing.assert_array_equal(seen[:, :4], alone.training_rows(ROWS))
    np.testing.assert_array_equal(seen[:, :4], both.scale.training_rows(ROWS))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_that_of_the_rows(dtype):
    both = fit()
    units = both.scale.batch(ROWS[:50].astype(dtype))
    seen = both.beside_whitened(units)
    assert seen.dtype == dtype
    np.testing.assert_allclose(seen[:, 4:], units.astype(float) @ both.whitening, atol=1e-5)
    stacked = both.beside_whitened(units.reshape(2, 25, 4))
    np.testing.assert_allclose(stacked.reshape(50, 8), seen, atol=1e-6)
    alone = fit(whiten=False)
    assert alone.beside_whitened(units) is units


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_users_network_sees_the_rows_as_they_are(dtype):
    unchanged = NetworkInput(None, None)
    rows = ROWS.astype(dtype)
    seen = unchanged.training_rows(rows)
    assert seen.dtype == np.float32
    np.testing.assert_array_equal(seen, rows.astype(np.float32))
    assert not np.shares_memory(seen, rows)  # a training never writes to the user's rows
    assert unchanged.width(4) == 4


def test_units_account_for_a_diagonal_covariance(monkeypatch):
    monkeypatch.setattr(shapes, "_FULL_COVARIANCE", 3)
    assert fit().whitening is None
    assert fit().scale is not None


def test_rows_without_spread_stay_finite():
    constant = np.ones((1800, 4))
    assert np.isfinite(fit(constant).training_rows(constant)).all()
