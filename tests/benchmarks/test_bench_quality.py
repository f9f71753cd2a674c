"""The quality benchmark: its draws, its comparison, its fitted rivals and its command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from acr_sklearn import ZeroShotACRDetector

ROOT = Path(__file__).parents[2]
RIVALS = ("lof_batch", "knn_batch", "mahalanobis_centred")  # scikit-learn alone runs them


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setenv("ACR_SKLEARN_DATA", str(tmp_path / "cache"))


def _unseen(name="own", n_normals=400, n_pool=220, n_features=6, seed=0):
    """A domain whose rows are told apart by their values, foreign rows by a large offset."""
    from quality.datasets import Unseen

    rng = np.random.default_rng(seed)
    normals = rng.normal(size=(n_normals, n_features)).astype(np.float32)
    pool = rng.normal(1000, 1, size=(n_pool, n_features)).astype(np.float32)
    return Unseen(name, normals, pool, np.arange(0, n_pool, 2))


def _batch(kind, share, **changes):
    from quality.datasets import Split
    from quality.protocol import Protocol, batches

    split = Split("split", (), (), (_unseen(**changes),))
    (batch,) = batches(split, Protocol(shares=(share,), kinds=(kind,), n_batches=1))
    return batch


def _positions(rows, among):
    """Where every row stands in `among`; an AssertionError for a row that is not there."""
    place = {row.tobytes(): i for i, row in enumerate(among)}
    assert all(row.tobytes() in place for row in rows)
    return [place[row.tobytes()] for row in rows]


# ------------------------------------------------------------------------------- the batches


@pytest.mark.parametrize("kind", ["natural", "shuffled", "cluster"])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.2])
def test_shares_are_kept_and_no_row_is_drawn_twice(kind, share):
    batch = _batch(kind, share)
    X, y = batch.draw()
    assert X.dtype == np.float32
    assert len(X) == len(y) == min(500, int(400 / (1 - share)) if kind == "natural" else 400)
    assert np.mean(y == -1) == pytest.approx(share, abs=0.5 / len(y))
    assert len(np.unique(X, axis=0)) == len(X)
    normal = _positions(X[y == 1], batch.domain.normals)
    assert len(set(normal)) == len(normal)
    labels = y.tolist()
    assert labels not in (sorted(labels), sorted(labels, reverse=True)), "rows are mixed"


def test_natural_anomalies_are_allowed_rows_of_the_pool():
    batch = _batch("natural", 0.1)
    X, y = batch.draw()
    drawn = _positions(X[y == -1], batch.domain.pool)
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) <= set(batch.domain.allowed)


def test_shuffled_anomalies_keep_every_margin_and_half_of_their_features():
    batch = _batch("shuffled", 0.2)
    X, y = batch.draw()
    normals, anomalous = batch.domain.normals, X[y == -1]
    for column, known in zip(anomalous.T, normals.T, strict=True):
        assert np.isin(column, known).all()
    # Values are unique, so a row's features say which normals they were taken from.
    origin = np.stack(
        [
            np.argmax(known == column[:, None], axis=1)
            for column, known in zip(anomalous.T, normals.T, strict=True)
        ]
    )
    kept = [len(row) - len(set(row)) + 1 for row in origin.T]
    assert min(kept) >= 3
    own = set(_positions(X[y == 1], normals))
    assert max(kept) < 6
    owner = [max(set(row), key=list(row).count) for row in origin.T]
    assert len(set(owner)) == len(owner)
    assert not own & set(owner), "a row is normal or anomalous, never both"


def test_a_cluster_is_normals_moved_by_two_standard_deviations():
    batch = _batch("cluster", 0.1)
    X, y = batch.draw()
    normals, anomalous = batch.domain.normals, X[y == -1]
    step = 2 * normals.std(axis=0)
    moves = [
        sign
        for sign in np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1).T
        if np.abs((anomalous - sign * step)[:, None] - normals).max(axis=2).min(axis=1).max() < 1e-5
    ]
    assert len(moves) == 1, "one displacement, the same for every row"


def test_batches_are_drawn_the_same_again_and_differ_from_one_another():
    from quality.datasets import Split
    from quality.protocol import Protocol, batches

    split = Split("split", (), (), (_unseen("a"), _unseen("b")))
    few = {b.key: b.draw() for b in batches(split, Protocol(n_batches=1))}
    more = {b.key: b.draw() for b in batches(split, Protocol(n_batches=2))}
    assert len(more) == 2 * len(few) == 2 * 2 * 3 * 4
    for key, (X, y) in few.items():
        np.testing.assert_array_equal(X, more[key][0])
        np.testing.assert_array_equal(y, more[key][1])
    # Domains "a" and "b" hold equal rows: what differs between them is the draw alone.
    assert len({X.tobytes() for X, _ in more.values()}) == len(more)


def test_draws_do_not_depend_on_the_process():
    # A seed made with hash() would: Python salts it anew in every process.
    from quality.protocol import _rng

    words = "print(_rng('digits', 3, 0.05).integers(2**62))"
    other = subprocess.run(
        [sys.executable, "-c", f"from quality.protocol import _rng; {words}"],
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'benchmarks'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(other.stdout) == _rng("digits", 3, 0.05).integers(2**62)


@pytest.mark.parametrize(
    ("n_normals", "shares"), [(250, {0.05, 0.1, 0.2}), (251, {0.01, 0.05, 0.1, 0.2}), (20, {0.2})]
)
def test_cells_with_fewer_than_three_anomalies_are_left_out(n_normals, shares):
    from quality.datasets import Split
    from quality.protocol import Protocol, batches

    split = Split("split", (), (), (_unseen(n_normals=n_normals),))
    found = list(batches(split, Protocol(kinds=("cluster",), n_batches=1)))
    assert {batch.share for batch in found} == shares
    assert min(batch.n_anomalous for batch in found) >= 3


def test_scarce_anomalies_shrink_the_batch_and_not_their_share():
    batch = _batch("natural", 0.2, n_pool=40)  # every other row is allowed
    assert (batch.n_normal, batch.n_anomalous) == (80, 20)


def test_digit_splits_keep_training_and_unseen_classes_apart():
    from quality.datasets import load_digit_classes, splits

    rotations = load_digit_classes().rotations
    for rotation, split in zip(rotations, splits("digits", "test"), strict=True):
        assert {u.name for u in split.unseen} == set(map(str, rotation))
        assert not set(split.train_names) & set(map(str, rotation))
    for split in splits("digits", "validation"):
        held = next(
            r for r in rotations if split.name.startswith(f"unseen {''.join(map(str, r))},")
        )
        scored = {u.name for u in split.unseen}
        assert not (set(split.train_names) | scored) & set(map(str, held)), "validation saw test"
        assert not set(split.train_names) & scored
        assert len(split.train_names) == 5


# ------------------------------------------------------------------- metrics and comparison


def test_a_failed_method_is_an_error_and_not_chance():
    from quality.protocol import evaluate

    y = np.array([1, 1, 1, -1])
    perfect = evaluate(np.array([3.0, 2.0, 1.0, 0.0]), y)
    assert perfect == {"auroc": 1.0, "ap": 1.0}
    assert evaluate(np.array([0.0, 1.0, 2.0, 3.0]), y) == {"auroc": 0.0, "ap": 0.25}
    for broken in ([3.0, np.nan, 1.0, 0.0], [3.0, 2.0, 1.0], [[3.0, 2.0, 1.0, 0.0]]):
        with pytest.raises(ValueError, match="Need 4 finite scores"):
            evaluate(np.array(broken), y)


def _results(seed, seeds=(0,)):
    """Random figures; domain "c" is scored by both splits, "d" has no cell at 1 %."""
    rng = np.random.default_rng(seed)
    rows = [
        (split, domain, kind, share, index, run, *rng.uniform(size=2), 0.0, 0.0)
        for split, domains in (("one", "abc"), ("two", "cd"))
        for domain in domains
        for kind in ("cluster", "natural")
        for share in (0.01, 0.1)
        if (domain, share) != ("d", 0.01)
        for index in range(2)
        for run in seeds
    ]
    names = ["split", "domain", "kind", "share", "index", "seed", "auroc", "ap"]
    return pd.DataFrame(rows, columns=[*names, "score_seconds", "fit_seconds"])


def _mean_by(frame, names, metric):
    """Oracle: means in plain loops, as dict of key -> mean."""
    found = {}
    for row in frame.to_dict("records"):
        found.setdefault(tuple(row[name] for name in names), []).append(row[metric])
    return {key: float(np.mean(values)) for key, values in found.items()}


@pytest.mark.parametrize("metric", ["auroc", "ap"])
def test_comparison_is_the_one_of_a_slow_bootstrap(metric):
    from quality.protocol import CELL, KEY, compare

    a, b = _results(1, seeds=(0, 1)), _results(2)
    first, second = _mean_by(a, KEY, metric), _mean_by(b, KEY, metric)
    records = [dict(zip(KEY, key, strict=True)) | {"d": first[key] - second[key]} for key in first]
    cells = _mean_by(pd.DataFrame(records), CELL, "d")
    cells = pd.DataFrame([dict(zip(CELL, key, strict=True)) | {"d": x} for key, x in cells.items()])
    by_domain = {}
    for (_, domain), value in _mean_by(cells, ["split", "domain"], "d").items():
        by_domain.setdefault(domain, []).append(value)
    assert [len(by_domain[domain]) for domain in "abcd"] == [1, 1, 2, 1]
    rng = np.random.default_rng(5)
    means = []
    for _ in range(20_000):
        drawn = rng.choice(list("abcd"), 4)
        means.append(np.mean([value for domain in drawn for value in by_domain[domain]]))
    found = compare(a, b, metric, n_boot=20_000)
    assert found.n_domains == 4
    assert found.mean == pytest.approx(np.mean([v for vs in by_domain.values() for v in vs]))
    assert (found.low, found.high) == pytest.approx(np.quantile(means, [0.05, 0.95]), abs=6e-3)
    wins = [(first[key] > second[key]) + 0.5 * (first[key] == second[key]) for key in first]
    assert found.win_share == pytest.approx(np.mean(wins))


def test_comparison_is_paired_and_knows_ties():
    from quality.protocol import compare

    a = _results(1)
    same = compare(a, a)
    assert (same.mean, same.low, same.high, same.win_share) == (0, 0, 0, 0.5)
    # The figures vary by far more than 0.01, their differences do not.
    better = compare(a.assign(auroc=a["auroc"] + 0.01), a)
    assert (better.low, better.high) == pytest.approx((0.01, 0.01))
    assert better.win_share == 1
    with pytest.raises(ValueError, match="Not the same batches"):
        compare(a, a.iloc[1:])


def test_summary_sorts_averages_and_compares_with_the_best_rival_per_metric():
    from quality.summary import summarise

    a = _results(1, seeds=(0, 1))
    high, low = a.assign(auroc=0.9, ap=0.1), a.assign(auroc=0.2, ap=0.8)
    found = summarise({"ecod": low, "acr": a, "copod": high})
    assert list(found["methods"]) == ["copod", "acr", "ecod"]
    assert (found["splits"], found["domains"]) == (2, 4)
    assert found["batches"] == len(a) // 2
    pairs = found["comparison"]["acr"]
    assert (pairs["auroc"]["rival"], pairs["ap"]["rival"]) == ("copod", "ecod")
    figures = found["methods"]["acr"]["ap"]
    cells = _mean_by(a, ["split", "domain", "kind", "share"], "ap")
    of_cell = {}
    for (_, _, kind, share), value in cells.items():
        of_cell.setdefault((kind, share), []).append(value)
    of_cell = {cell: np.mean(values) for cell, values in of_cell.items()}
    assert figures["overall"] == pytest.approx(np.mean(list(of_cell.values())), abs=1e-5)
    natural = [value for (kind, _), value in of_cell.items() if kind == "natural"]
    assert figures["natural"] == pytest.approx(np.mean(natural), abs=1e-5)
    assert figures["cells"]["cluster 10%"] == pytest.approx(of_cell["cluster", 0.1], abs=1e-5)
    assert figures["seed_spread"] > 0 == found["methods"]["copod"]["ap"]["seed_spread"]
    assert summarise({"acr": a})["comparison"] == summarise({"acr": a})["against"] == {}


def test_summary_compares_ours_with_every_rival():
    from dataclasses import asdict

    from quality.protocol import compare
    from quality.summary import summarise

    results = {"ecod": _results(2), "acr": _results(1, seeds=(0, 1)), "ours:too": _results(3)}
    results["copod"] = results["acr"].assign(auroc=0.9)
    found = summarise(results)
    assert found["against"].keys() == {"acr", "ours:too"}
    for label, pairs in found["against"].items():
        assert list(pairs) == ["copod", "ecod"], "the best rival first"
        for rival, pair in pairs.items():
            assert pair == pytest.approx(asdict(compare(results[label], results[rival])), abs=1e-5)
    best = found["comparison"]["acr"]["auroc"]
    assert found["against"]["acr"][best.pop("rival")] == best


def test_natural_and_made_anomalies_are_compared_by_themselves():
    from quality.summary import summarise

    a, b = _results(1), _results(2)
    better = a.assign(auroc=a["auroc"] + 0.1 * (a["kind"] == "natural"))
    parts = summarise({"acr": better, "ecod": a, "copod": b})["parts"]["acr"]
    assert parts["natural"]["ecod"]["mean"] == pytest.approx(0.1)
    assert parts["natural"]["ecod"]["low"] == pytest.approx(0.1)
    assert parts["made"]["ecod"]["mean"] == 0
    assert parts["made"].keys() == {"ecod", "copod"}
    made = {name: one[one["kind"] != "natural"] for name, one in {"acr": a, "ecod": b}.items()}
    assert summarise(made)["parts"]["acr"].keys() == {"made"}, "no natural ones, no figures"


def test_controls_of_the_head_score_by_the_default_head():
    from quality.controls import CONTROLS, default_head

    from acr_sklearn import ZeroShotACRDetector

    rng = np.random.default_rng(0)
    *train, batch = ((10 * i + rng.normal(size=(80, 3))).astype(np.float32) for i in range(4))
    batch[5] += 9
    assert default_head(train).kind == ZeroShotACRDetector().score_head
    for name in ("head_raw", "head_batch"):
        scores = CONTROLS[name](0).fit(train).score_samples(batch)
        assert np.isfinite(scores).all()
        assert np.argmin(scores) == 5


# --------------------------------------------------------------------------------- the rivals


@pytest.mark.parametrize("name", ["iforest_centred", "knn_centred", "mahalanobis_centred"])
def test_centred_rivals_know_what_normals_look_like_once_centred(name):
    from quality.rivals import RIVALS

    rng = np.random.default_rng(0)
    line = np.array([[1.0, 1.0], [1.0, 1.0]]) + 0.1 * np.eye(2)
    train = [rng.normal(size=(200, 2)) @ line * scale + 50 * k for k, scale in enumerate((1, 9, 4))]
    X = rng.normal(size=(200, 2)) @ line
    X[:40] = [3.0, -3.0] * np.ones((40, 1)) * rng.choice([-1, 1], (40, 1))  # across the line
    score = RIVALS[name].make(0).fit(train).score_samples
    assert score(X)[:40].max() < np.median(score(X)[40:])
    # Where rows stand, and in which units, is a domain's own business, in training and scoring.
    moved = [rows * [k + 1, 0.3] - 70 * k for k, rows in enumerate(train)]
    on_moved = RIVALS[name].make(0).fit(moved).score_samples
    for same in (score(X * [3, 0.2] + [1e3, -7]), on_moved(X)):
        np.testing.assert_allclose(same, score(X), atol=1e-4)


def test_refitted_rivals_scale_by_what_they_say(domains):
    from quality.rivals import RIVALS

    X = domains[0][:60]
    stretched = X * np.r_[100.0, np.ones(X.shape[1] - 1)]
    ranks = {}
    for name in ("knn_train", "knn_batch"):
        model = RIVALS[name].make(0).fit(domains)
        ranks[name] = [np.argsort(model.score_samples(rows)).tolist() for rows in (X, stretched)]
    assert ranks["knn_batch"][0] == ranks["knn_batch"][1]
    assert ranks["knn_train"][0] != ranks["knn_train"][1]


def test_ours_enters_at_its_defaults_and_rivals_once_where_seeds_change_nothing():
    from quality.run import entries

    ours, again, forest, other, neighbours = entries(
        ["acr", "iforest", "knn_batch", "iforest"], [3, 4], reuse=False
    )
    assert [e.label for e in (ours, again)] == ["acr", "acr"]
    assert isinstance(ours.make(3), ZeroShotACRDetector)
    assert ours.make(3).get_params() == ZeroShotACRDetector(random_state=3).get_params()
    assert [(e.label, e.seed) for e in (forest, other)] == [("iforest", 3), ("iforest", 4)]
    assert (neighbours.label, neighbours.seed) == ("knn_batch", 3)
    assert [e.reuse for e in (ours, forest, neighbours)] == [False, True, True]
    bounded = entries(["acr", "paper", "untrained", "iforest"], [3, 4], False, rival_seeds=1)
    assert [e.label for e in bounded] == ["acr", "acr", "paper", "untrained", "iforest"]
    with pytest.raises(ValueError, match="Unknown method 'nobody'"):
        entries(["nobody"], [0], reuse=False)


def test_a_failure_names_the_method_and_the_batch():
    from quality.datasets import Split
    from quality.protocol import Protocol, batches
    from quality.run import Entry, Store, run_split

    class Broken:
        def fit(self, train):
            return self

        def score_samples(self, X):
            return np.full(len(X), np.nan)

    split = Split("split", (), (), (_unseen(),))
    entry = Entry("broken", 7, lambda seed: Broken(), reuse=False)
    with pytest.raises(ValueError, match="finite scores") as caught:
        run_split(entry, Store(None), split, list(batches(split, Protocol(n_batches=1))))
    assert caught.value.__notes__ == ["broken, seed 7, on ('split', 'own', 'natural', 0.01, 0)"]


# -------------------------------------------------------------------------------- the command

TOY = """
import numpy as np

