"""What bench_reference.py draws and measures; its figures are for `make bench-reference`."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from bench_reference import LEVELS, draw, measure_domain, report, rows_of
from quality.datasets import Unseen


@pytest.fixture
def unseen(make_domain):
    normals = make_domain(77, n_rows=260)
    pool = normals[:120] + 9
    return Unseen("new", normals, pool, np.arange(120))


def test_no_row_is_drawn_twice(unseen):
    drawn = rows_of(unseen, 80, np.random.default_rng(0))
    y = drawn["y"]
    assert (len(y), y.sum()) == (80, 16)
    normal = np.concatenate([drawn["reference"], drawn["clean"], drawn["mixed"][y == 0]])
    assert len(np.unique(normal, axis=0)) == len(normal) == 224
    bad = np.concatenate([drawn["spoilt"][:8], drawn["mixed"][y == 1]])
    assert len(np.unique(bad, axis=0)) == len(bad) == 24
    np.testing.assert_array_equal(drawn["spoilt"][8:], drawn["reference"][8:])


def test_small_domains_give_what_they_can(unseen):
    assert rows_of(unseen, 131, np.random.default_rng(0)) is None
    assert set(rows_of(unseen, 120, np.random.default_rng(0))) == {"reference", "clean"}


def test_a_domain_is_measured_each_way(fitted, unseen, tmp_path):
    drawn = rows_of(unseen, 80, np.random.default_rng(0))
    found = measure_domain(fitted, drawn)
    p = fitted.p_values(drawn["clean"], drawn["reference"])
    assert found["one batch"] == [np.mean(p <= a) for a in LEVELS]
    live = fitted.adapt(drawn["reference"])
    assert found["alarms, adapted"] == np.mean(live.predict(drawn["clean"]) == -1)
    assert found["auroc, batch"] > 0.9
    sets = {"toy": {"domains": 1, "mean": found, "sd": found}, "none": {"domains": 0}}
    assert "toy, one batch" in report({"sets": sets})
    draw(sets, tmp_path / "toy.png")
    assert (tmp_path / "toy.png").read_bytes().startswith(b"\x89PNG")
