import numpy as np
import pytest

from acr_sklearn.tasks.outliers import MIXED, OutlierSource, SyntheticOutliers, choose_outliers
from acr_sklearn.tasks.settings import OutlierMix

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


def test_choice_of_the_parts():
    class Own:
        def sample(self, X, domain_index, n, rng):
            return X[:n]

    own, made = Own(), OutlierMix(synthetic=1.0)
    assert isinstance(own, OutlierSource)
    for n_domains in (1, 2):
        assert choose_outliers(own, n_domains, who="fit") == (made, own)
    assert choose_outliers("domains", 2, who="fit") == (OutlierMix(), None)
    expected = {("auto", 1): made, ("auto", 2): None, ("mixed", 2): MIXED}
    expected |= {("synthetic", 1): made, ("synthetic", 2): made}
    for (wanted, n_domains), mix in expected.items():
        got, source = choose_outliers(wanted, n_domains, who="fit")
        assert got == mix
        assert isinstance(source, SyntheticOutliers)


@pytest.mark.parametrize("wanted", ["domains", "mixed"])
def test_rows_of_other_domains_need_other_domains(wanted):
    with pytest.raises(
        ValueError,
        match=f"det.fit got a single data set with outlier_source='{wanted}': there is no other",
    ):
        choose_outliers(wanted, 1, who="det.fit")


def test_the_mixture_holds_all_three_kinds():
    assert min(MIXED.counts(26)) > 0
