"""NormalTrainSplit: folds, pooled domains, every message."""

import pickle
import re
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    ShuffleSplit,
    StratifiedKFold,
    cross_validate,
)

from acr_sklearn.exceptions import ACRWarning, PooledDomainsWarning
from acr_sklearn.model_selection import (
    NormalTrainSplit,
    PerDomainScorer,
    anomaly_roc_auc_scorer,
)

X = np.arange(24.0).reshape(12, 2)
Y = np.array([1, 1, 1, -1] * 3)
SITE = np.repeat(["a", "b", "c"], 4)


class Recorder(OutlierMixin, BaseEstimator):
    """Flags rows above a level and remembers the rows it was fitted on."""

    def __init__(self, level=0.0, log=None):
        self.level = level
        self.log = log

    def fit(self, X, y=None):
        self.rows_ = np.asarray(X)
        return self

    def predict(self, X):
        return np.where(np.asarray(X)[:, 0] > self.level, -1, 1)


# --- NormalTrainSplit


@pytest.mark.parametrize(
    "cv", [LeaveOneGroupOut(), GroupKFold(3), KFold(3), StratifiedKFold(3), 3], ids=repr
)
def test_train_folds_lose_the_anomalies_and_nothing_else(cv):
    grouped = isinstance(cv, LeaveOneGroupOut | GroupKFold)
    groups = SITE if grouped else None
    plain = StratifiedKFold(3) if cv == 3 else cv
    splitter = NormalTrainSplit(cv)
    folds = list(splitter.split(X, Y, groups))
    assert len(folds) == splitter.get_n_splits(X, Y, groups) == plain.get_n_splits(X, Y, groups)
    for (train, test), (wide, same) in zip(folds, plain.split(X, Y, groups), strict=True):
        np.testing.assert_array_equal(train, wide[Y[wide] == 1])
        np.testing.assert_array_equal(test, same)


@given(
    y=hnp.arrays(np.int64, 20, elements=st.sampled_from([1, 1, 1, -1])),
    groups=hnp.arrays(np.int64, 20, elements=st.integers(0, 3)),
)
@settings(max_examples=60, deadline=None)
def test_property_folds(y, groups):
    trainable = all((y[groups != g] == 1).any() for g in np.unique(groups))
    splitter = NormalTrainSplit(LeaveOneGroupOut())
    if len(np.unique(groups)) < 2 or not trainable:
        with pytest.raises(
            ValueError, match=r"y == -1 in all|fewer than 2 unique groups|more than 1"
        ):
            list(splitter.split(np.zeros((20, 1)), y, groups))
        return
    usable = [g for g in np.unique(groups) if len(np.unique(y[groups == g])) == 2]
    if not usable:
        with pytest.raises(ValueError, match=r"none with both normal rows \(1\) and anomalies"):
            list(splitter.split(np.zeros((20, 1)), y, groups))
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ACRWarning)
        folds = list(splitter.split(np.zeros((20, 1)), y, groups))
    assert len(folds) == splitter.get_n_splits(None, y, groups)
    tested = []
    for train, test in folds:
        assert (y[train] == 1).all()
        assert set(groups[train]).isdisjoint(groups[test])
        # Every normal row is on one side or the other; none is lost.
        assert (y == 1).sum() == len(train) + (y[test] == 1).sum()
        tested.extend(test)
    assert sorted(tested) == np.flatnonzero(np.isin(groups, usable)).tolist()


