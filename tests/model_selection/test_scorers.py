"""PerDomainScorer and the ready-made scorers: the number, the ways a domain arrives, refusals."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from pyod.models.knn import KNN
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    balanced_accuracy_score,
    f1_score,
    make_scorer,
    matthews_corrcoef,
    roc_auc_score,
)
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from acr_sklearn import (
    FitOnNormals,
    NormalTrainSplit,
    PerDomainScorer,
    anomaly_average_precision_scorer,
    anomaly_roc_auc_scorer,
)
from acr_sklearn.exceptions import ACRWarning
from acr_sklearn.metrics.detection import anomaly_roc_auc

# Six training domains of five features say little about which batches to expect.
pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")


@pytest.fixture(scope="module")
def labelled(make_domain):
    """Three unseen domains, each with its own anomalies: X, y, domains."""
    parts, labels = [], []
    for seed in (50, 51, 52):
        rows = make_domain(seed, n_rows=60)
        rows[50:] += 2 * np.random.default_rng(seed).normal(size=(10, 5))
        parts.append(rows)
        labels.append(np.repeat([1, -1], [50, 10]))
    return np.concatenate(parts), np.concatenate(labels), np.repeat(["x", "y", "z"], 60)


def test_it_is_the_mean_over_separate_batches(fitted, labelled):
    X, y, site = labelled
    own = [roc_auc_score(y[site == s], fitted.score_samples(X[site == s])) for s in "xyz"]
    for scorer in (anomaly_roc_auc_scorer, PerDomainScorer("roc_auc")):
        assert scorer(fitted, X, y, domains=site) == pytest.approx(np.mean(own), abs=1e-12)
        by_domain = scorer.by_domain(fitted, X, y, domains=site)
        assert list(by_domain.values()) == pytest.approx(own)
    assert fitted.score(X, y, domains=site) == pytest.approx(np.mean(own))


def test_pooling_would_destroy_the_score(fitted, labelled):
    X, y, site = labelled
    apart = anomaly_roc_auc_scorer(fitted, X, y, domains=site)
    pooled = PerDomainScorer("roc_auc", if_unknown="one domain")(fitted, X, y)
    assert apart > pooled + 0.05


@pytest.mark.parametrize(
    ("metric", "plain"),
    [
        ("balanced_accuracy", balanced_accuracy_score),
        (balanced_accuracy_score, balanced_accuracy_score),
        (make_scorer(matthews_corrcoef), matthews_corrcoef),
        (make_scorer(f1_score, pos_label=-1), lambda y, p: f1_score(y, p, pos_label=-1)),
        (lambda estimator, X, y: f1_score(y, estimator.predict(X)), f1_score),
    ],
    ids=["name", "metric", "scorer", "scorer with options", "callable"],
)
def test_every_kind_of_metric(fitted, labelled, metric, plain):
    X, y, site = labelled
    expected = np.mean([plain(y[site == s], fitted.predict(X[site == s])) for s in "xyz"])
    assert PerDomainScorer(metric)(fitted, X, y, domains=site) == pytest.approx(expected)


# --- how the domain arrives


def test_from_a_column_of_any_table(quick, domains, labelled):
    X, y, site = labelled
    detector = quick(domain_column="site")
    frames = [
        pd.DataFrame(rows).add_prefix("f").assign(site=str(i)) for i, rows in enumerate(domains)
    ]
    detector.fit(pd.concat(frames, ignore_index=True))
    frame = pd.DataFrame(X).add_prefix("f").assign(site=site)
    expected = anomaly_roc_auc_scorer(quick().fit(domains), X, y, domains=site)
    scorer = PerDomainScorer("roc_auc")
    # The detector's own column, found also in a frozen one.
    for estimator in (detector, FrozenEstimator(detector)):
        assert scorer(estimator, frame, y) == pytest.approx(expected, rel=1e-6)
    for table in (frame, pl.from_pandas(frame)):
        named = PerDomainScorer("roc_auc", domains_from="site")
        assert named(detector, table, y) == pytest.approx(expected, rel=1e-6)


def test_from_a_position_and_from_a_function(fitted, labelled):
    X, y, site = labelled
    number = {"x": 0.0, "y": 1.0, "z": 2.0}
    wide = np.column_stack([X, [number[s] for s in site]])

    expected = anomaly_roc_auc_scorer(fitted, X, y, domains=site)
    assert PerDomainScorer("roc_auc", domains_from=lambda _: site)(fitted, X, y) == pytest.approx(
        expected
    )
    by_position = PerDomainScorer(anomaly_roc_auc, response_method="score_samples", domains_from=5)
    forest = IsolationForest(random_state=0).fit(wide)
    assert list(by_position.by_domain(forest, wide, y)) == [0.0, 1.0, 2.0]
    frame = pd.DataFrame(wide)
    forest = IsolationForest(random_state=0).fit(frame)
    assert list(by_position.by_domain(forest, frame, y)) == [0.0, 1.0, 2.0]


def test_unknown_domains_are_refused_with_every_remedy(fitted, labelled):
    X, y, _ = labelled
    message = "(?s)was not told which domain.*routing on, pass domains=.*domains_from=.*one domain"
    with pytest.raises(ValueError, match=message):
        PerDomainScorer("roc_auc")(fitted, X, y)


def test_a_missing_column(fitted, labelled):
    X, y, _ = labelled
    scorer = PerDomainScorer("roc_auc", domains_from="site")
    with pytest.raises(ValueError, match="no column 'site' in X of type ndarray. Pass a DataFrame"):
        scorer(fitted, X, y)
    with pytest.raises(ValueError, match="no column 'site' in X of type DataFrame. Columns: 0, 1"):
        scorer(fitted, pd.DataFrame(X), y)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_in_cross_validate_with_routing_on(quick, labelled, n_jobs):
    X, y, site = labelled
    folds = [(np.flatnonzero(site == "x"), np.flatnonzero(site != "x"))]
    with sklearn.config_context(enable_metadata_routing=True):
        result = cross_validate(
            quick(early_stopping=False),
            X,
            y,
            cv=NormalTrainSplit(folds, "raise"),
            scoring={"mine": PerDomainScorer("roc_auc"), "ready": anomaly_roc_auc_scorer},
            params={"domains": np.where(np.arange(len(X)) % 2, "u", site)},
            n_jobs=n_jobs,
            error_score="raise",
        )
    assert result["test_mine"] == pytest.approx(result["test_ready"])


def test_the_request_can_be_declined():
    assert anomaly_roc_auc_scorer.get_metadata_routing().score.requests == {"domains": True}
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = PerDomainScorer("roc_auc").set_score_request(domains="site")
    assert scorer.get_metadata_routing().score.requests == {"domains": "site"}


# --- refusals


@pytest.mark.parametrize("scorer", [anomaly_roc_auc_scorer, anomaly_average_precision_scorer])
@pytest.mark.parametrize(
    ("labels", "named"), [((0, 1), "0, 1"), ((False, True), "False, True"), ((1, 2), "1, 2")]
)
def test_other_labels_are_refused_with_pyods_named(fitted, labelled, scorer, labels, named):
    X, y, _ = labelled
    odd = np.where(y == -1, labels[1], labels[0])
    with pytest.raises(ValueError, match=f"got the labels {named} in y.*PyOD's labels"):
        scorer(fitted, X, odd)
    with pytest.raises(ValueError, match=f"got the labels {named} in y.*PyOD's labels"):
        scorer._scorer(odd, X[:, 0])


def test_pyods_sign_is_turned_and_its_labels_are_read(labelled):
    X, y, site = labelled
    inside = site == "x"
    detector = KNN(contamination=0.15).fit(X[inside & (y == 1)])
    scores = detector.decision_function(X[inside])
    expected = roc_auc_score(y[inside] == -1, scores)
    assert expected > 0.6
    assert anomaly_roc_auc_scorer(detector, X[inside], y[inside]) == pytest.approx(expected)
    plain = PerDomainScorer(balanced_accuracy_score, if_unknown="one domain")
    assert plain(detector, X[inside], y[inside]) == pytest.approx(
        balanced_accuracy_score(y[inside] == -1, detector.predict(X[inside]))
    )
    with pytest.raises(ValueError, match=r"wrong without a word. Wrap it in ContaminationThresh"):
        PerDomainScorer("roc_auc", if_unknown="one domain")(detector, X[inside], y[inside])


def test_a_classifier_is_refused(labelled):
    X, y, _ = labelled
    with pytest.raises(ValueError, match="cannot tell which rows score high with LogisticReg"):
        anomaly_roc_auc_scorer(LogisticRegression().fit(X, y), X, y)


def test_domains_with_one_label(fitted, labelled):
    X, y, site = labelled
    some = (y == 1) | (site == "x")
    with pytest.warns(ACRWarning, match="left out domains with one kind of label only: y, z"):
        found = anomaly_roc_auc_scorer.by_domain(fitted, X[some], y[some], domains=site[some])
    assert list(found) == ["x"]
    with pytest.raises(ValueError, match="needs at least one domain with both normal rows"):
        anomaly_roc_auc_scorer(fitted, X[y == 1], y[y == 1], domains=site[y == 1])


# --- a fold without anomalies


@pytest.fixture(scope="module")
def clean_site():
    """Four sites, the last without an anomaly: X, y, sites."""
    rng = np.random.default_rng(0)
    X, site = rng.normal(size=(120, 3)), np.repeat([*"abcd"], 30)
    y = np.where((np.arange(120) % 30 < 3) & (site != "d"), -1, 1)
    X[y == -1] += 8
    return X, y, site


def searched(quick, scoring, cv, data, *, wrap=None, fit=None, **changes):
    X, y, site = data
    detector = quick(max_iter=2)
    search = GridSearchCV(
        detector if wrap is None else wrap(detector),
        {},
        cv=cv,
        scoring=scoring,
        **changes,
    )
    return search.fit(X, y, groups=None if isinstance(cv, KFold) else site, **(fit or {}))


SCORINGS = [
    anomaly_roc_auc_scorer,
    PerDomainScorer("balanced_accuracy", if_unknown="one domain"),
    {"one": anomaly_roc_auc_scorer, "two": anomaly_average_precision_scorer},
    None,  # the detector's own score
]
QUIET = pytest.mark.filterwarnings(
    "ignore::acr_sklearn.exceptions.SingleDomainWarning",
    "ignore::acr_sklearn.exceptions.SmallBatchWarning",
    "ignore::acr_sklearn.exceptions.EarlyStoppingWarning",
    "ignore:One or more of the train scores are non-finite",
)


@QUIET
@pytest.mark.parametrize("scoring", SCORINGS, ids=["ready", "metric", "several", "none"])
@pytest.mark.parametrize("cv", [LeaveOneGroupOut(), GroupKFold(4), KFold(4)], ids=str)
def test_a_search_with_a_clean_fold_is_refused(quick, clean_site, scoring, cv):
    message = r"(?s)30 of 30 rows are normal.*test fold \d of 4.*NormalTrainSplit\(cv\)"
    with pytest.raises(ValueError, match=message):
        searched(quick, scoring, cv, clean_site, refit=False)


@QUIET
@pytest.mark.parametrize(
    ("wrap", "options"),
    [
        (FitOnNormals, {}),
        (lambda detector: make_pipeline(StandardScaler(), detector), {}),
        (None, {"n_jobs": 2}),
        (None, {"error_score": "raise"}),
    ],
    ids=["on normals", "pipeline", "processes", "raise"],
)
def test_the_refusal_reaches_through(quick, clean_site, wrap, options):
    with pytest.raises(ValueError, match="at least one domain with both normal rows"):
        searched(quick, None, LeaveOneGroupOut(), clean_site, wrap=wrap, **options)


@QUIET
def test_the_remedy_named_in_the_refusal_is_one(quick, clean_site):
    with pytest.warns(ACRWarning, match="left out 1 of 4 test folds.*group 'd'"):
        search = searched(
            quick,
            anomaly_roc_auc_scorer,
            NormalTrainSplit(LeaveOneGroupOut()),
            clean_site,
            fit={"domains": clean_site[2]},
        )
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@QUIET
def test_clean_train_folds_and_scores_of_the_users_own_stop_nothing(quick, clean_site):
    cv = LeaveOneGroupOut()
    with pytest.warns(UserWarning, match="(?s)set to 0.5.*30 of 30 rows are normal"):
        search = searched(quick, anomaly_roc_auc_scorer, cv, clean_site, error_score=0.5)
    assert search.cv_results_["split3_test_score"] == 0.5
    with pytest.warns(UserWarning, match="(?s)Scoring failed.*rows are normal"):
        search = searched(
            quick,
            anomaly_roc_auc_scorer,
            NormalTrainSplit([(np.arange(30, 60), np.arange(30))]),
            clean_site,
            return_train_score=True,
        )
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert np.isnan(search.cv_results_["mean_train_score"]).all()


@QUIET
def test_cross_validation_shows_which_fold_says_nothing(quick, clean_site):
    X, y, site = clean_site
    cv = LeaveOneGroupOut()
    with pytest.warns(UserWarning, match="(?s)Scoring failed.*30 of 30 rows are normal"):
        found = cross_val_score(
            quick(max_iter=2), X, y, groups=site, cv=cv, scoring=anomaly_roc_auc_scorer
        )
    assert np.isnan(found).tolist() == [False, False, False, True]


def test_wrong_lengths(fitted, labelled):
    X, y, _ = labelled
    with pytest.raises(ValueError, match="got 10 labels in y for 180 rows"):
        anomaly_roc_auc_scorer(fitted, X, y[:10])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "roc_area"}, "roc_area"),
        ({"metric": 3}, "got metric=3. It needs a scorer's name"),
        ({"metric": "roc_auc", "response_method": "proba"}, "response_method='proba'"),
        ({"metric": "roc_auc", "if_unknown": "guess"}, "if_unknown='guess'"),
    ],
)
def test_parameters_are_checked_at_once(arguments, message):
    with pytest.raises(ValueError, match=message):
        PerDomainScorer(**arguments)


def test_repr_pickle_and_clone():
    scorer = PerDomainScorer("roc_auc", domains_from="site")
    assert repr(scorer) == "PerDomainScorer('roc_auc', domains_from='site')"
    assert repr(anomaly_roc_auc_scorer).startswith("PerDomainScorer(anomaly_roc_auc, response_")
    for copy in (pickle.loads(pickle.dumps(scorer)), clone(scorer, safe=False)):
        assert repr(copy) == repr(scorer)
