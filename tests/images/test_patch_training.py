"""What a segmenter trains on."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from acr_sklearn.images.patch_training import PatchTraining, training_domains, warn_small_training


@pytest.fixture
def products():
    """Each product has its own level, each position its own hundredth."""
    rng = np.random.default_rng(0)
    places = np.arange(12).reshape(3, 4) / 100
    return [
        (10 * p + places + 1e-4 * rng.normal(size=(20, 5, 3, 4))).astype(np.float32)
        for p in range(3)
    ]


def plan_of(**changes):
    settings = {
        "regions": "position",
        "region_size": 2,
        "pooling": 1,
        "shrinkage": None,
        "outliers": "surfaces",
        "n_regions": 4,
        "max_rows": 16,
    }
    return PatchTraining(**settings | changes)


def draw(products, seed=0, **changes):
    return training_domains(products, plan_of(**changes), np.random.default_rng(seed))


def test_a_domain_is_one_position_of_one_product(products):
    domains, outliers = draw(products)
    assert len(domains) == len(outliers) == 12
    levels = [domain.mean() for domain in domains]
    assert len({round(level, 2) for level in levels}) == 12
    assert [round(level / 10) for level in levels] == [0] * 4 + [1] * 4 + [2] * 4
    assert all(domain.shape == (16, 5) and domain.std() < 1e-3 for domain in domains)


def test_outliers_move_towards_other_products_only(products):
    domains, outliers = draw(products)
    # Beside the lowest product there are only higher ones, and the other way round.
    assert all((bad > own.max()).all() for own, bad in zip(domains[:4], outliers[:4], strict=True))
    assert all((bad < own.min()).all() for own, bad in zip(domains[8:], outliers[8:], strict=True))


def test_larger_regions_have_more_rows(products):
    domains, outliers = draw(products, regions="pooled", max_rows=1000)
    assert [len(domain) for domain in domains] == [240] * 3
    assert [len(bad) for bad in outliers] == [128] * 3
    domains, _ = draw(products, regions="neighborhood", max_rows=1000)
    assert {len(domain) for domain in domains} == {80, 40}


def test_whitened_domains_are_alike_and_outliers_are_not(products):
    domains, outliers = draw(products, shrinkage=0.3, max_rows=20)
    for own, bad in zip(domains, outliers, strict=True):
        assert np.allclose(own.mean(axis=0), 0, atol=0.05)
        assert 0.5 < own.std() < 1.5
        assert np.linalg.norm(bad, axis=1).min() > 100


def test_one_seed_gives_one_result(products):
    first, again, other = (draw(products, seed, outliers="mixed") for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first[1], again[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first[1], other[1], strict=True))


@pytest.mark.parametrize(
    ("changes", "early", "said"),
    [
        ({"max_rows": 16}, True, []),
        ({"max_rows": 15}, False, [r"0 (15 rows), 1 (15 rows), 2 (15 rows). Little"]),
        ({"n_regions": 1}, False, []),
        ({"n_regions": 1}, True, ["Who draws 3 regions from 3 products; early stopping of its"]),
        ({"regions": "pooled", "max_rows": 500}, True, ["Who draws 3 regions"]),
    ],
)
def test_what_is_too_little_is_said(products, changes, early, said):
    domains, _ = draw(products, **changes)
    detector = SimpleNamespace(early_stopping=early)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_small_training(products, domains, plan_of(**changes), detector, who="Who")
    assert len(caught) == len(said)
    assert all(text in str(warning.message) for text, warning in zip(said, caught, strict=True))
