"""NormalTrainSplit, concat_domains and split_domains: folds, the round trip, every message."""

import datetime as dt
import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    StratifiedKFold,
    cross_validate,
)

from acr_sklearn.model_selection import NormalTrainSplit, concat_domains, split_domains

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
    "cv", [LeaveOneGroupOut(), GroupKFold(3), KFold(4), StratifiedKFold(3), 3], ids=repr
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
    tested = []
    for train, test in splitter.split(np.zeros((20, 1)), y, groups):
        assert (y[train] == 1).all()
        assert set(groups[train]).isdisjoint(groups[test])
        # Every normal row is on one side or the other; none is lost.
        assert (y == 1).sum() == len(train) + (y[test] == 1).sum()
        tested.extend(test)
    assert sorted(tested) == list(range(20))


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
    assert repr(splitter) == "NormalTrainSplit(cv=LeaveOneGroupOut())"
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
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        next(NormalTrainSplit(3).split(X, Y[:-1]))


def test_a_train_fold_without_normal_rows():
    y = np.where(SITE == "a", 1, -1)
    with pytest.raises(ValueError, match=r"y == -1 in all 8 rows of train fold 0\. A detector"):
        list(NormalTrainSplit(LeaveOneGroupOut()).split(X, y, SITE))


@pytest.mark.parametrize("cv", ["five", 2.5, pytest.param(object(), id="an object")], ids=str)
def test_no_splitter(cv):
    with pytest.raises(ValueError, match="Expected `cv` as an integer"):
        NormalTrainSplit(cv)


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


# --- concat_domains and split_domains

finite = st.floats(-1e6, 1e6, width=32)


@st.composite
def lists_of_data_sets(draw):
    width = draw(st.integers(1, 4))
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    return [draw(hnp.arrays(dtype, (n, width), elements=finite)) for n in sizes]


@given(data_sets=lists_of_data_sets(), seed=st.integers(0, 100))
@settings(max_examples=80, deadline=None)
def test_property_round_trip(data_sets, seed):
    joined, domains = concat_domains(data_sets)
    assert joined.shape == (sum(map(len, data_sets)), data_sets[0].shape[1])
    assert joined.dtype == data_sets[0].dtype
    for back in (list(split_domains(joined, domains).values()), split_domains(joined, data_sets)):
        assert len(back) == len(data_sets)
        for piece, data_set in zip(back, data_sets, strict=True):
            np.testing.assert_array_equal(piece, data_set)
    # Labels need no order of rows: shuffled together, every piece keeps its rows in their order.
    order = np.random.default_rng(seed).permutation(len(joined))
    for label, piece in split_domains(joined[order], domains[order]).items():
        np.testing.assert_array_equal(piece, joined[order][domains[order] == label])


@pytest.mark.parametrize("form", [np.asarray, list, tuple, pd.Series], ids=lambda f: f.__name__)
def test_split_keeps_the_type_of_values_where_it_can(form):
    pieces = split_domains(form([1.0, 2.0, 3.0]), ["b", "a", "b"])
    assert list(pieces) == ["a", "b"]
    assert list(pieces["b"]) == [1.0, 3.0]
    expected = {pd.Series: pd.Series, np.asarray: np.ndarray}.get(form, list)
    assert isinstance(pieces["a"], expected)


def test_frames_stay_frames_with_index_and_dtypes():
    one = pd.DataFrame({"u": [1, 2], "v": [0.5, 1.5]}, index=["r", "s"])
    two = pd.DataFrame({"u": [3], "v": [2.5]}, index=["t"])
    joined, domains = concat_domains([one, two], labels=["x", "y"])
    pd.testing.assert_frame_equal(joined, pd.concat([one, two]))
    pieces = split_domains(joined, domains)
    pd.testing.assert_frame_equal(pieces["x"], one)
    pd.testing.assert_frame_equal(pieces["y"], two)
    pd.testing.assert_frame_equal(split_domains(joined, [one, two])[1], two)


def test_polars_frames_stay_polars_frames():
    one, two = pl.DataFrame({"u": [1.0, 2.0]}), pl.DataFrame({"u": [3.0]})
    joined, domains = concat_domains((one, two))
    assert joined.equals(pl.concat([one, two]))
    assert split_domains(joined, domains)[1].equals(two)


