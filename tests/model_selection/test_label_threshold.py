"""LabelThreshold: the best cut on domains that fit did not see, by every metric."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.pipeline import Pipeline

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.model_selection import FitOnNormals, LabelThreshold

pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")


def sites(n_sites=6, n_rows=120, n_faults=9, seed=0):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n_sites * n_rows, 4)), np.ones(n_sites * n_rows, int)
    site = np.repeat(np.arange(n_sites), n_rows)
    faulty = np.arange(len(X)) % n_rows < n_faults
    X[faulty, :2] += 3.0
    y[faulty] = -1
    return X + 5 * rng.normal(size=(n_sites, 4))[site], y, site


def small():
    options = {"hidden_layer_sizes": (8,), "n_tasks": 4, "task_size": 32, "early_stopping": False}
    return ZeroShotACRDetector(max_iter=2, random_state=0, **options)


class Raw(IsolationForest):
    """Scores that anyone can read: minus the first feature."""

    def score_samples(self, X):
        return -np.asarray(X)[:, 0]


@pytest.mark.parametrize(
    ("metric", "measure"),
    [
        ("f1", lambda y, p: f1_score(y == -1, p == -1)),
        ("balanced_accuracy", balanced_accuracy_score),
    ],
)
def test_no_other_cut_is_better_in_the_mean_over_domains(metric, measure):
    rng = np.random.default_rng(1)
    X, y, site = (
        rng.normal(size=(600, 1)),
        np.where(rng.random(600) < 0.1, -1, 1),
        np.arange(600) % 3,
    )
    X[y == -1] += 1.5
    frozen = FrozenEstimator(Raw(n_estimators=2).fit(X))
    cut = LabelThreshold(frozen, metric=metric).fit(X, y, domains=site)

    def mean(offset):
        labels = np.where(-X[:, 0] < offset, -1, 1)
        return np.mean([measure(y[site == s], labels[site == s]) for s in range(3)])

    assert mean(cut.offset_) == pytest.approx(cut.best_value_)
    assert cut.best_value_ >= max(mean(offset) for offset in -np.sort(X[:, 0])) - 1e-9
    np.testing.assert_array_equal(cut.predict(X), np.where(-X[:, 0] < cut.offset_, -1, 1))


def test_the_dearer_a_miss_the_more_is_flagged():
    X, y, site = sites()
    frozen = FrozenEstimator(Raw(n_estimators=2).fit(X))
    shares, costs = [], (0.5, 5.0, 50.0)
    for cost in costs:
        cut = LabelThreshold(frozen, metric="cost", miss_cost=cost).fit(X, y, domains=site)
        flagged = cut.predict(X) == -1
        shares.append(flagged.mean())
        spent = (flagged & (y == 1)).sum() + cost * (~flagged & (y == -1)).sum()
        assert -spent / len(X) == pytest.approx(cut.best_value_)
    assert shares == sorted(shares)
    assert shares[0] < shares[-1]


def test_every_domain_is_scored_by_detectors_that_have_not_seen_it(monkeypatch):
    X, y, site = sites()
    seen = []

    class Spy(Raw):
        def fit(self, X, y=None, domains=None):
            seen.append((sorted(set(domains.tolist())), set(y.tolist())))
            return super().fit(X)

    model = FitOnNormals(Spy(n_estimators=2))
    LabelThreshold(model, cv=3).fit(X, y, domains=site)
    assert [domains for domains, _ in seen] == [
        [2, 3, 4, 5],
        [0, 1, 4, 5],
        [0, 1, 2, 3],
        list(range(6)),
    ]
    assert all(labels == {1} for _, labels in seen)
    seen.clear()
    LabelThreshold(model, cv=LeaveOneGroupOut()).fit(X, y, domains=site)
    assert len(seen) == 7


@pytest.mark.parametrize("routing", [False, True])
def test_it_sets_the_threshold_of_a_detector_that_knows_anomalies(routing):
    X, y, site = sites()
    with sklearn.config_context(enable_metadata_routing=routing):
        pipe = Pipeline([("acr", small())])
        model = LabelThreshold(FitOnNormals(pipe, anomalies="known"), cv=2)
        model.fit(X, y, **{"domains" if routing else "acr__domains": site})
    unseen, truth, _ = sites(1, seed=9)
    assert model.detector_.detector_[-1].selection_["n_anomalies"].tolist() == [9] * 6
    assert f1_score(truth == -1, model.predict(unseen) == -1) > 0.6
    assert model.best_value_ > 0.6
    assert clone(model).get_params()["metric"] == "f1"


def test_what_it_cannot_use():
    X, y, site = sites()
    with pytest.raises(ValueError, match="would learn the anomalies of fit as normal rows"):
        LabelThreshold(IsolationForest()).fit(X, y, domains=site)
    model = LabelThreshold(FitOnNormals(IsolationForest(n_estimators=2)))
    with pytest.raises(ValueError, match=r"LabelThreshold.fit got no y"):
        model.fit(X, domains=site)
    with pytest.raises(ValueError, match="rows of one domain, and none is left"):
        model.fit(X, y)
    with pytest.raises(ValueError, match="no domain with both normal rows"):
        model.fit(X, np.ones(len(X)), domains=site)
    with pytest.raises(ValueError, match="'metric' parameter of LabelThreshold"):
        LabelThreshold(FitOnNormals(IsolationForest()), metric="auc").fit(X, y, domains=site)
