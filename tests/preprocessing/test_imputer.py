"""DomainImputer: gaps are filled from the row's own domain, in Pipelines too."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from acr_sklearn import DomainImputer, concat_domains

NAN = np.nan
PAGE = Path(__file__).parents[2] / "docs" / "missing_values.md"


@parametrize_with_checks([DomainImputer(), DomainImputer("mean"), DomainImputer("neighbors")])
def test_scikit_learn_check(estimator, check):
    check(estimator)  # a row with no gap is left as it is, so that nothing needs to be excused


@pytest.fixture
def table():
    X = np.array([[1.0, 10.0], [NAN, 30.0], [7.0, NAN], [2.0, 20.0], [100.0, NAN], [NAN, 5.0]])
    return X, np.array(["a", "a", "a", "a", "b", "b"])


@pytest.mark.parametrize(
    ("strategy", "first", "second"), [("median", 2.0, 20.0), ("mean", 10 / 3, 20.0)]
)
def test_each_domain_is_filled_from_its_own_values(table, strategy, first, second):
    X, domains = table
    before = X.copy()
    out = DomainImputer(strategy).fit_transform(X, domains=domains)
    expected = X.copy()
    expected[1, 0], expected[2, 1], expected[4, 1], expected[5, 0] = first, second, 5.0, 100.0
    np.testing.assert_allclose(out, expected)
    np.testing.assert_array_equal(X, before)


def test_new_domains_take_nothing_from_fit(table):
    X, domains = table
    new = np.array([[-5.0, NAN], [NAN, -8.0], [-9.0, -6.0]])
    out = DomainImputer().fit(X, domains=domains).transform(new, domains=["z"] * 3)
    np.testing.assert_array_equal(out, [[-5, -7], [-7, -8], [-9, -6]])


def test_without_domains_the_whole_is_one_batch(table):
    X, _ = table
    out = DomainImputer().fit(X).transform(X)
    np.testing.assert_array_equal(out, np.where(np.isnan(X), np.nanmedian(X, axis=0), X))


def test_the_fallback_is_the_pooled_statistic(table):
    X, domains = table
    imputer = DomainImputer().fit(X, domains=domains)
    np.testing.assert_array_equal(imputer.fallback_, np.nanmedian(X, axis=0))
    np.testing.assert_array_equal(imputer.transform([[NAN, 3.0], [NAN, NAN]])[:, 0], [4.5, 4.5])
    mean = DomainImputer("mean").fit(X, domains=domains)
    np.testing.assert_allclose(mean.fallback_, np.nanmean(X, axis=0))


def test_single_precision_is_kept(table):
    X, domains = table
    out = DomainImputer().fit_transform(X.astype(np.float32), domains=domains)
    assert out.dtype == np.float32
    assert DomainImputer().fit_transform([[1], [2]]).dtype == np.float64


def test_frames_and_names(table):
    X, domains = table
    frame = pd.DataFrame(X, columns=["heat", "load"])
    imputer = DomainImputer().set_output(transform="pandas")
    out = imputer.fit_transform(frame, domains=domains)
    assert list(out.columns) == list(imputer.get_feature_names_out()) == ["heat", "load"]
    assert not out.isna().any(axis=None)
    with pytest.raises(ValueError, match="feature names should match"):
        imputer.transform(frame.rename(columns={"heat": "cold"}))
    with pytest.raises(ValueError, match="X has 1 features, but DomainImputer is expecting 2"):
        DomainImputer().fit(X).transform(X[:, :1])


def test_a_column_that_nobody_has_seen_is_named():
    frame = pd.DataFrame({"heat": [1.0, 2.0], "load": [NAN, NAN]})
    with pytest.raises(ValueError, match=r"no value of column 'load' in domain 'a', and fit had"):
        DomainImputer().fit_transform(frame, domains=["a", "a"])
    with pytest.raises(ValueError, match="no value of column 1 in X, and fit had seen none"):
        DomainImputer().fit_transform(frame.to_numpy())


def test_what_is_no_number_is_still_refused(table):
    X, domains = table
    X[4, 0] = np.inf
    with pytest.raises(
        ValueError, match=r"fit got infinity in X: first in row 4, column 0, domain 'b'; 1 of 6"
    ):
        DomainImputer().fit(X, domains=domains)
    with pytest.raises(ValueError, match="element 1 of the list: got infinity"):
        DomainImputer().fit([X[:3], X[3:]])
    with pytest.raises(ValueError, match="5 labels in domains for 6 rows"):
        DomainImputer().fit(X[:, 1:], domains=domains[:5])
    with pytest.raises(TypeError, match="passed as domains="):
        DomainImputer().fit(X, groups=domains)
    with pytest.raises(ValueError, match="'strategy' parameter of DomainImputer must be a str"):
        DomainImputer("mode").fit([[1.0]])


# --------------------------------------------------------------------------------- Pipelines


@pytest.fixture(scope="module")
def machines():
    """X, domains of 12 machines that differ by a constant, and a new one; 2 % are missing."""
    rng = np.random.default_rng(1)

    def machine(n_rows=300):
        X = rng.normal(size=(n_rows, 8)) + rng.normal(0, 5, 8)
        X[rng.random((n_rows, 8)) < 0.02] = NAN
        return X

    return (*concat_domains([machine() for _ in range(12)]), machine())


def share_of_gaps(scores, X):
    """Share of rows with a gap among the 30 worst."""
    return np.isnan(X).any(axis=1)[np.argsort(scores)[:30]].mean()


@pytest.mark.parametrize("routing", [False, True])
def test_the_worst_rows_are_no_longer_the_imputed_ones(machines, quick, routing):
    X, site, new = machines
    shared = Pipeline([("imp", SimpleImputer(strategy="median")), ("acr", quick())])
    own = Pipeline([("imp", DomainImputer()), ("acr", quick())])
    with sklearn.config_context(enable_metadata_routing=routing):
        if routing:
            shared.fit(X, domains=site)
            own.fit(X, domains=site)
        else:
            shared.fit(X, acr__domains=site)
            own.fit(X, imp__domains=site, acr__domains=site)
    assert np.isnan(new).any(axis=1).mean() < 0.2
    assert share_of_gaps(shared.score_samples(new), new) >= 0.9
    assert share_of_gaps(own.score_samples(new), new) <= 0.2
    filled = DomainImputer().fit_transform(X, domains=site)
    alone = clone(own[-1]).fit(filled, domains=site)
    np.testing.assert_array_equal(
        own.score_samples(new), alone.score_samples(own[0].transform(new))
    )


def test_routing_hands_domains_to_every_step_in_scoring(machines, quick):
    X, site, new = machines
    batch, labels = np.concatenate([new, X[:200]]), np.repeat(["new", "seen"], [300, 200])
    with sklearn.config_context(enable_metadata_routing=True):
        model = Pipeline([("imp", DomainImputer()), ("acr", quick())]).fit(X, domains=site)
        together = model.decision_function(batch, domains=labels)
        apart = [model.decision_function(batch[labels == name]) for name in ("new", "seen")]
    np.testing.assert_allclose(together, np.concatenate(apart), rtol=1e-6)


def test_a_list_goes_through_a_pipeline(machines, quick):
    X, site, new = machines
    model = Pipeline([("imp", DomainImputer()), ("acr", quick())])
    listed = clone(model).fit([X[site == name] for name in np.unique(site)])
    named = model.fit(X, imp__domains=site, acr__domains=site)
    np.testing.assert_array_equal(
        listed.score_samples([new, new]), np.tile(named.score_samples(new), 2)
    )


def test_the_page_runs():
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == 5
    names = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
        assert share_of_gaps(names["scores"], names["new"]) <= 0.2
    assert sklearn.get_config()["enable_metadata_routing"] is False
    assert names["flags"].shape == (len(names["new"]) + len(names["other"]),)
    assert not np.isnan(names["filled"][0]).any()
