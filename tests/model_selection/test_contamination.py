"""ContaminationThreshold: the cut, both polarities, frozen detectors, searches that train once."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from pyod.models.knn import KNN
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import IsolationForest
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    LeaveOneGroupOut,
    cross_validate,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from acr_sklearn import (
    ContaminationThreshold,
    FitOnNormals,
    LabelThreshold,
    NormalTrainSplit,
    PerDomainScorer,
    ZeroShotACRDetector,
    anomaly_roc_auc_scorer,
)

pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(200, 3))
SHARES = [0.02, 0.1, 0.3]


@parametrize_with_checks([ContaminationThreshold(IsolationForest(n_estimators=10, random_state=0))])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("detector", [IsolationForest(random_state=0), KNN()], ids=str)
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_the_share_is_what_was_asked_for_in_both_conventions(detector, share):
    cut = ContaminationThreshold(detector, contamination=share).fit(ROWS)
    labels = cut.predict(ROWS)
    assert (labels == -1).sum() == pytest.approx(200 * share, abs=1)  # KNN's scores tie
    # The rows that are cut off are the far ones, not the near ones.
    radius = np.linalg.norm(ROWS, axis=1)
    assert radius[labels == -1].mean() > radius[labels == 1].mean()
    np.testing.assert_allclose(
        cut.decision_function(ROWS), cut.score_samples(ROWS) - cut.offset_, rtol=1e-12
    )
    np.testing.assert_array_equal(cut.fit_predict(ROWS), labels)


def test_auto_contamination_cuts_off_few_of_the_normal_rows():
    cut = ContaminationThreshold(KNN(), contamination="auto").fit(ROWS)
    assert (cut.predict(ROWS) == -1).mean() < 0.15
    assert cut.predict(np.full((1, 3), 50.0)).tolist() == [-1]


class Unknown(BaseEstimator):
    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def decision_function(self, X):
        return np.abs(np.asarray(X)).max(axis=1)


def test_another_class_must_say_which_rows_score_high():
    for odd in (Unknown(), LogisticRegression(), FrozenEstimator(Unknown().fit(None))):
        with pytest.raises(ValueError, match=r"cannot tell which rows score high with \w+: it is"):
            ContaminationThreshold(odd).fit(ROWS)
    far = ContaminationThreshold(Unknown(), polarity="anomaly").fit(ROWS)
    near = ContaminationThreshold(Unknown(), polarity="normal").fit(ROWS)
    level = np.abs(ROWS).max(axis=1)
    assert level[far.predict(ROWS) == -1].min() > level[far.predict(ROWS) == 1].max()
    assert level[near.predict(ROWS) == -1].max() < level[near.predict(ROWS) == 1].min()
    assert (far.polarity_, near.polarity_) == ("anomaly", "normal")


class NotFinite(Unknown):
    def decision_function(self, X):
        return np.full(len(X), np.nan)


def test_scores_that_are_not_finite():
    with pytest.raises(ValueError, match="scores that are not finite from NotFinite. Scale"):
        ContaminationThreshold(NotFinite(), polarity="normal").fit(ROWS)


def test_a_frozen_detector_is_not_trained_again(fitted, trainings, labelled):
    X, y, site = labelled
    normal = y == 1
    cut = ContaminationThreshold(FrozenEstimator(fitted), contamination=0.2)
    cut.fit(X[normal], domains=site[normal])
    assert trainings == []
    assert cut.detector_.estimator is fitted
    assert cut.n_features_in_ == 5
    own = fitted.score_samples(X[normal], domains=site[normal])
    assert cut.offset_ == pytest.approx(np.percentile(own, 20), rel=1e-9)
    np.testing.assert_allclose(
        cut.score_samples(X, domains=site), fitted.score_samples(X, domains=site), rtol=1e-9
    )
    again = pickle.loads(pickle.dumps(cut))
    np.testing.assert_array_equal(again.predict(X, domains=site), cut.predict(X, domains=site))


def test_names_of_columns_are_the_detectors():
    frame = pd.DataFrame(ROWS, columns=list("abc"))
    cut = ContaminationThreshold(IsolationForest(random_state=0)).fit(frame)
    assert cut.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names should match"):
        cut.predict(frame[["b", "a", "c"]])


# --- labels of domains, with metadata routing off and on


@pytest.fixture(scope="module")
def labelled(make_domain):
    """Five domains with anomalies of their own: X, y, domains."""
    parts, labels = [], []
    for seed in range(50, 55):
        rows = make_domain(seed, n_rows=60)
        rows[50:] += 3 * np.random.default_rng(seed).normal(size=(10, 5))
        parts.append(rows)
        labels.append(np.repeat([1, -1], [50, 10]))
    return np.concatenate(parts), np.concatenate(labels), np.repeat(list("vwxyz"), 60)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("inner", ["detector", "pipeline", "frozen", "forest"])
def test_domains_reach_detector_and_threshold(quick, labelled, routing, inner):
    X, y, site = (part[labelled[1] == 1] for part in labelled)
    detector = quick()
    made = {
        "detector": lambda: detector,
        "pipeline": lambda: Pipeline([("scale", StandardScaler()), ("acr", detector)]),
        "frozen": lambda: FrozenEstimator(quick().fit(X, domains=site)),
        "forest": lambda: IsolationForest(random_state=0),
    }[inner]()
    name = "acr__domains" if inner == "pipeline" and not routing else "domains"
    with sklearn.config_context(enable_metadata_routing=routing):
        cut = ContaminationThreshold(made).fit(X, y, **{name: site})
        labels = cut.fit_predict(X, y, **{name: site})
    if inner in {"detector", "frozen"}:
        fitted = cut.detector_ if inner == "detector" else cut.detector_.estimator
        assert fitted.domains_.tolist() == list("vwxyz")
    if inner == "pipeline":
        assert cut.detector_["acr"].n_domains_ == 5
    # Scored domain by domain, one in ten of all rows is below.
    assert (labels == -1).mean() == pytest.approx(0.1, abs=0.004)
    np.testing.assert_array_equal(labels, cut.predict(X, domains=site))


def test_a_pipeline_in_a_threshold_in_a_pipeline_routes(quick, labelled):
    X, y, site = (part[labelled[1] == 1] for part in labelled)
    inner = Pipeline([("scale", StandardScaler()), ("acr", quick())])
    outer = Pipeline(
        [("shift", StandardScaler(with_std=False)), ("cut", ContaminationThreshold(inner))]
    )
    with sklearn.config_context(enable_metadata_routing=True):
        outer.fit(X, y, domains=site)
        labels = outer.predict(X, domains=site)
        assert outer.decision_function(X, domains=site)[labels == -1].max() < 0
    assert outer["cut"].detector_["acr"].n_domains_ == 5
    assert (labels == -1).mean() == pytest.approx(0.1, abs=0.004)


def table(labelled):
    """The same rows as a DataFrame with a column of categories."""
    X, y, site = labelled
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(5)])
    return frame.assign(kind=np.where(X[:, 0] > np.median(X[:, 0]), "hi", "lo")), y, site


def columns_of(step):
    numbers = [f"f{i}" for i in range(5)]
    mixed = ColumnTransformer(
        [
            ("numbers", Pipeline([("scale", StandardScaler())]), numbers),
            ("kinds", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["kind"]),
        ]
    )
    return Pipeline([("columns", mixed), ("acr", step)])


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize(
    ("kind", "n_jobs"), [("grid", None), ("grid", 2), ("halving", None), ("cross_validate", 2)]
)
def test_searches_over_pipelines_of_columns(
    quick, labelled, routing, n_jobs, kind, tmp_path, trainings
):
    frame, y, site = table(labelled)
    pipe = columns_of(quick(memory=str(tmp_path), early_stopping=False))
    grid = {"acr__contamination": SHARES}
    options = {
        "cv": NormalTrainSplit(LeaveOneGroupOut(), "raise"),
        "scoring": PerDomainScorer("balanced_accuracy", if_unknown="one domain"),
        "n_jobs": n_jobs,
        "error_score": "raise",
    }
    fit_params = {"domains": site} if routing else {"acr__domains": site}
    with sklearn.config_context(enable_metadata_routing=routing):
        if kind == "cross_validate":
            call = (
                {"params": {"groups": site, **fit_params}}
                if routing
                else {"groups": site, "params": fit_params}
            )
            scores = cross_validate(pipe, frame, y, **options, **call)["test_score"]
        else:
            if kind == "grid":
                search = GridSearchCV(pipe, grid, refit=False, **options)
            else:
                search = HalvingGridSearchCV(
                    pipe,
                    grid,
                    refit=False,
                    resource="acr__max_iter",
                    min_resources=3,
                    max_resources=6,
                    factor=2,
                    return_train_score=False,
                    random_state=0,
                    **options,
                )
            search.fit(frame, y, groups=site, **fit_params)
            scores = search.cv_results_["mean_test_score"]
            assert np.ptp(scores[:3]) > 0, "contamination must make a difference"
    assert np.isfinite(scores).all()
    if n_jobs is None:
        # A training per fold, and one more per rung of a halving search; never one per candidate.
        assert len(trainings) == (10 if kind == "halving" else 5)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_search_around_a_frozen_detector_trains_nothing(
    fitted, labelled, trainings, routing, n_jobs
):
    X, y, site = labelled
    search = GridSearchCV(
        ContaminationThreshold(FrozenEstimator(fitted)),
        {"contamination": SHARES},
        cv=NormalTrainSplit(GroupKFold(2), "warn" if routing else "ignore"),
        scoring=PerDomainScorer("balanced_accuracy", domains_from=None if routing else find_site),
        n_jobs=n_jobs,
        error_score="raise",
    )
    with sklearn.config_context(enable_metadata_routing=routing):
        search.fit(X, y, groups=site, domains=site)
        assert search.best_params_["contamination"] in SHARES
        if routing:
            expected = PerDomainScorer(balanced_accuracy_score)(
                search.best_estimator_, X, y, domains=site
            )
            assert 0.5 < expected <= 1
    assert trainings == []
    assert np.ptp(search.cv_results_["mean_test_score"]) > 0
    assert search.best_estimator_.detector_.estimator.n_domains_ == 6


def find_site(X):
    """One label per row from the rows themselves: the domains lie far apart."""
    return np.round(np.linalg.norm(X, axis=1) / 1000)


def test_contamination_cannot_be_chosen_by_a_ranking(fitted, labelled):
    X, y, site = labelled
    search = GridSearchCV(
        ContaminationThreshold(FrozenEstimator(fitted)),
        {"contamination": SHARES},
        cv=NormalTrainSplit(LeaveOneGroupOut()),
        scoring=anomaly_roc_auc_scorer,
    ).fit(X, y, groups=site, domains=site)
    assert np.ptp(search.cv_results_["mean_test_score"]) == 0


def test_domains_reach_a_detector_inside_another_wrapper():
    rows = np.random.default_rng(0).normal(size=(120, 3))
    site = np.repeat(np.arange(3), 40)
    small = ZeroShotACRDetector(
        max_iter=2, hidden_layer_sizes=(8,), n_tasks=4, early_stopping=False, random_state=0
    )
    cut = ContaminationThreshold(FitOnNormals(small)).fit(rows, domains=site)
    assert cut.detector_.detector_.n_domains_ == 3


def _marked():
    rng = np.random.default_rng(0)
    X, site, known = rng.normal(size=(240, 4)), np.repeat([0, 1, 2], 80), np.arange(240) % 8 == 0
    X[known, :2] += 6
    options = {"hidden_layer_sizes": (8,), "n_tasks": 4, "task_size": 32, "early_stopping": False}
    return X, site, known, ZeroShotACRDetector(max_iter=1, random_state=0, **options)


@pytest.mark.parametrize("routing", [False, True])
def test_known_anomalies_have_no_part_in_the_threshold(routing):
    X, site, known, acr = _marked()
    wanted = acr.fit(X, domains=site, known_anomalies=known)
    normal = np.concatenate([wanted.score_samples(X[~known & (site == i)]) for i in range(3)])
    with sklearn.config_context(enable_metadata_routing=routing):
        cut = ContaminationThreshold(acr).fit(X, domains=site, known_anomalies=known.tolist())
        pipe = ContaminationThreshold(Pipeline([("acr", acr)]))
        given = {"domains": site, "known_anomalies": known}
        pipe.fit(X, **(given if routing else {f"acr__{k}": v for k, v in given.items()}))
    assert cut.offset_ == pytest.approx(np.quantile(normal, 0.1), abs=0.02)
    np.testing.assert_allclose(cut.calibration_scores_, np.sort(normal), rtol=1e-6)
    np.testing.assert_allclose(pipe.calibration_scores_, np.sort(normal), rtol=1e-6)
    parts, masks = (list(np.split(part, 3)) for part in (X, known))
    listed = ContaminationThreshold(acr).fit(parts, known_anomalies=masks)
    np.testing.assert_allclose(listed.calibration_scores_, np.sort(normal), rtol=1e-6)


def test_a_threshold_needs_rows_that_are_not_marked():
    frozen = FrozenEstimator(IsolationForest(n_estimators=2, random_state=0).fit(ROWS))
    with pytest.raises(ValueError, match=r"known_anomalies that mark all 200 rows"):
        ContaminationThreshold(frozen).fit(ROWS, known_anomalies=np.ones(200, bool))


@pytest.mark.parametrize("around", [ContaminationThreshold, FitOnNormals, LabelThreshold])
def test_names_of_columns_go_with_the_fit_that_had_them(around):
    forest = IsolationForest(n_estimators=2, random_state=0)
    model = around(FitOnNormals(forest) if around is LabelThreshold else forest)
    y, site = np.where(np.arange(200) % 10, 1, -1), np.arange(200) // 100
    given = {"domains": site} if around is LabelThreshold else {}
    model.fit(pd.DataFrame(ROWS, columns=list("abc")), y, **given)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    model.fit(ROWS, y, **given)
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == 3
