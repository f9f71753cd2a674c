"""What both transformers promise: batches apart, the input untouched, the shape of X kept."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.exceptions import NotFittedError
from sklearn.utils.metadata_routing import get_routing_for_object

from acr_sklearn import DomainImputer, DomainScaler
from acr_sklearn.preprocessing._within_batches import by_column

each_transformer = pytest.mark.parametrize(
    "transformer",
    [
        *(DomainImputer(), DomainImputer("mean"), DomainImputer("neighbors")),
        *(DomainScaler(), DomainScaler("mad")),
    ],
    ids=repr,
)


@pytest.fixture
def table():
    """X with gaps and domains "b" and "a", in mixed order."""
    rng = np.random.default_rng(3)
    domains = rng.permutation(np.repeat(["a", "b"], [40, 60]))
    X = rng.normal(size=(100, 3)) + np.where(domains == "a", 8.0, -3.0)[:, None]
    X[rng.random(X.shape) < 0.1] = np.nan
    return X, domains


@each_transformer
def test_one_call_equals_a_call_per_domain(transformer, table):
    X, domains = table
    before = X.copy()
    fitted = copy.copy(transformer).fit(X, domains=domains)
    together = fitted.transform(X, domains=domains)
    for name in ("a", "b"):
        alone = fitted.transform(X[domains == name])
        np.testing.assert_array_equal(together[domains == name], alone)
    assert not np.array_equal(together, fitted.transform(X), equal_nan=True)
    np.testing.assert_array_equal(X, before)
    again = copy.copy(transformer).fit_transform(X, domains=domains)
    np.testing.assert_array_equal(again, together)


@each_transformer
def test_lists_and_mappings_come_back_as_such(transformer, table):
    X, domains = table
    parts = [X[domains == "b"], X[domains == "a"]]
    expected = transformer.fit_transform(X, domains=domains)
    listed = transformer.fit_transform(parts)
    assert isinstance(listed, list)
    np.testing.assert_array_equal(listed[0], expected[domains == "b"])
    np.testing.assert_array_equal(listed[1], expected[domains == "a"])
    # The names are sorted the other way round than the data sets stand.
    named = transformer.fit_transform({"y": parts[0], "x": parts[1]})
    assert list(named) == ["y", "x"]
    np.testing.assert_array_equal(named["y"], listed[0])
    np.testing.assert_array_equal(named["x"], listed[1])


@each_transformer
def test_routing_needs_no_request(transformer):
    with sklearn.config_context(enable_metadata_routing=True):
        requests = get_routing_for_object(transformer)
    for method in ("fit", "transform", "fit_transform"):
        assert getattr(requests, method).requests == {"domains": True}


def test_several_data_sets_make_no_frame(table):
    X, _ = table
    scaler = DomainScaler().fit(X).set_output(transform="pandas")
    with pytest.raises(ValueError, match=r"DomainScaler.transform got several data sets, which"):
        scaler.transform([X, X])
    scaler.set_output(transform="default")
    assert len(scaler.transform([X, X])) == 2


def test_a_list_of_frames(table):
    X, _ = table
    frames = [pd.DataFrame(X[:50], columns=list("xyz")), pd.DataFrame(X[50:], columns=list("xyz"))]
    imputer = DomainImputer().fit(frames)
    assert imputer.get_feature_names_out().tolist() == ["x", "y", "z"]
    np.testing.assert_array_equal(imputer.transform(frames)[1], imputer.transform(frames[1]))


@each_transformer
def test_a_fit_that_fails_changes_nothing(transformer, table):
    X, domains = table
    fitted = copy.copy(transformer).fit(X, domains=domains)
    before = dict(vars(fitted))
    with pytest.raises(ValueError, match="infinity"):
        fitted.fit(np.full((4, 5), np.inf))
    assert vars(fitted) == before
    with pytest.raises(NotFittedError):
        type(transformer)().transform(X)


@each_transformer
def test_an_unknown_keyword_is_answered(transformer, table):
    X, domains = table
    with pytest.raises(TypeError, match=r"fit got an unexpected keyword argument 'groups'"):
        transformer.fit(X, groups=domains)
    with pytest.raises(TypeError, match=r"fit_transform got .* 'groups'.* passed as domains="):
        transformer.fit_transform(X, groups=domains)
    with pytest.raises(ValueError, match="together with domains="):
        transformer.fit([X, X], domains=domains)


def test_a_column_without_values_is_nan_without_a_warning():
    rows = np.array([[1.0, np.nan], [4.0, np.nan]], dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = by_column(rows, lambda part: np.nanmean(part, axis=0))
    np.testing.assert_array_equal(found, [2.5, np.nan])
    assert found.dtype == np.float64
