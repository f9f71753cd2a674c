"""The benchmark of known anomalies: what is labelled, its figures, its command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
N_NORMALS, N_ANOMALIES = 120, 30


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setenv("ACR_SKLEARN_DATA", str(tmp_path))
    rng, rows, domain = np.random.default_rng(0), [], []
    for i in range(6):
        normal = rng.normal(size=(N_NORMALS, 4))
        faulty = rng.normal(size=(N_ANOMALIES, 4))
        faulty[:, :2] = [1.5, -1.5] + 0.3 * rng.normal(size=(N_ANOMALIES, 2))
        rows.append(np.concatenate([normal, faulty]) + 8 * rng.normal(size=4))
        domain += [f"d{i}"] * (N_NORMALS + N_ANOMALIES)
    anomaly = np.tile(np.repeat([False, True], [N_NORMALS, N_ANOMALIES]), 6)
    (tmp_path / "native").mkdir()
    np.savez(
        tmp_path / "native" / "made.npz",
        X=np.concatenate(rows).astype(np.float32),
        domain=np.array(domain),
        anomaly=anomaly,
        source=np.array("made by a test"),
        licence=np.array("none needed"),
    )


def fold():
    from native.data import read
    from native.protocol import Protocol, splits

    data, protocol = read("made"), Protocol(n_draws=1)
    return data, next(splits(data, protocol)), protocol


def test_known_anomalies_are_those_of_training_domains_in_the_units_of_the_fold():
    from known.labels import Labels, label

    data, split, protocol = fold()
    whole = label(data, split, protocol, Labels())
    assert [int(mask.sum()) for mask in whole.marked] == [N_ANOMALIES] * len(split.train)
    for rows, mask, normals in zip(whole.rows, whole.marked, split.train, strict=True):
        np.testing.assert_array_equal(rows[~mask], normals)
    # The units of the fold: those of its normal rows.
    back = np.concatenate(
        [rows[~mask] for rows, mask in zip(whole.rows, whole.marked, strict=True)]
    )
    np.testing.assert_allclose(back.std(axis=0), 1, atol=1e-4)
    name = split.train_names[0]
    raw, own = data.X[data.anomalies(name)], whole.rows[0][whole.marked[0]]
    ratio = np.diff(np.sort(own, axis=0), axis=0) / np.diff(np.sort(raw, axis=0), axis=0)
    np.testing.assert_allclose(ratio.std(axis=0) / ratio.mean(axis=0), 0, atol=0.05)


def test_fewer_and_wrong_labels():
    from known.labels import Labels, label

    data, split, protocol = fold()
    some = label(data, split, protocol, Labels(n_domains=2, n_each=3))
    assert sorted(int(mask.sum()) for mask in some.marked)[-3:] == [0, 3, 3]
    assert not any(mask.any() for mask in label(data, split, protocol, Labels(n_domains=0)).marked)
    wrong = label(data, split, protocol, Labels(wrong=0.2))
    for mask in wrong.marked:
        assert mask[:N_NORMALS].sum() == 6
        assert mask[N_NORMALS:].sum() == N_ANOMALIES - 6


@pytest.mark.parametrize("kind", ["gross", "shuffled", "cluster"])
def test_kinds_that_nobody_labelled(kind):
    from known.run import make_anomalies

    normals = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)
    made = make_anomalies(kind, normals, 400, np.random.default_rng(1))
    assert made.shape == (400, 6)
    far, usual = (np.linalg.norm(rows, axis=1).mean() for rows in (made, normals))
    assert (far > 1.2 * usual) == (kind != "shuffled")


def results(shift=0.02):
    rows = []
    for s in ("one", "two"):
        for method, auroc in (("known", 0.8 + shift), ("default", 0.8), ("iforest", 0.7)):
            for i in range(4):
                rows.append(
                    {"set": s, "split": "fold 0", "domain": f"d{i}", "share": "0.1", "index": 0}
                    | {"curve": "headline", "at": "all", "method": method, "seed": 0}
                    | {"auroc": auroc, "ap": auroc / 2, "weight": 0.5, "fit_seconds": 2.0}
                )
    trees = [row | {"method": "raw trees", "auroc": 0.6} for row in rows[:4] + rows[12:16]]
    made = [
        row | {"curve": "never labelled", "at": at, "share": kind, "auroc": value}
        for row in rows
        if row["method"] == "known"
        for kind in ("gross", "cluster")
        for at, value in (("made", 0.85), ("made, no labels", 0.86))
    ]
    return pd.DataFrame(rows + trees + made)


def test_figures_are_means_and_paired_differences():
    from known.summary import summarise

    figures = summarise(results())
    assert figures["methods"]["known"]["auroc"]["mean"] == pytest.approx(0.82)
    assert figures["against"]["auroc"]["default"]["mean"] == pytest.approx(0.02)
    assert figures["against"]["auroc"]["raw trees"]["sets"] == {"one": 0.22, "two": 0.22}
    assert figures["never_labelled"]["mean"] == pytest.approx(-0.01)
    assert figures["chosen"] == {"one": 0.5, "two": 0.5}
    assert figures["fit_times"]["ratio"] == 1.0


def test_the_page_says_what_the_figures_say(tmp_path):
    from known.summary import summarise
    from page.known import answer, section

    run = {"commit": "abc", "date": "2026-12-01T00:00:00+00:00", "seeds": [0]}
    told = summarise(results()) | {"run": run}
    text = "\n\n".join(section(told, tmp_path))
    assert "| **known** | 0.820 |" in text
    assert "+0.0200" in "\n".join(answer(told))
    assert "the worst set is one (+0.020)" in text
    assert "-0.010 in the mean" in text


def test_the_command_runs_and_saves(tmp_path):
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "bench_known.py"),
        *("--quick", "--sets", "made", "--curves", "one of one", "--save", str(tmp_path / "out")),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "out" / "known.json").read_text())
    assert set(figures["methods"]) == {"known", "default", "iforest", "raw trees"}
    # One anomaly of one domain changes nothing.
    one = figures["curves"]["one of one"]["1"]["auroc"]["mean"]
    assert one == figures["default"]["auroc"]["mean"]
    assert (tmp_path / "out" / "known.png").is_file()
