"""FitOnNormals: no fit sees a known anomaly, the refit of a search least of all."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from acr_sklearn import NormalTrainSplit, ZeroShotACRDetector
from acr_sklearn.model_selection import FitOnNormals


def _labelled_sites():
    rng = np.random.default_rng(0)
    X, site, y = rng.normal(size=(800, 5)), np.repeat(np.arange(8), 100), np.ones(800, int)
    for start in range(0, 800, 100):
        y[start : start + 10] = -1
        X[start : start + 10, 0] += 8
    unseen = rng.normal(size=(200, 5))
    unseen[:20, 0] += 5
    return X, y, site, unseen


# A tenth of the rows of a test fold are off by 8 standard deviations.
@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")
@pytest.mark.parametrize("shape", ["bare", "inside", "around"])
@pytest.mark.parametrize("routing", [False, True])
def test_best_estimator_of_a_search_is_trained_on_normal_rows(routing, shape):
    X, y, site, unseen = _labelled_sites()
    acr = ZeroShotACRDetector(max_iter=20, random_state=0)
    name = "domains"
    with sklearn.config_context(enable_metadata_routing=routing):
        model, grid = FitOnNormals(acr), "detector__contamination"
        if shape == "inside":
            model = Pipeline([("acr", model)])
            grid = "acr__" + grid
            name = name if routing else "acr__domains"
        elif shape == "around":
            model = FitOnNormals(Pipeline([("acr", acr)]))
            grid = "detector__acr__contamination"
            name = name if routing else "acr__domains"
        search = GridSearchCV(
            model,
            {grid: [0.05]},
            cv=NormalTrainSplit([(np.arange(100, 800), np.arange(100))]),
            scoring="balanced_accuracy",
        )
        search.fit(X, y, groups=site, **{name: site})
        found = search.best_estimator_.predict(unseen)
    assert (found[:20] == -1).mean() >= 0.8


def test_it_equals_a_fit_on_the_normal_rows():
    X, y, _, unseen = _labelled_sites()
    weight = np.random.default_rng(1).uniform(size=800)
    forest = IsolationForest(n_estimators=20, random_state=0)
    model = FitOnNormals(forest).fit(X, y, sample_weight=weight)
    wanted = clone(forest).fit(X[y == 1], sample_weight=weight[y == 1])
    for method in ("predict", "decision_function", "score_samples"):
        np.testing.assert_array_equal(
            getattr(model, method)(unseen), getattr(wanted, method)(unseen)
        )
    assert model.n_features_in_ == 5


def test_fit_predict_leaves_anomalies_out_too():
    X, y, _, _ = _labelled_sites()
    model = FitOnNormals(IsolationForest(n_estimators=20, random_state=0))
    np.testing.assert_array_equal(model.fit_predict(X, y), model.fit(X, y).predict(X))


def test_methods_that_the_detector_lacks_are_lacking():
    assert not hasattr(FitOnNormals(StandardScaler()), "score_samples")


@pytest.mark.parametrize(
    ("y", "match"), [([-1] * 3, "in all 3 rows"), ([0, 1, 1], "y"), ([1, -1], "y")]
)
def test_labels_it_cannot_use(y, match):
    with pytest.raises(ValueError, match=match):
        FitOnNormals(IsolationForest()).fit([[0.0], [1.0], [2.0]], y)


def test_a_search_without_scoring_uses_the_detectors_own_score():
    X, y, site, _ = _labelled_sites()
    model = FitOnNormals(ZeroShotACRDetector(max_iter=3, random_state=0))
    search = GridSearchCV(
        model,
        {"detector__trim_fraction": [0.0, 0.25]},
        cv=NormalTrainSplit(LeaveOneGroupOut()),
        refit=False,
    ).fit(X, y, groups=site, domains=site)
    assert (search.cv_results_["mean_test_score"] > 0.8).all()


def test_fit_predict_pools_no_domains_in_silence():
    X, y, site, _ = _labelled_sites()
    acr = ZeroShotACRDetector(max_iter=3, random_state=0)
    model = FitOnNormals(Pipeline([("acr", acr)]))
    with pytest.raises(ValueError, match=r"got acr__domains=.* all domains would be one batch"):
        model.fit_predict(X, y, acr__domains=site)
    with sklearn.config_context(enable_metadata_routing=True):
        labels = model.fit_predict(X, y, domains=site)
        np.testing.assert_array_equal(labels, model.predict(X, domains=site))
        assert (labels != model.predict(X)).any()


def test_a_list_of_data_sets_with_labels_is_refused():
    X, y, site, _ = _labelled_sites()
    sites, labels = np.split(X, 8), np.split(y, 8)
    model = FitOnNormals(ZeroShotACRDetector(max_iter=2, random_state=0))
    for given in (labels, y):
        with pytest.raises(
            ValueError, match=r"got a list of data sets together with y\. .*domains="
        ):
            model.fit(sites, given)
    assert model.fit(sites).detector_.n_domains_ == len(np.unique(site))


def _small():
    small = {"hidden_layer_sizes": (8,), "n_tasks": 4, "task_size": 32, "early_stopping": False}
    return ZeroShotACRDetector(max_iter=2, random_state=0, **small)


def _machines(seeds=range(6), n_rows=100):
    """Machines that share a fault of two features, each value of it within the usual range."""
    parts = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        rows, y = rng.normal(size=(n_rows, 5)), np.where(np.arange(n_rows) < 10, -1, 1)
        rows[:10, :2] = [1.5, -1.4] + 0.3 * rng.normal(size=(10, 2))
        parts.append((rows + rng.normal(0, 5, 5), y, np.full(n_rows, seed)))
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


@pytest.mark.parametrize("routing", [False, True])
def test_one_search_compares_leaving_anomalies_out_with_telling_of_them(routing):
    X, y, site = _machines()
    acr = _small()
    model = FitOnNormals(Pipeline([("scaler", StandardScaler()), ("acr", acr)]))
    with sklearn.config_context(enable_metadata_routing=routing):
        search = GridSearchCV(
            model,
            {"anomalies": ["drop", "known"]},
            scoring="roc_auc",
            cv=NormalTrainSplit(LeaveOneGroupOut(), anomalies="known"),
        )
        search.fit(X, y, groups=site, **{"domains" if routing else "acr__domains": site})
    dropped, told = search.cv_results_["mean_test_score"]
    assert told > dropped + 0.1
    best = search.best_estimator_.detector_[-1]
    assert best.selection_["n_anomalies"].tolist() == [10] * 6
    # Told or not, the network has seen none of them.
    left_out = StandardScaler().fit(X)
    plain = clone(acr).fit(left_out.transform(X[y == 1]), domains=site[y == 1])
    assert best.history_ == plain.history_


@pytest.mark.parametrize("routing", [False, True])
def test_a_search_hands_a_mask_to_a_pipeline_too(routing):
    X, y, site = _machines()
    pipe = Pipeline([("scaler", StandardScaler()), ("acr", _small())])
    given = {"domains": site, "known_anomalies": y == -1}

    def searched(anomalies, given):
        search = GridSearchCV(
            pipe,
            {"acr__trim_fraction": [0.25]},
            scoring="roc_auc",
            cv=NormalTrainSplit(LeaveOneGroupOut(), anomalies=anomalies),
            refit=anomalies == "known",
        )
        params = given if routing else {f"acr__{name}": value for name, value in given.items()}
        return search.fit(X, y, groups=site, **params)

    with sklearn.config_context(enable_metadata_routing=routing):
        told = searched("known", given)
        dropped = searched("drop", {"domains": site})
    assert told.best_score_ > dropped.cv_results_["mean_test_score"][0] + 0.05
    assert told.best_estimator_[-1].selection_["weight"] > 0


def test_without_anomalies_there_is_nothing_to_tell():
    X, y, site = _machines(range(4))
    told = FitOnNormals(_small(), anomalies="known")
    assert told.fit(X, np.ones(len(X)), domains=site).detector_.selection_ is None
    assert told.fit(X, y, domains=site).detector_.selection_["n_anomalies"].tolist() == [10] * 4


def test_a_detector_that_cannot_be_told_is_refused():
    X, y, _ = _machines(range(2))
    model = FitOnNormals(Pipeline([("forest", IsolationForest())]), anomalies="known")
    with pytest.raises(ValueError, match=r"IsolationForest.fit has no argument known_anomalies"):
        model.fit(X, y)
    with pytest.raises(ValueError, match="'anomalies' parameter of FitOnNormals"):
        FitOnNormals(IsolationForest(), anomalies="keep").fit(X, y)


class Told(OutlierMixin, BaseEstimator):
    """Keeps what its fit was given."""

    def fit(self, X, y=None, known_anomalies=None, outliers=None, domains=None):
        self.given_ = {"X": X, "known_anomalies": known_anomalies, "outliers": outliers}
        return self


@pytest.mark.parametrize("form", [np.array, list, pd.Series, lambda mask: np.array(mask)[:, None]])
def test_a_mask_is_joined_with_the_labels(form):
    X, y = np.zeros((4, 1)), [1, -1, 1, 1]
    told = FitOnNormals(Told(), anomalies="known")
    told.fit(X, y, known_anomalies=form([False, False, True, False]))
    assert told.detector_.given_["known_anomalies"].tolist() == [False, True, True, False]
    inside = FitOnNormals(Pipeline([("acr", Told())]), anomalies="known")
    inside.fit(X, y, acr__known_anomalies=form([True, False, False, False]))
    assert inside.detector_[-1].given_["known_anomalies"].tolist() == [True, True, False, False]
    with pytest.raises(ValueError, match=r"FitOnNormals.fit got known_anomalies of dtype int"):
        told.fit(X, y, known_anomalies=[0, 1, 0, 0])


@pytest.mark.parametrize("anomalies", ["drop", "known"])
def test_as_many_outliers_as_rows_are_all_kept(anomalies):
    X, y, outliers = np.zeros((4, 1)), [1, -1, 1, 1], np.arange(4.0)[:, None]
    model = FitOnNormals(Told(), anomalies=anomalies).fit(X, y, outliers=outliers)
    assert model.detector_.given_["outliers"] is outliers
    inside = FitOnNormals(Pipeline([("acr", Told())]), anomalies=anomalies)
    inside.fit(X, y, acr__outliers=outliers)
    assert inside.detector_[-1].given_["outliers"] is outliers