def test_frames_beside_arrays_give_an_array():
    frame, array = pd.DataFrame({"u": [1.0], "v": [2.0]}), np.array([[3.0, 4.0]])
    joined, _ = concat_domains([frame, array])
    assert isinstance(joined, np.ndarray)
    np.testing.assert_array_equal(joined, [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("labels", "seen"),
    [
        (None, [0, 0, 1]),
        (["b", "a"], ["b", "b", "a"]),
        (pd.Series([2020, 2019]), [2020, 2020, 2019]),
        ([("a", 1), ("a", 2)], [("a", 1), ("a", 1), ("a", 2)]),
        ([("a", 1), ("a",)], [("a", 1), ("a", 1), ("a",)]),
        (["a", 7], ["a", "a", 7]),
    ],
    ids=str,
)
def test_labels(labels, seen):
    data_sets = [np.ones((2, 1)), np.zeros((1, 1))]
    joined, domains = concat_domains(data_sets, labels=labels)
    assert domains.tolist() == seen
    pieces = split_domains(joined, domains)
    np.testing.assert_array_equal(pieces[seen[0]], data_sets[0])
    np.testing.assert_array_equal(pieces[seen[2]], data_sets[1])


def test_dates_stay_dates_as_labels():
    days = np.array(["2024-01-02", "2024-01-01"], dtype="datetime64[ns]")
    pieces = split_domains([1, 2], days)
    assert pieces[np.datetime64("2024-01-01", "ns")] == [2]
    pieces = split_domains([1, 2], [dt.date(2024, 1, 2), dt.date(2024, 1, 1)])
    assert pieces[dt.date(2024, 1, 1)] == [2]


def test_the_inputs_are_copied_not_shared():
    data_sets = [np.ones((2, 1))]
    joined, _ = concat_domains(data_sets)
    pieces = split_domains(joined, data_sets)
    joined[:] = 5
    assert data_sets[0].max() == pieces[0].max() == 1


E2 = np.ones((2, 2))


@pytest.mark.parametrize(
    ("data_sets", "labels", "message"),
    [
        ([], None, r"concat_domains got \[\]\. It needs a list: one 2-D array per domain"),
        (E2, None, r"concat_domains got ndarray\. It needs a list"),
        ((x for x in [E2]), None, r"concat_domains got generator\. It needs a list"),
        ([[1, 2], [3, 4]], None, r"element 0 of type list, shape \(\)\. Every element must be"),
        ([E2, np.ones(3)], None, r"element 1 of type ndarray, shape \(3,\)\. Every element must"),
        ([E2, sparse.csr_array(E2)], None, r"element 1 of type csr_array, shape \(2, 2\)\. Every"),
        (
            [E2, E2[:0]],
            None,
            r"element 1 of type ndarray, shape \(0, 2\)\..* with at least one row",
        ),
        ([E2, E2, np.ones((2, 3))], None, "element 2 with 3 columns, element 0 with 2"),
        (
            [pd.DataFrame(E2, columns=["u", "v"]), pd.DataFrame(E2, columns=["v", "u"])],
            None,
            "element 1 with column 'v' where element 0 has 'u'. All domains need the same columns",
        ),
        ([E2, E2], ["a"], "got 1 labels for 2 data sets. Give one label each"),
        ([E2, E2], ["a", "a"], "got the label a twice. Give every data set its own"),
        ([E2, E2], ["a", None], r"missing labels \(NaN or None\) in labels, first at row 1"),
    ],
)
def test_concat_messages(data_sets, labels, message):
    with pytest.raises(ValueError, match=message):
        concat_domains(data_sets, labels=labels)


@pytest.mark.parametrize(
    ("domains", "message"),
    [
        (["a", "b"], "split_domains got 2 labels in domains for 3 rows"),
        ([E2, E2], "split_domains got 3 values for 2 data sets with 4 rows together"),
        (["a", None, "b"], "split_domains got 1 missing labels"),
        (np.array([1, -1, 1]), "split_domains got domains whose only values are 1 and -1"),
        (2, "split_domains got domains=2. It needs one label per row, 3 in all"),
    ],
)
def test_split_messages(domains, message):
    with pytest.raises(ValueError, match=message):
        split_domains([0.1, 0.2, 0.3], domains)
