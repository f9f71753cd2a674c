"""docs/categories.md: its code runs, and rare categories come out as it says."""

import re
from pathlib import Path

import numpy as np
import pytest

from acr_sklearn import ZeroShotACRDetector

PAGE = Path(__file__).parents[1] / "docs" / "categories.md"
KINDS = np.array(["a", "b", "c", "d"])


@pytest.fixture(scope="module")
def names():
    """What is defined after the python blocks of the page were run."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    namespace = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), namespace)
    return namespace


def site(rng, own_numbers, n_rows=400):
    kind = rng.choice(KINDS, n_rows, p=[0.55, 0.3, 0.1, 0.05])
    X = rng.normal(size=(n_rows, 4)) + rng.normal(0, 3, 4)
    if own_numbers:
        X += rng.normal(0, 3, (4, 4))[np.searchsorted(KINDS, kind)]
    return X, kind


def shares_flagged(detector, encode, own_numbers, **options):
    """Of normal rows of the rarest kind and of the others."""
    rng = np.random.default_rng(1)
    rare, others = [], []
    for _ in range(6):
        X, kind = site(rng, own_numbers)
        flagged = detector.predict(encode(X, kind), **{k: f(kind) for k, f in options.items()}) < 0
        rare.append(flagged[kind == "d"].mean())
        others.append(flagged[kind != "d"].mean())
    return np.mean(rare), np.mean(others)


def one_hot(X, kind):
    return np.hstack([X, kind[:, None] == KINDS])


def test_one_hot_columns_flag_more_rows_of_a_rare_kind_and_none_do_not():
    rng = np.random.default_rng(0)
    sites = [site(rng, own_numbers=False) for _ in range(12)]
    for encode, low, high in ((one_hot, 0.2, 1.0), (lambda X, kind: X, 0.0, 0.15)):
        detector = ZeroShotACRDetector(random_state=0).fit([encode(*one) for one in sites])
        rare, others = shares_flagged(detector, encode, own_numbers=False)
        assert low <= rare <= high
        assert others < 0.15


def test_the_kind_as_domain_treats_rare_and_frequent_kinds_alike(names):
    rare, others = shares_flagged(
        names["detector"], lambda X, kind: X, own_numbers=True, domains=lambda kind: kind
    )
    assert rare < 0.2
    assert others < 0.15
    assert np.mean(names["p"][names["kind"] == "d"] <= 0.05) < 0.25
    assert np.mean(names["flags"] < 0) < 0.2
    assert len(names["detector"].domains_) == 48


def test_each_kind_centred_by_itself_is_treated_alike_in_one_batch(names):
    rare, others = shares_flagged(
        names["centred"],
        lambda X, kind: names["centre"].fit_transform(X, domains=kind),
        own_numbers=True,
    )
    assert rare < 0.2
    assert others < 0.15
    assert names["scores"].shape == (len(names["X"]),)
