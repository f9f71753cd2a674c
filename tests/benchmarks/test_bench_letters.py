"""The letters benchmark: its set, its batches, and a small run."""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import bench_letters


def test_the_set_is_whole_numbers_of_overlapping_classes_and_the_same_each_time():
    classes = bench_letters.letters(0, 0.6)
    assert len(classes) == 26
    assert all(rows.shape == (750, 16) for rows in classes)
    everything = np.concatenate(classes)
    assert np.array_equal(everything, everything.round())
    assert everything.min() >= 0
    assert everything.max() <= 15
    assert np.array_equal(everything, np.concatenate(bench_letters.letters(0, 0.6)))
    assert not np.array_equal(everything, np.concatenate(bench_letters.letters(1, 0.6)))
    means = np.array([rows.mean(axis=0) for rows in classes])
    within = np.mean([rows.std(axis=0) for rows in classes], axis=0)
    assert 0.2 < (means.std(axis=0) / within).mean() < 5


def test_a_batch_is_one_class_with_rows_of_the_others():
    unseen = [np.full((40, 2), i, np.float32) for i in range(3)]
    batches = list(bench_letters.drawn(unseen, 0, 20))
    assert [(y == -1).sum() for _, y in batches] == [0, 1, 2, 4] * 3
    for i, (X, y) in enumerate(batches):
        own = i // 4
        assert (X[y == 1] == own).all()
        assert (X[y == -1] != own).all()


def test_a_small_run_saves_what_it_prints(monkeypatch, tmp_path, capsys):
    options = "--seeds 0 --objectives dsvdd --steps 2 --batch-size 60 --save"
    monkeypatch.setattr("sys.argv", ["bench_letters.py", *options.split(), str(tmp_path)])
    bench_letters.main()
    saved = json.loads((tmp_path / "letters.json").read_text())
    assert {row["head"] for row in saved["table"]} == {"iforest", "objective", "consensus"}
    assert all(0.4 < row["auroc"] <= 1 for row in saved["table"])
    assert f"{saved['table'][0]['auroc']:.3f}" in capsys.readouterr().out
    assert (tmp_path / "letters.png").stat().st_size > 1000
