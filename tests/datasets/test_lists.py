import numpy as np
import pytest

from acr_sklearn.datasets._lists import listed_names, listed_numbers

NAMES = {"who": "load", "name": "test", "example": "north"}
NUMBERS = {"who": "load", "name": "years", "example": 2006}


def test_lists_of_any_kind_come_as_lists():
    assert listed_names(("b", "a"), **NAMES) == ["b", "a"]
    assert listed_names(np.array(["b", "a"]), **NAMES) == ["b", "a"]
    assert listed_names((), **NAMES) == []
    assert listed_numbers(range(2), **NUMBERS) == [0, 1]
    numbers = listed_numbers(np.array([3, 1]), **NUMBERS)
    assert numbers == [3, 1]
    assert {type(number) for number in numbers} == {int}
    assert listed_numbers({7}, **NUMBERS) == [7]


@pytest.mark.parametrize(
    ("given", "shown"), [("south", "south"), (b"south", "north"), (7, "north"), ([1], "north")]
)
def test_what_is_no_list_of_names_is_refused_with_one_that_is(given, shown):
    with pytest.raises(TypeError, match=rf"load got test=.*list of strings.*test=\['{shown}'\]"):
        listed_names(given, **NAMES)


@pytest.mark.parametrize(
    ("given", "shown"), [(7, 7), (np.int64(7), 7), ("7", 2006), ([7.0], 2006), (["7"], 2006)]
)
def test_what_is_no_list_of_numbers_is_refused_with_one_that_is(given, shown):
    with pytest.raises(TypeError, match=rf"load got years=.*whole numbers.*years=\[{shown}\]"):
        listed_numbers(given, **NUMBERS)
