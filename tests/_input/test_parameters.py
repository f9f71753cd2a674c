"""Truth values and counts beyond all memory, which pass for numbers with scikit-learn."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from acr_sklearn import ZeroShotSegmenter
from acr_sklearn._input.parameters import LARGEST_COUNT, check_numbers


class Numbered(BaseEstimator):
    _parameter_constraints = {"n": [], "on": ["boolean"], "random_state": [], "verbose": []}  # noqa: RUF012

    def __init__(self, n=1, on=True, random_state=2**32 - 1, verbose=True):
        self.n, self.on = n, on
        self.random_state, self.verbose = random_state, verbose


def test_numbers_and_truth_values_in_their_places_pass():
    check_numbers(Numbered())
    check_numbers(Numbered(n=LARGEST_COUNT, on=np.False_))


@pytest.mark.parametrize("value", [True, False, np.True_])
def test_a_truth_value_for_a_number_is_refused(value):
    with pytest.raises(ValueError, match="Numbered got n=.* needs a number, not a truth value"):
        check_numbers(Numbered(n=value))
    with pytest.raises(ValueError, match="Numbered got random_state="):
        check_numbers(Numbered(random_state=value))


def test_a_count_beyond_all_memory_is_refused():
    with pytest.raises(ValueError, match="Numbered got n=1000.*at most 2147483647"):
        check_numbers(Numbered(n=10**30))


@pytest.mark.parametrize("name", ["region_size", "pooling", "shrinkage", "sigma", "max_rows"])
def test_the_segmenter_checks_its_own(name):
    maps = [np.zeros((4, 2, 3, 3))] * 2
    with pytest.raises(ValueError, match=name):
        ZeroShotSegmenter(**{name: True}).fit(maps)
