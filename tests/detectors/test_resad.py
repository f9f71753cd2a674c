"""ResADDetector: references few and odd, thresholds, warnings, copies, threads, seeds."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone

from acr_sklearn import HeldOutDomains, ResADDetector, ZeroShotACRDetector
from acr_sklearn.exceptions import (
    EarlyStoppingWarning,
    IgnoredDomainsWarning,
    SingleDomainWarning,
)

RNG = np.random.default_rng(0)
MIX = RNG.normal(size=(2, 4))


def site(center, n=120):
    return center + RNG.normal(size=(n, 2)) @ MIX + 0.2 * RNG.normal(size=(n, 4))


SITES = [site(RNG.normal(0, 4, 4)) for _ in range(6)]
NEW = site(RNG.normal(0, 4, 4), 300)
FAR = NEW[:60] + RNG.choice([-4, 4], (60, 4))
X, Y = np.concatenate([NEW[100:], FAR]), np.repeat([1, -1], [200, 60])


def made(**changes):
    return ResADDetector(**({"max_iter": 30, "n_blocks": 1, "random_state": 0} | changes))


@pytest.fixture(scope="module")
def fitted():
    return made().fit(SITES)


@pytest.mark.parametrize("number", [1, 2, 4, 16, 100])
def test_few_references_suffice(fitted, number):
    live = fitted.adapt(NEW[:number])
    assert live.score(X, Y) > 0.9
    # The threshold is that of as many references.
    assert np.mean(live.predict(NEW[100:]) == -1) < 0.35


def test_a_batch_is_its_own_reference(fitted):
    assert fitted.score(X, Y) > 0.9
    two = np.concatenate([X, X + 50])
    domains = np.repeat(["a", "b"], len(X))
    together = fitted.score_samples(two, domains=domains)
    np.testing.assert_allclose(together[: len(X)], fitted.score_samples(X), rtol=1e-9)
    np.testing.assert_allclose(together[len(X) :], fitted.score_samples(X), rtol=1e-5)


def test_rows_are_scored_by_themselves_after_adapt(fitted):
    live = fitted.adapt(NEW[:4])
    alone = np.concatenate([live.score_samples(row[None]) for row in X[:5]])
    np.testing.assert_allclose(alone, live.score_samples(X)[:5], rtol=1e-10)
    with pytest.warns(IgnoredDomainsWarning, match="against the references"):
        live.predict(X[:2], domains=["a", "b"])
    with pytest.raises(ValueError, match=r"batch of 1 (row|sample).*adapt"):
        fitted.score_samples(X[:1])


def test_adapt_leaves_the_detector_as_it_was(fitted):
    before = fitted.score_samples(X)
    live = fitted.adapt(NEW[:4])
    np.testing.assert_array_equal(fitted.score_samples(X), before)
    again = live.adapt(NEW[4:8])
    assert not np.array_equal(again.score_samples(X), live.score_samples(X))
    assert not hasattr(clone(live), "module_")
    refitted = pickle.loads(pickle.dumps(live)).fit(SITES)
    np.testing.assert_array_equal(refitted.score_samples(X), before)


def test_identical_references_are_one(fitted):
    many = fitted.adapt(np.repeat(NEW[:1], 30, axis=0))
    np.testing.assert_array_equal(many.score_samples(X), fitted.adapt(NEW[:1]).score_samples(X))
    assert many.offset_ == fitted.adapt(NEW[:1]).offset_


def test_the_order_of_references_does_not_count(fitted):
    one, other = fitted.adapt(NEW[:9]), fitted.adapt(NEW[:9][::-1])
    np.testing.assert_array_equal(one.score_samples(X), other.score_samples(X))


def test_an_anomaly_among_references_costs_little(fitted):
    assert fitted.adapt(np.concatenate([NEW[:15], FAR[:1]])).score(X, Y) > 0.85


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (NEW[:4, :2], "4 features"),
        (np.empty((0, 4)), "0 sample"),
        (np.full((2, 4), np.nan), "NaN"),
        ([NEW[:4], NEW[4:8]], "rows of 2 domains.*once per domain"),
    ],
)
def test_odd_references_are_refused(fitted, rows, message):
    with pytest.raises(ValueError, match=message):
        fitted.adapt(rows)


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(ValueError, match="known_anomalies of shape"):
        made().fit(np.concatenate(SITES), known_anomalies=np.ones(3, bool))


def test_known_anomalies_help_and_are_not_normal():
    odd = SITES[0][:40] + 4 * np.array([1, -1, 1, -1])
    sites = [np.concatenate([SITES[0], odd]), *SITES[1:]]
    mask = [np.arange(len(part)) >= 120 for part in sites]
    told = made().fit(sites, known_anomalies=mask)
    assert told.adapt(NEW[:4]).score(X, Y) > 0.9
    assert not np.array_equal(told.score_samples(X), made().fit(sites).score_samples(X))


def test_constant_columns_and_another_offset(fitted):
    flat = [np.column_stack([part, np.zeros(len(part))]) for part in SITES]
    detector = made().fit(flat)
    rows = np.column_stack([NEW, np.zeros(len(NEW))])
    live = detector.adapt(rows[:8])
    odd = rows[100:].copy()
    odd[:, 4] = 100.0
    assert live.score_samples(odd).max() < np.median(live.score_samples(rows[100:]))
    moved = fitted.adapt(NEW[:4] + 1e8).score_samples(X + 1e8)
    np.testing.assert_allclose(moved, fitted.adapt(NEW[:4]).score_samples(X), atol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"metric": "cosine"},
        {"residual": "squared"},
        {"reference_blend": 3},
        {"constraintor": False},
        {"likelihood_weight": 1.0},
        {"outlier_source": "synthetic"},
        {"outlier_source": "domains"},
        {"early_stopping": HeldOutDomains(validation_fraction=0.4)},
    ],
)
def test_every_choice_detects(changes):
    assert made(**changes).fit(SITES).adapt(NEW[:4]).score(X, Y) > 0.85


def test_without_residuals_a_new_domain_is_lost():
    away = X + 30.0
    without = made(residual="none").fit(SITES).adapt(NEW[:4] + 30.0)
    assert without.score(away, Y) < made().fit(SITES).adapt(NEW[:4] + 30.0).score(away, Y) - 0.1


def test_one_data_set_and_few_domains_can_be_trained_on():
    with pytest.warns(SingleDomainWarning):
        alone = made().fit(SITES[0])
    assert np.mean(alone.predict(SITES[0]) == -1) == pytest.approx(0.1, abs=0.01)
    with pytest.warns(EarlyStoppingWarning):
        made(max_iter=2).fit(SITES[:3])
    with pytest.warns(SingleDomainWarning), pytest.raises(ValueError, match="single data set"):
        made(outlier_source="domains").fit(SITES[0])


def test_own_threshold_from_many_references(fitted):
    live = fitted.adapt(NEW[:150])
    assert len(live.calibration_scores_) == 150
    assert live.p_values(FAR).mean() < 0.05 < live.p_values(NEW[150:]).mean()


def test_one_seed_one_result_in_threads_too(fitted):
    np.testing.assert_array_equal(made().fit(SITES).score_samples(X), fitted.score_samples(X))
    live = fitted.adapt(NEW[:4])
    expected = live.score_samples(X)
    with ThreadPoolExecutor(4) as pool:
        for scores in pool.map(live.score_samples, [X] * 8):
            np.testing.assert_allclose(scores, expected, rtol=1e-12)


def test_global_generators_stay(fitted):
    before = np.random.get_state()[1].copy()
    made(max_iter=2, random_state=None).fit(SITES)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_it_knows_the_words_of_its_sibling():
    ours, theirs = (set(d().get_params()) for d in (ResADDetector, ZeroShotACRDetector))
    assert ours - theirs == {
        *(
            "likelihood_weight",
            "metric",
            "residual",
            "reference_blend",
            "constraintor",
            "invariance",
            "n_blocks",
        ),
    }
