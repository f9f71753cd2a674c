import copy
import pickle
import threading
import warnings

import numpy as np
import pytest
import torch
from scipy.stats import false_discovery_control
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from acr_sklearn import HeldOutDomains, MLPBackbone, ZeroShotACRDetector
from acr_sklearn.exceptions import (
    IgnoredDomainsWarning,
    SingleDomainWarning,
    SmallReferenceWarning,
    UnfamiliarBatchWarning,
)


@pytest.fixture
def fresh(make_domain):
    return make_domain(77, n_rows=200)


@pytest.fixture(scope="module")
def live(fitted, make_domain):
    return fitted.adapt(make_domain(77, n_rows=200))


def test_the_reference_rows_score_as_they_do_in_one_batch(fitted, live, fresh):
    expected = fitted.score_samples(fresh)
    np.testing.assert_allclose(live.score_samples(fresh), expected, rtol=1e-9, atol=1e-9)
    single = live.score_samples(fresh.astype(np.float32))
    np.testing.assert_allclose(single, expected, rtol=1e-3, atol=1e-3)


def test_every_row_is_scored_by_itself(live, make_domain):
    new = make_domain(77, n_rows=260)[200:]
    together = live.score_samples(new)
    alone = [live.score_samples(row[None])[0] for row in new]
    np.testing.assert_allclose(alone, together, rtol=1e-9)
    order = np.random.default_rng(0).permutation(60)
    np.testing.assert_allclose(live.score_samples(new[order]), together[order], rtol=1e-9)


def test_the_detector_stays_as_it_was(fitted, fresh):
    before = pickle.dumps(fitted)
    live = fitted.adapt(fresh)
    assert pickle.dumps(fitted) == before
    assert live.get_params() == fitted.get_params()
    assert not hasattr(fitted, "reference_stats_")
    assert not hasattr(clone(live), "reference_stats_")


@pytest.mark.parametrize(("n_rows", "moves"), [(100, False), (127, False), (128, True)])
def test_a_reference_large_enough_sets_its_own_threshold(fitted, make_domain, n_rows, moves):
    X = make_domain(77, n_rows=n_rows)
    live = fitted.adapt(X)
    assert (live.offset_ != fitted.offset_) == moves
    if moves:
        scores = fitted.score_samples(X)
        assert live.offset_ == pytest.approx(np.percentile(scores, 10), rel=1e-9)
        assert np.mean(live.predict(X) == -1) == pytest.approx(0.1, abs=0.01)


def test_recalibration_can_be_asked_for_and_refused(fitted, fresh):
    assert fitted.adapt(fresh, recalibrate=False).offset_ == fitted.offset_
    assert fitted.adapt(fresh[:70], recalibrate=True).offset_ != fitted.offset_
    with pytest.raises(ValueError, match=r"adapt got recalibrate='yes'\. Use True"):
        fitted.adapt(fresh, recalibrate="yes")


def test_a_small_and_a_strange_reference_are_warned_about(fitted, fresh):
    with pytest.warns(SmallReferenceWarning, match=r"adapt got 63 reference rows.*64 or more"):
        fitted.adapt(fresh[:63])
    strange = fresh * np.r_[1e4, np.ones(4)]
    with pytest.warns(UnfamiliarBatchWarning, match=r"adapt got a batch unlike.*column 0 \("):
        fitted.adapt(strange)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.adapt(fresh[:64])


@pytest.mark.parametrize("method", ["adapt", "freeze"])
def test_rows_of_several_domains_are_refused(fitted, domains, method):
    with pytest.raises(ValueError, match=rf"{method} got rows of 6 domains.*once per domain"):
        getattr(fitted, method)(domains)
    with pytest.raises(ValueError, match=f"{method} got a batch of 1 sample"):
        getattr(fitted, method)(domains[0][:1])


def test_a_tenth_of_anomalies_in_the_reference_costs_little(quick, domains, make_domain):
    detector = quick(max_iter=40).fit(domains)
    X = make_domain(77, n_rows=500)
    rng = np.random.default_rng(0)
    spoilt = X[:200].copy()
    spoilt[:20] += 6 * X.std(axis=0)
    new = X[200:].copy()
    new[:60] += rng.normal(size=(60, 5)) * 3 * X.std(axis=0)
    y = np.arange(300) < 60
    clean, dirty = (
        roc_auc_score(y, -detector.adapt(ref).score_samples(new)) for ref in (X[:200], spoilt)
    )
    assert clean > 0.8
    assert dirty > clean - 0.02


