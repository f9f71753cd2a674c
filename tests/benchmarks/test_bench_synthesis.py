"""The benchmark of outlier synthesis: its split, a small run, and its cache."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import bench_synthesis


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(220, 3))
    X[200:] += 6
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "toy.npz", X=X, y=np.arange(220) >= 200)
    return tmp_path


def test_half_of_the_normals_is_trained_on_and_no_anomaly(folder):
    train, test, is_anomaly = bench_synthesis.split(folder / "data" / "toy.npz", 0, 1000)
    assert len(train) == 100
    assert len(test) == 120
    assert is_anomaly.sum() == 20
    assert (train.mean(axis=1) < 4).all()
    assert not {row.tobytes() for row in train} & {row.tobytes() for row in test}
    assert len(bench_synthesis.split(folder / "data" / "toy.npz", 0, 30)[0]) == 30


def test_a_small_run_is_written_down_and_measured_once(folder, monkeypatch, capsys):
    monkeypatch.setattr(bench_synthesis, "RESULTS", folder / "results")
    (folder / "results").mkdir()
    command = ["bench", str(folder / "data"), "--seeds", "1", "--cache", str(folder / "cache")]
    methods = ["--methods", "synthesis", "kNN", "same signs, uniform noise"]
    monkeypatch.setattr(sys, "argv", command + methods)
    bench_synthesis.main()
    written = json.loads((folder / "results" / "synthesis.json").read_text())
    assert written["means"]["synthesis"]["auroc"] > 0.99
    assert written["means"]["kNN"]["seeds"] == 1
    assert (folder / "results" / "synthesis.png").stat().st_size > 1000
    assert "synthesis not below" in capsys.readouterr().out
    monkeypatch.setattr(bench_synthesis, "measure", None)
    bench_synthesis.main()
    monkeypatch.setattr(sys, "argv", [*command, "--only-cached"])
    bench_synthesis.main()
    assert set(json.loads((folder / "results" / "synthesis.json").read_text())["means"]) == {
        *methods[1:]
    }
