"""What every detector of the package promises, as checks that any of them can be put through.

`house_checks(build, domains, fresh)` yields (name, check). `build(**parameters)` makes an unfitted
detector, `domains` are its training rows, `fresh` three batches of domains that it never saw.
"""

import copy
import pickle
import random
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from acr_sklearn import concat_domains

METHODS = ("score_samples", "decision_function", "predict", "p_values")


def house_checks(build, domains, fresh):
    """Yield the name of each check, and the check as a function without arguments."""
    for name, check in sorted(globals().items()):
        if name.startswith("check_"):
            yield name, partial(check, build, domains, fresh)


def check_order_and_shift_change_nothing(build, domains, fresh):
    detector, X = build().fit(domains), fresh[0]
    scores = detector.score_samples(X)
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_allclose(detector.score_samples(X[order]), scores[order], rtol=1e-8)
    np.testing.assert_allclose(detector.score_samples(X + 1e3), scores, rtol=1e-6)


def check_domains_equal_separate_calls_and_lists(build, domains, fresh):
    detector = build().fit(domains)
    X, labels = concat_domains(fresh)
    order = np.random.default_rng(0).permutation(len(X))
    for method in METHODS:
        score = getattr(detector, method)
        separate = np.concatenate([score(batch) for batch in fresh])
        np.testing.assert_allclose(score(fresh), separate, rtol=1e-9)
        shuffled = score(X[order], domains=labels[order])
        np.testing.assert_allclose(shuffled, separate[order], rtol=1e-8)


def check_a_batch_is_scored_as_a_whole(build, domains, fresh):
    detector, X = build().fit(domains), fresh[0]
    assert not np.allclose(detector.score_samples(X)[:20], detector.score_samples(X[:20]))
    with pytest.raises(ValueError, match="batch of 1 sample"):
        detector.score_samples(X[:1])


def check_chunks_are_one_batch(build, domains, fresh):
    class Anew:
        def __iter__(self):
            return iter(np.array_split(fresh[0], 3))

    detector = build().fit(domains)
    expected = detector.score_samples(fresh[0])
    np.testing.assert_allclose(detector.score_samples(Anew()), expected, rtol=1e-8)


def check_scoring_changes_no_state(build, domains, fresh):
    detector = build().fit(domains)
    before = pickle.dumps(vars(detector))
    random.seed(3)
    states = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate())
    for method in METHODS:
        getattr(detector, method)(fresh)
    assert pickle.dumps(vars(detector)) == before
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert random.getstate() == states[2]


def check_a_fit_that_fails_changes_nothing(build, domains, fresh):
    for detector in (build(), build().fit(domains)):
        kept = dict(vars(detector))
        with pytest.raises(ValueError, match="domain of 1 sample"):
            detector.fit([fresh[0], fresh[1][:1]])
        detector._calibration_batches = interrupted
        with pytest.raises(KeyboardInterrupt):
            detector.fit(domains)
        del detector._calibration_batches
        assert vars(detector).keys() == kept.keys()
        assert all(vars(detector)[name] is value for name, value in kept.items())


def interrupted(*args):
    raise KeyboardInterrupt


def check_the_sign_of_the_decision_is_the_label(build, domains, fresh):
    for threshold in ("train", "batch"):
        detector = build(threshold=threshold).fit(domains)
        decision = detector.decision_function(fresh)
        np.testing.assert_array_equal(detector.predict(fresh), np.where(decision >= 0, 1, -1))
        assert detector.predict(fresh).dtype == np.int64
        assert decision.dtype == np.float64
    own = np.split(decision, np.cumsum([len(X) for X in fresh])[:-1])
    shares = [np.mean(batch < 0) for batch in own]
    np.testing.assert_allclose(shares, 0.1, atol=0.05)


def check_p_values_are_probabilities(build, domains, fresh):
    detector = build().fit(domains)
    for p in (detector.p_values(fresh), detector.p_values(fresh[0], fresh[0])):
        assert (p > 0).all()
        assert (p <= 1).all()
    far = fresh[0].copy()
    far[0] += 100
    assert detector.p_values(far)[0] == detector.p_values(far).min()


def check_copies_score_alike(build, domains, fresh):
    detector = build().fit(domains)
    expected = detector.decision_function(fresh)
    for again in (
        pickle.loads(pickle.dumps(detector)),
        copy.deepcopy(detector),
        clone(detector).fit(domains),
    ):
        np.testing.assert_allclose(again.decision_function(fresh), expected, rtol=1e-7)
    assert clone(detector).get_params() == detector.get_params()
    assert not hasattr(clone(detector), "offset_")


def check_a_domain_column_equals_labels(build, domains, fresh):
    X, labels = concat_domains(domains)
    plain = build().fit(X, domains=labels)
    framed = build(domain_column="site").fit(pd.DataFrame(X).add_prefix("f").assign(site=labels))
    new, new_labels = concat_domains(fresh)
    frame = pd.DataFrame(new).add_prefix("f").assign(site=new_labels)
    expected = plain.decision_function(new, domains=new_labels)
    np.testing.assert_allclose(framed.decision_function(frame), expected, rtol=1e-7)


def check_settings_changed_after_fit_take_effect_or_raise(build, domains, fresh):
    detector = build().fit(domains)
    for contamination in (0.02, 0.3, "auto"):
        detector.set_params(contamination=contamination)
        expected = build(contamination=contamination).fit(domains)
        assert detector.offset_ == pytest.approx(expected.offset_, rel=1e-7)
        np.testing.assert_array_equal(detector.predict(fresh), expected.predict(fresh))
    detector.set_params(threshold="batch", contamination=0.2)
    expected = build(threshold="batch", contamination=0.2).fit(domains)
    np.testing.assert_array_equal(detector.predict(fresh), expected.predict(fresh))
    with pytest.raises(ValueError, match="'threshold' parameter"):
        detector.set_params(threshold="bacth").predict(fresh)
    with pytest.raises(ValueError, match="'contamination' parameter"):
        detector.set_params(threshold="train", contamination=0.7).predict(fresh)