@pytest.mark.parametrize(
    "scoring",
    [
        anomaly_roc_auc_scorer,
        PerDomainScorer("balanced_accuracy", if_unknown="one domain"),
        "balanced_accuracy",
    ],
    ids=["roc_auc", "per_domain", "plain"],
)
def test_a_domain_without_anomalies_is_left_out_of_a_search_with_one_warning(scoring):
    rng = np.random.default_rng(0)
    rows, site = rng.normal(size=(120, 2)), np.repeat(["a", "b", "clean"], 40)
    y = np.ones(120, int)
    for start in (0, 40):
        y[start : start + 4] = -1
        rows[start : start + 4, 0] += 8
    search = GridSearchCV(
        IsolationForest(n_estimators=10, random_state=0),
        {"contamination": [0.4, 0.1]},
        cv=NormalTrainSplit(LeaveOneGroupOut()),
        scoring=scoring,
        refit=False,
    )
    with pytest.warns(ACRWarning) as caught:
        search.fit(rows, y, groups=site)
    (message,) = (str(warning.message) for warning in caught)
    assert "left out 1 of 3 test folds" in message
    assert "group 'clean'" in message
    assert search.n_splits_ == 2
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_left_out_folds_are_named_by_number_without_groups():
    with pytest.warns(ACRWarning, match=r"left out 1 of 4 test folds.*: fold 0\."):
        folds = list(NormalTrainSplit(KFold(4)).split(X, Y))
    assert len(folds) == 3


def test_folds_without_a_single_anomaly_are_refused():
    with pytest.raises(ValueError, match=r"got 3 test folds, none with both"):
        list(NormalTrainSplit(LeaveOneGroupOut()).split(X, np.ones(12, int), SITE))


def test_an_int_stratifies_so_that_every_test_fold_has_anomalies():
    ordered = np.sort(Y)[::-1]
    assert all(
        (ordered[test] == -1).sum() == 1 for _, test in NormalTrainSplit(3).split(X, ordered)
    )


def test_iterables_of_folds_survive_being_used_twice():
    pairs = ((np.arange(8), np.arange(8, 12)), (np.arange(4, 12), np.arange(4)))
    splitter = NormalTrainSplit(fold for fold in pairs)
    for _ in range(2):
        trains = [train.tolist() for train, _ in splitter.split(X, Y)]
        assert trains == [[0, 1, 2, 4, 5, 6], [4, 5, 6, 8, 9, 10]]
    assert splitter.get_n_splits() == 2


def test_boolean_masks_as_folds():
    mask = np.arange(12) < 8
    [(train, test)] = NormalTrainSplit([(mask, ~mask)]).split(X, Y)
    assert train.tolist() == [0, 1, 2, 4, 5, 6]
    assert test.tolist() == [8, 9, 10, 11]


@pytest.mark.parametrize(
    "y", [Y.tolist(), Y.astype(float), pd.Series(Y), Y.astype(object)], ids=lambda y: str(type(y))
)
def test_y_in_every_form(y):
    [train, *_] = [
        train.tolist() for train, _ in NormalTrainSplit(LeaveOneGroupOut()).split(X, y, SITE)
    ]
    assert train == [4, 5, 6, 8, 9, 10]


def test_repr_pickle_and_clone():
    splitter = NormalTrainSplit(LeaveOneGroupOut())
    expected = "NormalTrainSplit(anomalies='drop', cv=LeaveOneGroupOut(), pooled='warn')"
    assert repr(splitter) == expected
    for copy in (pickle.loads(pickle.dumps(splitter)), clone(splitter, safe=False)):
        assert repr(copy) == repr(splitter)


@pytest.mark.parametrize(
    ("y", "labels"),
    [
        ((Y == -1).astype(int), "0, 1"),
        (np.zeros(12), "0.0"),
        (Y == -1, "False, True"),
        (np.ones(12, dtype=bool), "True"),
        (Y.astype(str), "'-1', '1'"),
        (np.where(Y == 1, 1.0, np.nan), "1.0, nan"),
        (np.arange(12), "0, 1, 10, 11, 2, ..."),
    ],
    ids=str,
)
def test_other_labels_are_refused_with_pyods_named(y, labels):
    message = f"NormalTrainSplit.split got the labels {labels} in y. It needs 1 for normal"
    with pytest.raises(ValueError, match=f"{re.escape(message)}.*PyOD's labels"):
        next(NormalTrainSplit(LeaveOneGroupOut()).split(X, y, SITE))


