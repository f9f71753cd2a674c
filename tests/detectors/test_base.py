import inspect
import pickle
import re
import sys
import threading

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from house_checks import house_checks
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from toy_detector import MahalanobisDetector

from acr_sklearn import ZeroShotACRDetector, concat_domains
from acr_sklearn.detectors import base
from acr_sklearn.exceptions import (
    ACRWarning,
    EarlyStoppingWarning,
    SingleDomainWarning,
    SmallBatchWarning,
    SmallDomainWarning,
    UnfamiliarBatchWarning,
)

N_FEATURES = 5
METHODS = ["score_samples", "decision_function", "predict"]


@pytest.fixture(scope="module")
def fresh(make_domain):
    """Three domains never trained on, two of them of equal size."""
    return [make_domain(seed, n_rows=n) for seed, n in ((50, 40), (51, 40), (52, 25))]


@pytest.mark.parametrize("method", METHODS)
def test_domains_in_one_call_equal_separate_calls(fitted, fresh, method):
    score = getattr(fitted, method)
    separate = np.concatenate([score(X) for X in fresh])
    np.testing.assert_allclose(score(fresh), separate, rtol=1e-10)
    X, domains = concat_domains(fresh)
    np.testing.assert_allclose(score(X, domains=domains), separate, rtol=1e-10)
    order = np.random.default_rng(0).permutation(len(X))
    names = np.array(["a", "b", "c"])[domains[order]]
    np.testing.assert_allclose(score(X[order], domains=names), separate[order], rtol=1e-9)


def test_a_batch_is_scored_as_a_whole(fitted, fresh):
    X = fresh[0]
    assert not np.allclose(fitted.score_samples(X)[:20], fitted.score_samples(X[:20]))
    with pytest.warns(UnfamiliarBatchWarning):
        pooled = fitted.score_samples(np.concatenate(fresh))
    assert not np.allclose(pooled, fitted.score_samples(fresh))


def test_scores_are_free_of_row_order_and_of_a_shift(fitted, fresh):
    X = fresh[0]
    scores = fitted.score_samples(X)
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_allclose(fitted.score_samples(X[order]), scores[order], rtol=1e-9)
    np.testing.assert_allclose(fitted.score_samples(X + 1e3), scores, rtol=1e-6)


def test_the_methods_agree_on_the_sign(fitted, fresh):
    X = fresh[0].copy()
    X[:3] += 40
    scores = fitted.score_samples(X)
    assert set(np.argsort(scores)[:3]) == {0, 1, 2}
    assert scores.dtype == np.float64
    np.testing.assert_allclose(fitted.decision_function(X), scores - fitted.offset_)
    np.testing.assert_array_equal(fitted.predict(X), np.where(scores >= fitted.offset_, 1, -1))
    assert fitted.predict(X).dtype == np.int64


def test_one_data_set_is_cut_at_the_contamination_of_its_own_batch(quick, domains):
    with pytest.warns(SingleDomainWarning):
        detector = quick(contamination=0.2).fit(domains[0])
    X = domains[0]
    assert detector.offset_ == pytest.approx(np.percentile(detector.score_samples(X), 20))
    assert (detector.predict(X) == -1).mean() == pytest.approx(0.2)


def test_several_are_cut_on_all_domains_in_batches_of_256(quick, make_domain):
    many = [make_domain(seed, n_rows=n) for seed, n in enumerate((520, 520, 2000, 300, 520))]
    detector = quick(contamination=0.05).fit(many)
    # Two batches of 256 of a domain with 520 rows, four of a large one, one of a small one.
    assert len(detector.calibration_scores_) == 256 * (2 + 2 + 4 + 1 + 2)
    cut = np.percentile(detector.calibration_scores_, 5)
    assert detector.offset_ == pytest.approx(cut, rel=1e-9)


def test_hundreds_of_domains_cost_no_more_than_64(quick, make_domain):
    many = [make_domain(seed, n_rows=20) for seed in range(80)]
    assert len(quick().fit(many).calibration_scores_) == 64 * 20


