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
    for profile in spreads.profiles(draw(90)):
        assert np.abs(profile).max() < 0.2


def test_a_wider_feature_is_measured_as_wide_as_it_is(spreads):
    by_feature, _ = spreads.profiles(draw(90) * [1, 1, 1, 1, 1, 2])
    others = np.delete(by_feature, 5)
    # Trimming by distance makes it a little less than log 2.
    assert 0.45 < by_feature[5] - others.mean() < 0.75


@pytest.mark.parametrize("by", [3, 6, 12, 1e6])
def test_a_third_of_anomalous_rows_hardly_moves_the_spreads(spreads, by):
    rows = draw(90, 300)
    clean = spreads.profiles(rows)
    rows[:100] += by * SPREADS * np.random.default_rng(1).choice([-1, 1], 6)
    for moved, still in zip(spreads.profiles(rows), clean, strict=True):
        assert np.sqrt(np.mean(np.square(moved - still))) < 0.15


def test_shift_stretch_and_order_change_nothing(spreads):
    rows = draw(91)
    expected = spreads.profiles(rows)
    for same in (rows + 1e6, 1e-200 * rows, 1e200 * rows, rows[::-1]):
        for profile, known in zip(spreads.profiles(same), expected, strict=True):
            np.testing.assert_allclose(profile, known, atol=2e-4)


def test_the_center_is_a_median_in_units_of_the_scale(spreads):
    rows = draw(92)
    rows[0] = 1e300
    np.testing.assert_allclose(
        spreads.center(rows), np.median(rows, axis=0) / spreads.scale.scale, rtol=1e-9
    )


@pytest.mark.parametrize("width", [1e-3, 0.1, 0.3])
@pytest.mark.parametrize("n_rows", [30, 60, 300])
def test_a_third_of_the_rows_in_a_tight_cluster_close_by_is_left_out(spreads, n_rows, width):
    for seed in range(10):
        rows = draw(seed + 90, n_rows)
        third = n_rows // 3
        clean = spreads.profiles(rows[third:])
        rows[:third] = 1.5 * SPREADS * [1, -1, 0, 0, 0, 0] + width * rows[:third]
        rows = np.random.default_rng(seed).permutation(rows)
        for moved, still in zip(spreads.profiles(rows), clean, strict=True):
            assert np.sqrt(np.mean(np.square(moved - still))) < 0.2


def test_nothing_is_left_out_as_a_cluster_of_rows_like_the_training_ones(spreads):
    for n_rows in (12, 30, 60, 400):
        for seed in range(100, 150):
            sample = spreads._placed(spreads._standardized(draw(seed, n_rows)))
            assert not spreads._clustered(sample).any()


def test_a_majority_is_no_cluster_and_the_order_of_the_rows_does_not_matter(spreads):
    rows = draw(90, 60)
    rows[:36] *= 0.02
    sample = spreads._placed(spreads._standardized(rows))
    assert not spreads._clustered(sample).any()
    rows[16:36] *= 50
    sample = spreads._placed(spreads._standardized(rows))
    order = np.random.default_rng(0).permutation(60)
    found = spreads._clustered(sample)
    assert found[:16].all()
    np.testing.assert_array_equal(spreads._clustered(sample[:, order]), found[order])


@pytest.mark.parametrize("n_rows", [60, 1500])
def test_anomalous_rows_are_further_off_the_center_than_all_others(spreads, n_rows):
    rows = 1e3 + draw(93, n_rows)
    rows[-n_rows // 5 :] = 1e3 + 6 * SPREADS + 0.1 * draw(94, n_rows // 5)
    off = spreads.off_center(rows)
    assert off.shape == (n_rows,)
    assert off[: -n_rows // 5].max() < off[-n_rows // 5 :].min()
