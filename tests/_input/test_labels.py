import datetime

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from acr_sklearn._input.labels import read_labels, read_y

SCALARS = st.one_of(st.integers(-5, 5), st.text(max_size=2), st.tuples(st.integers(0, 2)))


@given(st.lists(SCALARS, min_size=1, max_size=30).filter(lambda v: set(v) != {1, -1}))
def test_any_hashable_labels_are_restored_by_their_index(values):
    labels, index = read_labels(values, len(values), who="fit")
    assert [labels[i] for i in index] == values
    assert len(set(index.tolist())) == len(labels)


@pytest.mark.parametrize(
    "values",
    [
        ["b", "a", "b"],
        np.array(["b", "a", "b"]),
        pd.Series(["b", "a", "b"]),
        pd.Series(["b", "a", "b"], dtype="category"),
        np.array(["b", "a", "b"], dtype=object),
    ],
)
def test_labels_are_sorted_whatever_holds_them(values):
    labels, index = read_labels(values, 3, who="fit")
    assert labels.tolist() == ["a", "b"]
    assert index.tolist() == [1, 0, 1]


def test_labels_without_an_order_keep_that_of_appearance():
    labels, index = read_labels(["x", 3, "x", (1, 2)], 4, who="fit")
    assert labels.tolist() == ["x", 3, (1, 2)]
    assert index.tolist() == [0, 1, 0, 2]


def test_dates_are_labels():
    days = np.array(["2024-01-02", "2024-01-01"], dtype="datetime64[D]")
    assert read_labels(days, 2, who="fit")[1].tolist() == [1, 0]
    assert (
        read_labels([datetime.date(2024, 1, 2), datetime.date(2024, 1, 1)], 2, who="f")[1][0] == 1
    )


@pytest.mark.parametrize(
    "missing",
    [None, np.nan, pd.NA, pd.NaT, np.datetime64("NaT")],
    ids=["None", "nan", "NA", "NaT", "numpy NaT"],
)
def test_missing_labels_are_counted_and_placed(missing):
    with pytest.raises(
        ValueError, match=r"det.fit got 1 missing labels \(NaN or None\) in domains"
    ):
        read_labels(["a", "b", missing], 3, who="det.fit")
    with pytest.raises(ValueError, match="first at row 2"):
        read_labels(np.array(["a", "b", missing], dtype=object), 3, who="det.fit")


def test_parts_of_tuples_and_durations_may_be_missing_too():
    with pytest.raises(ValueError, match="1 missing labels"):
        read_labels([("a", 1.0), ("a", np.nan)], 2, who="fit")
    with pytest.raises(ValueError, match="1 missing labels"):
        read_labels(np.array([1, "NaT"], dtype="timedelta64[D]"), 2, who="fit")


def test_tensors_are_read_as_arrays():
    assert read_labels(torch.tensor([3, 1, 3]), 3, who="fit")[1].tolist() == [1, 0, 1]


def test_missing_dates_and_floats_are_found_in_typed_arrays():
    with pytest.raises(ValueError, match="1 missing labels"):
        read_labels(np.array(["2024-01-01", "NaT"], dtype="datetime64[D]"), 2, who="fit")
    with pytest.raises(ValueError, match="2 missing labels"):
        read_labels(np.array([np.nan, 1.0, np.nan]), 3, who="fit")


@pytest.mark.parametrize("values", [[1, -1, 1], np.array([1.0, -1.0, -1.0]), pd.Series([-1, 1, 1])])
def test_labels_that_look_like_y_are_refused(values):
    with pytest.raises(ValueError, match="only values are 1 and -1: that looks like y"):
        read_labels(values, 3, who="fit")


def test_one_of_the_two_or_a_third_label_is_no_y():
    assert read_labels([1, 1], 2, who="fit")[0].tolist() == [1]
    assert read_labels([1, -1, 2], 3, who="fit")[0].tolist() == [-1, 1, 2]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a"], "got 1 labels in domains for 3 rows"),
        (np.zeros((3, 1)), r"got domains of shape \(3, 1\)"),
        ("abc", "needs one label per row, 3 in all"),
        (7, "got domains=7"),
        ({"a", "b", "c"}, "needs one label per row, 3 in all"),
        ({"a": 1, "b": 2, "c": 3}, "needs one label per row, 3 in all"),
        ([["a"], ["b"], ["c"]], "of type list, which cannot be hashed"),
    ],
)
def test_bad_labels_get_a_clear_error(values, message):
    with pytest.raises(ValueError, match=message):
        read_labels(values, 3, who="fit")


def test_y_is_one_vector_or_one_per_domain():
    assert read_y([1, -1], 2, who="score").tolist() == [1, -1]
    assert read_y([np.array([1, -1]), np.array([1])], 3, who="score").tolist() == [1, -1, 1]
    with pytest.raises(ValueError, match=r"det.score got y of shape \(1,\); X has 3 rows"):
        read_y([1], 3, who="det.score")
