"""Which rows score high with a detector, and one batch per domain."""

import numpy as np
import pytest
from pyod.models.knn import KNN
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from acr_sklearn import ContaminationThreshold, ZeroShotACRDetector
from acr_sklearn.model_selection.normality import (
    domain_parts,
    final_detector,
    normality_response,
    read_polarity,
    respond_by_domain,
)

RNG = np.random.default_rng(0)
X = np.vstack([RNG.normal(size=(60, 2)), RNG.normal(9, 1, (6, 2))])
FAR = np.arange(66) >= 60


@pytest.mark.parametrize(
    ("detector", "high"),
    [
        (IsolationForest(), "normal"),
        (ZeroShotACRDetector(), "normal"),
        (KNN(), "anomaly"),  # although scikit-learn's tags call it an outlier detector
        (make_pipeline(StandardScaler(), KNN()), "anomaly"),
        (FrozenEstimator(KNN()), "anomaly"),
        (FrozenEstimator(make_pipeline(StandardScaler(), OneClassSVM())), "normal"),
        (GridSearchCV(KNN(), {}), "anomaly"),
        (ContaminationThreshold(KNN()), "normal"),  # it turns the sign itself
    ],
    ids=str,
)
def test_polarity_of_known_classes(detector, high):
    assert read_polarity(detector, "auto", who="me") == high


class Alone:
    """Neither scikit-learn's nor PyOD's."""

    def fit(self, X, y=None):
        return self

    def score_samples(self, X):
        return -np.abs(X).max(axis=1)


@pytest.mark.parametrize(
    "unknown",
    [Alone(), LogisticRegression(), make_pipeline(LogisticRegression()), Pipeline([("a", "drop")])],
    ids=["own class", "classifier", "pipeline", "empty pipeline"],
)
def test_an_unknown_class_is_refused(unknown):
    with pytest.raises(ValueError, match=r"me cannot tell which rows score high with .*Say so: "):
        read_polarity(unknown, "auto", who="me")
    assert read_polarity(unknown, "anomaly", who="me") == "anomaly"


def test_polarity_is_one_of_three_words():
    with pytest.raises(ValueError, match="me got polarity='up'. It can be one of"):
        read_polarity(IsolationForest(), "up", who="me")


def test_the_innermost_detector_is_found():
    forest = IsolationForest()
    wrapped = FrozenEstimator(Pipeline([("f", ContaminationThreshold(FrozenEstimator(forest)))]))
    assert final_detector(wrapped) is forest
    assert final_detector(forest) is forest


@pytest.mark.parametrize("method", ["decision_function", "score_samples", "predict"])
@pytest.mark.parametrize(
    "detector", [KNN(contamination=0.09), IsolationForest(contamination=0.09)], ids=str
)
def test_normal_rows_score_high_with_either_convention(detector, method):
    detector.fit(X)
    high = read_polarity(detector, "auto", who="me")
    response = normality_response(detector, X, method, polarity=high)
    assert response[~FAR].mean() > response[FAR].mean()
    if method == "decision_function":
        # Zero is the detector's own threshold in both conventions.
        np.testing.assert_array_equal(
            response < 0, normality_response(detector, X, "predict", polarity=high) == -1
        )
    if method == "predict":
        assert set(response.tolist()) == {1, -1}


def test_a_score_is_taken_where_there_is_one():
    expected = Alone().score_samples(X)
    for method in ("decision_function", "score_samples"):
        np.testing.assert_array_equal(
            normality_response(Alone(), X, method, polarity="normal"), expected
        )
        np.testing.assert_array_equal(
            normality_response(Alone(), X, method, polarity="anomaly"), -expected
        )


class Relative(Alone):
    """Scores that depend on what else is in the call."""

    def score_samples(self, X):
        return -np.abs(X - X.mean(axis=0)).max(axis=1)


def test_domains_are_separate_calls():
    domains = np.where(np.arange(66) % 2, "a", "b")
    scores = respond_by_domain(Relative(), X, domains, "score_samples", polarity="normal", who="me")
    for name in "ab":
        own = domains == name
        np.testing.assert_array_equal(scores[own], Relative().score_samples(X[own]))
    pooled = respond_by_domain(Relative(), X, None, "score_samples", polarity="normal", who="me")
    np.testing.assert_array_equal(pooled, Relative().score_samples(X))
    assert not np.allclose(scores, pooled)


def test_parts():
    parts = list(domain_parts(3, np.array([2, 1, 2]), who="me"))
    assert [(label, rows.tolist()) for label, rows in parts] == [(1, [1]), (2, [0, 2])]
    assert type(parts[0][0]) is int
    [(label, rows)] = domain_parts(2, None, who="me")
    assert label is None
    assert rows.tolist() == [0, 1]
    with pytest.raises(ValueError, match="me got 2 labels in domains for 3 rows"):
        list(domain_parts(3, ["a", "b"], who="me"))
