import numpy as np
import pytest

from acr_sklearn.outliers import OutlierSource, SyntheticOutliers, choose_source

RNG = np.random.default_rng(0)


def test_synthetic_outliers_are_new_rows_of_the_shape_asked_for():
    X = RNG.normal(size=(80, 6))
    before = X.copy()
    for seed in range(40):
        made = SyntheticOutliers().sample(X, 0, 30, np.random.default_rng(seed))
        assert made.shape == (30, 6)
        assert np.isfinite(made).all()
        known = {row.tobytes() for row in X}
        assert sum(row.tobytes() in known for row in made) < 10
    np.testing.assert_array_equal(X, before)


def test_synthetic_outliers_follow_the_units_of_the_rows():
    X = RNG.normal(size=(80, 3))
    plain = SyntheticOutliers().sample(X, 0, 50, np.random.default_rng(4))
    scaled = SyntheticOutliers().sample(X * 1e6 + 1e9, 0, 50, np.random.default_rng(4))
    np.testing.assert_allclose((scaled - 1e9) / 1e6, plain, atol=1e-5)


def test_the_kinds_are_scattered_and_clustered():
    X = RNG.normal(size=(200, 4))
    spreads = [
        SyntheticOutliers().sample(X, 0, 60, np.random.default_rng(s)).std(axis=0).mean()
        for s in range(60)
    ]
    assert min(spreads) < 0.7
    assert max(spreads) > 1.6


def test_one_row_and_one_feature_are_enough():
    made = SyntheticOutliers().sample(np.ones((1, 1)), 0, 5, np.random.default_rng(0))
    assert made.shape == (5, 1)


def test_choice_of_the_source():
    class Own:
        def sample(self, X, domain_index, n, rng):
            return X[:n]

    own = Own()
    assert isinstance(own, OutlierSource)
    assert choose_source(own, 1, who="fit") is own
    assert choose_source("domains", 2, who="fit") is None
    assert choose_source("auto", 2, who="fit") is None
    assert isinstance(choose_source("auto", 1, who="fit"), SyntheticOutliers)
    assert isinstance(choose_source("synthetic", 2, who="fit"), SyntheticOutliers)
    with pytest.raises(ValueError, match="det.fit got a single data set with outlier_source='dom"):
        choose_source("domains", 1, who="det.fit")
