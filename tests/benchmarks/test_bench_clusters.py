"""What bench_clusters.py draws; its figures are those of docs/references.md."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from bench_clusters import KINDS, drawn


@pytest.mark.parametrize("kind", KINDS)
def test_a_reference_holds_the_share_and_no_row_is_drawn_twice(kind):
    rng = np.random.default_rng(0)
    own, others = rng.normal(size=(170, 5)), 50 + rng.normal(size=(170, 5))
    reference, normal, odd = drawn(own, others, kind, 0.1, rng)
    assert [len(reference), len(normal), len(odd)] == [128, 55, 157]
    assert (reference[:, 0] > 25).sum() == 13
    seen = np.concatenate([reference[13:], normal])
    assert len(np.unique(seen, axis=0)) == 170
    assert (len(np.unique(odd, axis=0)) == 1) == (kind == "copies")
    assert (odd > 25).all()


def test_near_copies_lie_within_some_steps_of_one_row():
    rng = np.random.default_rng(0)
    others = np.round(50 + 10 * rng.normal(size=(170, 5)))
    reference, _, odd = drawn(np.zeros((170, 5)), others, "near copies", 0.2, rng)
    cluster = np.concatenate([reference[:26], odd])
    assert len(np.unique(cluster, axis=0)) > 2
    assert np.ptp(cluster, axis=0).max() < 10
