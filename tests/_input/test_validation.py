import datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import BaseEstimator

from acr_sklearn._input.validation import LARGEST, plain_array, read_table, refuse_odd_cells

ROWS = np.arange(6.0).reshape(3, 2)


class Reader(BaseEstimator):
    pass


def read(X):
    return read_table(Reader(), X, who="Reader.fit", reset=True)


def with_cell(cell):
    rows = ROWS.astype(object)
    rows[1, 1] = cell
    return rows


@pytest.mark.parametrize(
    "X",
    [
        torch.tensor(ROWS),
        torch.tensor(ROWS, requires_grad=True),
        torch.tensor(ROWS, dtype=torch.bfloat16),
        np.ma.masked_array(ROWS, np.zeros((3, 2), bool)),
        with_cell(Decimal(3)),
        with_cell(Fraction(3)),
        with_cell("3"),
        ROWS.astype(">f8"),
    ],
)
def test_whatever_holds_numbers_is_read(X):
    np.testing.assert_array_equal(read(X), ROWS)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize(
    "column",
    [
        [datetime.datetime(2024, 1, day) for day in (1, 2, 3)],
        [datetime.timedelta(days=day) for day in (1, 2, 3)],
    ],
)
@pytest.mark.parametrize("others", [{"a": [1.0, 2.0, 3.0]}, {}])
def test_a_column_of_dates_is_named(frame, column, others):
    with pytest.raises(TypeError, match=r"Reader.fit got column 'ts' of X with values of type"):
        read(frame({**others, "ts": column}))


@pytest.mark.parametrize("dtype", ["M8[D]", "m8[s]"])
def test_dates_are_no_numbers_in_an_array_either(dtype):
    with pytest.raises(TypeError, match="got X with values of type.*which are no numbers"):
        read(np.array([[1, 2], [3, 4]]).astype(dtype))


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (10**400, r"row 1, column 1 holds a int \(1000.*too large to convert to float"),
        ([1.0, 2.0], r"row 1, column 1 holds a list \(\[1.0, 2.0\]\)"),
        (datetime.date(2024, 1, 1), "row 1, column 1 holds a date"),
        ("x", r"row 1, column 1 holds a str \('x'\)"),
        (None, None),
    ],
)
def test_the_cell_that_is_no_number_is_named(cell, message):
    if message is None:
        assert np.isnan(read(with_cell(cell))[1, 1])
        return
    with pytest.raises((TypeError, ValueError), match=f"Reader.fit got an X.*{message}"):
        read(with_cell(cell))


def test_a_column_of_words_is_named_in_a_frame():
    with pytest.raises(ValueError, match="row 2, column 'kind' holds a str"):
        read(pd.DataFrame({"a": [1.0, 2, 3], "kind": [1, 2, "valve"]}))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ma.masked_array(ROWS, ROWS == 3), r"masked values in X, first at position \(1, 1\)"),
        (np.array([(1.0, 2.0)], dtype=[("a", float), ("b", float)]), "got X with records of type"),
        (torch.tensor(ROWS).to_sparse(), "got X as a Tensor that NumPy cannot read"),
        (torch.tensor(ROWS).to("meta"), "got X as a Tensor that NumPy cannot read"),
        (ROWS * 1j, "Reader.fit: Complex data not supported"),
        (ROWS[0], "Reader.fit: Expected 2D array, got 1D array"),
    ],
)
def test_what_would_be_misread_is_refused(X, message):
    with pytest.raises((TypeError, ValueError), match=message):
        read(X)


def test_a_value_whose_own_code_fails_is_named():
    class Odd:
        def __float__(self):
            raise RuntimeError("not today")

        def __repr__(self):
            raise RuntimeError("nor shown")

    with pytest.raises(ValueError, match="row 1, column 1 holds a Odd .*which cannot be shown"):
        read(with_cell(Odd()))


def test_single_precision_that_could_not_compute_is_read_in_double():
    assert read(np.float32(ROWS)).dtype == np.float32
    assert read(np.float32(ROWS) * np.float32(1e20)).dtype == np.float64
    assert read(np.float32(ROWS) * np.float32(1e-40)).dtype == np.float64
    assert read(np.float32(ROWS) * 0).dtype == np.float32


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2 * LARGEST, -2 * LARGEST])
@pytest.mark.parametrize("n_rows", [3, 100_000])
def test_the_first_odd_cell_is_named_with_its_domain(value, n_rows):
    rows = np.zeros((n_rows, 2))
    rows[n_rows - 2 :, 1] = value
    with pytest.raises(
        ValueError,
        match=f"first in row {n_rows - 2}, column 'b', domain 'x'; 2 of {n_rows} rows hold such",
    ):
        refuse_odd_cells(rows, who="fit", names=["a", "b"], domain_of=lambda row: "'x'")
    rows[n_rows - 2 :, 1] = np.sign(value) * LARGEST if value == value else 0
    refuse_odd_cells(rows, who="fit", names=None)


def test_missing_values_may_pass_and_nothing_else():
    rows = np.ones((70_000, 2))
    rows[1:3, 0] = np.nan
    refuse_odd_cells(rows, who="Reader.fit", names=None, allow_nan=True)
    rows[69_000, 1] = -np.inf
    with pytest.raises(ValueError, match="got infinity in X: first in row 69000, column 1; 1 of"):
        refuse_odd_cells(rows, who="Reader.fit", names=None, allow_nan=True)
    with pytest.raises(ValueError, match="got NaN in X: first in row 1, column 0; 3 of 70000"):
        refuse_odd_cells(rows, who="Reader.fit", names=None)


def test_what_is_no_tensor_stays_as_it_is():
    given = object()
    assert plain_array(given, who="fit", what="X") is given
