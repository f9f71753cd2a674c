"""DomainDetrender: the trend of every domain is taken off by itself, and its level stays."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from acr_sklearn import DomainDetrender, concat_domains, load

#: Every expected failure, with its reason. Strict: one that passes fails the test run.
LEDGER = {
    "check_methods_subset_invariance": (
        "a row loses the trend of the batch it comes in, and the check passes single rows"
    ),
    "check_methods_sample_order_invariance": "the order of the rows is their order in time",
}


@parametrize_with_checks(
    [DomainDetrender("linear"), DomainDetrender("local")],
    expected_failed_checks=lambda estimator: LEDGER,
)
def test_scikit_learn_check(estimator, check):
    check(estimator)


@parametrize_with_checks([DomainDetrender()])
def test_scikit_learn_check_of_the_default(estimator, check):
    check(estimator)


def test_the_ledger_has_two_entries_and_they_are_checks():
    checks = estimator_checks_generator(DomainDetrender())
    names = {getattr(check, "func", check).__name__ for _, check in checks}
    assert len(LEDGER) == 2
    assert set(LEDGER) <= names


@pytest.fixture
def drifting():
    """X, domains: one domain that drifts, one that does not, in turns; far from each other."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    domains = np.tile(["drifts", "stays"], 100)
    X[domains == "drifts"] += np.linspace(0, 8, 100)[:, None] + 50
    return X, domains


def test_each_domain_loses_its_own_trend_and_keeps_its_level(drifting):
    X, domains = drifting
    before, out = X.copy(), DomainDetrender().fit_transform(X, domains=domains)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(out[domains == "stays"], X[domains == "stays"])
    own, new = X[domains == "drifts"], out[domains == "drifts"]
    assert new.std(axis=0).max() < 1.3 < 2 < own.std(axis=0).min()
    np.testing.assert_allclose(np.median(new, axis=0), np.median(own, axis=0), atol=0.6)
    removed = own - new
    np.testing.assert_allclose(np.median(removed, axis=0), 0, atol=1e-9)
    np.testing.assert_array_equal(DomainDetrender().fit_transform(own), new)


@pytest.mark.parametrize("trend", ["auto", "linear", "local"])
def test_a_shift_and_a_unit_carry_over(drifting, trend):
    X = drifting[0][::2]
    out = DomainDetrender(trend).fit_transform(X)
    np.testing.assert_allclose(
        DomainDetrender(trend).fit_transform(1000 * X + 7), 1000 * out + 7, rtol=1e-9, atol=1e-5
    )
    # Time that runs backwards turns the trend around and nothing else.
    back = DomainDetrender(trend).fit_transform(X[::-1])[::-1]
    np.testing.assert_allclose(back, out, atol=0.2)


@pytest.mark.parametrize("trend", ["auto", "linear", "local"])
def test_missing_values_stay(drifting, trend):
    X = drifting[0][::2].copy()
    X[::5, 0] = X[3:, 2] = np.nan
    out = DomainDetrender(trend).fit_transform(X)
    np.testing.assert_array_equal(np.isnan(out), np.isnan(X))
    assert np.nanstd(out[:, 0]) < 1.4
    np.testing.assert_array_equal(out[:, 2], X[:, 2])


@pytest.mark.parametrize("trend", ["auto", "linear", "local"])
def test_constant_columns_few_rows_and_the_largest_floats(trend):
    detrender = DomainDetrender(trend)
    still = np.tile([0.1, 1e9 / 7], (50, 1))
    still[::2, 0] = 0.1 + 2e-17
    np.testing.assert_array_equal(detrender.fit_transform(still), still)
    few = np.arange(14.0).reshape(7, 2)
    np.testing.assert_array_equal(detrender.fit_transform(few), few)
    np.testing.assert_array_equal(detrender.transform(few[:1]), few[:1])
    large = 1e300 * np.linspace(-1, 1, 50)[:, None]
    assert np.abs(detrender.fit_transform(large)).max() < 1e295


def test_lists_precision_names_and_files(drifting, tmp_path):
    X, domains = drifting
    parts = [X[domains == name].astype(np.float32) for name in ("drifts", "stays")]
    out = DomainDetrender().fit_transform(parts)
    assert [part.dtype for part in out] == [np.float32] * 2
    whole = DomainDetrender().fit_transform(X, domains=domains)
    np.testing.assert_allclose(out[0], whole[domains == "drifts"], atol=1e-3)
    detrender = DomainDetrender(window=0.4).set_output(transform="pandas")
    frame = detrender.fit_transform(pd.DataFrame(X, columns=list("wxyz")), domains=domains)
    assert list(frame.columns) == list(detrender.get_feature_names_out()) == list("wxyz")
    DomainDetrender(window=0.4).fit(X).save(tmp_path / "kept")
    again = load(tmp_path / "kept")
    assert again.get_params() == {"trend": "auto", "window": 0.4}
    np.testing.assert_array_equal(again.transform(parts)[0], out[0])


def test_refusals(drifting):
    X, _ = drifting
    with pytest.raises(ValueError, match="'trend' parameter of DomainDetrender must be a str"):
        DomainDetrender("steps").fit(X)
    with pytest.raises(ValueError, match="'window' parameter of DomainDetrender"):
        DomainDetrender(window=0.0).fit(X)
    with pytest.raises(ValueError, match="expecting 4 features"):
        DomainDetrender().fit(X).transform(X[:, :2])


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")
@pytest.mark.parametrize("routing", [False, True])
def test_in_a_pipeline_drift_no_longer_hides_anomalies(domains, quick, make_domain, routing):
    X, site = concat_domains(domains)
    model = Pipeline([("detrend", DomainDetrender()), ("acr", quick())])
    new = make_domain(77, n_rows=60)
    odd = np.arange(60) % 10 == 5
    new[odd] += 2.5 * np.random.default_rng(0).normal(size=(6, 5))
    new += 40 * np.linspace(0, 1, 60)[:, None] * [1, -1, 1, -1, 1]
    with sklearn.config_context(enable_metadata_routing=routing):
        if routing:
            model.fit(X, domains=site)
            both = model.decision_function(np.concatenate([new, new]), domains=[0] * 60 + [1] * 60)
            np.testing.assert_allclose(both[:60], both[60:])
        else:
            model.fit(X, detrend__domains=site, acr__domains=site)
    plain = roc_auc_score(~odd, model[-1].score_samples(new))
    assert roc_auc_score(~odd, model.score_samples(new)) > plain + 0.05
