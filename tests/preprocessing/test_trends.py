"""Trends of columns: found where they are, and nowhere else."""

import numpy as np
import pytest

from acr_sklearn.preprocessing._trends import trends_of

TIME = np.linspace(0, 1, 100)[:, None]


def noise(seed, n_rows=100, n_features=6):
    return np.random.default_rng(seed).normal(size=(n_rows, n_features))


def left(trend, found):
    """What a found trend leaves of the true one, its level apart."""
    rest = trend - found
    return (rest - rest.mean(axis=0)).std()


def bent(found):
    return np.abs(np.diff(found, 2, axis=0)).max(axis=0) > 1e-9


@pytest.mark.parametrize("kind", ["auto", "linear", "local"])
def test_a_line_is_found_to_the_last_digit_without_noise_and_nearly_with_it(kind):
    slopes = np.array([[3.0, -5.0, 0.0]])
    exact = trends_of(TIME * slopes, kind, 0.5)
    np.testing.assert_allclose(exact - exact[:1], TIME * slopes, atol=1e-9)
    found = trends_of(6 * TIME + noise(0), kind, 0.5)
    assert left(6 * TIME, found) < 0.25


def test_a_swing_is_followed_by_the_curve_and_auto_takes_the_curve():
    swing = 3 * np.sin(2 * np.pi * TIME)
    for kind in ("local", "auto"):
        found = trends_of(swing + noise(1), kind, 0.5)
        assert bent(found).all()
        assert left(swing, found) < 0.4 * swing.std()
    assert left(swing, trends_of(swing + noise(1), "linear", 0.5)) > 0.6 * swing.std()
    # A narrower window follows more closely.
    narrow, wide = (left(swing, trends_of(swing, "local", window)) for window in (0.2, 0.6))
    assert narrow < wide


def test_auto_draws_lines_where_lines_do():
    found = trends_of(6 * TIME + noise(2), "auto", 0.5)
    assert (found != 0).any(axis=0).all()
    assert not bent(found).any()


@pytest.mark.parametrize("n_rows", [8, 12, 30, 60])
def test_rows_without_a_trend_show_none(n_rows):
    """Independent rows, of normal and of heavy tails, and drifting rows once they are shuffled."""
    rng = np.random.default_rng(3)
    shown = []
    for _ in range(8):
        shown += [rng.normal(size=(n_rows, 6)), rng.standard_t(1.5, size=(n_rows, 6))]
        shown.append(
            rng.permutation(rng.normal(size=(n_rows, 6)) + np.linspace(0, 6, n_rows)[:, None])
        )
    assert np.mean([(trends_of(X, "auto", 0.5) != 0).any() for X in shown]) <= 0.05


@pytest.mark.parametrize("where", [slice(80, 100), slice(0, 20), slice(40, 60), slice(90, 100)])
def test_a_burst_is_no_trend(where):
    X = noise(4)
    X[where] += 5
    assert not trends_of(X, "auto", 0.5).any()


def test_a_short_burst_does_not_bend_a_trend():
    X = noise(4)
    X[90:] += 5
    found = trends_of(X + 6 * TIME, "auto", 0.5)
    assert left(6 * TIME, found) < 0.3
    assert not bent(found).any()


@pytest.mark.parametrize("split", [30, 50, 80])
def test_a_shift_of_level_is_no_trend(split):
    X = noise(5)
    X[split:] += 8
    assert not trends_of(X, "auto", 0.5).any()


def test_rows_that_resemble_those_before_rarely_show_a_trend():
    rng, shown = np.random.default_rng(6), []
    for _ in range(10):
        X = rng.normal(size=(110, 6))
        for row in range(1, 110):
            X[row] += 0.5 * X[row - 1]
        shown.append(trends_of(X[10:], "auto", 0.5).any())
    assert np.sum(shown) <= 1


def test_columns_are_alone_whatever_is_missing_in_others():
    X = 6 * TIME + noise(7)
    X[::7, 1] = np.nan
    X[3:, 2] = np.nan
    found = trends_of(X, "linear", 0.5)
    assert found.shape == X.shape
    for j in (0, 1):
        np.testing.assert_allclose(found[:, j], trends_of(X[:, [j]], "linear", 0.5)[:, 0])
    assert not found[:, 2].any()
    present = ~np.isnan(X[:, 1])
    assert left(6 * TIME[present], found[present][:, [1]]) < 0.25


def test_few_rows_are_left_alone_and_many_are_put_together():
    assert not trends_of(np.arange(7.0)[:, None], "linear", 0.5).any()
    assert trends_of(np.arange(8.0)[:, None], "linear", 0.5).any()
    many = np.linspace(0, 1, 3001)[:, None]
    swing = np.hstack([9 * many, 3 * np.sin(2 * np.pi * many)])
    found = trends_of(swing + noise(8, 3001, 2), "auto", 0.5)
    assert left(swing[:, :1], found[:, :1]) < 0.1
    assert left(swing[:, 1:], found[:, 1:]) < 0.9


def test_a_column_that_hardly_varies_has_no_trend():
    X = np.zeros((50, 2))
    X[::9, 1] = 1
    assert not trends_of(X, "auto", 0.5).any()
    assert not trends_of(X, "local", 0.5).any()