def detector_rows(detector, many):
    from acr_sklearn._input.domain_rows import read_rows

    return read_rows(detector, many, None, reset=False, method="fit")


@pytest.mark.parametrize("early_stopping", [False, True])
def test_all_domains_set_the_offset(quick, domains, early_stopping):
    detector = quick(early_stopping=early_stopping, contamination=0.25).fit(domains)
    # Every domain is smaller than 256 rows, so each is one batch.
    scores = detector.score_samples(domains)
    assert detector.offset_ == pytest.approx(np.percentile(scores, 25), rel=1e-9)


# ------------------------------------------------------------------ thresholds


def test_each_batch_is_cut_at_its_own_share(quick, domains, fresh):
    train, batch = (
        quick(contamination=0.2).fit(domains),
        quick(contamination=0.2, threshold="batch"),
    )
    batch.fit(domains)
    assert batch.offset_ == train.offset_
    scores, labels = batch.score_samples(fresh), batch.predict(fresh)
    np.testing.assert_array_equal(scores, train.score_samples(fresh))
    ends = np.cumsum([len(X) for X in fresh])[:-1]
    for own, label in zip(np.split(scores, ends), np.split(labels, ends), strict=True):
        np.testing.assert_array_equal(label == -1, own < np.percentile(own, 20))
    assert (labels != train.predict(fresh)).any()
    decision = batch.decision_function(fresh)
    np.testing.assert_array_equal(np.where(decision >= 0, 1, -1), labels)


def test_one_data_set_is_cut_alike_by_both_thresholds(quick, domains):
    with pytest.warns(SingleDomainWarning):
        detector = quick(contamination=0.2).fit(domains[0])
    train = detector.predict(domains[0])
    np.testing.assert_array_equal(detector.set_params(threshold="batch").predict(domains[0]), train)


def test_auto_finds_the_rows_that_stand_out_in_each_batch(quick, domains, make_domain):
    detector = quick(contamination="auto", threshold="batch").fit(domains)
    batches = [make_domain(60, n_rows=200), make_domain(61, n_rows=200)]
    batches[1][:30] += np.random.default_rng(0).normal(0, 40, (30, N_FEATURES))
    clean, dirty = np.split(detector.predict(batches) == -1, 2)
    assert clean.mean() < 0.1
    more = [detector.predict(make_domain(seed, n_rows=200)) for seed in range(62, 72)]
    assert np.mean(np.concatenate(more) == -1) < 0.06
    assert dirty[:30].mean() > 0.8
    assert dirty[30:].mean() < 0.1


def test_auto_at_the_training_threshold_flags_few_normal_rows(quick, domains, fresh):
    fixed = quick().fit(domains)
    auto = quick(contamination="auto").fit(domains)
    assert auto.offset_ < fixed.offset_
    X = fresh[0].copy()
    X[:3] += 40
    assert (auto.predict(X)[:3] == -1).all()
    assert (auto.predict(X)[3:] == -1).mean() < 0.1
    again = quick(contamination="auto", threshold="batch").fit(domains)
    assert again.offset_ == auto.offset_


def testcalibration_scores__survive_a_pickle_and_not_a_clone(quick, domains, fresh):
    detector = quick(contamination="auto", threshold="batch").fit(domains)
    again = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(again.decision_function(fresh), detector.decision_function(fresh))
    assert not hasattr(clone(detector), "calibration_scores_")


def test_fit_predict_forwards_domains(quick, domains):
    X, names = concat_domains(domains)
    together = quick().fit_predict(X, domains=names)
    np.testing.assert_array_equal(together, quick().fit(domains).predict(domains))
    np.testing.assert_array_equal(together, quick().fit_predict(domains))


