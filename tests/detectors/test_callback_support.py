"""scikit-learn's callbacks: called around fit and each evaluation, and able to end a training."""

import importlib
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback as SkorchCallback

import acr_sklearn.detectors._callback_support as module
from acr_sklearn import NormalTrainSplit

sklearn_callback = pytest.importorskip("sklearn.callback", reason="scikit-learn from 1.9 on")
pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")


class Recorder:
    """A callback that writes down what it is told."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.events = []
        self.scores = []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.events.append(f"end {context.task_name}")
        self.scores.append(fitted_estimator.score_samples(X[0] if isinstance(X, list) else X[:100]))
        self.metadata = metadata
        n_evaluations = self.events.count("end evaluation")
        return self.stop_after is not None and n_evaluations >= self.stop_after


def stacked(domains):
    return np.concatenate(domains), np.repeat(np.arange(len(domains)), list(map(len, domains)))


def test_around_fit_and_each_evaluation(quick, domains):
    recorder = Recorder()
    X, site = stacked(domains)
    detector = quick().set_callbacks(recorder).fit(X, domains=site)
    inner = ["begin evaluation", "end evaluation"] * len(detector.history_)
    assert recorder.events == ["setup", "begin fit", *inner, "end fit", "teardown"]
    assert recorder.metadata["domains"] is site
    # Each was handed the detector as it then was: the weights move on, the last one is the result.
    assert not np.allclose(recorder.scores[0], recorder.scores[-2])
    np.testing.assert_array_equal(recorder.scores[-1], detector.score_samples(X[:100]))


def test_watching_changes_nothing(quick, domains):
    X, site = stacked(domains)
    watched = quick().set_callbacks(Recorder()).fit(X, domains=site)
    plain = quick().fit(X, domains=site)
    assert watched.history_ == plain.history_
    assert watched.offset_ == plain.offset_
    # No trace of the bridge is left but the callbacks themselves.
    assert set(vars(watched)) - set(vars(plain)) == {"_skl_callbacks"}


def test_a_callback_ends_the_training(quick, domains):
    recorder = Recorder(stop_after=2)
    detector = quick().set_callbacks(recorder).fit(domains)
    assert detector.n_iter_ == len(detector.history_) == 2
    assert recorder.events.count("end evaluation") == 2
    assert recorder.events[-2:] == ["end fit", "teardown"]
    assert np.isfinite(detector.score_samples(domains[0])).all()


class Breaking(Recorder):
    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        raise RuntimeError("out of paper")


def test_a_callback_that_fails_leaves_the_detector_as_it_was(quick, domains):
    breaking = Breaking()
    detector = quick().set_callbacks(breaking)
    before = set(vars(detector))
    with pytest.raises(RuntimeError, match="out of paper"):
        detector.fit(domains)
    assert set(vars(detector)) == before
    assert breaking.events[-1] == "teardown"


def test_a_cached_training_is_watched_all_the_same(quick, domains, tmp_path, trainings):
    quick(memory=str(tmp_path)).fit(domains)
    recorder = Recorder()
    quick(memory=str(tmp_path)).set_callbacks(recorder).fit(domains)
    assert len(trainings) == 2
    assert "end evaluation" in recorder.events


class Propagated(Recorder):
    max_propagation_depth = None

    def on_fit_task_end(self, estimator, context):
        self.events.append(f"end {context.task_name}")


def test_through_a_pipeline_and_a_search(quick, domains):
    X, site = stacked(domains)
    recorder = Propagated()
    pipe = make_pipeline(StandardScaler(), quick(early_stopping=False))
    name = "zeroshotacrdetector__"
    search = GridSearchCV(
        pipe,
        {f"{name}contamination": [0.1]},
        cv=NormalTrainSplit(LeaveOneGroupOut()),
        scoring=lambda estimator, X, y: 0.0,
        refit=False,
    )
    search.set_callbacks(recorder)
    y = np.where(np.arange(len(X)) % 10, 1, -1)  # a fold without anomalies is left out
    search.fit(X, y, groups=site, **{f"{name}domains": site})
    assert recorder.events.count("end evaluation") == 6 * 6
    assert recorder.events.count("setup") == 1


def share_flagged(estimator, X, y, domains):
    return (estimator.predict(X, domains=domains) == -1).mean()


def test_the_scoring_monitor_of_scikit_learn(quick, domains):
    X, site = stacked(domains)
    monitor = sklearn_callback.ScoringMonitor(scoring={"flagged": share_flagged})
    quick(early_stopping=False).set_callbacks(monitor).fit(X, np.ones(len(X)), domains=site)
    log = monitor.get_logs().data
    assert [row["task_name"] for row in log] == ["fit"] + ["evaluation"] * 6
    assert all(0 < row["flagged"] < 1 for row in log)


class Steps(SkorchCallback):
    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.n = 0

    def on_epoch_end(self, net, **kwargs):
        self.n += 1


def test_skorchs_callbacks_go_beside_them(quick, domains):
    recorder = Recorder()
    detector = quick(callbacks=[Steps()], early_stopping=False).set_callbacks(recorder)
    detector = clone(detector).fit(domains)
    (steps,) = [c for _, c in detector.net_.callbacks_ if isinstance(c, Steps)]
    assert steps.n == recorder.events.count("end evaluation") == 6


def test_without_scikit_learns_module_there_is_nothing_to_set(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    try:
        old = importlib.reload(module)
        assert not hasattr(old.CallbackSupport, "set_callbacks")
        assert old.open_fit_callback(old.CallbackSupport(), None, None, None) is None
    finally:
        monkeypatch.undo()
        importlib.reload(module)
