from types import MappingProxyType

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import BaseEstimator

from acr_sklearn._input.domain_rows import is_domain_list, read_rows

RNG = np.random.default_rng(0)


class Reader(BaseEstimator):
    def __init__(self, domain_column=None):
        self.domain_column = domain_column


def read(X, domains=None, *, column=None, reader=None):
    reset = reader is None
    return read_rows(reader or Reader(column), X, domains, reset=reset, method="fit")


def frame(kind=pd.DataFrame):
    return kind({"a": [1.0, 2.0, 3.0], "site": ["x", "y", "x"], "b": [4.0, 5.0, 6.0]})


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        ([np.ones((2, 2)), np.ones((3, 2))], True),
        ((np.ones((2, 2)),), True),
        ([pd.DataFrame({"a": [1]})], True),
        ([[1.0, 2.0], [3.0, 4.0]], False),
        ([np.ones(2), np.ones(2)], False),
        (np.ones((2, 2)), False),
        ([], False),
    ],
)
def test_a_list_of_2d_arrays_is_told_from_one_2d_x(X, expected):
    assert is_domain_list(X) is expected


def test_a_list_becomes_rows_and_positions():
    parts = [RNG.normal(size=(n, 3)) for n in (2, 5, 3)]
    data = read(parts)
    np.testing.assert_array_equal(data.rows, np.concatenate(parts))
    assert data.sizes.tolist() == [2, 5, 3]
    assert data.labels.tolist() == [0, 1, 2]
    for part, rows in zip(parts, data.batches(), strict=True):
        np.testing.assert_array_equal(data.rows[rows], part)


def test_batches_keep_row_order_when_labels_are_mixed():
    data = read(np.arange(8.0).reshape(4, 2), ["b", "a", "b", "a"])
    assert [rows.tolist() for rows in data.batches()] == [[1, 3], [0, 2]]


@pytest.mark.parametrize(
    ("dtype", "kept"), [("float32", "float32"), ("float64", "float64"), ("int32", "float64")]
)
def test_precision_follows_the_input(dtype, kept):
    assert read(np.ones((3, 2), dtype)).rows.dtype == kept


def test_a_read_only_memmap_is_read(tmp_path):
    np.save(tmp_path / "x.npy", RNG.normal(size=(20, 3)))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(read(mapped).rows, mapped)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("column", ["site", 1, -2])
def test_the_domain_column_is_taken_out(kind, column):
    reader = Reader(column)
    data = read_rows(reader, frame(kind), None, reset=True, method="fit")
    np.testing.assert_array_equal(data.rows, [[1, 4], [2, 5], [3, 6]])
    assert data.labels[data.index].tolist() == ["x", "y", "x"]
    assert reader.n_features_in_ == 3
    assert reader.feature_names_in_.tolist() == ["a", "site", "b"]


def test_an_index_takes_the_column_of_an_array():
    X = np.array([[1.0, 7, 2], [3, 8, 4]])
    assert read(X, column=1).labels.tolist() == [7, 8]
    mixed = [[1.0, "u", 2], [3, "v", 4]]
    data = read(mixed, column=1)
    assert data.labels.tolist() == ["u", "v"]
    assert data.rows.dtype == np.float64


@pytest.mark.parametrize(
    ("X", "domains", "column", "message"),
    [
        ([], None, None, "Reader.fit got an empty list. It needs one 2-D array per domain"),
        ([np.ones((2, 2))], [0, 0], None, "list of 1 data sets together with domains="),
        ([np.ones((2, 2)), np.ones((2, 3)), np.ones((2, 2))], None, None, "element 1 has 3"),
        ([np.ones((2, 2)), np.ones(2)], None, None, r"element 1 is not a 2-D array \(shape \(2,\)"),
        ([np.ones((2, 2)), 5], None, None, r"element 1 is not a 2-D array \(int\)"),
        ([np.ones((2, 2)), np.ones((0, 2))], None, None, "element 1 has no rows"),
        ([np.ones((2, 2)), np.full((2, 2), np.nan)], None, None, "element 1 of the list.*NaN"),
        (np.full((2, 2), np.inf), None, None, "infinity"),
        (np.array([["a", "b"]]), None, None, "Reader.fit got an X that is not a table of numbers"),
        (frame(), None, None, "could not convert.*Encode categories.*named by domain_column"),
        ([np.ones(2), np.ones(3)], None, None, "Reader.fit got an X that is not a table of numb"),
        (np.ones((2, 2)), ["a"], None, "got 1 labels in domains for 2 rows"),
        (np.ones((2, 2)), None, "site", "an X without column names.*only an index works"),
        (frame(), None, "nowhere", "no column 'nowhere' in X. Columns: a, site, b"),
        (frame(), None, 3, "domain_column=3 but X has 3 columns"),
        (frame(), ["x", "y", "x"], "site", "got domains= although domain_column='site'"),
        ([np.ones((2, 2))], None, 0, "got a list of data sets although domain_column=0"),
        (frame()[["site"]], None, "site", "only column is the domain column 'site'"),
        (np.ones(3), None, 0, "needs a 2-D X, got shape"),
        (
            frame().assign(site=["x", None, "y"]),
            None,
            "site",
            "missing labels.*domain column 'site'",
        ),
    ],
)
def test_bad_input_gets_a_clear_error(X, domains, column, message):
    with pytest.raises(ValueError, match=message):
        read(X, domains, column=column)