@pytest.mark.parametrize("share", [0.1, 0.2])
def test_the_threshold_of_a_reference_with_a_cluster_finds_the_cluster(
    quick, domains, make_domain, share
):
    detector = quick(max_iter=40).fit(domains)
    found, flagged = [], []
    for seed in range(70, 75):
        X = make_domain(seed, n_rows=500)
        rng = np.random.default_rng(seed)
        away = X.mean(axis=0) + 4 * X.std(axis=0) * np.array([1, -1, 1, -1, 1])
        cluster = away + 0.2 * X.std(axis=0) * rng.normal(size=(200, 5))
        n = round(share * 200)
        live = detector.adapt(np.concatenate([cluster[:n], X[n:200]]))
        found.append(np.mean(live.predict(cluster[100:]) == -1))
        flagged.append(np.mean(live.predict(X[200:]) == -1))
    assert np.mean(found) >= 0.7
    assert 0.05 <= np.mean(flagged) <= 0.15


@pytest.fixture(scope="module")
def of_digits():
    """Pairs of digits, each with a detector that was trained on the others."""
    pixels, digit = load_digits(return_X_y=True)
    pairs = [(0, 4), (1, 7), (3, 5), (6, 8), (9, 2)]
    seen = [[pixels[digit == d] for d in range(10) if d not in pair] for pair in pairs]
    detectors = [ZeroShotACRDetector(max_iter=40, random_state=0).fit(parts) for parts in seen]
    return list(zip(pairs, detectors, strict=True))


@pytest.mark.parametrize("share", [0.1, 0.2])
@pytest.mark.parametrize("kind", ["digit", "copies"])
def test_a_cluster_in_the_reference_is_found_where_its_share_is_left_out(of_digits, kind, share):
    pixels, digit = load_digits(return_X_y=True)
    rng = np.random.default_rng(3)
    n, found, flagged = round(share * 128), [], []
    for pair, detector in of_digits:
        for normal, odd in [pair, pair[::-1]] * 3:
            own = rng.permutation(pixels[digit == normal])
            others = rng.permutation(pixels[digit == odd])
            if kind == "copies":
                others[:] = others[0]
            reference = np.concatenate([others[:n], own[: 128 - n]])
            live = detector.adapt(reference, leave_out=share)
            found.append(np.mean(live.predict(others[n:]) == -1))
            flagged.append(np.mean(live.predict(own[128 - n :]) == -1))
    assert len(found) == 30
    assert np.mean(found) >= 0.7
    assert np.mean(flagged) <= 0.13


def with_cluster(make_domain, seed=77, n_rows=200, share=0.2):
    """Rows of a domain, the first of them a cluster, and how many these are."""
    rows, n = make_domain(seed, n_rows=n_rows), round(share * n_rows)
    away = rows.mean(axis=0) + 6 * rows.std(axis=0) * np.array([1, -1, 1, -1, 1])
    rows[:n] = away + 0.1 * (rows[:n] - rows[:n].mean(axis=0))
    return rows, n


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
@pytest.mark.parametrize("n_domains", [2, 6])
def test_the_rows_that_are_held_score_as_they_do_in_one_batch(
    quick, domains, make_domain, n_domains
):
    detector = quick().fit(domains[:n_domains])
    rows, n = with_cluster(make_domain)
    live = detector.adapt(rows, leave_out=0.2)
    expected = detector.score_samples(rows[n:])
    np.testing.assert_allclose(live.score_samples(rows[n:]), expected, rtol=1e-9, atol=1e-9)
    assert live.score_samples(rows[:n]).max() < expected.min()
    # The threshold is of the rows held and of a quarter of the others.
    assert len(live.calibration_scores_) == 160 + 10
    assert set(np.round(expected, 9)) <= set(np.round(live.calibration_scores_, 9))
    assert live.offset_ == pytest.approx(np.percentile(live.calibration_scores_, 10))


def test_nothing_is_left_out_unless_it_is_asked_for(fitted, live, fresh):
    again = fitted.adapt(fresh, leave_out=0)
    np.testing.assert_array_equal(again.score_samples(fresh), live.score_samples(fresh))
    assert again.offset_ == live.offset_
    with pytest.warns(SmallReferenceWarning):
        few = fitted.adapt(fresh[:3], leave_out=0.4)
    assert np.isfinite(few.score_samples(fresh)).all()


