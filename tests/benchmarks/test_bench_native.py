"""The benchmark of real anomalies: its reading, folds, draws, figures and command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
N_NORMALS, N_ANOMALIES, N_FEATURES = 60, 20, 3


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setenv("ACR_SKLEARN_DATA", str(tmp_path))


@pytest.fixture
def make(tmp_path):
    """Write a set whose anomalies lie far from the normal rows of their domain."""

    def write(name="made", n_domains=6, groups=None, seed=0, **changes):
        rng = np.random.default_rng(seed)
        rows, domain, anomaly = [], [], []
        for i in range(n_domains):
            rows.append(rng.normal(10 * i, 1, size=(N_NORMALS, N_FEATURES)))
            rows.append(rng.normal(10 * i + 6, 1, size=(N_ANOMALIES, N_FEATURES)))
            domain += [f"d{i}"] * (N_NORMALS + N_ANOMALIES)
            anomaly += [False] * N_NORMALS + [True] * N_ANOMALIES
        content = {
            "X": np.concatenate(rows).astype(np.float32),
            "domain": np.array(domain),
            "anomaly": np.array(anomaly),
            "source": np.array("made by a test"),
            "licence": np.array("none needed"),
        }
        if groups is not None:
            content["group"] = np.repeat(groups, N_NORMALS + N_ANOMALIES)
        content |= changes
        (tmp_path / "native").mkdir(exist_ok=True)
        np.savez(
            tmp_path / "native" / f"{name}.npz",
            **{k: v for k, v in content.items() if v is not None},
        )
        return name

    return write


# -------------------------------------------------------------------------------- the sets


def test_a_set_is_read_as_it_was_written(make):
    from native.data import available, read

    data = read(make())
    assert available() == ["made"]
    assert data.domains == [f"d{i}" for i in range(6)]
    assert data.X.dtype == np.float32
    assert len(data.normals("d2")) == N_NORMALS
    assert len(data.anomalies("d2")) == N_ANOMALIES
    assert set(data.domain[data.normals("d2")]) == {"d2"}
    assert data.group.tolist() == data.domain.tolist(), "a domain is its own group by default"
    assert (data.source, data.licence) == ("made by a test", "none needed")


def test_a_set_that_is_none_is_refused_with_a_reason(make):
    from native.data import read

    with pytest.raises(FileNotFoundError, match=r"docs/native\.md"):
        read("nowhere")
    with pytest.raises(ValueError, match="lacks licence"):
        read(make(licence=None))
    with pytest.raises(ValueError, match="anomaly must have one entry per row"):
        read(make(anomaly=np.zeros(3, bool)))
    with pytest.raises(ValueError, match="2-D and finite"):
        read(make(X=np.full((480, 3), np.nan)))
    with pytest.raises(ValueError, match="domain 'd0' is in the groups"):
        read(make(group=np.array(["a", "b"] * 240)))


# ------------------------------------------------------------------------ folds and batches


def test_every_domain_is_tested_once_and_groups_stay_whole(make):
    from native.data import read
    from native.protocol import Protocol, folds, splits

    data = read(make(n_domains=7, groups=["a", "a", "b", "c", "c", "c", "d"]))
    parts = folds(data, 5)
    assert len(parts) == 4, "not more folds than groups"
    assert sorted(domain for part in parts for domain in part) == data.domains
    for split in splits(data, Protocol()):
        unseen = {u.name for u in split.unseen}
        assert unseen.isdisjoint(split.train_names)
        group_of = {d: data.group[data.domain == d][0] for d in data.domains}
        assert {group_of[d] for d in unseen}.isdisjoint(group_of[d] for d in split.train_names)


def test_training_rows_are_normal_bounded_and_give_the_units(make):
    from native.data import read
    from native.protocol import Protocol, splits

    data = read(make())
    for split in splits(data, Protocol(n_train=40)):
        assert {len(rows) for rows in split.train} == {40}
        pooled = np.concatenate(split.train)
        np.testing.assert_allclose(pooled.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(pooled.std(axis=0), 1, atol=1e-5)
        # Domains are 10 apart and their rows vary by 1; anomalies lie 6 from their domain.
        centred = np.concatenate([rows - rows.mean(axis=0) for rows in split.train])
        assert np.abs(centred).max() < 0.5, "no anomaly among them"


def test_batches_hold_their_share_on_top_of_the_normals(make):
    from native.data import read
    from native.protocol import Protocol, batches, splits

    data = read(make())
    split = next(splits(data, Protocol()))
    found = list(batches(data.name, split, Protocol()))
    # 2 % of 61 rows is one anomaly: left out, as fewer than three are.
    assert {batch.share for batch in found} == {0.05, 0.1, 0.2}
    for batch in found:
        X, y = batch.draw()
        again, _ = batch.draw()
        np.testing.assert_array_equal(X, again)
        assert (y == 1).sum() == N_NORMALS
        assert np.mean(y == -1) == pytest.approx(batch.share, abs=0.5 / len(y))
        assert len(np.unique(X, axis=0)) == len(X), "no row twice"
        assert X[y == -1].mean() > X[y == 1].mean()
    first, second = (batch.draw()[0] for batch in found[:2])
    assert not np.array_equal(first, second), "draws differ"


def test_a_cell_that_cannot_be_filled_is_left_out(make):
    from native.data import read
    from native.protocol import Protocol, batches, splits

    anomaly = np.tile(np.r_[np.zeros(N_NORMALS + 14, bool), np.ones(6, bool)], 6)
    data = read(make(anomaly=anomaly))
    split = next(splits(data, Protocol()))
    shares = {b.share for b in batches(data.name, split, Protocol())}
    assert shares == {0.05}, "74 normal rows: 4 anomalies at 5 %, 8 at 10 %, and 6 are there"


# ---------------------------------------------------------------------------- the figures


def _frame(values):
    rows = [
        ("fold 0", domain, "native", share, 0, 0, value, value / 2, 0.0, 0.0)
        for (domain, share), value in values.items()
    ]
    names = ["split", "domain", "kind", "share", "index", "seed", "auroc", "ap"]
    return pd.DataFrame(rows, columns=[*names, "score_seconds", "fit_seconds"])


def test_means_weigh_sets_alike_and_within_a_set_domains():
    from native.summary import summarise

    one = _frame({("a", 0.05): 0.9, ("a", 0.2): 0.7, ("b", 0.05): 0.6})
    two = _frame({("c", 0.05): 0.5})
    found = summarise({"one": {"acr": one, "iforest": one}, "two": {"acr": two, "iforest": two}})
    assert found["methods"]["acr"]["auroc"]["sets"] == pytest.approx({"one": 0.7, "two": 0.5})
    assert found["methods"]["acr"]["auroc"]["mean"] == pytest.approx(0.6)
    assert found["methods"]["acr"]["ap"]["mean"] == pytest.approx(0.3)
    assert found["sets"] == {
        "one": {"domains": 2, "batches": 3},
        "two": {"domains": 1, "batches": 1},
    }
    assert found["against"]["acr"]["auroc"]["iforest"]["mean"] == 0


def test_differences_are_paired_by_domain():
    from native.summary import difference, summarise, verdict

    rng = np.random.default_rng(0)
    cells = {(f"d{i}", share): rng.uniform(0.3, 0.9) for i in range(8) for share in (0.05, 0.2)}
    low = _frame(cells)
    high = low.assign(auroc=low["auroc"] + 0.05)
    results = {"one": {"acr": high, "iforest": low}, "two": {"acr": low, "iforest": high}}
    same = {"one": results["one"]}
    found = difference(same, "acr", "iforest", "auroc")
    assert (found["mean"], found["low"], found["high"]) == pytest.approx((0.05,) * 3)
    both = difference(results, "acr", "iforest", "auroc")
    assert both["mean"] == pytest.approx(0, abs=1e-9)
    assert both["low"] == pytest.approx(0, abs=1e-9), "sets are not drawn, their domains are"
    assert both["domains_low"] < -0.01 < 0.01 < both["domains_high"]
    said = verdict(summarise(results), "acr")
    assert (said["worst_set"], said["worst"]) == ("two", pytest.approx(-0.05))
    with pytest.raises(ValueError, match="same batches"):
        difference({"one": {"acr": high, "iforest": low.iloc[2:]}}, "acr", "iforest", "auroc")


# ---------------------------------------------------------------------------- the methods


def test_every_rival_sees_the_batch_in_one_scaling_only():
    from native.methods import NATIVE_RIVALS, entries, role

    assert {"iforest", "knn_batch", "knn10%_batch", "mahalanobis_centred"} <= set(NATIVE_RIVALS)
    assert not any(name.endswith("_train") for name in NATIVE_RIVALS)
    found = entries(["acr", "rivals", "controls", "iforest"], [3, 4])
    assert [e.seed for e in found if e.label == "acr"] == [3, 4]
    assert [e.seed for e in found if e.label == "knn_batch"] == [3]
    assert [e.seed for e in found if e.label == "iforest"] == [3, 4], "named twice, run once"
    assert [e.seed for e in found if e.label == "statistics"] == [3], "it draws no numbers"
    assert {e.label for e in found if e.also is not None} == {"acr", "iforest"}
    assert {role(e.label) for e in found} == {"ours", "rival", "control"}
    with pytest.raises(ValueError, match="Unknown method 'nobody'"):
        entries(["nobody"], [0])


def test_the_tenth_of_the_batch_sees_a_cluster_that_five_neighbours_miss():
    from native.methods import knn_tenth
    from quality.rivals import knn

    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(190, 2)), rng.normal(5, 0.05, size=(10, 2))])
    assert knn_tenth(X, 0)[190:].max() < knn_tenth(X, 0)[:190].min()
    assert knn(X, 0)[190:].min() > np.median(knn(X, 0)[:190])


def _domains():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(4, 4))
    return [(rng.normal(size=(200, 4)) @ mixing + i).astype(np.float32) for i in range(5)]


def test_the_statistics_alone_are_the_evidence_of_the_default_head(monkeypatch):
    from native.methods import Statistics

    from acr_sklearn import ZeroShotACRDetector
    from acr_sklearn.scoring import consensus_head

    *train, batch = _domains()
    statistics = Statistics().fit(train)
    whole = statistics.score_samples(batch)
    far = batch.copy()
    far[7] += 50
    assert np.argmin(statistics.score_samples(far)) == 7
    # Without neighbourhoods both are left with the same two kinds of evidence.
    monkeypatch.setattr(
        consensus_head.Neighborhoods,
        "measure",
        lambda self, x, own: x.new_empty(0, len(x)),
    )
    default = ZeroShotACRDetector(max_iter=1, early_stopping=False, random_state=0).fit(train)
    assert default.score_head == "consensus"
    found = statistics.score_samples(batch)
    np.testing.assert_allclose(default.score_samples(batch), found, rtol=1e-4, atol=1e-4)
    assert not np.allclose(found, whole)


def test_the_former_default_is_the_combined_head():
    from native.methods import acr_combined, role

    assert acr_combined(3).get_params()["score_head"] == "combined"
    assert acr_combined(3).random_state == 3
    assert role("acr_combined") == "ours"
    assert role("statistics") == role("untrained") == "control"


def test_pca_scores_a_batch_whose_features_follow_from_one_another():
    pytest.importorskip("pyod")
    from native.methods import NATIVE_RIVALS

    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3))
    X[0] = 9
    X = np.column_stack([X, X[:, 0] + X[:, 1], np.zeros(100)])
    scores = NATIVE_RIVALS["pca_batch"].make(0).fit([X]).score_samples(X)
    assert np.isfinite(scores).all()
    assert np.argmin(scores) == 0


# ------------------------------------------------------------------------------ thresholds


def test_thresholds_of_a_detector_are_those_of_its_predict():
    from native.cuts import detector_cuts

    from acr_sklearn import ZeroShotACRDetector

    *train, batch = _domains()
    batch[:10] += 4
    detector = ZeroShotACRDetector(max_iter=5, random_state=0).fit(train)
    found = detector_cuts(detector, detector.score_samples(batch))
    assert detector.contamination == 0.1, "as it was"
    assert list(found) == ["train, 0.1", "batch, 0.1", "train, auto", "batch, auto"]
    for cut, flagged in found.items():
        threshold, contamination = cut.split(", ")
        share = "auto" if contamination == "auto" else float(contamination)
        detector.set_params(threshold=threshold, contamination=share)
        np.testing.assert_array_equal(flagged, detector.predict(batch) == -1, err_msg=cut)
    assert len({tuple(flagged) for flagged in found.values()}) == 4
    with pytest.raises(TypeError, match="Only ZeroShotACRDetector"):
        detector_cuts(object(), np.zeros(3))


def test_a_stated_share_and_pythresh_cut_the_scores(monkeypatch):
    from native import cuts

    scores = np.r_[np.linspace(1, 2, 95), np.full(5, -9.0)]
    monkeypatch.setattr(cuts, "PYTHRESH", ())
    found = cuts.refitted_cuts(None, scores)
    assert list(found) == ["0.1"]
    assert found["0.1"].sum() == 10
    assert found["0.1"][95:].all()
    pytest.importorskip("pythresh", reason="`make bench-native` installs it")
    monkeypatch.undo()
    found = cuts.refitted_cuts(None, scores)
    assert list(found) == ["0.1", *(f"pythresh {name}" for name in cuts.PYTHRESH)]
    for name, flagged in found.items():
        assert not flagged.any() or scores[flagged].max() < scores[~flagged].min(), name


def test_rates_count_anomalies_as_positive():
    from native.cuts import rates

    y = np.r_[np.full(10, -1), np.ones(90)]
    flagged = np.r_[np.ones(5, bool), np.zeros(86, bool), np.ones(9, bool)]
    found = rates(flagged, y)
    assert found["false alarms"] == pytest.approx(0.1)
    assert found["balanced accuracy"] == pytest.approx((0.5 + 0.9) / 2)
    assert found["f1"] == pytest.approx(2 * 5 / (10 + 14))
    assert rates(np.zeros(100, bool), y)["f1"] == 0


def test_what_thresholds_come_to_is_averaged_like_the_rest():
    from native.cuts import MEASURES
    from native.summary import summarise

    one = _frame({("a", 0.05): 0.9, ("a", 0.2): 0.7, ("b", 0.05): 0.6})
    two = _frame({("c", 0.05): 0.5})
    with_cuts = [
        frame.assign(**{f"train, 0.1|{m}": frame["auroc"] for m in MEASURES})
        for frame in (one, two)
    ]
    results = {
        "one": {"acr": with_cuts[0], "knn_batch": one},
        "two": {"acr": with_cuts[1], "knn_batch": two},
    }
    found = summarise(results)["thresholds"]
    assert found.keys() == {"acr"}, "only what was cut"
    for measure in MEASURES:
        assert found["acr"]["train, 0.1"][measure]["mean"] == pytest.approx(0.6)
        sets = found["acr"]["train, 0.1"][measure]["sets"]
        assert sets == pytest.approx({"one": 0.7, "two": 0.5})


# ---------------------------------------------------------------------------- the command

TOY = """
import numpy as np

