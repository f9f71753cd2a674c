import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from acr_sklearn._input.labels import read_labels, read_y, shown_label

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


@pytest.mark.parametrize(
    "values",
    [["a", "a\0", "a"], [2**63, 2**63 + 1, 2**63], [-1, 2**63 + 1, 2**63], [b"x", b"x\0", b"y"]],
)
def test_labels_that_numpy_would_change_stay_apart(values):
    labels, index = read_labels(values, 3, who="fit")
    found = [labels.tolist()[i] for i in index]
    assert found == values
    assert [type(label) for label in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, complex(0, np.nan), 2]),
        [1, complex(np.nan, 0), 2],
        np.ma.masked_array([1, 2, 3], [False, True, False]),
        [1, Decimal("NaN"), 2],
        [1, Decimal("sNaN"), 2],
    ],
    ids=["complex array", "complex", "masked", "Decimal", "signalling"],
)
def test_missing_labels_of_every_kind_are_found(values):
    with pytest.raises(ValueError, match="got 1 missing labels .* in domains, first at row 1"):
        read_labels(values, 3, who="fit")


def deep(levels):
    value = ()
    for _ in range(levels):
        value = (value,)
    return value


@pytest.mark.parametrize("levels", [20, 5000])
def test_bottomless_tuples_are_refused(levels):
    with pytest.raises(ValueError, match="domains whose row 1 holds a tuple nested deeper than"):
        read_labels([1, deep(levels)], 2, who="fit")


def test_labels_whose_own_code_fails_are_named():
    class Odd:
        def __hash__(self):
            raise RuntimeError("round and round")

    with pytest.raises(ValueError, match="hold in row 1 a value of type Odd, which cannot be"):
        read_labels([1, Odd()], 2, who="fit")
    assert shown_label(deep(5000)) == "of type tuple"


def test_records_and_single_numbers_of_tensors_are_labels():
    records = np.array([(1, "a"), (2, "b"), (1, "a")], dtype=[("n", int), ("s", "U1")])
    labels, index = read_labels(records, 3, who="fit")
    assert labels.tolist() == [(1, "a"), (2, "b")]
    assert index.tolist() == [0, 1, 0]
    graded = torch.tensor([3.0, 1.0, 3.0], requires_grad=True)
    assert read_labels(graded, 3, who="fit")[1].tolist() == [1, 0, 1]
    assert read_labels(list(graded.detach()), 3, who="fit")[0].tolist() == [1.0, 3.0]


def test_y_under_names_follows_the_rows():
    X = {"b": None, "a": None}
    y = {"a": [1, -1], "b": [1]}
    assert read_y(y, 3, who="score", like=X).tolist() == [1, 1, -1]
    with pytest.raises(ValueError, match="mapping whose names are not those of X"):
        read_y(y, 3, who="score", like={"a": None})


@pytest.mark.parametrize("y", [[1, [1, 2], 3], [1, {}, 2], [1, deep(5000), 2]])
def test_what_is_no_y_is_refused(y):
    with pytest.raises(ValueError, match=r"score got a? ?y"):
        read_y(y, 3, who="score")
