import numpy as np
import pytest

from acr_sklearn.domains.feature_scale import fit_scale
from acr_sklearn.domains.robust_spreads import LARGEST_SAMPLE, fit_robust_spreads, spaced

SPREADS = np.array([1.0, 2.0, 4.0, 1.0, 0.5, 8.0])


def draw(seed, n_rows=400):
    return np.random.default_rng(seed).normal(size=(n_rows, 6)) * SPREADS


@pytest.fixture(scope="module")
def spreads():
    parts = [draw(seed) for seed in range(6)]
    scale = fit_scale(np.concatenate(parts), np.repeat(np.arange(6), 400), 6)
    return fit_robust_spreads(parts, scale)


def test_items_are_evenly_spaced_and_all_there_when_few():
    assert spaced(np.arange(10)) is not None
    np.testing.assert_array_equal(spaced(np.arange(10)), np.arange(10))
    assert len(spaced(np.arange(10_000))) == LARGEST_SAMPLE
    np.testing.assert_array_equal(spaced(np.arange(101), 5), [0, 25, 50, 75, 100])


def test_training_like_rows_have_the_spreads_that_all_are_relative_to(spreads):
    for view in spreads.views(draw(90)):
        assert np.abs(view).max() < 0.2


def test_a_wider_feature_is_measured_as_wide_as_it_is(spreads):
    by_feature, _ = spreads.views(draw(90) * [1, 1, 1, 1, 1, 2])
    others = np.delete(by_feature, 5)
    # Trimming by distance makes it a little less than log 2.
    assert 0.45 < by_feature[5] - others.mean() < 0.75


@pytest.mark.parametrize("by", [3, 6, 12, 1e6])
def test_a_third_of_anomalous_rows_hardly_moves_the_spreads(spreads, by):
    rows = draw(90, 300)
    clean = spreads.views(rows)
    rows[:100] += by * SPREADS * np.random.default_rng(1).choice([-1, 1], 6)
    for moved, still in zip(spreads.views(rows), clean, strict=True):
        assert np.sqrt(np.mean(np.square(moved - still))) < 0.15


def test_shift_stretch_and_order_change_nothing(spreads):
    rows = draw(91)
    expected = spreads.views(rows)
    for same in (rows + 1e6, 1e-200 * rows, 1e200 * rows, rows[::-1]):
        for view, known in zip(spreads.views(same), expected, strict=True):
            np.testing.assert_allclose(view, known, atol=2e-4)


def test_the_center_is_a_median_in_units_of_the_scale(spreads):
    rows = draw(92)
    rows[0] = 1e300
    np.testing.assert_allclose(
        spreads.center(rows), np.median(rows, axis=0) / spreads.scale.scale, rtol=1e-9
    )