def test_score_is_the_mean_auc_over_domains(fitted, fresh):
    rng = np.random.default_rng(0)
    y = [np.where(rng.random(len(X)) < 0.2, -1, 1) for X in fresh]
    expected = np.mean(
        [roc_auc_score(labels, fitted.score_samples(X)) for X, labels in zip(fresh, y, strict=True)]
    )
    assert fitted.score(fresh, y) == pytest.approx(expected)
    X, domains = concat_domains(fresh)
    assert fitted.score(X, np.concatenate(y), domains=domains) == pytest.approx(expected)


def test_score_skips_domains_of_one_class_and_needs_one_other(fitted, fresh):
    y = [np.ones(40), np.r_[-1, np.ones(39)], np.ones(25)]
    with pytest.warns(ACRWarning, match="left out domains with one kind of label only: 0, 2"):
        assert fitted.score(fresh, y) == pytest.approx(fitted.score(fresh[1], y[1]))
    with pytest.raises(ValueError, match="needs at least one domain with both normal rows"):
        fitted.score(fresh[0], y[0])


@pytest.mark.parametrize("convert", [lambda y: y.astype(object), lambda y: y.astype(float)])
def test_score_takes_labels_of_any_type(fitted, fresh, convert):
    y = np.r_[-np.ones(5, int), np.ones(35, int)]
    assert fitted.score(fresh[0], convert(y)) == fitted.score(fresh[0], y)
    with pytest.raises(ValueError, match="needs at least one domain with both"):
        fitted.score(fresh[0], np.ones(40, bool))


def test_score_gives_no_number_for_pyods_labels(fitted, fresh):
    y = np.r_[np.ones(5), np.zeros(35)]
    with pytest.warns(ACRWarning, match=r"y with values \[0.0\] and returns nan.*PyOD's labels"):
        assert np.isnan(fitted.score(fresh[0], y))


def test_frames_are_checked_by_name(quick, domains):
    names = list("abcde")
    frames = [pd.DataFrame(X, columns=names) for X in domains]
    detector = quick().fit(frames)
    assert detector.feature_names_in_.tolist() == names
    np.testing.assert_allclose(
        detector.score_samples(frames[0]), quick().fit(domains).score_samples(domains[0])
    )
    with pytest.raises(ValueError, match="feature names should match"):
        detector.predict(frames[0][names[::-1]])


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_a_domain_column_equals_labels(quick, domains, fresh, kind):
    X, names = concat_domains(domains)
    columns = {f"f{i}": X[:, i] for i in range(N_FEATURES)}
    columns["site"] = np.array(["north", "south", "east", "west", "up", "down"])[names]
    detector = quick(domain_column="site").fit(kind(columns))
    assert detector.n_features_in_ == N_FEATURES + 1
    plain = quick().fit(X, domains=columns["site"])
    new, new_names = concat_domains(fresh)
    shown = {f"f{i}": new[:, i] for i in range(N_FEATURES)}
    shown["site"] = np.array(["u", "v", "w"])[new_names]
    np.testing.assert_allclose(
        detector.score_samples(kind(shown)), plain.score_samples(new, domains=new_names)
    )
    assert detector.domains_.tolist() == plain.domains_.tolist()
    with pytest.raises(ValueError, match="domain_column='site' already says"):
        detector.predict(kind(shown), domains=new_names)


def test_a_domain_column_set_after_fit_is_refused(quick, domains, fresh):
    X, names = concat_domains(domains)
    rows = np.column_stack([X, names])
    detector = quick(domain_column=N_FEATURES).fit(rows)
    new = np.column_stack([fresh[0], np.zeros(len(fresh[0]))])
    same = detector.set_params(domain_column=-1).score_samples(new)
    for column in (None, 0):
        detector.set_params(domain_column=column)
        chunks = () if column == 0 else (type("Chunks", (), {"__iter__": lambda _: iter([new])})(),)
        for given in (new, *chunks):
            with pytest.raises(
                ValueError, match=rf"has domain_column={column}, but fit took column 5 as the dom"
            ):
                detector.predict(given)
    np.testing.assert_array_equal(detector.set_params(domain_column=5).score_samples(new), same)
    plain = quick().fit(domains)
    with pytest.raises(ValueError, match="domain_column=0, but fit took all columns as features"):
        plain.set_params(domain_column=0).predict(fresh[0])