class Toy:
    def fit(self, train):
        return self
    def score_samples(self, X):
        return -np.abs(X - np.median(X, axis=0)).sum(1)

def make(seed):
    return Toy()
"""


def test_command_writes_table_json_and_picture(make, tmp_path):
    make("first")
    make("second", n_domains=3, seed=1)
    (tmp_path / "toy_detector.py").write_text(TOY)
    results = tmp_path / "results"
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "benchmarks" / "bench_native.py"),
            *("--quick", "--no-cache", f"--save={results}"),
            *("--methods", "toy_detector:make", "knn10%_batch", "lof_batch"),
        ],
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((results / "native.json").read_text())
    assert list(result["sets"]) == ["first", "second"]
    assert result["origins"]["first"] == {"source": "made by a test", "licence": "none needed"}
    assert result["methods"]["toy_detector:make"]["auroc"]["mean"] > 0.99
    assert result["methods"].keys() == {"toy_detector:make", "knn10%_batch", "lof_batch"}
    assert "toy_detector:make - knn10%_batch, AUROC:" in done.stdout
    assert (results / "native.png").read_bytes().startswith(b"\x89PNG")
    assert str(ROOT) not in json.dumps(result), "results name no place on this machine"
    assert str(tmp_path) not in json.dumps(result)


def test_a_set_that_is_not_here_is_an_error_that_says_how_to_build_it(make, capsys):
    from bench_native import parse

    with pytest.raises(SystemExit):
        parse([])
    assert "no sets in" in capsys.readouterr().err
    make()
    assert parse(["--quick"]).save is None
    with pytest.raises(SystemExit):
        parse(["--sets", "made", "absent"])
    assert "no native data of absent; docs/native.md" in capsys.readouterr().err


def test_rivals_are_kept_and_another_build_of_a_set_is_another_set(make, tmp_path):
    pytest.importorskip("pyarrow", reason="the cache is parquet; `make bench-native` installs it")
    from native.data import read
    from native.methods import entries
    from native.protocol import Protocol
    from native.run import run

    chosen = entries(["knn_batch"], [0])
    first = run(read(make()), chosen, Protocol(n_draws=1))["knn_batch"]
    again = run(read("made"), chosen, Protocol(n_draws=1))["knn_batch"]
    pd.testing.assert_frame_equal(first, again)
    other = run(read(make(seed=5)), chosen, Protocol(n_draws=1))["knn_batch"]
    assert not first["score_seconds"].equals(other["score_seconds"]), "not taken from the cache"
    assert len(list((tmp_path / "native-v2").iterdir())) == 2
