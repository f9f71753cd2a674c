import copy
import itertools
import pickle
import threading
import warnings

import numpy as np
import pytest

from acr_sklearn import ResADDetector, ZeroShotACRDetector, load
from acr_sklearn.detectors._sliding import SlidingWindow

N_ROWS = 150


@pytest.fixture(scope="module")
def stream():
    return np.random.default_rng(5).normal(3.0, 1.0, (600, 4))


@pytest.fixture(scope="module")
def sites():
    rng = np.random.default_rng(0)
    return [rng.normal(rng.normal(0, 3, 4), 1.0, (80, 4)) for _ in range(5)]


@pytest.fixture(scope="module", params=["acr", "objective", "resad"])
def detector(request, sites):
    if request.param == "resad":
        return ResADDetector(max_iter=2, random_state=0).fit(sites)
    head = "consensus" if request.param == "acr" else "objective"
    return ZeroShotACRDetector(max_iter=2, score_head=head, random_state=0).fit(sites)


@pytest.fixture(scope="module")
def acr(sites):
    return ZeroShotACRDetector(max_iter=2, random_state=0).fit(sites)


def same(one, other, rows):
    np.testing.assert_array_equal(one.score_samples(rows), other.score_samples(rows))
    np.testing.assert_array_equal(one.calibration_scores_, other.calibration_scores_)
    assert one.offset_ == other.offset_


@pytest.mark.parametrize("cuts", [[150, 250], [150, 151, 152, 250], [150, 420], [150, 160, 600]])
def test_after_update_it_is_what_adapt_gives_on_the_window(detector, stream, cuts):
    live = detector.adapt(stream[: cuts[0]])
    for start, end in itertools.pairwise(cuts):
        assert live.update(stream[start:end]) is live
    same(live, detector.adapt(stream[cuts[-1] - N_ROWS : cuts[-1]]), stream[:20])


def test_scoring_between_updates_changes_nothing(detector, stream):
    often, once = detector.adapt(stream[:N_ROWS]), detector.adapt(stream[:N_ROWS])
    for start in range(N_ROWS, 200, 10):
        often.update(stream[start : start + 10]).score_samples(stream[:3])
    same(often, once.update(stream[N_ROWS:200]), stream[:20])


def test_a_window_grows_and_shrinks(detector, stream):
    live = detector.adapt(stream[:N_ROWS]).update(stream[N_ROWS:200], window=180)
    same(live, detector.adapt(stream[20:200]), stream[:9])
    same(live.update(stream[200:210]), detector.adapt(stream[30:210]), stream[:9])
    same(live.update(stream[210:211], window=130), detector.adapt(stream[81:211]), stream[:9])
    same(live.update(stream[211:300], window=500), detector.adapt(stream[81:300]), stream[:9])


@pytest.mark.parametrize("sizes", [(70, 140), (None, 400)])
def test_rows_that_have_left_the_window_stay_away_used_or_not(detector, stream, sizes):
    live, used = detector.adapt(stream[:N_ROWS]), detector.adapt(stream[:N_ROWS])
    for one in (live, used):
        one.update(stream[N_ROWS:200], window=sizes[0])
        if one is used:
            one.score_samples(stream[:2])
        one.update(stream[200:210], window=sizes[1])
    start = 200 - (sizes[0] or N_ROWS)
    same(live, used, stream[:9])
    same(live, detector.adapt(stream[start:210]), stream[:9])


def test_a_call_holds_one_window_though_a_thread_updates(detector, stream, monkeypatch):
    """The other thread, at the worst moment: rows come in when the scores are there."""
    X, kind = stream[:9], type(detector)
    expected = detector.adapt(stream[:N_ROWS])
    score = kind._scores_of
    for name in ("decision_function", "predict", "p_values"):
        live = detector.adapt(stream[:N_ROWS])

        def scored(self, data, live=live):
            found = score(self, data)
            live.update(9.0 * stream[200:350])
            return found

        with monkeypatch.context() as patched:
            patched.setattr(kind, "_scores_of", scored)
            found = getattr(live, name)(X)
        np.testing.assert_array_equal(found, getattr(expected, name)(X))
        same(live, detector.adapt(9.0 * stream[200:350]), X)


