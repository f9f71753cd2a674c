"""concat_domains and split_domains: the round trip, every message."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from acr_sklearn.model_selection import concat_domains, split_domains

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


@pytest.mark.parametrize("labels", [["a", "a\0"], [2**63, 2**63 + 1], [-1, 2**63]])
def test_labels_that_numpy_would_change_keep_their_rows(labels):
    X, domains = concat_domains([np.zeros((2, 1)), np.ones((3, 1))], labels=labels)
    assert domains.tolist() == [labels[0]] * 2 + [labels[1]] * 3
    pieces = split_domains(X, domains)
    assert {label: len(piece) for label, piece in pieces.items()} == {labels[0]: 2, labels[1]: 3}
    np.testing.assert_array_equal(pieces[labels[1]], np.ones((3, 1)))


def test_a_mapping_goes_there_and_back():
    sets = {"b": np.zeros((2, 1)), "a": np.ones((3, 1))}
    X, domains = concat_domains(sets)
    assert domains.tolist() == ["b"] * 2 + ["a"] * 3
    pieces = split_domains(X, sets)
    assert list(pieces) == ["b", "a"]
    for name, rows in sets.items():
        np.testing.assert_array_equal(pieces[name], rows)
    ragged = np.array([np.ones((2, 1)), np.zeros((3, 1))], dtype=object)
    assert [len(piece) for piece in split_domains(concat_domains(ragged)[0], ragged)] == [2, 3]


def test_frames_whose_columns_cannot_be_joined_are_named():
    polars = pytest.importorskip("polars")
    parts = [polars.DataFrame({"a": [1.0]}), polars.DataFrame({"a": ["x"]})]
    with pytest.raises(TypeError, match="concat_domains got data sets that it cannot join"):
        concat_domains(parts)
