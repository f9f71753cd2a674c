"""LabelThreshold: the best cut on domains that fit did not see, by every metric."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.model_selection import KFold, LeaveOneGroupOut
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


def of_every_cut(scores, y, site):
    """Cut, mean recall and mean false-alarm rate as fractions, for every cut that tells rows."""
    levels = sorted(set(scores.tolist()))
    cuts = [levels[0], *((a + b) / 2 for a, b in pairwise(levels)), levels[-1] + 1]
    names = sorted(set(site.tolist()))
    both = [s for s in names if len(set(y[site == s].tolist())) == 2]
    usual = [s for s in names if (y[site == s] == 1).any()]

    def mean(cut, among, label):
        rows = [scores[(site == s) & (y == label)] for s in among]
        return sum(Fraction(int((r < cut).sum()), len(r)) for r in rows) / len(among)

    return [(cut, mean(cut, both, -1), mean(cut, usual, 1)) for cut in cuts]


@pytest.mark.parametrize("seed", range(40))
def test_no_cut_within_the_limit_of_false_alarms_finds_more(seed):
    rng = np.random.default_rng(seed)
    n_sites, n_rows = rng.integers(1, 5), int(rng.integers(12, 90))
    # Few levels: anomalies and normal rows tie, in one domain and between them.
    X = rng.integers(0, 12, (n_rows, 1)).astype(float)
    y, site = np.where(rng.random(n_rows) < 0.25, -1, 1), np.arange(n_rows) % n_sites
    y[:2], site[:2] = (1, -1), 0
    X[y == -1] += rng.integers(0, 6)
    scores = -X[:, 0]
    found = of_every_cut(scores, y, site)
    frozen = FrozenEstimator(Raw(n_estimators=2).fit(X))
    # Rates that cuts have are limits that these cuts just keep.
    rates = [rate for _, _, rate in found if rate < 1]
    for limit in (0.0, 0.1, *map(float, rng.choice(rates, 3))):
        model = LabelThreshold(frozen, metric="recall", max_false_alarm_rate=limit)
        model.fit(X, y, domains=site)
        within = [row for row in found if float(row[2]) <= limit]
        most = max(recall for _, recall, _ in within)
        assert model.best_value_ == pytest.approx(float(most), abs=1e-12)
        # Cuts ascend: the first of the best has the fewest false alarms.
        best = next(cut for cut, recall, _ in within if recall == most)
        np.testing.assert_array_equal(scores < model.offset_, scores < best)
        np.testing.assert_array_equal(model.predict(X) == -1, scores < best)


def within_limit(scores, y, limit, site=None):
    """Offset and recall by scores that are rows of one column."""
    X = -np.asarray(scores, float)[:, None]
    frozen = FrozenEstimator(Raw(n_estimators=2).fit(X))
    model = LabelThreshold(frozen, metric="recall", max_false_alarm_rate=limit)
    model.fit(X, np.asarray(y), domains=site)
    return model.offset_, model.best_value_


def test_rounding_forbids_no_cut_that_keeps_the_limit():
    # .1 in each of three domains: the mean of these floating-point numbers is above .1.
    assert (0.1 + 0.1 + 0.1) / 3 > 0.1
    scores = np.concatenate([[-2.0, -1.0, *range(9)]] * 3)
    y, site = np.tile([1, -1, *[1] * 9], 3), np.repeat([0, 1, 2], 11)
    assert within_limit(scores, y, 0.1, site) == (-0.5, 1.0)
    assert within_limit(scores, y, 0.0999, site) == (-2.0, 0.0)


def test_rows_that_tie_with_the_last_anomaly_are_alarms_too():
    scores, y = [0, 1, 1, 2, 3], [-1, -1, 1, 1, 1]
    assert within_limit(scores, y, 0.3) == (0.5, 0.5)
    assert within_limit(scores, y, 0.4) == (1.5, 1.0)


def test_a_domain_without_anomalies_has_false_alarms():
    scores, y, site = [0, 1, 2, 3, 0, 0], [-1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1]
    assert within_limit(scores[:4], y[:4], 0.1) == (0.5, 1.0)
    assert within_limit(scores, y, 0.1, site) == (0.0, 0.0)
    assert within_limit(scores, y, 0.5, site) == (0.5, 1.0)


def test_neighbouring_numbers_are_still_told_apart():
    above = np.nextafter(1.0, 2)
    offset, found = within_limit([1.0, above, 2.0], [-1, 1, 1], 0.0)
    assert (offset, found) == (above, 1.0)
    # Whatever the limit below 1, the highest normal row is not flagged.
    assert within_limit([1.0, 0.0], [-1, 1], np.nextafter(1, 0)) == (0.0, 0.0)


def test_a_rate_of_false_alarms_is_kept_on_domains_left_out():
    X, y, site = sites(n_faults=30)
    found = []
    for limit in (0.01, 0.05, 0.3):
        forest = FitOnNormals(IsolationForest(n_estimators=20, random_state=0))
        model = LabelThreshold(forest, metric="recall", max_false_alarm_rate=limit, cv=3)
        found.append(model.fit(X, y, domains=site).best_value_)
    assert found == sorted(found)
    assert found[0] < found[-1]
    assert clone(model).get_params()["max_false_alarm_rate"] == 0.3


@pytest.mark.parametrize("limit", [-0.01, 1, 1.5, np.nan, "0.1", None, Fraction(1, 10)])
def test_what_is_no_false_alarm_rate(limit):
    X, y, site = sites()
    forest = FitOnNormals(IsolationForest(n_estimators=2))
    model = LabelThreshold(forest, metric="recall", max_false_alarm_rate=limit)
    with pytest.raises(ValueError, match="'max_false_alarm_rate' parameter of LabelThreshold"):
        model.fit(X, y, domains=site)


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


@pytest.mark.parametrize(
    ("metric", "best"), [("f1", 1.0), ("balanced_accuracy", 1.0), ("cost", 0.0)]
)
def test_rare_anomalies_are_told_apart_by_a_perfect_cut(metric, best):
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(0, 0.5, 99_999), -rng.uniform(2.6, 10, 60)])
    y, site = np.repeat([1, -1], [99_999, 60]), np.arange(100_059) % 3
    X = -scores[:, None]
    frozen = FrozenEstimator(Raw(n_estimators=2).fit(X[:100]))
    model = LabelThreshold(frozen, metric=metric).fit(X, y, domains=site)
    assert model.best_value_ == best
    assert (scores[y == -1] < model.offset_).all()
    assert (scores[y == 1] >= model.offset_).all()


def test_nothing_is_flagged_where_alarms_cost_more_than_misses():
    X, y = -np.arange(5.0)[:, None], [1, 1, 1, 1, -1]
    frozen = FrozenEstimator(Raw(n_estimators=2).fit(X))
    model = LabelThreshold(frozen, metric="cost", miss_cost=3).fit(X, y)
    assert (model.predict(X) == 1).all()
    assert model.best_value_ == pytest.approx(-3 / 5)
    # The highest of all rows is flagged too, where a miss is dearer.
    model.set_params(miss_cost=5).fit(X, y)
    assert (model.predict(X) == -1).all()
    assert model.best_value_ == pytest.approx(-4 / 5)


def test_false_alarms_cost_in_domains_without_anomalies_too():
    scores, y, site = [0, 1, 2, 3, -1, -1], [-1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1]
    X = -np.asarray(scores, float)[:, None]
    frozen = FrozenEstimator(Raw(n_estimators=2).fit(X))
    model = LabelThreshold(frozen, metric="cost", miss_cost=3).fit(X, y, domains=site)
    assert (model.predict(X) == 1).all()
    assert model.best_value_ == pytest.approx(-3 / 4 / 2)
    model.set_params(miss_cost=5).fit(X, y, domains=site)
    assert (model.predict(X) == -1).tolist() == [True, False, False, False, True, True]
    assert model.best_value_ == pytest.approx(-1 / 2)


def test_as_many_outliers_as_rows_go_to_every_fit_whole():
    X, y, site = sites(3)
    seen = []

    class Spy(Raw):
        def fit(self, X, y=None, outliers=None):
            seen.append(outliers)
            return super().fit(X)

    outliers = X + 100
    pipe = FitOnNormals(Pipeline([("acr", Spy(n_estimators=2))]))
    LabelThreshold(FitOnNormals(Spy(n_estimators=2))).fit(X, y, domains=site, outliers=outliers)
    LabelThreshold(pipe).fit(X, y, domains=site, acr__outliers=outliers)
    assert len(seen) == 8
    assert all(given is outliers for given in seen)


@pytest.mark.parametrize("n_sites", [3, 7])
def test_no_cv_means_five_folds_of_whole_domains(n_sites):
    X, y, site = sites(n_sites)
    mixed = np.random.default_rng(0).permutation(len(X))
    X, y, site = X[mixed], y[mixed], site[mixed]
    model = LabelThreshold(FitOnNormals(IsolationForest(n_estimators=5, random_state=0)), cv=None)
    found = model.fit(X, y, domains=site).offset_
    assert found == model.set_params(cv=5).fit(X, y, domains=site).offset_
    with pytest.raises(ValueError, match="rows of one domain, and none is left"):
        model.set_params(cv=None).fit(X, y)


def test_folds_that_part_a_domain_are_refused():
    X, y, site = sites(4)
    model = LabelThreshold(FitOnNormals(IsolationForest(n_estimators=5, random_state=0)))
    halves = [(site < 2, site >= 2), (site >= 2, site < 2)]
    model.set_params(cv=halves).fit(X, y, domains=site)
    rows = list(KFold(3, shuffle=True, random_state=0).split(X))
    for cv, number in ((rows, 0), ([halves[0], (site >= 1, site < 2)], 1)):
        model.set_params(cv=cv)
        with pytest.raises(ValueError, match=rf"a cv whose fold {number} has rows of one domain"):
            model.fit(X, y, domains=site)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("column", ["site", -1])
def test_domains_are_those_of_the_detectors_column(column, routing):
    X, y, site = sites(4)
    table = pd.DataFrame(X, columns=list("abcd")).assign(site=site)
    detector = small().set_params(domain_column=column)
    with sklearn.config_context(enable_metadata_routing=routing):
        wanted = LabelThreshold(FitOnNormals(small()), cv=2).fit(X, y, domains=site)
        model = LabelThreshold(FitOnNormals(detector), cv=2)
        for given in ({}, {"domains": site}):
            model.fit(table, y, **given)
            assert model.offset_ == pytest.approx(wanted.offset_)
            assert model.best_value_ == pytest.approx(wanted.best_value_)
            assert model.detector_.detector_.n_domains_ == 4
        frozen = LabelThreshold(FrozenEstimator(model.detector_)).fit(table, y)
    assert frozen.best_value_ > 0
    assert model.predict(table).shape == y.shape


def test_domains_of_a_pipelines_column():
    X, y, site = sites(4)
    table = pd.DataFrame(X, columns=list("abcd")).assign(site=site)
    pipe = FitOnNormals(Pipeline([("acr", small().set_params(domain_column="site"))]))
    model = LabelThreshold(pipe, cv=2)
    found = model.fit(table, y).offset_
    assert found == model.fit(table, y, acr__domains=site).offset_
