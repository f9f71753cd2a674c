import numpy as np
import pytest

from acr_sklearn.domains.row_units import fit_row_units


def test_training_rows_have_mean_zero_and_deviation_one():
    rows = np.random.default_rng(0).lognormal(0, 2, (400, 3)) * [1, 1e-200, 1e200]
    seen = fit_row_units(rows).standardized(rows)
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(seen.std(axis=0), 1)


def test_users_units_come_back():
    rows = np.random.default_rng(0).normal(5, 3, (50, 4))
    units = fit_row_units(rows)
    np.testing.assert_allclose(units.users(units.standardized(rows)), rows)
    assert np.isfinite(units.users(np.full((1, 4), 1e300))).all()


def test_a_constant_feature_is_measured_by_the_others():
    rows = np.random.default_rng(0).normal(0, 3, (500, 3))
    rows[:, 1] = 0.1 + 0.2
    units = fit_row_units(rows)
    assert (units.standardized(rows)[:, 1] == 0).all()
    assert units.scale[1] == pytest.approx(3, rel=0.1)
    moved = units.standardized(rows + np.array([0, 3, 0]))
    assert 0.8 < moved[0, 1] < 1.2


@pytest.mark.parametrize("value", [0.0, 7.0, -1e300, 1e-300])
def test_nothing_but_constants_gives_finite_rows(value):
    rows = np.full((5, 2), value)
    units = fit_row_units(rows)
    assert (units.scale > 0).all()
    assert (units.standardized(rows) == 0).all()
    assert np.isfinite(units.standardized(rows + 1e300)).all()


def test_far_values_are_bounded_and_keep_their_side():
    units = fit_row_units(np.random.default_rng(0).normal(size=(100, 2)))
    seen = units.standardized(np.array([[1e300, -1e300], [np.finfo(float).max, 0.0]]))
    assert np.isfinite(seen).all()
    assert (np.abs(seen) <= 50).all()
    assert seen[0, 0] > 20
    assert seen[0, 1] < -20
