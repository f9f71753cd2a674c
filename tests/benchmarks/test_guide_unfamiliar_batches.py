"""Figures of unfamiliar batches: what is drawn is what is said."""

from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def drawn(shape, n_rows=300, part=1 / 3, columns="half", by=12, n_features=8):
    from guide._unfamiliar_made import _with

    rng = np.random.default_rng(0)
    return _with(
        lambda n: rng.normal(size=(n, n_features)), np.ones(n_features), rng, shape, n_rows, part,
        columns, by,
    )  # fmt: skip


@pytest.mark.parametrize(("columns", "n"), [("one", 1), ("half", 4), ("all", 8)])
def test_a_cluster_is_off_in_so_many_columns_and_as_wide_as_said(columns, n):
    for shape, width in (
        ("a cluster as wide as the normal rows", 1.0),
        ("a cluster half as wide", 0.5),
        ("a cluster a tenth as wide", 0.1),
    ):
        batch = drawn(shape, columns=columns)
        assert (batch[:100].mean(axis=0) > 6).sum() == n
        assert (np.abs(batch[100:].mean(axis=0)) < 1).all()
        np.testing.assert_allclose(batch[:100].std(axis=0), width, rtol=0.3)
    signs = np.sign(drawn("a cluster, up or down by column", columns="all")[:100].mean(axis=0))
    assert set(signs) == {-1, 1}
    scattered = drawn("scattered", columns=columns)[:100]
    assert (scattered.std(axis=0) > 6).sum() == n
    assert (np.abs(scattered.mean(axis=0)) < 6).all()
    assert np.abs(drawn("none", columns=columns)).max() < 6


def test_changed_batches_change_the_column_that_is_said():
    from guide._unfamiliar_made import _changed

    rng = np.random.default_rng(0)
    batch = rng.normal(size=(50, 6))
    for change, (rows, column) in _changed(batch, rng).items():
        differ = np.flatnonzero((rows != batch).any(axis=0))
        if change.startswith("one column"):
            assert differ.tolist() == [column]
        else:
            assert column is None
        if change == "columns permuted":
            np.testing.assert_array_equal(np.sort(rows, axis=1), np.sort(batch, axis=1))
    assert len(_changed(batch, rng)) == 5


def test_batches_of_a_real_domain_are_what_they_are_called():
    from guide._unfamiliar_real import _of_domain
    from guide.unfamiliar_batches import KINDS
    from quality.datasets import Unseen

    rng = np.random.default_rng(0)
    normals = rng.normal(size=(200, 10)).astype(np.float32)
    domain = Unseen("a", normals, normals + 50, np.arange(5, 200))
    found = dict(_of_domain(domain, np.full(10, 3.0), 60, rng))
    assert list(found) == list(KINDS)
    clean = found["clean"]
    assert (found["natural"] > 30).all(axis=1).sum() == 20
    differs = {kind: (rows != clean).any(axis=1).sum() for kind, rows in found.items()}
    assert (differs["clean"], differs["gross"], differs["moved"]) == (0, 6, 20)
    assert (found["moved"] != clean).any(axis=0).sum() == 2
    np.testing.assert_array_equal(np.sort(found["permuted"]), np.sort(clean))
    assert found["noise"].std() == pytest.approx(3, rel=0.1)
    few = Unseen("a", normals, normals[:5], np.arange(5))
    assert "natural" not in dict(_of_domain(few, np.ones(10), 60, rng))


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.EarlyStoppingWarning")
def test_a_domain_of_few_rows_gives_no_larger_batches():
    from guide._unfamiliar_real import SET_ROWS, _count_of
    from quality.datasets import Split, Unseen

    rng = np.random.default_rng(0)
    train = [rng.normal(size=(60, 4)).astype(np.float32) for _ in range(5)]
    domain = Unseen("a", train[0][:40], train[0], np.arange(60))
    counts = {}
    _count_of(Split("s", tuple("abcde"), tuple(train), ()), [domain], 0, counts)
    assert counts["clean"][0] == sum(n_rows <= 40 for n_rows in SET_ROWS) == 2
    assert counts["clean"][1] == 0
    none = {}
    _count_of(Split("s", tuple("ab"), tuple(train[:2]), ()), [domain], 0, none)
    assert none == {}  # two domains tell nothing


def result():
    def changed(features, change, warned, names, right):
        return {
            "features": features,
            "rows": 30,
            "change": change,
            "batches": 200,
            "warned": warned,
            "names": names,
            "right": right,
        }

    made = {
        "seeds": 2,
        "batches": 20,
        "anomalies": [
            {"features": 4, "shape": "none", "settings": 4, "warned": 0, "most": 0},
            {"features": 4, "shape": "scattered", "settings": 100, "warned": 10, "most": 4},
        ],
        "changes": [
            changed(4, "columns permuted", 120, 30, 0),
            changed(4, "one column constant", 0, 0, 0),
            changed(64, "columns permuted", 200, 0, 0),
            changed(64, "one column constant", 100, 90, 80),
        ],
        "mixing": [
            {"mixing": mixing, "batches": 400, "warned": warned}
            for mixing, warned in ((0.0, 0), (0.1, 4), (0.3, 360))
        ],
    }
    return {
        "made": made,
        "real": {"digits": {"clean": [80, 4]}, "native sets": {"clean": [50, 1]}},
        "milliseconds": {"300": 0.44, "2000": 0.66},
    }


def test_blocks_say_what_was_counted():
    from guide.unfamiliar_batches import blocks

    found = blocks(result())
    assert "| clean batches of unseen domains | 5% of 80 | 2% of 50 |" in found["real sets"]
    # 10 of 100 settings of 40 batches each, in one setting 4 of 40.
    assert "| none | 0.00% |" in found["anomalies"]
    assert "| scattered | 0.25%, at most 10% |" in found["anomalies"]
    assert "104 settings of 40 batches" in found["anomalies drawn"]
    lines = found["changes"].splitlines()
    assert lines[0] == "| change | 4 columns | 64 columns |"
    assert lines[2] == "| columns permuted, 30 rows | 60% (25%) | 100% (0%) |"
    assert lines[3] == "| one column constant, 30 rows | 0% | 50% (80%) |"
    assert "0% of 400 permuted batches" in found["alike"]
    assert "1% with entries" in found["alike"]
    assert "90% with entries" in found["alike"]
    assert found["cost"].startswith("The check takes 0.4 ms for 300 rows")


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
def test_a_look():
    from guide.unfamiliar_batches import blocks, measure

    found = measure([0], quick=True)
    assert [next(iter(counts)) for counts in found["real"].values()] == ["clean"]
    assert found["real"]["digits"]["permuted"][1] >= 6
    assert found["real"]["digits"]["clean"][1] <= 1
    wide = [one for one in found["made"]["changes"] if "12 times" in one["change"]]
    assert all(one["right"] >= 0.9 * one["batches"] for one in wide)
    assert set(blocks(found)) == {
        "real sets", "anomalies", "anomalies drawn", "changes", "alike", "cost"
    }  # fmt: skip