def test_a_report_holds_one_window_though_a_thread_updates(acr, stream, monkeypatch):
    expected = acr.adapt(stream[:N_ROWS]).report(stream[:9])
    live, score = acr.adapt(stream[:N_ROWS]), type(acr)._scores_of

    def scored(self, data):
        found = score(self, data)
        live.update(9.0 * stream[200:350])
        return found

    monkeypatch.setattr(type(acr), "_scores_of", scored)
    assert live.report(stream[:9]).equals(expected)


def test_statistics_and_threshold_change_at_once(detector, stream, monkeypatch):
    """What other threads see while the statistics are taken anew is all of the window before."""
    live = detector.adapt(stream[:N_ROWS]).update(9.0 * stream[200:350])
    before, take, seen = dict(vars(live)), type(detector)._take_reference, []

    def taken(self, rows, settings):
        take(self, rows, settings)
        seen.append(all(value is before[name] for name, value in vars(live).items()))

    monkeypatch.setattr(type(detector), "_take_reference", taken)
    live.score_samples(stream[:2])
    assert seen == [True]
    same(live, detector.adapt(9.0 * stream[200:350]), stream[:5])


def test_a_threshold_of_rows_that_wait_is_read_under_valid_settings_only(detector, stream):
    live = detector.adapt(stream[:N_ROWS]).update(stream[N_ROWS:200])
    live.set_params(contamination=9)
    with pytest.raises(ValueError, match="'contamination' parameter"):
        _ = live.offset_
    live.set_params(contamination=0.1)
    same(live, detector.adapt(stream[50:200]), stream[:5])


def test_the_settings_of_adapt_hold(acr, stream):
    settings = {"recalibrate": False, "leave_out": 0.2}
    live = acr.adapt(stream[:N_ROWS], **settings).update(stream[N_ROWS:300])
    same(live, acr.adapt(stream[N_ROWS:300], **settings), stream[:20])
    assert live.offset_ == acr.offset_


def test_statistics_are_taken_anew_only_after_so_many_rows(detector, stream):
    live, before = detector.adapt(stream[:N_ROWS]), detector.adapt(stream[:N_ROWS])
    for start in range(N_ROWS, 159):
        live.update(stream[start : start + 1], every=10)
        same(live, before, stream[:5])
    live.update(stream[159:160], every=10)
    same(live, detector.adapt(stream[10:160]), stream[:5])


def test_what_is_read_off_the_detector_is_of_the_window_too(acr, stream):
    live = acr.adapt(stream[:N_ROWS]).update(stream[200:350])
    assert live.offset_ == acr.adapt(stream[200:350]).offset_
    live.update(stream[:N_ROWS])
    stats = live.reference_stats_
    assert stats is not acr.adapt(stream[200:350]).reference_stats_
    assert live.reference_stats_ is stats  # nothing came in between
    x = stats.standardizer.divisor.new_tensor(stream[:5])
    expected = acr.adapt(stream[:N_ROWS]).reference_stats_(x)
    np.testing.assert_array_equal(stats(x).numpy(), expected.numpy())


def test_rows_are_copied(detector, stream):
    own = stream.copy()
    live = detector.adapt(own[:N_ROWS]).update(own[N_ROWS:200])
    own[:] = 0.0
    same(live, detector.adapt(stream[50:200]), stream[:20])


def test_a_copy_slides_by_itself(detector, stream):
    live = detector.adapt(stream[:N_ROWS]).update(stream[N_ROWS:200])
    twin = copy.copy(live)
    twin.update(stream[200:300])
    same(live, detector.adapt(stream[50:200]), stream[:20])
    same(twin, detector.adapt(stream[N_ROWS:300]), stream[:20])


def test_the_detector_that_was_adapted_stays_as_it_was(detector, stream):
    before = pickle.dumps(detector)
    detector.adapt(stream[:N_ROWS]).update(stream[:50]).score_samples(stream[:2])
    assert pickle.dumps(detector) == before


