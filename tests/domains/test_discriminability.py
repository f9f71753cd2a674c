import numpy as np
import pytest

from acr_sklearn.domains.discriminability import domain_discriminability

RNG = np.random.default_rng(0)
INDEX = np.repeat(np.arange(5), 300)
ALIKE = RNG.normal(size=(1500, 4)) @ RNG.normal(size=(4, 4))
CENTRES = np.repeat(RNG.normal(size=(5, 4)), 300, axis=0)


def measure(rows, index=INDEX, seed=0):
    return domain_discriminability(rows, index, seed)


def test_half_for_domains_that_are_alike_and_one_for_distant_ones():
    assert measure(ALIKE) == pytest.approx(0.5, abs=0.04)
    assert measure(ALIKE + 100 * CENTRES) == 1.0
    values = [measure(ALIKE + distance * CENTRES) for distance in (0, 0.3, 1, 3)]
    assert values == sorted(values)
    assert 0.55 < values[1] < 0.99


def test_it_follows_the_units_and_the_dependence_of_features():
    near = ALIKE + CENTRES
    assert measure(near * [1e3, 1, 1e-3, 1] + 1e4) == pytest.approx(measure(near), abs=0.05)
    # Across the direction of all spread a small shift tells the domains apart.
    flat = RNG.normal(size=(1500, 1)) * [10.0, 10.0] + 0.1 * RNG.normal(size=(1500, 2))
    flat[:, 0] += np.repeat(np.arange(5), 300)
    assert measure(flat) > 0.75


def test_the_seed_chooses_pairs_and_rows():
    near = ALIKE + 0.3 * CENTRES
    assert measure(near) == measure(near)
    assert measure(near) != measure(near, seed=1)


@pytest.mark.parametrize(("n_domains", "n_rows", "n_features"), [(2, 16, 100), (4, 30, 64)])
def test_few_rows_of_many_features_are_no_reason_to_be_told_apart(n_domains, n_rows, n_features):
    """On the rows they are learnt from, covariance and direction tell any two domains apart."""
    index = np.repeat(np.arange(n_domains), n_rows)
    rng = np.random.default_rng(0)
    values = [measure(rng.normal(size=(len(index), n_features)), index) for _ in range(8)]
    assert np.mean(values) == pytest.approx(0.5, abs=0.1)
    assert max(values) < 0.9


@pytest.mark.parametrize("sizes", [(2, 2), (2, 3), (3, 500)])
def test_small_domains_are_enough(sizes):
    index = np.repeat([0, 1], sizes)
    rows = RNG.normal(size=(len(index), 3))
    assert 0 <= measure(rows, index) <= 1
    assert measure(np.ones_like(rows), index) == 0.5
