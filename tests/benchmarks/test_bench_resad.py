"""The benchmark of ResAD: its draws, its rivals, a small run, and its cache."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import bench_resad
from quality.datasets import Split, Unseen

RNG = np.random.default_rng(0)


def toy_splits(name, n_train):
    train = [RNG.normal(9 * i, 1.0, (60, 2)).astype(np.float32) for i in range(5)]
    normals, pool = (RNG.normal(99 + d, 1.0, (90, 2)).astype(np.float32) for d in (0, 5))
    unseen = Unseen("new", normals, pool, np.arange(90))
    yield Split("toy", tuple("abcde"), tuple(train), (unseen,)), train, [x[:5] + 6 for x in train]


def test_draws_keep_references_scored_and_spoiling_rows_apart():
    unseen = next(toy_splits("toy", 0))[0].unseen[0]
    for references, normal, anomalies, spoiling in bench_resad.draws(unseen, "toy", 2):
        assert [len(references), len(normal), len(anomalies), len(spoiling)] == [45, 45, 75, 2]
        assert len(np.unique(np.concatenate([references, normal]), axis=0)) == 90
        assert len(np.unique(np.concatenate([anomalies, spoiling]), axis=0)) == 77
    one, two = ([d[0] for d in bench_resad.draws(unseen, "toy", 2)] for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_rivals_by_hand():
    references, rows = np.array([[0.0, 0.0], [4.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 6.0]])
    np.testing.assert_allclose(bench_resad.nearest(references, rows), [1.0, 6.0])
    train = [np.array([[-1.0, -2.0], [1.0, 2.0]])] * 2
    found = bench_resad.knn(train)(references, rows)
    np.testing.assert_allclose(found, [2.0, (3.0 + 5.0) / 2])


def test_a_small_run_is_written_down_and_measured_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench_resad, "RESULTS", tmp_path)
    monkeypatch.setattr(bench_resad, "splits", toy_splits)
    monkeypatch.setitem(bench_resad.OURS, "ResAD", {"max_iter": 3, "n_blocks": 1})
    methods = ["--methods", "1-NN", "ResAD", bench_resad.KNOWN]
    command = ["bench", "--sets", "toy", "--quick", "--references", "4", "16", *methods]
    monkeypatch.setattr(sys, "argv", [*command, "--cache", str(tmp_path / "cache")])
    bench_resad.main()
    written = json.loads((tmp_path / "resad.json").read_text())
    assert written["means"]["1-NN"]["4"] > 0.9
    assert set(written["means"]["ResAD"]) == {"4", "16", "1 of 4", "2 of 16"}
    assert (tmp_path / "resad.png").stat().st_size > 1000
    assert "2 of 16" in capsys.readouterr().out
    monkeypatch.setattr(bench_resad, "measure_set", None)
    bench_resad.main()
    monkeypatch.setattr(sys, "argv", [*command, "--only-cached", "--cache", str(tmp_path / "no")])
    bench_resad.main()
    assert json.loads((tmp_path / "resad.json").read_text())["means"] == {}


def test_a_set_where_a_method_was_not_measured_is_left_out_and_that_is_said():
    def run(value):
        return [{"domains": {"d": {"ResAD": {"4": 0.5}, **value}}}]

    found = {"a": run({bench_resad.KNOWN: {"4": 0.9}}), "b": run({})}
    result = bench_resad.summary(found)
    assert result["means"][bench_resad.KNOWN]["4"] == pytest.approx(0.9)
    assert result["beyond_resad"][bench_resad.KNOWN]["4"] == pytest.approx(0.4)
    assert result["n_sets"] == {"ResAD": {"4": 2}, bench_resad.KNOWN: {"4": 1}}
    lines = bench_resad.table(result, ["4"]).splitlines()
    assert "0.9000 (1 sets)" in lines[-1]
    assert "sets" not in lines[-2]