def test_a_read_only_memmap_is_trained_on_and_scored(quick, domains, fitted, tmp_path):
    X, names = concat_domains(domains)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    detector = quick().fit(mapped, domains=names)
    np.testing.assert_allclose(detector.score_samples(mapped[:50]), fitted.score_samples(X[:50]))


def test_float32_and_integers_are_taken(quick, domains, fitted):
    single = quick().fit([X.astype(np.float32) for X in domains])
    np.testing.assert_allclose(
        single.score_samples(domains[0]), fitted.score_samples(domains[0]), rtol=1e-2
    )
    whole = [np.round(10 * X).astype(np.int64) for X in domains]
    assert np.isfinite(quick().fit(whole).score_samples(whole[0])).all()


def test_scoring_leaves_the_detector_as_it_is(quick, domains, fresh):
    detector = quick().fit(domains)
    before = pickle.dumps(detector.__dict__)
    state = torch.get_rng_state()
    for X in (fresh[0], fresh[0].astype(np.float32)):
        for method in METHODS:
            getattr(detector, method)(X)
    assert pickle.dumps(detector.__dict__) == before
    assert torch.equal(torch.get_rng_state(), state)


def test_sixteen_threads_on_one_object_score_as_one(fitted, fresh):
    expected = [fitted.score_samples(X) for X in fresh]
    wrong = []

    def score():
        for _ in range(10):
            for X, right in zip(fresh, expected, strict=True):
                if not np.array_equal(fitted.score_samples(X), right):
                    wrong.append(1)

    threads = [threading.Thread(target=score) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_pickled_detector_scores_alike(fitted, fresh):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.score_samples(fresh), fitted.score_samples(fresh))
    assert len(pickle.dumps(fitted)) < 200_000


@pytest.mark.parametrize("method", METHODS)
def test_scoring_before_fit_is_refused(method, fresh):
    with pytest.raises(NotFittedError):
        getattr(ZeroShotACRDetector(), method)(fresh[0])


@pytest.mark.parametrize(
    ("X", "labels", "message"),
    [
        (np.ones((1, 5)), None, r"score_samples got a batch of 1 sample\. Batch statistics"),
        ([np.ones((3, 5)), np.ones((1, 5))], None, r"batch of 1 sample \(domain 1\)"),
        (np.ones((3, 5)), ["a", "b", "a"], r"batch of 1 sample \(domain 'b'\)"),
        (np.ones((3, 4)), None, "X has 4 features, but ZeroShotACRDetector is expecting 5"),
        (np.ones((3, 5)), ["a", "b"], "got 2 labels in domains for 3 rows"),
        (np.full((3, 5), np.nan), None, "NaN"),
    ],
)
def test_bad_batches_get_a_clear_error(fitted, X, labels, message):
    with pytest.raises(ValueError, match=message):
        fitted.score_samples(X, domains=labels)


@pytest.mark.parametrize(
    ("X", "domains_given", "message"),
    [
        (np.ones((1, 5)), None, "fit got a domain of 1 sample. Batch"),
        ([np.ones((9, 5)), np.ones((1, 5))], None, r"domain of 1 sample \(domain 1\)"),
        (np.ones((3, 5)), ["x", "x", "y"], r"domain of 1 sample \(domain 'y'\)"),
        (np.ones((4, 5)), [1, -1, 1, -1], "looks like y"),
        ([], None, "got an empty list"),
    ],
)
def test_a_fit_that_fails_changes_nothing(quick, domains, X, domains_given, message):
    unfitted = quick()
    before = dict(unfitted.__dict__)
    with pytest.raises(ValueError, match=message):
        unfitted.fit(X, domains=domains_given)
    assert unfitted.__dict__ == before
    detector = quick().fit(domains)
    kept = dict(detector.__dict__)
    with pytest.raises(ValueError, match=message):
        detector.fit(X, domains=domains_given)
    assert all(detector.__dict__[k] is v for k, v in kept.items())
    assert detector.__dict__.keys() == kept.keys()


