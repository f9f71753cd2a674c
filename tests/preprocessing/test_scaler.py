"""DomainScaler: every domain is centred and scaled by itself."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from acr_sklearn import DomainScaler, concat_domains

#: Every expected failure, with its reason. Strict: one that passes fails the test run.
LEDGER = {
    "check_methods_subset_invariance": (
        "a row is scaled by the batch it comes in, and the check passes single rows"
    ),
}


@parametrize_with_checks(
    [DomainScaler(), DomainScaler("mad"), DomainScaler("iqr")],
    expected_failed_checks=lambda estimator: LEDGER,
)
def test_scikit_learn_check(estimator, check):
    check(estimator)


def test_the_ledger_has_one_entry_and_it_is_a_check():
    checks = estimator_checks_generator(DomainScaler())
    names = {getattr(check, "func", check).__name__ for _, check in checks}
    assert len(LEDGER) == 1
    assert set(LEDGER) <= names


@pytest.fixture
def shifted():
    """X, domains: three domains of different centre and unit, in mixed order."""
    rng = np.random.default_rng(0)
    domains = rng.permutation(np.repeat(["a", "b", "c"], [400, 500, 600]))
    unit = pd.Series({"a": 1.0, "b": 20.0, "c": 0.1})[domains].to_numpy()
    center = pd.Series({"a": 0.0, "b": -70.0, "c": 9.0})[domains].to_numpy()
    return center[:, None] + unit[:, None] * rng.normal(size=(1500, 3)), domains


def test_every_domain_is_standardised_by_itself(shifted):
    X, domains = shifted
    out = DomainScaler().fit_transform(X, domains=domains)
    for name in "abc":
        own = StandardScaler().fit_transform(X[domains == name])
        np.testing.assert_allclose(out[domains == name], own, atol=1e-12)
    np.testing.assert_allclose(DomainScaler().fit_transform(X), StandardScaler().fit_transform(X))


@pytest.mark.parametrize("unit", ["std", "mad", "iqr"])
def test_all_units_are_standard_deviations_of_normal_values(shifted, unit):
    X, domains = shifted
    out = DomainScaler(unit).fit_transform(X, domains=domains)
    for name in "abc":
        assert np.std(out[domains == name], axis=0) == pytest.approx(1, abs=0.12)


@pytest.mark.parametrize("unit", ["mad", "iqr"])
def test_robust_units_and_medians(unit):
    X = np.array([[1.0], [2.0], [3.0], [4.0], [1000.0]])
    sd = {"mad": 1.4826 * 1, "iqr": 0.7413 * 2}[unit]
    expected = (X - 3) / sd
    np.testing.assert_allclose(DomainScaler(unit).fit_transform(X), expected, rtol=1e-4)


@pytest.mark.parametrize("unit", ["std", "mad"])
def test_either_half_can_be_left_out(shifted, unit):
    X, domains = shifted
    both = DomainScaler(unit).fit_transform(X, domains=domains)
    centred = DomainScaler(unit, with_scaling=False).fit_transform(X, domains=domains)
    scaled = DomainScaler(unit, with_centering=False).fit_transform(X, domains=domains)
    neither = DomainScaler(unit, with_centering=False, with_scaling=False)
    np.testing.assert_array_equal(neither.fit_transform(X, domains=domains), X)
    for name in "abc":
        rows = domains == name
        middle = (np.mean if unit == "std" else np.median)(X[rows], axis=0)
        np.testing.assert_allclose(centred[rows], X[rows] - middle)
        np.testing.assert_allclose(scaled[rows] * centred[rows], both[rows] * X[rows])


def test_a_column_that_does_not_vary_takes_the_unit_of_fit(shifted):
    X, domains = shifted
    scaler = DomainScaler("mad").fit(X, domains=domains)
    own = [
        1.4826 * np.median(np.abs(x - np.median(x, 0)), 0)
        for x in (X[domains == name] for name in "abc")
    ]
    np.testing.assert_allclose(scaler.fallback_scale_, np.median(own, axis=0), rtol=1e-4)
    idle = np.full((9, 3), 0.1)
    idle[0] = 5.1
    out = scaler.transform(idle)
    np.testing.assert_allclose(out[0], 5 / scaler.fallback_scale_)
    np.testing.assert_allclose(out[1:], 0, atol=1e-12)
    scaler = DomainScaler()
    # Sums of these are inexact, so that their mean is none of them.
    still = np.tile([0.1, 0.3, 1e9 / 7], (100_001, 1))
    assert (still.mean(axis=0) != still[0]).any()
    assert np.abs(scaler.fit_transform(still)).max() < 1e-6
    assert np.abs(scaler._center(still) - still[0]).max() < 1e-6
    assert scaler.fallback_scale_.tolist() == [1, 1, 1]


@pytest.mark.parametrize("unit", ["std", "mad", "iqr"])
def test_rounding_is_no_variation(unit):
    same = np.array([[0.3], [0.1 + 0.2], [0.3], [0.1 + 0.2], [0.3], [0.1 + 0.2]])
    assert np.ptp(same) > 0
    assert np.abs(DomainScaler(unit).fit_transform(same)).max() < 1e-15


@pytest.mark.parametrize("unit", ["std", "mad", "iqr"])
def test_missing_values_stay_and_change_nothing(shifted, unit):
    X, domains = shifted
    rows, labels = X[domains == "a"], ["a"] * 400
    holes = np.concatenate([rows, np.full((7, 3), np.nan)])
    out = DomainScaler(unit).fit_transform(holes, domains=[*labels, *["a"] * 7])
    assert np.isnan(out[400:]).all()
    np.testing.assert_allclose(out[:400], DomainScaler(unit).fit_transform(rows))
    empty = rows.copy()
    empty[:, 1] = np.nan
    out = DomainScaler(unit).fit_transform(empty)
    assert np.isnan(out).any(axis=0).tolist() == [False, True, False]


@pytest.mark.parametrize("unit", ["std", "mad", "iqr"])
def test_the_largest_floats_stay_numbers(unit):
    X = np.array([[1e300], [-1e300], [2e299], [0.0], [1e-3]])
    out = DomainScaler(unit).fit_transform(X)
    assert np.isfinite(out).all()
    assert np.argsort(out.ravel()).tolist() == np.argsort(X.ravel()).tolist()
    spike = np.array([[0.0], [1e-20], [2e-20], [3e-20], [1e300]])
    out = DomainScaler(unit).fit_transform(spike)
    assert np.isfinite(out).all()
    # The spike takes nothing of a robust unit.
    if unit != "std":
        assert np.ptp(out[:4]) > 1


def test_lists_precision_names_and_frames(shifted):
    X, domains = shifted
    parts = [X[domains == name].astype(np.float32) for name in "abc"]
    out = DomainScaler().fit_transform(parts)
    assert [part.dtype for part in out] == [np.float32] * 3
    for part, name in zip(out, "abc", strict=True):
        np.testing.assert_allclose(
            part, DomainScaler().fit_transform(X[domains == name]), rtol=1e-4, atol=1e-4
        )
    scaler = DomainScaler().set_output(transform="pandas")
    frame = scaler.fit_transform(pd.DataFrame(X, columns=list("xyz")), domains=domains)
    assert list(frame.columns) == list(scaler.get_feature_names_out()) == ["x", "y", "z"]


def test_refusals(shifted):
    X, _ = shifted
    with pytest.raises(ValueError, match=r"fit got a batch of 1 sample \(domain 'b'\)"):
        DomainScaler().fit(X[:3], domains=["a", "a", "b"])
    with pytest.raises(ValueError, match="transform got a batch of 1 sample. A single row"):
        DomainScaler().fit(X).transform(X[:1])
    with pytest.raises(ValueError, match="'unit' parameter of DomainScaler must be a str"):
        DomainScaler("range").fit(X)
    with pytest.raises(ValueError, match="expecting 3 features"):
        DomainScaler().fit(X).transform(X[:, :2])


@pytest.mark.parametrize("routing", [False, True])
def test_in_a_pipeline(domains, quick, routing):
    X, site = concat_domains(domains)
    alone = quick().fit(DomainScaler().fit_transform(X, domains=site), domains=site)
    model = Pipeline([("scale", DomainScaler()), ("acr", quick())])
    with sklearn.config_context(enable_metadata_routing=routing):
        if routing:
            model.fit(X, domains=site)
            scores = model.decision_function(X, domains=site)
            own = model[0].transform(X, domains=site)
            np.testing.assert_array_equal(scores, alone.decision_function(own, domains=site))
        else:
            model.fit(X, scale__domains=site, acr__domains=site)
    new = domains[0] * 3 + 5
    expected = alone.score_samples(DomainScaler().fit_transform(new))
    np.testing.assert_array_equal(model.score_samples(new), expected)
