"""A detector among those of PyOD: names, signs, and PyOD's own tools."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from acr_sklearn import OutlierSynthesisDetector, ZeroShotACRDetector

pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")
SMALL = {"max_iter": 5, "n_tasks": 2, "task_size": 16, "hidden_layer_sizes": (16,)}


@pytest.fixture(scope="module")
def detector():
    rng = np.random.default_rng(0)
    sites = [rng.normal(rng.normal(0, 3, 4), 1.0, (100, 4)) for _ in range(6)]
    return ZeroShotACRDetector(**SMALL, random_state=0).fit(sites)


def rows(seed=1):
    X = np.random.default_rng(seed).normal(5.0, 1.0, (200, 4))
    X[:20] += np.random.default_rng(9).choice([-6, 6], (20, 4))
    return X


def test_names_and_signs(detector):
    X, X_new = rows(), rows(2)
    adapter = detector.as_pyod().fit(X)
    np.testing.assert_allclose(adapter.decision_scores_, -detector.score_samples(X))
    np.testing.assert_allclose(adapter.decision_function(X), adapter.decision_scores_, atol=1e-9)
    assert adapter.labels_.sum() == 20
    assert adapter.labels_[:20].mean() > 0.9
    assert (adapter.labels_ == (adapter.decision_scores_ > adapter.threshold_)).all()
    assert set(adapter.predict(X_new)) == {0, 1}
    assert (adapter.fit_predict(X) == adapter.labels_).all()
    live = detector.adapt(X)
    np.testing.assert_allclose(adapter.decision_function(X_new), -live.score_samples(X_new))


def test_like_pyods_own_base_class(detector):
    base = pytest.importorskip("pyod.models.base").BaseDetector

    class Reference(base):
        def __init__(self, contamination=0.1):
            super().__init__(contamination=contamination)

        def fit(self, X, y=None):
            self._set_n_classes(y)
            self.decision_scores_ = detector.as_pyod().fit(X).decision_scores_
            self._process_decision_scores()
            self.held = detector.as_pyod().fit(X)
            return self

        def decision_function(self, X):
            return self.held.decision_function(X)

    X, X_new = rows(), rows(2)
    ours, theirs = detector.as_pyod().fit(X), Reference(contamination=0.1).fit(X)
    assert ours.threshold_ == pytest.approx(theirs.threshold_)
    assert (ours.labels_ == theirs.labels_).all()
    assert (ours.predict(X_new) == theirs.predict(X_new)).all()
    for method in ("linear", "unify"):
        np.testing.assert_allclose(
            ours.predict_proba(X_new, method=method), theirs.predict_proba(X_new, method=method)
        )
    np.testing.assert_allclose(ours.predict_confidence(X_new), theirs.predict_confidence(X_new))
    labels, confidence = ours.predict(X_new, return_confidence=True)
    assert labels.shape == confidence.shape
    both, again = ours.predict_proba(X_new, return_confidence=True)
    np.testing.assert_allclose(both.sum(axis=1), 1)
    assert (again == confidence).all()


def test_scores_combine_with_those_of_pyods_detectors(detector):
    knn = pytest.importorskip("pyod.models.knn").KNN
    standardizer = pytest.importorskip("pyod.utils.utility").standardizer
    X = rows()
    scores = [model.fit(X).decision_scores_ for model in (detector.as_pyod(), knn())]
    together = standardizer(np.column_stack(scores)).mean(axis=1)
    assert rankdata(-together)[:20].max() <= 25


def test_the_functions_of_pyods_combination(detector):
    # PyOD's module needs the package combo, which is not among the extras.
    combination = pytest.importorskip("pyod.models.combination", exc_type=ImportError)
    X = rows()
    scores = np.column_stack([detector.as_pyod().fit(X).decision_scores_] * 2)
    np.testing.assert_allclose(combination.average(scores), scores[:, 0])


def test_in_suod(detector):
    pytest.importorskip("suod")
    suod = pytest.importorskip("pyod.models.suod").SUOD
    model = suod(base_estimators=[detector.as_pyod(), detector.as_pyod()], n_jobs=1)
    assert model.fit(rows()).decision_scores_.shape == (200,)


def test_clone_and_pickle_keep_what_was_trained(detector):
    adapter = detector.as_pyod().fit(rows())
    fresh = clone(adapter)
    with pytest.raises(NotFittedError):
        fresh.decision_function(rows())
    np.testing.assert_allclose(fresh.fit(rows()).decision_scores_, adapter.decision_scores_)
    again = pickle.loads(pickle.dumps(adapter))
    np.testing.assert_allclose(again.decision_function(rows(3)), adapter.decision_function(rows(3)))
    assert adapter.set_params(contamination=0.2).fit(rows()).labels_.sum() == 40


def test_rows_scored_singly_and_what_is_refused(detector):
    X = rows()
    model = OutlierSynthesisDetector(max_iter=5, random_state=0).fit(X)
    np.testing.assert_allclose(model.as_pyod().fit(X).decision_function(X), -model.score_samples(X))
    with pytest.raises(NotFittedError):
        ZeroShotACRDetector().as_pyod()
    with pytest.raises(ValueError, match="'contamination' parameter of PyODAdapter"):
        detector.as_pyod().set_params(contamination=0.9).fit(X)
    with pytest.raises(ValueError, match="'linear' or 'unify'"):
        detector.as_pyod().fit(X).predict_proba(X, method="other")


@pytest.mark.parametrize("trained_on_names", [True, False])
@pytest.mark.filterwarnings("ignore:X has feature names, but ZeroShotACRDetector")
def test_columns_in_another_order_are_refused(detector, trained_on_names):
    frame = pd.DataFrame(rows(), columns=list("abcd"))
    if trained_on_names:
        sites = pd.concat([frame, frame + 3, frame - 3, frame + 6])
        detector = ZeroShotACRDetector(**SMALL, random_state=0)
        detector.fit(sites, domains=np.repeat(range(4), 200))
    adapter = detector.as_pyod().fit(frame)
    assert adapter.feature_names_in_.tolist() == list("abcd")
    expected = adapter.decision_function(frame.to_numpy())
    assert (adapter.decision_function(frame) == expected).all()
    for method in ("decision_function", "predict", "predict_proba", "predict_confidence"):
        with pytest.raises(ValueError, match=r"PyODAdapter.decision_function: The feature names"):
            getattr(adapter, method)(frame[list("badc")])
    with pytest.raises(ValueError, match="names unseen at fit time"):
        adapter.predict(frame.rename(columns={"a": "e"}))


def test_names_go_with_the_rows_of_another_fit(detector):
    with pytest.warns(UserWarning, match="was fitted without feature names"):
        adapter = detector.as_pyod().fit(pd.DataFrame(rows(), columns=list("abcd")))
    assert not hasattr(adapter.fit(rows()), "feature_names_in_")


@pytest.mark.parametrize("column", ["site", 2])
def test_rows_keep_their_domain_column(column):
    frame = pd.DataFrame(np.concatenate([rows(seed) + 3 * seed for seed in range(4)]))
    frame.columns = list("abcd")
    frame.insert(2, "site", np.repeat(["p", "q", "r", "s"], 200))
    detector = ZeroShotACRDetector(**SMALL, domain_column=column, random_state=0).fit(frame)
    X = frame[:200]
    adapter = detector.as_pyod().fit(X)
    assert adapter.n_features_in_ == X.shape[1] == 5
    assert adapter.feature_names_in_.tolist() == ["a", "b", "site", "c", "d"]
    np.testing.assert_allclose(adapter.decision_function(X), -detector.score_samples(X), atol=1e-9)
    assert (adapter.predict(X[:50]) == adapter.labels_[:50]).all()
    assert adapter.predict_proba(X[:3]).shape == (3, 2)
    assert adapter.predict_confidence(X[:1]).shape == (1,)
    assert (adapter.decision_function(X.assign(site="new")) == adapter.decision_function(X)).all()
    with pytest.raises(ValueError, match="feature names"):
        adapter.predict(X.drop(columns="site"))