def test_an_interrupted_fit_changes_nothing(quick, domains, monkeypatch):
    detector = quick().fit(domains)
    kept = dict(detector.__dict__)

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(detector), "_calibration_batches", interrupt)
    with pytest.raises(KeyboardInterrupt):
        detector.fit([X[:, :3] for X in domains])
    assert detector.__dict__ == kept


def test_small_domains_are_warned_about_once(quick, domains, make_domain):
    with pytest.warns(SmallDomainWarning, match=r"fit got domains with fewer than 16 rows: 6 \(5"):
        quick().fit([*domains, make_domain(9, n_rows=5)])


def test_parameters_survive_fit_and_clone(quick, domains):
    detector = quick(hidden_layer_sizes=[8, 8])
    before = detector.get_params()
    detector.fit(domains)
    assert detector.get_params() == before
    assert clone(detector).get_params() == before


# ------------------------------------------------------------------ batches to be wary of


@pytest.mark.parametrize("method", METHODS)
def test_small_and_unfamiliar_batches_are_warned_about(fitted, fresh, method):
    stretched = fresh[0] * np.array([1, 1, 1, 1, 500])
    with pytest.warns() as seen:
        getattr(fitted, method)([fresh[1], stretched, fresh[2][:7], fresh[0][:9]])
    small, odd = sorted(seen, key=lambda warning: warning.category.__name__)
    assert small.category is SmallBatchWarning
    assert f"{method} got a batch of fewer than 16 rows: 2 (7 rows), 3 (9" in str(small.message)
    assert odd.category is UnfamiliarBatchWarning
    assert f"{method} got a batch unlike every training domain: domain 1 (" in str(odd.message)
    assert "Domain 1 differs mostly in column 4 (" in str(odd.message)
    assert small.filename == odd.filename == __file__


def test_only_domains_trained_on_are_familiar(quick, domains, make_domain):
    many = [make_domain(seed) for seed in range(8)]
    held_out = quick().fit(many)._hold_out(detector_rows(quick().fit(many), many), 0)
    many[held_out[0]] = many[held_out[0]] * np.array([1, 1, 1, 1, 500])
    with pytest.warns(UnfamiliarBatchWarning, match=rf"domain: domain {held_out[0]} \("):
        quick().fit(many).predict(many)
    with pytest.warns(EarlyStoppingWarning):
        few = quick().fit(domains[:2])
    few.predict(domains[0] * np.array([1, 1, 1, 1, 500]))  # two domains tell nothing: no warning


def test_the_warning_names_columns_as_the_user_does(quick, domains, fresh):
    names = ["heat", "load", "flow", "speed", "noise"]
    site = np.repeat(np.arange(6), [len(X) for X in domains])
    frame = pd.DataFrame(np.concatenate(domains), columns=names)
    frame.insert(1, "site", site)
    strange = pd.DataFrame(fresh[0] * np.array([1, 1, 500, 1, 1]), columns=names)
    strange.insert(1, "site", 7)
    with pytest.warns(
        UnfamiliarBatchWarning, match=r"Domain 7 differs mostly in 'flow' \(\d+ times "
    ):
        quick(domain_column="site").fit(frame).predict(strange)
    # Without names it is the place in X, where the domain column has one too.
    with pytest.warns(UnfamiliarBatchWarning, match=r"Domain 7.0 differs mostly in column 3 \("):
        quick(domain_column=1).fit(frame.to_numpy()).predict(strange.to_numpy())


