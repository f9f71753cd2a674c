"""Arrays of numbers that are no table, and what only looks like one."""

from decimal import Decimal

import numpy as np
import pytest
import torch

from acr_sklearn._input.numbers import count_rows, read_numbers


@pytest.mark.parametrize(
    "given",
    [
        *([1, 2.5], (1, 2.5), np.array([1, 2.5], object), torch.tensor([1, 2.5])),
        *(torch.tensor([1, 2.5], requires_grad=True), np.longdouble([1, 2.5])),
        *(np.ma.masked_array([1, 2.5], [False, False]), [Decimal(1), Decimal("2.5")]),
    ],
    ids=lambda given: type(given).__name__,
)
def test_numbers_in_whatever_form(given):
    found = read_numbers(given, 1, who="Who", what="scores")
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [1, 2.5])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        *((kind, "that are no numbers") for kind in (["1"], [b"1"], [1j], [[1], [1, 2]], [{}])),
        (np.array([1 + 0j], object), "that are no numbers"),
        (np.array(["2024"], "M8[Y]"), "that are no numbers"),
        ([10**400], "that are no numbers"),
        (np.longdouble(["1e4000"]), "are not finite"),
        *(([value], "are not finite") for value in (np.nan, np.inf, None)),
        ([], r"of shape \(0,\). It needs numbers along 1 axes"),
        (3.0, r"of shape \(\). It needs"),
        ([[1.0]], r"of shape \(1, 1\). It needs"),
        (np.ma.masked_array([1.0], [True]), "masked values in scores"),
    ],
    ids=repr,
)
def test_what_is_no_vector_of_numbers_is_named(given, message):
    with pytest.raises((ValueError, TypeError), match=f"Who got .*{message}"):
        read_numbers(given, 1, who="Who", what="scores")


def test_any_number_of_axes_where_none_is_asked_for():
    assert read_numbers([[1, 2]], None, who="Who", what="maps").shape == (1, 2)
    with pytest.raises(ValueError, match=r"maps of shape \(1, 0\). It needs numbers"):
        read_numbers([[]], None, who="Who", what="maps")


def test_rows_are_counted_where_there_are_any():
    assert count_rows(np.zeros((3, 2)), who="Who") == count_rows([1, 2, 3], who="Who") == 3
    for given in (5, np.array(5.0), iter([1]), None):
        with pytest.raises(TypeError, match="Who got X of type .*, which has no rows to count"):
            count_rows(given, who="Who")