def test_copies_of_a_row_are_left_out_together(fitted, make_domain):
    rows, n = with_cluster(make_domain, share=0.25)
    rows[:n] = rows[0]
    live = fitted.adapt(rows, leave_out=0.2)
    expected = fitted.score_samples(rows[n:])
    np.testing.assert_allclose(live.score_samples(rows[n:]), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("given", [-0.1, 0.41, 1, True, "auto", None, np.nan, [0.1]])
def test_a_share_to_be_left_out_is_a_number_up_to_two_fifths(fitted, fresh, given):
    with pytest.raises(ValueError, match=r"adapt got leave_out=.*a number from 0 to 0\.4\."):
        fitted.adapt(fresh, leave_out=given)


def test_without_a_reference_the_training_rows_are_it(quick, domains, fresh):
    detector = quick(norm_mode="reference").fit(domains)
    alone = [detector.score_samples(row[None])[0] for row in fresh[:5]]
    np.testing.assert_allclose(alone, detector.score_samples(fresh)[:5], rtol=1e-9)
    assert isinstance(detector.reference_stats_, torch.nn.Module)
    # Held-out domains set the offset, each row by itself.
    assert len(detector.calibration_scores_) > 0
    one = quick(norm_mode="reference")
    with pytest.warns(SingleDomainWarning):
        one.fit(domains[0])
    flagged = np.mean(one.predict(domains[0]) == -1)
    assert flagged == pytest.approx(0.1, abs=0.5 / len(domains[0]) + 1e-9)


@pytest.mark.parametrize("method", ["score_samples", "decision_function", "predict"])
def test_domains_change_nothing_and_say_so(live, fresh, method):
    expected = getattr(live, method)(fresh)
    with pytest.warns(IgnoredDomainsWarning, match=rf"{method} got domains=.*norm_mode='batch'"):
        got = getattr(live, method)(fresh, domains=np.arange(len(fresh)) % 3)
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(getattr(live, method)([fresh[:50], fresh[50:]]), expected)


def test_a_clone_of_an_adapted_detector_fits_as_the_detector_did(fitted, live, domains, fresh):
    again = clone(live).fit(domains)
    np.testing.assert_array_equal(again.score_samples(fresh), fitted.score_samples(fresh))
    assert again.offset_ == fitted.offset_
    with pytest.raises(ValueError, match="batch of 1 sample"):
        again.score_samples(fresh[:1])


def test_a_fit_forgets_the_reference(fitted, domains, fresh):
    again = fitted.adapt(fresh).fit(domains)
    assert not hasattr(again, "reference_stats_")
    np.testing.assert_array_equal(again.score_samples(fresh), fitted.score_samples(fresh))


def test_norm_mode_set_after_fit_takes_effect_or_raises(fitted, live, fresh):
    in_batches = copy.copy(live).set_params(norm_mode="batch")
    np.testing.assert_array_equal(
        in_batches.score_samples(fresh[:40]), fitted.score_samples(fresh[:40])
    )
    by_rows = copy.copy(live).set_params(norm_mode="reference")
    np.testing.assert_array_equal(by_rows.score_samples(fresh[:40]), live.score_samples(fresh[:40]))
    without = copy.copy(fitted).set_params(norm_mode="reference")
    for call in (without.predict, without.p_values):
        with pytest.raises(ValueError, match=r"holds no reference. Call adapt\(X_ref\).*fit again"):
            call(fresh)
    adapted = without.adapt(fresh)
    np.testing.assert_array_equal(adapted.score_samples(fresh), live.score_samples(fresh))
    with pytest.raises(ValueError, match="adapt holds a reference, which norm_mode='batch'"):
        in_batches.adapt(fresh)


def test_score_still_looks_at_each_domain(live, fresh):
    X = np.concatenate([fresh[:40], fresh[:40] + 9])
    y, site = np.tile(np.repeat([1, -1], 20), 2), np.repeat([0, 1], 40)
    values = [roc_auc_score(y[site == s], live.score_samples(X[site == s])) for s in (0, 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert live.score(X, y, domains=site) == pytest.approx(np.mean(values))


def test_an_adapted_detector_survives_a_pickle_and_a_copy(live, fresh):
    expected = live.decision_function(fresh)
    for again in (pickle.loads(pickle.dumps(live)), copy.deepcopy(live)):
        np.testing.assert_array_equal(again.decision_function(fresh), expected)


def test_ten_thousand_calls_from_sixteen_threads_score_as_one_does(live, fresh):
    expected = live.score_samples(fresh)
    wrong = []

    def repeat(first):
        for i in (np.arange(625) * 16 + first) % len(fresh):
            if abs(live.score_samples(fresh[i : i + 1])[0] - expected[i]) > 1e-9:
                wrong.append(i)

    threads = [threading.Thread(target=repeat, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("head", ["combined", "objective", "neighbors", "mahalanobis"])
def test_freeze_gives_a_plain_module_of_the_batch(quick, domains, fresh, head, dtype):
    detector = quick(score_head=head).fit(domains)
    X = fresh.astype(dtype)
    module = detector.freeze(X)
    assert isinstance(module, torch.nn.Module)
    assert not any(p.requires_grad for p in module.parameters())
    state = {k: v.clone() for k, v in module.state_dict().items()}
    x = torch.from_numpy(X).requires_grad_()
    scores = module(x)
    expected = -detector.score_samples(X)
    tolerance = 1e-9 if dtype == np.float64 else 1e-3
    np.testing.assert_allclose(scores.detach(), expected, rtol=tolerance, atol=tolerance)
    (gradient,) = torch.autograd.grad(scores.sum(), x)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0
    module.train()(x)
    assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items())


def test_p_values_count_the_normal_rows_that_score_as_low(fitted, fresh):
    p = fitted.p_values(fresh)
    scores, known = fitted.score_samples(fresh), fitted.calibration_scores_
    slow = [(1 + np.sum(known <= s)) / (len(known) + 1) for s in scores]
    np.testing.assert_allclose(p, slow)
    both = np.concatenate([fresh[:90], fresh[90:]])
    together = fitted.score_samples(both)
    slow = [(1 + np.sum(together[:90] <= s)) / 91 for s in together[90:]]
    np.testing.assert_allclose(fitted.p_values(fresh[90:], fresh[:90]), slow)


def test_p_values_with_a_reference_look_at_each_domain_by_itself(fitted, fresh, make_domain):
    other = make_domain(78, n_rows=50)
    X, site = np.concatenate([fresh[:50], other]), np.repeat([0, 1], 50)
    p = fitted.p_values(X, fresh[50:], domains=site)
    np.testing.assert_allclose(p[:50], fitted.p_values(fresh[:50], fresh[50:]))
    np.testing.assert_allclose(p[50:], fitted.p_values(other, fresh[50:]))


def test_p_values_of_an_adapted_detector_are_those_of_its_reference(live, fresh):
    np.testing.assert_allclose(np.sort(live.p_values(fresh)), np.arange(2, 202) / 201, atol=1e-9)


def test_p_values_of_normal_rows_are_rarely_small(quick, domains, make_domain):
    detector = quick(max_iter=40).fit(domains)
    p = []
    for seed in range(200, 230):
        X = make_domain(seed, n_rows=300)
        p.append(detector.p_values(X[200:], X[:200]))
    p = np.concatenate(p)
    for a in (0.01, 0.05, 0.1):
        assert np.mean(p <= a) <= 1.2 * a + 0.002
    assert np.mean(p <= 0.5) == pytest.approx(0.5, abs=0.05)


def test_they_find_anomalies_at_a_false_discovery_rate(quick, domains, make_domain):
    detector = quick(max_iter=40).fit(domains)
    X = make_domain(77, n_rows=700)
    new = X[500:].copy()
    new[:30] += 8 * X.std(axis=0)
    found = false_discovery_control(detector.p_values(new, X[:500])) <= 0.1
    assert found[:30].mean() > 0.9
    assert found[30:].mean() < 0.1


# ------------------------------------------------------------- one calibration beside the other


def test_a_reference_is_held_against_the_scores_of_fit_not_of_the_one_before(fitted, make_domain):
    spoilt = make_domain(77, n_rows=200)
    spoilt[160:] = spoilt[:160].mean(axis=0) + 60 + 0.1 * spoilt[160:]
    clean = make_domain(78, n_rows=200)
    once, twice = fitted.adapt(clean), fitted.adapt(spoilt).adapt(clean)
    assert twice.offset_ == once.offset_
    np.testing.assert_array_equal(twice.calibration_scores_, once.calibration_scores_)


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
def test_a_small_reference_after_a_large_one_keeps_the_threshold_of_fit(fitted, make_domain):
    again = fitted.adapt(make_domain(77, n_rows=200)).adapt(make_domain(78, n_rows=70))
    assert again.offset_ == fitted.offset_
    np.testing.assert_array_equal(again.calibration_scores_, fitted.calibration_scores_)


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
def test_batches_are_cut_as_fit_said_whatever_reference_is_held(quick, domains, make_domain):
    plain, rows = quick().fit(domains), make_domain(77, n_rows=200)
    pooled = quick(norm_mode="reference").fit(domains)
    assert pooled.offset_ != plain.offset_
    assert pooled.adapt(rows[:70]).offset_ == plain.offset_
    for detector in (pooled, copy.deepcopy(plain).adapt(rows)):
        detector.set_params(norm_mode="batch")
        assert detector.offset_ == plain.offset_
        np.testing.assert_array_equal(detector.predict(rows), plain.predict(rows))


def test_a_row_scored_by_itself_is_cut_by_itself(fitted, live):
    far = np.full((1, 5), 1e4)
    alone = copy.copy(live).set_params(threshold="batch")
    assert alone.predict(far) == live.predict(far) == [-1]


# -------------------------------------------------------------------- settings and input


@pytest.mark.parametrize(
    "changes", [{"score_head": "objective"}, {"n_neighbors": 2}, {"trim_fraction": 0.1}]
)
def test_a_head_set_after_fit_is_refused_until_the_next_fit(fitted, live, domains, fresh, changes):
    ((name, value),) = changes.items()
    for detector in (fitted, live):
        changed = copy.copy(detector).set_params(**changes)
        message = rf"was fitted with {name}=.* and now has {value!r}.*fit again"
        for call in (changed.predict, changed.p_values, changed.freeze, changed.adapt):
            with pytest.raises(ValueError, match=message):
                call(fresh)
        back = changed.set_params(**{name: getattr(detector, name)})
        np.testing.assert_array_equal(back.score_samples(fresh), detector.score_samples(fresh))
    again = copy.copy(fitted).set_params(**changes).fit(domains)
    assert not np.array_equal(again.score_samples(fresh), fitted.score_samples(fresh))
    with pytest.raises(ValueError, match="'trim_fraction' parameter"):
        copy.copy(fitted).set_params(trim_fraction=2.0).predict(fresh)


def test_parts_of_an_adapted_detector_are_its_own(quick, domains, fresh):
    detector = quick(backbone=MLPBackbone(), early_stopping=HeldOutDomains()).fit(domains)
    live = detector.adapt(fresh)
    live.set_params(backbone__whiten_features=False, early_stopping__n_iter_no_change=3)
    assert detector.backbone.whiten_features
    assert detector.early_stopping.n_iter_no_change == 10
    assert not live.backbone.whiten_features


class Parts:
    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(np.array_split(self.rows, 3))


def test_chunks_are_refused_where_one_batch_is_held(fitted, fresh):
    calls = [
        (fitted.adapt, (Parts(fresh),), "adapt"),
        (fitted.freeze, (Parts(fresh),), "freeze"),
        (fitted.p_values, (fresh, Parts(fresh)), "p_values"),
        (fitted.p_values, (Parts(fresh), fresh), "p_values"),
    ]
    for call, given, name in calls:
        with pytest.raises(ValueError, match=rf"{name} got a Parts.*np\.concatenate"):
            call(*given)


@pytest.mark.parametrize("n_rows", [2, 15])
def test_statistics_of_a_handful_of_rows_are_refused(quick, domains, fitted, fresh, n_rows):
    message = rf"got max_reference_rows={n_rows}\. So few rows.*16 or more"
    with pytest.raises(ValueError, match=message):
        quick(max_reference_rows=n_rows).fit(domains)
    with pytest.raises(ValueError, match=message):
        copy.copy(fitted).set_params(max_reference_rows=n_rows).predict(fresh)


def test_p_values_with_a_reference_are_of_one_batch_after_adapt_too(fitted, live, make_domain):
    known, new = make_domain(78, n_rows=120), make_domain(78, n_rows=160)[120:]
    np.testing.assert_array_equal(live.p_values(new, known), fitted.p_values(new, known))
