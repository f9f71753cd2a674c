import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from acr_sklearn.domains.feature_scale import FeatureScale, fit_scale

RNG = np.random.default_rng(0)


def scaled(scale, rows):
    """One batch, or a stack of batches, as scoring standardises it."""
    rows = np.asarray(rows)
    stack = rows if rows.ndim == 3 else rows[None]
    return scale.batch(torch.from_numpy(stack)).numpy().reshape(rows.shape)


def two_domains(spread=(1.0, 1.0), offset=0.0):
    rows = np.concatenate([RNG.normal(-50, 1, (400, 2)), RNG.normal(50, 1, (400, 2))])
    return offset + rows * np.asarray(spread), np.repeat([0, 1], 400)


def test_spread_is_measured_within_domains():
    scale = fit_scale(*two_domains(), 2).scale
    np.testing.assert_allclose(scale, 1.0, rtol=0.1)


def test_relative_spread_is_kept_within_bounds_and_levelled_beyond():
    def relative(*spread):
        rows = RNG.normal(size=(4000, len(spread))) * spread
        fitted = fit_scale(rows, np.zeros(4000, np.int64), 1)
        return rows.std(axis=0) / fitted.scale

    np.testing.assert_allclose(
        relative(0.5, 1.0, 1.5) / relative(1.0, 1.0, 1.0), [0.5, 1, 1.5], 0.1
    )
    np.testing.assert_allclose(relative(1e-12, 1.0, 1e6), [0.1, 1.0, 2.0], rtol=0.05)


@pytest.mark.parametrize("offset", [0.0, 1e9, -1e12])
def test_an_offset_costs_no_precision(offset):
    rows = RNG.normal(size=(300, 3))
    rows = np.round(rows, 3)
    index = np.zeros(300, np.int64)
    shifted = rows + offset
    exact = shifted - offset  # what rounding of the input itself left of the rows
    expected = fit_scale(exact, index, 1).training_rows(exact)
    got = fit_scale(shifted, index, 1).training_rows(shifted)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=2e-3)


def test_constant_features_are_measured_in_the_medians_units():
    rows = np.column_stack([np.full(200, 7.3), RNG.normal(0, 4, 200), RNG.normal(0, 4, 200)])
    scale = fit_scale(rows, np.zeros(200, np.int64), 1).scale
    assert scale[0] == pytest.approx(4, rel=0.15)
    np.testing.assert_array_equal(fit_scale(np.ones((5, 2)), np.zeros(5, np.int64), 1).scale, 1.0)


@given(st.floats(-12, 12), st.floats(-1e6, 1e6), st.sampled_from([np.float32, np.float64]))
def test_a_batch_is_free_of_shift_and_units(exponent, shift, dtype):
    unit = FeatureScale(np.zeros(3), np.ones(3))
    rows = np.random.default_rng(1).normal(size=(50, 3)).astype(dtype)
    factor = dtype(10.0**exponent)
    np.testing.assert_allclose(scaled(unit, rows * factor), scaled(unit, rows), atol=1e-5)
    if dtype is np.float64:
        np.testing.assert_allclose(scaled(unit, rows + shift), scaled(unit, rows), atol=1e-8)
    assert scaled(unit, rows).dtype == dtype


def test_a_stack_of_batches_is_scaled_batch_by_batch():
    unit = FeatureScale(np.zeros(3), np.array([1.0, 2.0, 4.0]))
    stack = RNG.normal(size=(4, 30, 3)) * np.array([1, 10, 100, 1000]).reshape(4, 1, 1)
    for batch, together in zip(stack, scaled(unit, stack), strict=True):
        np.testing.assert_allclose(scaled(unit, batch), together, rtol=1e-12)


@pytest.mark.parametrize(
    "rows", [np.zeros((5, 2)), np.full((5, 2), 1e300), np.full((5, 2), 1e9 + 0.1)]
)
def test_equal_rows_become_zeros(rows):
    np.testing.assert_array_equal(scaled(FeatureScale(np.zeros(2), np.ones(2)), rows), 0.0)


def test_scoring_uses_the_units_of_training():
    rows = RNG.normal(size=(60, 3)) * np.array([1.0, 30.0, 0.5])
    scale = fit_scale(RNG.normal(size=(90, 3)), np.zeros(90, np.int64), 1)
    trained = scale.training_rows(rows).astype(np.float64)
    trained -= trained.mean(axis=0)
    scored = scaled(scale, rows)
    np.testing.assert_allclose(scored, trained / np.sqrt(np.mean(trained**2)), atol=1e-5)
    assert np.mean(np.square(scored)) == pytest.approx(1.0)


def test_rounding_of_a_huge_mean_is_taken_out():
    rows = (1e6 + RNG.normal(size=(500, 3))).astype(np.float32)
    batch = scaled(FeatureScale(np.zeros(3), np.ones(3)), rows)
    assert np.abs(batch.mean(axis=0, dtype=np.float64)).max() < 1e-5


def test_one_unit_for_all_features_is_the_median_ones():
    scale = FeatureScale(np.arange(3.0), np.array([1.0, 2.0, 30.0]))
    uniform = scale.uniform()
    np.testing.assert_array_equal(uniform.scale, [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(uniform.location, scale.location)


@pytest.mark.parametrize("size", [1e30, 1e160, 1e300])
def test_a_constant_of_each_domain_however_large_stays_a_number(size):
    rows = np.column_stack([np.repeat([size, -size], 50), RNG.normal(size=100)])
    index = np.repeat([0, 1], 50)
    units = fit_scale(rows, index, 2).training_rows(rows)
    assert np.isfinite(units).all()
    assert 1e9 <= np.abs(units[:, 0]).max() <= 2e9 * 1.001


def test_features_on_both_ends_of_the_numbers_are_levelled():
    rows = RNG.normal(size=(100, 3)) * [1e-300, 1e-300, 1e100]
    scale = fit_scale(rows, np.zeros(100, np.int64), 1).scale
    assert (np.abs(rows / scale).max(axis=0) < 10).all()


def test_a_row_beyond_single_precision_stays_a_number_in_training():
    scale = FeatureScale(np.zeros(2), np.array([1.0, 1e-300]))
    rows = np.array([[1.5, 0.0], [1e300, 1e300], [-7e37, -1.0]])
    expected = np.array([[1.5, 0.0], [1e15, 1e15], [-1e15, -1e15]], np.float32)
    np.testing.assert_array_equal(scale.training_rows(rows), expected)


def test_scales_at_both_ends_of_the_numbers_are_numbers():
    # Warnings are errors: one feature is 1e600 times as wide as the others.
    scale = FeatureScale(np.zeros(3), np.array([1e-300, 1e-300, 1e300]))
    assert np.isfinite(scale.relative).all()
    rows = np.random.default_rng(0).normal(size=(20, 3)) * scale.scale
    assert np.isfinite(scaled(scale, rows)).all()