@pytest.mark.parametrize("way", ["file", "pickle"])
def test_a_window_travels_with_the_detector(detector, stream, way, tmp_path):
    live = detector.adapt(stream[:N_ROWS]).update(stream[N_ROWS:160]).update(stream[160:170])
    if way == "file":
        live.save(tmp_path / "live")
        again = load(tmp_path / "live")
    else:
        again = pickle.loads(pickle.dumps(live))
    same(again, detector.adapt(stream[20:170]), stream[:20])
    same(again.update(stream[170:180]), live.update(stream[170:180]), stream[:20])


def test_a_fit_forgets_the_window(sites, stream):
    live = ResADDetector(max_iter=2, random_state=0).fit(sites).adapt(stream[:N_ROWS])
    with pytest.raises(ValueError, match="Call live = detector.adapt"):
        live.fit(sites).update(stream[:5])


def test_rows_wait_in_a_bounded_store(acr, stream):
    live = acr.adapt(stream[:N_ROWS])
    for row in np.tile(stream, (2, 1)):
        live.update(row[None])
        assert live._window.n_newer <= N_ROWS
        assert len(live._window.rows) == N_ROWS
    same(live, acr.adapt(stream[-N_ROWS:]), stream[:5])


def test_rows_from_several_threads_are_all_taken_in(acr, stream):
    live = acr.adapt(stream[:N_ROWS])

    def push(start):
        for row in stream[start : start + 12]:
            live.update(row[None], window=400)
            live.score_samples(stream[:2])

    threads = [threading.Thread(target=push, args=(N_ROWS + 12 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = live._window.joined().rows
    np.testing.assert_array_equal(np.sort(held, axis=0), np.sort(stream[:198], axis=0))


def test_no_warning_comes_of_a_small_window(acr, stream):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        acr.adapt(stream[:N_ROWS]).update(stream[:5], window=20).score_samples(stream[:2])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_new": np.zeros((3, 5))}, "X has 5 features"),
        ({"X_new": [[np.nan] * 4]}, "nan|NaN"),
        ({"X_new": np.zeros((0, 4))}, "0 sample"),
        ({"X_new": [np.zeros((5, 4)), np.zeros((5, 4))]}, "rows of 2 domains"),
        ({"X_new": (np.zeros((5, 4)) for _ in range(2))}, "in chunks"),
        ({"window": 1}, "window=1. Give a whole number of 2 or more"),
        ({"window": 2.5}, "window=2.5"),
        ({"window": True}, "window=True"),
        ({"every": 0}, "every=0. Give a whole number of 1 or more"),
    ],
)
def test_bad_input_leaves_the_window_as_it_was(acr, stream, given, message):
    live = acr.adapt(stream[:N_ROWS])
    before = live._window
    with pytest.raises(ValueError, match=message):
        live.update(**{"X_new": stream[:5]} | given)
    assert live._window is before


def test_there_must_be_a_reference(acr, stream, sites):
    with pytest.raises(ValueError, match="update was called on a detector that scores no domain"):
        acr.update(stream[:5])
    batch = acr.adapt(stream[:N_ROWS]).set_params(norm_mode="batch")
    with pytest.raises(ValueError, match="norm_mode='batch' holds none"):
        batch.update(stream[:5])
    pooled = ZeroShotACRDetector(max_iter=2, norm_mode="reference", random_state=0).fit(sites)
    with pytest.raises(ValueError, match="Call live = detector.adapt"):
        pooled.update(stream[:5])
    with pytest.raises(ValueError, match="not fitted"):
        ZeroShotACRDetector().update(stream[:5])


def test_a_row_costs_the_same_in_a_window_of_any_size():
    """Counted and not timed: rows of the window itself are copied once in a window of rows."""
    copied = 0
    for size in (100, 1000):
        window = SlidingWindow(np.zeros((size, 2)), size)
        rows, times = window.rows, 0
        for _ in range(3 * size):
            window = window.pushed(np.zeros((1, 2)), size, 1)
            times, rows = times + (window.rows is not rows), window.rows
        copied += times
    assert copied <= 2 * 3