def test_later_calls_are_held_to_the_features_of_fit():
    reader = Reader("site")
    read_rows(reader, frame(), None, reset=True, method="fit")
    with pytest.raises(ValueError, match="feature names should match"):
        read(frame().rename(columns={"a": "c"}), reader=reader)
    plain = Reader()
    read_rows(plain, np.ones((2, 3)), None, reset=True, method="fit")
    with pytest.raises(ValueError, match="element 0 of the list: X has 2 features, but Reader"):
        read([np.ones((2, 2))], reader=plain)


def test_frames_in_a_list_must_agree_on_names():
    with pytest.raises(ValueError, match="element 1 of the list: The feature names should match"):
        read([frame()[["a", "b"]], frame()[["b", "a"]]])


@pytest.mark.parametrize("kind", [dict, MappingProxyType])
def test_a_mapping_names_its_data_sets(kind):
    parts = {"north": RNG.normal(size=(4, 3)), "a\0": RNG.normal(size=(2, 3)).tolist()}
    data = read(kind(parts))
    assert data.labels.tolist() == ["a\0", "north"]
    assert data.labels[data.index].tolist() == ["north"] * 4 + ["a\0"] * 2
    np.testing.assert_array_equal(data.rows, np.concatenate(list(parts.values())))
    assert read({1: np.ones((2, 2)), -1: np.ones((2, 2))}).labels.tolist() == [-1, 1]


@pytest.mark.parametrize("sizes", [(2, 5, 3), (4, 4, 4)])
def test_an_object_array_and_a_nested_tensor_are_lists(sizes):
    parts = [RNG.normal(size=(n, 3)) for n in sizes]
    array = np.empty(3, dtype=object)
    array[:] = parts if len(set(sizes)) > 1 else [*parts[:2], parts[2]]
    equal = np.array(parts, dtype=object) if len(set(sizes)) == 1 else array
    nested = torch.nested.nested_tensor(
        [torch.tensor(part, requires_grad=True) for part in parts], layout=torch.jagged
    )
    for X in (equal, nested):
        data = read(X)
        assert data.sizes.tolist() == list(sizes)
        np.testing.assert_array_equal(data.rows, np.concatenate(parts))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            [frame()[["a"]], frame()[["a"]].assign(ts=pd.Timestamp("2024"))],
            "different widths: element 0 has 1 features, element 1 has 2",
        ),
        ([np.ones((5, 8, 8))] * 2, r"element 0 is not a 2-D array .*reshape\(len\(x\), -1\)"),
        ([np.ones((5, 8, 8)), np.ones((6, 8, 8))], r"element 0 is not a 2-D .*input_shape"),
        ({"a": np.ones(3)}, r"domain 'a' is not a 2-D array .*columns are named by a DataFrame"),
        ({"a": np.ones((2, 2)), "b": np.full((2, 2), np.nan)}, "domain 'b': got NaN in X: first"),
        ({}, "an empty mapping"),
        ({None: np.ones((2, 2))}, "missing labels .* in names of the data sets"),
    ],
)
def test_elements_and_names_are_told_in_errors(X, message):
    with pytest.raises(ValueError, match=message):
        read(X)


def test_a_date_in_a_list_of_frames_is_placed():
    with pytest.raises(TypeError, match="element 1 of the list: got column 'b' of X with values"):
        read([frame()[["a", "b"]], frame()[["a"]].assign(b=pd.Timestamp("2024"))])


def test_nan_is_placed_by_row_column_and_domain():
    X = frame()[["a", "b"]].astype(float)
    X.loc[2, "b"] = np.nan
    with pytest.raises(ValueError, match="Reader.fit got NaN in X: first in row 2, column 'b', do"):
        read(X, ["x", "y", "z"])
    with pytest.raises(ValueError, match="domain 'z'; 1 of 3 rows hold such values. Fill missing"):
        read(X, ["x", "y", "z"])
    with pytest.raises(ValueError, match="column 'b', domain 'w'"):
        read(X.assign(site=["u", "v", "w"]), column="site")
    with pytest.raises(ValueError, match="infinity in X: first in row 1, column 2, domain 6"):
        read(np.array([[1.0, 5, 2], [3, 6, np.inf]]), column=1)
