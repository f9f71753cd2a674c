import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from acr_sklearn.tasks.sampling import draw_distinct, hold_out_domains


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(1, 40), st.integers(0, 2**31)
)
def test_numbers_are_in_range_and_distinct_where_they_can_be(sizes, n, seed):
    sizes = np.array(sizes)
    drawn = draw_distinct(sizes, n, np.random.default_rng(seed))
    assert drawn.shape == (len(sizes), n)
    assert (drawn >= 0).all()
    assert (drawn < sizes[:, None]).all()
    for row, size in zip(drawn, sizes, strict=True):
        if size >= n:
            assert len(set(row.tolist())) == n


@pytest.mark.parametrize("size", [5, 9, 40], ids=["shuffled", "edge", "rejected"])
def test_every_number_is_equally_likely(size):
    rng = np.random.default_rng(0)
    drawn = draw_distinct(np.full(20000, size), 4, rng)
    assert chisquare(np.bincount(drawn.ravel(), minlength=size)).pvalue > 1e-3


def test_every_subset_is_equally_likely():
    # Rejection that redrew the wrong element would favour some pairs.
    drawn = np.sort(draw_distinct(np.full(40000, 6), 2, np.random.default_rng(1)), axis=1)
    pairs = np.bincount(drawn[:, 0] * 6 + drawn[:, 1])
    assert chisquare(pairs[pairs > 0]).pvalue > 1e-3
    assert (pairs > 0).sum() == 15


@pytest.mark.parametrize(
    ("n_domains", "fraction", "n_held_out"), [(4, 0.01, 1), (7, 0.2, 1), (10, 0.3, 3), (4, 0.99, 2)]
)
def test_hold_out_leaves_two_and_takes_one(n_domains, fraction, n_held_out):
    training, held_out = hold_out_domains(n_domains, fraction, np.random.default_rng(0))
    assert len(held_out) == n_held_out
    assert sorted([*training, *held_out]) == list(range(n_domains))