def test_the_remedy_for_pyods_labels_works():
    pyod = (Y == -1).astype(int)
    folds = NormalTrainSplit(LeaveOneGroupOut()).split(X, np.where(pyod == 1, -1, 1), SITE)
    assert next(folds)[0].tolist() == [4, 5, 6, 8, 9, 10]


def test_y_is_needed():
    with pytest.raises(ValueError, match=r"NormalTrainSplit.split got no y. It needs 1 for normal"):
        next(NormalTrainSplit(LeaveOneGroupOut()).split(X, groups=SITE))


def test_wrong_lengths():
    with pytest.raises(ValueError, match="NormalTrainSplit.split got 11 labels in y for 12 rows"):
        next(NormalTrainSplit(3).split(X, Y[:-1]))


def test_a_train_fold_without_normal_rows():
    y = np.where(SITE == "a", 1, -1)
    with pytest.raises(ValueError, match=r"y == -1 in all 8 rows of train fold 0\. A detector"):
        list(NormalTrainSplit(LeaveOneGroupOut()).split(X, y, SITE))


@pytest.mark.parametrize(
    "cv",
    [
        *("five", b"five", 2.5, Fraction(5), Decimal(5), True, np.True_, 1, np.array(5)),
        *(
            torch.tensor(5),
            torch.tensor([5]),
            np.array([5]),
            [],
            LeaveOneGroupOut,
            pytest.param(10**400, id="10**400"),
            pytest.param(object(), id="o"),
        ),
    ],
    ids=repr,
)
def test_no_splitter(cv):
    with pytest.raises(ValueError, match="NormalTrainSplit got cv=.* needs a number of folds"):
        NormalTrainSplit(cv)


def test_a_number_of_folds_of_numpy_is_one():
    assert NormalTrainSplit(np.uint8(4)).cv == 4
    assert NormalTrainSplit(None).get_n_splits() == 5


def _search(**kwargs):
    return GridSearchCV(
        Recorder(),
        {"level": [1.0, 7.0]},
        cv=NormalTrainSplit(LeaveOneGroupOut()),
        scoring="balanced_accuracy",
        **kwargs,
    )


@pytest.mark.parametrize("routing", [False, True])
def test_groups_reach_the_wrapped_splitter_in_a_search(routing):
    with sklearn.config_context(enable_metadata_routing=routing):
        search = _search().fit(X, Y, groups=SITE)
    assert search.n_splits_ == 3
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("routing", [False, True])
def test_groups_reach_the_wrapped_splitter_in_cross_validate(routing):
    arguments = {"params": {"groups": SITE}} if routing else {"groups": SITE}
    with sklearn.config_context(enable_metadata_routing=routing):
        result = cross_validate(
            Recorder(),
            X,
            Y,
            cv=NormalTrainSplit(LeaveOneGroupOut()),
            scoring="balanced_accuracy",
            return_estimator=True,
            **arguments,
        )
    seen = [len(fitted.rows_) for fitted in result["estimator"]]
    assert seen == [6, 6, 6]


@pytest.mark.parametrize("routing", [False, True])
def test_a_splitter_without_groups_in_a_search(routing):
    with sklearn.config_context(enable_metadata_routing=routing):
        search = _search().set_params(cv=NormalTrainSplit(3)).fit(X, Y)
    assert search.n_splits_ == 3


def test_groups_are_requested_and_can_be_declined():
    assert NormalTrainSplit(3).get_metadata_routing().split.requests == {"groups": True}
    with sklearn.config_context(enable_metadata_routing=True):
        declined = NormalTrainSplit(3).set_split_request(groups=False)
        assert declined.get_metadata_routing().split.requests == {"groups": False}


# --- folds of several domains


def _grouped(pooled="warn", **options):
    return NormalTrainSplit(GroupKFold(2), pooled, **options)


