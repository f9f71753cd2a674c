"""DomainImputer(strategy="neighbors"): gaps are filled from the nearest rows of the batch."""

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.impute import KNNImputer

from acr_sklearn import DomainImputer, DomainScaler
from acr_sklearn.preprocessing import imputer as module

NAN = np.nan
UNITS = np.array([1.0, 1e3, 1e-3, 1.0, 50.0])


def whole(seed=0, n=200):
    """Rows whose columns follow two factors, each column in a unit of its own."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 2)) @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(n, 5))
    return (rows + rng.normal(0, 5, 5)) * UNITS


def holed(rows, seed=0, share=0.05):
    return np.where(np.random.default_rng(seed).random(rows.shape) < share, NAN, rows)


def filled(X, n_neighbors=5, **given):
    return DomainImputer("neighbors", n_neighbors=n_neighbors).fit_transform(X, **given)


def test_where_columns_depend_on_one_another_values_are_near_the_true_ones():
    rows = whole()
    X = holed(rows)
    gap = np.isnan(X)
    error, of_median = (
        np.sqrt(np.mean((((out - rows) / rows.std(axis=0))[gap]) ** 2))
        for out in (filled(X), DomainImputer().fit_transform(X))
    )
    assert error < 0.25 < 0.75 < of_median
    np.testing.assert_array_equal(filled(X)[~gap], X[~gap])


@pytest.mark.parametrize("n_neighbors", [1, 5, 30])
def test_it_is_knn_imputer_on_each_domain_by_itself(n_neighbors):
    parts = [holed(whole(seed), seed) for seed in range(3)]
    found = filled(parts, n_neighbors)
    for X, out in zip(parts, found, strict=True):
        scaled = DomainScaler().fit_transform(X)
        expected = KNNImputer(n_neighbors=n_neighbors).fit_transform(scaled)
        back = expected * np.nanstd(X, axis=0) + np.nanmean(X, axis=0)
        np.testing.assert_allclose(out, back, rtol=1e-9)


def test_columns_of_any_unit_weigh_alike():
    X = holed(whole())
    np.testing.assert_allclose(filled(X / UNITS) * UNITS, filled(X), rtol=1e-9)


@pytest.mark.parametrize("n_donors", [50, 2048])
def test_the_order_of_rows_makes_no_difference(monkeypatch, n_donors):
    monkeypatch.setattr(module, "_MOST_DONORS", n_donors)
    X = np.round(holed(whole() / UNITS))  # full of ties
    order = np.random.default_rng(5).permutation(len(X))
    np.testing.assert_allclose(filled(X[order], 3), filled(X, 3)[order], rtol=1e-12)


def test_a_large_batch_is_filled_from_some_of_its_rows(monkeypatch):
    rows = whole(n=3000)
    X = holed(rows, share=0.02)
    seen = []
    fit = KNNImputer.fit
    monkeypatch.setattr(
        KNNImputer, "fit", lambda self, X, y=None: (seen.append(len(X)), fit(self, X, y))[1]
    )
    gap, out = np.isnan(X), filled(X)
    assert seen == [2048]
    errors = ((out - rows) / rows.std(axis=0))[gap]
    assert np.sqrt(np.mean(errors**2)) < 0.35
    # The rows are evenly spaced: the values of the first column are as far apart as all are.
    monkeypatch.setattr(module, "_MOST_DONORS", 40)
    errors = ((filled(X) - rows) / rows.std(axis=0))[gap]
    assert np.sqrt(np.mean(errors**2)) < 0.7
    assert seen == [2048, 40]


def test_too_few_rows_with_the_column_leave_its_median():
    X = whole(n=20)
    X[4:, 2] = NAN
    median = np.nanmedian(X[:, 2])
    np.testing.assert_array_equal(filled(X, 5)[4:, 2], median)
    assert np.unique(filled(X, 4)[4:, 2]).size == 1  # the mean of all four
    assert not np.isclose(filled(X, 4)[4, 2], median, rtol=1e-12)
    assert np.unique(filled(X, 1)[4:, 2]).size > 1


@pytest.mark.parametrize("n_neighbors", [1, 10**30])
def test_a_row_without_any_value_is_the_median_row(n_neighbors):
    X = whole()
    X[3] = NAN
    np.testing.assert_array_equal(filled(X, n_neighbors)[3], np.nanmedian(X, axis=0))


def test_a_row_that_shares_no_column_with_a_donor_gets_the_median():
    X = whole(n=30)[:, :3]
    X[:9, 1:] = NAN  # the first column is all that they have
    X[9:, 0] = NAN
    out = filled(X, 1)
    np.testing.assert_array_equal(out[:9, 1:], np.tile(np.nanmedian(X[:, 1:], axis=0), (9, 1)))
    np.testing.assert_array_equal(out[9:, 0], np.nanmedian(X[:, 0]))


def test_small_batches_and_the_fallback():
    imputer = DomainImputer("neighbors", n_neighbors=1).fit([[1.0, 7.0], [3.0, 9.0], [8.0, 50.0]])
    np.testing.assert_array_equal(imputer.fallback_, [3, 9])
    np.testing.assert_array_equal(imputer.transform([[NAN, 2.0]]), [[3, 2]])
    np.testing.assert_array_equal(imputer.transform([[1, NAN], [4, 2.0]]), [[1, 2], [4, 2]])
    np.testing.assert_array_equal(imputer.transform([[1, NAN], [NAN, 2.0]]), [[1, 2], [1, 2]])
    np.testing.assert_array_equal(imputer.transform([[NAN, NAN]] * 2), [[3, 9]] * 2)
    X = whole()[:, :2].copy()
    X[:, 1] = NAN
    X[0, 0] = NAN
    np.testing.assert_array_equal(imputer.transform(X)[:, 1], 9.0)
    with pytest.raises(ValueError, match="no value of column 1 in X, and fit had seen none"):
        filled(X)


@pytest.mark.parametrize("constant", [0.1, 1 / 3 * 1e7, -1e300, 5e-324])
def test_a_column_of_one_value_is_filled_with_it(constant):
    X = whole()
    X[:, 1] = np.where(np.arange(len(X)) % 3, constant, NAN)
    X[7, 2] = NAN
    out = filled(X)
    np.testing.assert_array_equal(out[:, 1], constant)
    rest = filled(np.delete(X, 1, axis=1))[7, 1]
    assert out[7, 2] == pytest.approx(rest, rel=1e-9)


def test_a_column_without_values_does_not_shift_the_others():
    X = holed(whole())
    empty = np.insert(X, 2, NAN, axis=1)
    out = DomainImputer("neighbors").fit(np.nan_to_num(empty)).transform(empty)
    np.testing.assert_allclose(np.delete(out, 2, axis=1), filled(X), rtol=1e-12)
    np.testing.assert_array_equal(out[:, 2], 0.0)


def test_what_is_filled_lies_within_the_values_of_the_batch():
    for seed in range(20):
        high = np.random.default_rng(seed).random(60) < 0.5
        X = np.stack([high, np.where(high, 0.1, -0.3 - seed)], axis=1)
        X[:6, 1] = NAN
        out = filled(X)[:6, 1]
        assert np.nanmin(X[:, 1]) <= out.min() <= out.max() <= 0.1


@pytest.mark.parametrize("size", [1e-300, 5e298])
def test_values_of_any_size(size):
    X = holed(whole() / UNITS)
    np.testing.assert_allclose(filled(X * size), filled(X) * size, rtol=1e-9)


def test_single_precision_is_kept():
    X = holed(whole()).astype(np.float32)
    out = filled(X)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, filled(X.astype(np.float64)), rtol=1e-6)
    assert np.isfinite(filled(X / np.nanmax(np.abs(X)) * np.float32(3e38))).all()


@pytest.mark.parametrize("through_config", [False, True])
def test_frames_come_back_as_such(through_config):
    frame = pd.DataFrame(holed(whole()), columns=list("abcde"))
    domains = np.arange(len(frame)) % 2
    expected = filled(frame.to_numpy(), domains=domains)
    imputer = DomainImputer("neighbors")
    if through_config:
        with sklearn.config_context(transform_output="pandas"):
            out = imputer.fit_transform(frame, domains=domains)
    else:
        out = imputer.set_output(transform="pandas").fit_transform(frame, domains=domains)
    assert isinstance(out, pd.DataFrame)
    assert list(out.columns) == list("abcde")
    np.testing.assert_array_equal(out.to_numpy(), expected)


def test_transform_changes_nothing_and_runs_in_threads():
    imputer = DomainImputer("neighbors", n_neighbors=3).fit(whole())
    state = {name: np.copy(value) for name, value in vars(imputer).items()}
    tables = [holed(whole(seed), seed) for seed in range(16)]
    before, expected = [X.copy() for X in tables], [imputer.transform(X) for X in tables]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(imputer.transform, tables))
    finally:
        sys.setswitchinterval(interval)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(tables, before)
    assert vars(imputer).keys() == state.keys()
    assert all(np.array_equal(vars(imputer)[name], value) for name, value in state.items())


def test_parameters():
    imputer = clone(DomainImputer("neighbors", n_neighbors=7))
    assert imputer.get_params() == {"strategy": "neighbors", "n_neighbors": 7}
    assert DomainImputer().get_params() == {"strategy": "median", "n_neighbors": 5}
    for value in (0, -1, 2.5, "5", None, NAN):
        with pytest.raises(ValueError, match="'n_neighbors' parameter of DomainImputer must be"):
            DomainImputer("neighbors", n_neighbors=value).fit(whole())


def test_other_strategies_pass_over_the_number_of_neighbors():
    X = holed(whole())
    for strategy in ("median", "mean"):
        one, other = (DomainImputer(strategy, n_neighbors=n).fit_transform(X) for n in (1, 9))
        np.testing.assert_array_equal(one, other)


def test_what_was_pickled_before_there_were_neighbors_can_be_cloned_and_shown():
    old = DomainImputer().fit([[1.0], [2.0]])
    del old.__dict__["n_neighbors"]
    old = pickle.loads(pickle.dumps(old))
    assert clone(old).n_neighbors == 5
    assert repr(old) == "DomainImputer()"