class Toy:
    def fit(self, train):
        return self
    def score_samples(self, X):
        return -np.abs((X - X.mean(0)) / (X.std(0) + 1)).sum(1)

def make(seed):
    return Toy()
"""


def _command(tmp_path, *options):
    (tmp_path / "toy_detector.py").write_text(TOY)
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "bench_quality.py"), *options],
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=tmp_path,
    )


def test_command_measures_digits_and_writes_table_json_and_picture(tmp_path):
    results = tmp_path / "results"
    done = _command(
        tmp_path,
        "--quick",
        "--no-cache",
        f"--save={results}",
        "--seeds=0",
        *("--methods", "toy_detector:make", *RIVALS),
    )
    assert done.returncode == 0, done.stderr
    assert "Sets not run: fashion_mnist, fars, glyphs, mnist." in done.stdout
    assert not (tmp_path / "cache").exists()
    result = json.loads((results / "quality-validation.json").read_text())
    assert list(result["sets"]) == ["digits"]
    assert result["run"]["seeds"] == [0]
    assert result["setting"]["batches"] == 1
    assert "test_run" not in result
    digits = result["sets"]["digits"]
    overall = [method["auroc"]["overall"] for method in digits["methods"].values()]
    assert overall == sorted(overall, reverse=True)
    assert digits["methods"].keys() == {"toy_detector:make", *RIVALS}
    lines = [line.split() for line in done.stdout.splitlines()]
    for label, method in digits["methods"].items():
        (row,) = [line for line in lines if line[:1] == [label] and len(line) == 10]
        means = [
            method[m][c]
            for m in ("auroc", "ap")
            for c in ("overall", "natural", "shuffled", "cluster")
        ]
        assert row[1:9] == [f"{mean:.3f}" for mean in means]
        # Better than chance, each of them: no sign is the wrong way round.
        assert min(method["auroc"]["overall"], method["auroc"]["natural"]) > 0.6, label
    pair = digits["comparison"]["toy_detector:make"]["auroc"]
    assert pair["rival"] == next(m for m in digits["methods"] if m in RIVALS)
    assert f"toy_detector:make - {pair['rival']}, AUROC: {pair['mean']:+.4f}, 90 %" in done.stdout
    assert (results / "quality-validation.png").read_bytes().startswith(b"\x89PNG")
    assert str(ROOT) not in json.dumps(result), "results name no place on this machine"
    assert str(tmp_path) not in json.dumps(result)


def test_test_domains_are_refused_without_the_record_that_counts(monkeypatch, capsys):
    import bench_quality

    monkeypatch.setattr(sys, "argv", ["bench_quality.py", "--split=test", "--quick"])
    monkeypatch.setattr(bench_quality, "run", lambda *a, **k: pytest.fail("it ran"))
    with pytest.raises(SystemExit) as refused:
        bench_quality.main()
    assert refused.value.code == 2
    assert "every run is counted" in capsys.readouterr().err


def test_every_look_at_the_test_domains_is_counted(tmp_path):
    from bench_quality import count_test_run, parse

    record = tmp_path / "test-runs.json"
    arguments = parse(["--split=test", f"--test-runs={record}", "--sets=digits", "--methods=acr"])
    described = {"date": "today", "commit": "abc", "seeds": [0], "machine": {}}
    assert [count_test_run(record, described, arguments) for _ in range(3)] == [1, 2, 3]
    runs = json.loads(record.read_text())
    assert runs[2] == {
        "date": "today",
        "commit": "abc",
        "seeds": [0],
        "sets": ["digits"],
        "methods": ["acr"],
    }


def test_a_set_that_is_not_here_is_an_error_that_says_how_to_get_it(capsys):
    from bench_quality import parse

    with pytest.raises(SystemExit):
        parse(["--sets", "digits", "fars"])
    assert "no validation data of fars: `make bench-data`" in capsys.readouterr().err


def test_quick_looks_never_replace_saved_results():
    from bench_quality import RESULTS, parse

    assert parse(["--quick"]).save is None
    assert parse([]).save == RESULTS


def test_stored_results_come_back_as_they_were(tmp_path):
    pytest.importorskip("pyarrow", reason="the cache is parquet; `make bench-quality` installs it")
    from quality.run import Store

    rows = {("s", "d", "natural", 0.1, i): {"auroc": 1 / (3 + i), "ap": 0.1} for i in range(3)}
    Store(tmp_path / "deep" / "x.parquet", rows).save()
    assert Store.open(tmp_path / "deep" / "x.parquet", reuse=True).rows == rows
    assert Store.open(tmp_path / "deep" / "x.parquet", reuse=False).rows == {}


def test_a_source_of_another_size_is_refused(tmp_path, monkeypatch):
    from quality import fetch

    def get(work, out):
        (out / "rows").write_bytes(b"12345")

    for size, fits in ((5, True), (4, False)):
        name = f"made_{size}"
        source = fetch.Source(get, fetch._check_bytes({"rows": size}))
        monkeypatch.setitem(fetch.SOURCES, name, source)
        if fits:
            assert (fetch.fetch(name) / "rows").read_bytes() == b"12345"
        else:
            with pytest.raises(RuntimeError, match="5 bytes, expected 4"):
                fetch.fetch(name)
            assert not (fetch.cache_dir() / name).exists()