def test_a_users_module_gets_the_warning_too(quick, domains):
    backbone = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.BatchNorm1d(8))
    detector = quick(backbone=backbone).fit(domains)
    assert detector.feature_scale_ is None
    with pytest.warns(UnfamiliarBatchWarning):
        detector.predict(domains[0] * np.array([1, 1, 1, 1, 500]))


# ------------------------------------------------------------------ what every detector promises

NAMES = [name for name, _ in house_checks(None, None, None)]


@pytest.mark.parametrize("kind", ["acr", "toy"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
def test_house_checks(quick, domains, fresh, kind, name):
    build = quick if kind == "acr" else MahalanobisDetector
    dict(house_checks(build, domains, fresh))[name]()


def test_a_sibling_is_a_choice_of_parts_in_few_lines():
    source = inspect.getsource(sys.modules[MahalanobisDetector.__module__])
    assert len(source.splitlines()) <= 40
    for module in (base, sys.modules[base.BatchScoring.__module__]):
        text = inspect.getsource(module)
        assert not re.search(r"acr_sklearn\.(training|networks|scoring|tasks)|module_|net_\b", text)


def test_a_house_check_fails_for_a_detector_that_breaks_it(domains, fresh):
    class Broken(MahalanobisDetector):
        def _score_batches(self, rows, batches):
            return super()._score_batches(rows, batches) + np.arange(len(rows))

    checks = dict(house_checks(Broken, domains, fresh))
    with pytest.raises(AssertionError):
        checks["check_order_and_shift_change_nothing"]()


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
def test_data_sets_by_name_in_every_method(fresh, domains, quick):
    names = ["c", "a", "b", "f", "d", "e"]
    by_name = quick().fit(dict(zip(names, domains, strict=True)))
    assert by_name.domains_.tolist() == sorted(names)
    labels = np.repeat(names, [len(part) for part in domains])
    labelled = quick().fit(np.concatenate(domains), domains=labels)
    assert by_name.offset_ == labelled.offset_
    new = dict(zip("zxy", fresh, strict=True))
    for method in (*METHODS, "p_values"):
        score = getattr(by_name, method)
        np.testing.assert_allclose(score(new), score(fresh), rtol=1e-10)
    y = {name: np.where(np.arange(len(rows)) % 5, 1, -1) for name, rows in new.items()}
    expected = by_name.score(fresh, np.concatenate(list(y.values())))
    assert by_name.score(new, dict(reversed(y.items()))) == pytest.approx(expected)
    assert quick().fit_predict(new).shape == (sum(map(len, fresh)),)


@pytest.mark.parametrize("value", [1e300, -1e300, 1e160, 3e38])
@pytest.mark.parametrize("n_rows", [40, 3000])
@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
def test_a_huge_value_among_ordinary_rows_scores(fitted, make_domain, value, n_rows):
    X = make_domain(60, n_rows=n_rows)
    X[7, 2] = value
    for scores in (
        fitted.score_samples(X),
        fitted.adapt(X).score_samples(X),
        fitted.score_samples(X.astype(np.float32) if abs(value) < 1e39 else X),
    ):
        assert np.isfinite(scores).all()
        assert scores.argmin() == 7
    assert np.isfinite(fitted.decision_function(X)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["one", "all", "column", "offset"])
def test_huge_values_are_trained_on(quick, domains, dtype, kind):
    large = dtype(1e37) if dtype is np.float32 else 1e298
    parts = [part.astype(dtype) for part in domains]
    if kind == "one":
        parts[0][3, 1] = large
    for part in parts:
        part[:, {"all": slice(None), "column": [1], "offset": []}.get(kind, [])] *= large
        part[:, [1] if kind == "offset" else []] += large
    assert np.isfinite(quick().fit(parts).score_samples(parts[1])).all()


def test_values_that_leave_no_room_are_named(quick, domains):
    parts = [part.copy() for part in domains]
    parts[2][3, 1] = 1e308
    with pytest.raises(ValueError, match=r"element 2 of the list: got 1e\+308 .* row 3, column 1"):
        quick().fit(parts)