def test_a_fold_of_several_groups_warns_once():
    with pytest.warns(PooledDomainsWarning, match=r"made test fold \d of 2 groups") as caught:
        folds = list(_grouped().split(X, Y, SITE))
    assert len(caught) == 1
    assert len(folds) == 2


def test_pooled_raise_and_ignore():
    with pytest.raises(ValueError, match=r"Wrap LeaveOneGroupOut\(\), or pass a PerDomainScorer"):
        list(_grouped("raise").split(X, Y, SITE))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(_grouped("ignore").split(X, Y, SITE))) == 2
        # One domain per test fold, or unknown domains, are nothing to complain about.
        list(NormalTrainSplit(LeaveOneGroupOut(), "raise").split(X, Y, SITE))
        list(NormalTrainSplit(3, "raise").split(X, Y))


def test_pooled_takes_three_words():
    with pytest.raises(ValueError, match=r"pooled='never'. It can be 'warn', 'raise' or 'ignore'"):
        NormalTrainSplit(3, "never")


AWARE = PerDomainScorer("balanced_accuracy", domains_from=lambda X: np.floor(X[:, 0] / 8))


@pytest.mark.parametrize(
    ("scoring", "warned"),
    [
        ("balanced_accuracy", True),
        (["balanced_accuracy", "accuracy"], True),
        (PerDomainScorer("balanced_accuracy", if_unknown="one domain"), True),
        (AWARE, False),
        ({"a": AWARE, "b": AWARE}, False),
        ({"a": AWARE, "b": "accuracy"}, True),
    ],
    ids=["name", "list", "one domain", "aware", "all aware", "one aware"],
)
@pytest.mark.parametrize("form", ["search", "cross_validate"])
def test_the_scorer_of_the_caller_decides(scoring, warned, form):
    def run():
        if form == "search":
            _search().set_params(cv=_grouped(), scoring=scoring, refit=False).fit(X, Y, groups=SITE)
        else:
            cross_validate(Recorder(), X, Y, cv=_grouped(), scoring=scoring, groups=SITE)

    if warned:
        with pytest.warns(PooledDomainsWarning):
            run()
    else:
        run()  # warnings are errors here


def test_with_routing_on_a_ready_made_scorer_learns_the_domains():
    search = _search().set_params(
        cv=_grouped("raise"), scoring=PerDomainScorer("balanced_accuracy")
    )
    with sklearn.config_context(enable_metadata_routing=True):
        search.fit(X, Y, groups=SITE, domains=SITE)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    with pytest.raises(ValueError, match="made test fold 0 of 2 groups"):
        _search().set_params(cv=_grouped("raise"), scoring=anomaly_roc_auc_scorer).fit(
            X, Y, groups=SITE
        )


def test_what_a_halving_search_asks_of_folds_is_passed_on():
    assert NormalTrainSplit(3).random_state == 0
    assert NormalTrainSplit(LeaveOneGroupOut()).shuffle
    assert NormalTrainSplit(ShuffleSplit(2, random_state=None)).random_state is None
    assert not NormalTrainSplit(KFold(3)).shuffle


def test_known_anomalies_stay_in_train_folds_where_a_fit_is_told_of_them():
    X, y = np.zeros((6, 1)), np.array([1, -1, 1, -1, 1, -1])
    site = np.repeat(["a", "b", "c"], 2)
    told = list(NormalTrainSplit(LeaveOneGroupOut(), anomalies="known").split(X, y, site))
    plain = list(NormalTrainSplit(LeaveOneGroupOut()).split(X, y, site))
    assert [train.tolist() for train, _ in told] == [[2, 3, 4, 5], [0, 1, 4, 5], [0, 1, 2, 3]]
    for (more, test), (fewer, same) in zip(told, plain, strict=True):
        np.testing.assert_array_equal(more[y[more] == 1], fewer)
        np.testing.assert_array_equal(test, same)


def test_anomalies_are_dropped_or_known():
    with pytest.raises(ValueError, match="anomalies='keep'. It can be 'drop' or 'known'"):
        NormalTrainSplit(anomalies="keep")
