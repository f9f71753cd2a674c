import numpy as np
import pytest

from acr_sklearn.datasets import LabelledDomain


def domain(n_normal=100, n_anomalous=300):
    """Rows that hold their own position, normal and anomalous ones mixed."""
    y = np.random.default_rng(0).permutation(np.repeat([1, -1], [n_normal, n_anomalous]))
    X = np.arange(len(y), dtype=np.float32)[:, None]
    return LabelledDomain("d", "g", lambda: (X, y.astype(np.int8)))


@pytest.mark.parametrize(("share", "wanted"), [(0.01, 1), (0.05, 5), (0.1, 11), (0.2, 25)])
def test_a_batch_has_the_papers_number_of_anomalies_and_no_row_twice(share, wanted):
    d = domain()
    X, y = d.draw(share, np.random.default_rng(1))
    assert (y == 1).sum() == 100
    assert (y == -1).sum() == wanted
    rows = X[:, 0].astype(int)
    assert len(set(rows)) == len(rows)
    np.testing.assert_array_equal(d.load()[1][rows], y)
    assert rows.tolist() != sorted(rows)


def test_twenty_normals_at_one_percent_still_get_an_anomaly():
    _, y = domain(20).draw(0.01, np.random.default_rng(0))
    assert (y == -1).sum() == 1


def test_the_number_of_anomalies_is_that_of_exact_arithmetic():
    _, y = domain(172).draw(0.2, np.random.default_rng(0))
    assert (y == -1).sum() == 43  # 172 * .2 / .8 is 42.999999999999993 in floats


def test_normals_can_be_limited_and_anomalies_run_out():
    _, y = domain(100, 3).draw(0.2, np.random.default_rng(0), n_normals=50)
    assert ((y == 1).sum(), (y == -1).sum()) == (50, 3)
    _, y = domain(10, 90).draw(0.5, np.random.default_rng(0), n_normals=50)
    assert ((y == 1).sum(), (y == -1).sum()) == (10, 10)


def test_the_generator_decides_the_batch():
    one, same, other = (domain().draw(0.1, np.random.default_rng(s))[0] for s in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert set(one.ravel()) != set(other.ravel())


@pytest.mark.parametrize("share", [0, 1, -0.1, 5])
def test_a_share_is_between_0_and_1(share):
    with pytest.raises(ValueError, match=rf"fraction={share} for domain 'd'\. Give the fraction"):
        domain().draw(share, np.random.default_rng(0))


@pytest.mark.parametrize("counts", [(0, 5), (5, 0)])
def test_a_domain_with_one_kind_of_rows_makes_no_batch(counts):
    with pytest.raises(ValueError, match=rf"'d' has {counts[0]} normal rows and {counts[1]} anom"):
        domain(*counts).draw(0.1, np.random.default_rng(0))
