"""The curves: exact batches, other norms, points, and the command on the digits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import acr_sklearn.networks.mlp
import acr_sklearn.networks.objective_base

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setenv("ACR_SKLEARN_DATA", str(tmp_path / "cache"))


def _run(n_normals=50, n_pool=30, n_features=4):
    from curves.bench import Run
    from quality.datasets import Split, Unseen

    rng = np.random.default_rng(0)
    normals = rng.normal(size=(n_normals, n_features)).astype(np.float32)
    pool = rng.normal(100, 1, size=(n_pool, n_features)).astype(np.float32)
    domain = Unseen("own", normals, pool, np.arange(0, n_pool, 2))
    split = Split("split", ("a",), (normals,), (domain,))
    return Run("made", split, 0, (domain,))


# ------------------------------------------------------------------------------- the batches


@pytest.mark.parametrize(("size", "n_anomalous"), [(4, 1), (10, 1), (50, 5)])
def test_batches_have_exactly_so_many_rows_and_at_least_one_anomaly(size, n_anomalous):
    from curves.bench import exact_batches

    found = list(exact_batches(_run(), size, 0.1, 2))
    assert [(b.kind, b.index) for b in found] == [
        (kind, i) for kind in ("natural", "shuffled", "cluster") for i in (0, 1)
    ]
    for batch in found:
        X, y = batch.draw()
        assert len(X) == size
        assert np.sum(y == -1) == n_anomalous
        assert len(np.unique(X, axis=0)) == size


def test_a_domain_without_the_rows_is_left_out_and_never_draws_one_twice():
    from curves.bench import exact_batches

    def kinds(size, share):
        return [b.kind for b in exact_batches(_run(), size, share, 1)]

    # 50 own rows; 15 of the pool are allowed.
    every = ["natural", "shuffled", "cluster"]
    assert kinds(50, 0.1) == kinds(37, 0.4) == every
    assert kinds(51, 0.1) == kinds(50, 0.4) == []
    alone = {
        kind: [
            size for size in (50, 51, 56, 57) if list(exact_batches(_run(), size, 0.1, 1, [kind]))
        ]
        for kind in every
    }
    # Foreign rows come on top of the own ones: 6 to 50 in a batch of 56.
    assert alone == {"natural": [50, 51, 56], "shuffled": [50], "cluster": [50]}


def test_larger_batches_hold_the_normal_rows_of_smaller_ones():
    from curves.bench import exact_batches

    drawn = []
    for size in (10, 40):
        for batch in exact_batches(_run(), size, 0.1, 1, ("natural",)):
            X, y = batch.draw()
            drawn.append({row.tobytes() for row in X[y == 1]})
    assert drawn[0] < drawn[1]


def test_a_clean_batch_has_no_anomaly():
    from curves.bench import exact_batches

    (batch,) = exact_batches(_run(), 50, 0.0, 1, ("cluster",))
    X, y = batch.draw()
    assert len(X) == 50
    assert (y == 1).all()


def test_curves_that_train_anew_take_the_first_seeds_and_say_so(tmp_path):
    from bench_curves import measure
    from curves.bench import Amounts, Bench

    amounts = Amounts(seeds=(5, 6), trained_seeds=1, domains=1, rows=60, max_iter=1)
    bench = Bench(amounts, str(tmp_path))
    assert [run.seed for run in bench.trained_runs("digits")] == [5]
    assert measure("norm", ["digits"], bench)["run"]["seeds"] == [5]
    assert measure("alarms", ["digits"], bench)["run"]["seeds"] == [5, 6]


def test_every_seed_has_splits_of_its_own(tmp_path):
    from curves.bench import Amounts, Bench

    bench = Bench(Amounts(seeds=(5, 6), domains=4), str(tmp_path))
    runs = bench.runs("digits")
    assert [run.seed for run in runs] == [5, 5, 6, 6]
    assert len({run.split.name for run in runs}) == 4
    for run in runs:
        assert not {d.name for d in run.domains} & set(run.split.train_names)
    assert [run.seed for run in bench.runs("digits", one_split=True)] == [5, 6]


def test_splits_with_almost_as_many_training_domains_share_their_last_point(tmp_path, monkeypatch):
    from dataclasses import replace

    from curves import trained
    from curves.bench import Amounts, Bench

    seen = []

    class RowMask:
        def __init__(self, part):
            seen.append(len(part))

        def score(self, X):
            return np.zeros(len(X))

    bench = Bench(Amounts(seeds=(0,), counts=(2,), rows=40), str(tmp_path))
    one = _run()
    every = np.random.default_rng(1).normal(size=(21, 12, 4)).astype(np.float32)
    runs = [replace(one, split=replace(one.split, train=tuple(every[:n]))) for n in (20, 21, 4)]
    monkeypatch.setattr(bench, "runs", lambda *args, **kwargs: runs)
    monkeypatch.setattr(bench, "detector", lambda run, part=None: RowMask(part or run.split.train))
    monkeypatch.setattr(trained, "by_head", lambda detector: {"acr": detector.score})
    assert {point["x"] for point in trained.counts(bench, "made")} == {2, 20, 4}
    assert seen == [2, 20, 2, 20, 2, 4]


def test_a_detector_is_fitted_once_and_another_threshold_needs_no_training(tmp_path, trainings):
    from curves.bench import Amounts, Bench

    bench = Bench(Amounts(seeds=(0,), max_iter=2), str(tmp_path))
    (run,) = bench.runs("digits", one_split=True)
    first = bench.detector(run)
    assert bench.detector(run, contamination=0.1) is first is bench.detector(run)
    other = bench.detector(run, contamination=0.01)
    assert other.offset_ < first.offset_
    assert len(trainings) == 1
    assert bench.detector(run, run.split.train[:4]) is not first
    assert len(trainings) == 2


def test_shifts_do_what_they_are_called():
    from curves.scored import _changes

    rng = np.random.default_rng(0)
    train = rng.normal(3, 2, size=(100, 5)).astype(np.float32)
    X = train[:7].astype(np.float64)
    changed = {name: change(train[:7]) for name, change in _changes(train, 0).items()}
    np.testing.assert_array_equal(changed["as it is"], X)
    unit = train.std(axis=0).mean()
    np.testing.assert_allclose(changed["plus 100 sd"] - X, 100 * unit, rtol=1e-6)
    np.testing.assert_allclose(changed["times 0.01"], X / 100)
    gains = changed["gains"] / X
    np.testing.assert_allclose(gains, gains[:1].repeat(7, axis=0))
    assert len(np.unique(gains[0].round(6))) == 5
    np.testing.assert_allclose(changed["inverted"] + X, train.max(axis=0)[None].repeat(7, 0))
    np.testing.assert_array_equal(np.sort(changed["permuted"]), np.sort(X))


# --------------------------------------------------------------------------------- the norms


@pytest.mark.parametrize("name", ["layer", "instance", "none"])
def test_without_batch_norm_a_row_does_not_see_its_batch(name, quick, domains):
    from curves.norms import NORMS, norm_swapped, without_centring

    own = acr_sklearn.networks.mlp.TaskBatchNorm
    with norm_swapped(NORMS[name]):
        detector = without_centring(quick(score_head="objective").fit(domains))
    assert (
        acr_sklearn.networks.mlp.TaskBatchNorm
        is own
        is acr_sklearn.networks.objective_base.TaskBatchNorm
    )
    assert not any(isinstance(part, own) for part in detector.module_.modules())
    whole, part = detector.score_samples(domains[0]), detector.score_samples(domains[0][:20])
    np.testing.assert_allclose(part, whole[:20], rtol=1e-9)
    batch_norm = quick(score_head="objective").fit(domains)
    whole, part = (batch_norm.score_samples(rows) for rows in (domains[0], domains[0][:20]))
    assert not np.allclose(part, whole[:20], rtol=0.01)


def test_layer_and_instance_norm_normalise_the_row():
    from curves.norms import NORMS

    x = torch.randn(6, 2, 8, generator=torch.Generator().manual_seed(0)) * 9 + 4
    for name in ("layer", "instance"):
        out = NORMS[name](8)(x)
        torch.testing.assert_close(out.mean(-1), torch.zeros(6, 2), atol=1e-5, rtol=0)
        torch.testing.assert_close(out.std(-1, correction=0), torch.ones(6, 2), atol=1e-4, rtol=0)
    torch.testing.assert_close(NORMS["none"](8)(x), x)
    learnt = {name: len(list(NORMS[name](8).parameters())) for name in ("layer", "instance")}
    assert learnt == {"layer": 2, "instance": 0}


def test_the_norm_is_put_back_after_a_failure():
    from curves.norms import NoNorm, norm_swapped

    own = acr_sklearn.networks.mlp.TaskBatchNorm
    with pytest.raises(RuntimeError, match="broken"), norm_swapped(NoNorm):
        raise RuntimeError("broken")
    assert (
        acr_sklearn.networks.mlp.TaskBatchNorm
        is own
        is acr_sklearn.networks.objective_base.TaskBatchNorm
    )


# ---------------------------------------------------------------------- points and pictures


def test_points_weigh_kinds_alike_and_spread_over_domains():
    from curves.catalogue import points

    def one(x, kind, domain, value):
        return {
            "set": "s",
            "method": "acr",
            "x": x,
            "kind": kind,
            "domain": domain,
            "value": value,
        }

    records = [
        one(20, "natural", "a", 1.0),
        one(10, "natural", "a", 0.9),
        one(10, "natural", "a", 0.7),
        one(10, "natural", "b", 0.6),
        one(10, "cluster", "a", 0.2),
    ]
    first, second = points(records)["s"]["acr"]
    assert (first["x"], second["x"]) == (10, 20)
    assert first["kinds"] == {"cluster": 0.2, "natural": 0.7}
    assert first["mean"] == pytest.approx(0.45)
    # Domain a: mean of 0.8 and 0.2; domain b: 0.6.
    assert (first["min"], first["max"], first["sd"]) == pytest.approx((0.5, 0.6, 0.05))
    assert (first["domains"], first["batches"]) == (2, 4)
    assert points([]) == {}


# -------------------------------------------------------------------------------- the command


def _command(tmp_path, *options):
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "bench_curves.py"), *options],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=tmp_path,
    )


def test_command_measures_every_curve_on_digits(tmp_path):
    from curves.catalogue import CURVES
    from page.readings import reading

    results = tmp_path / "results"
    done = _command(tmp_path, "--quick", f"--save={results}")
    assert done.returncode == 0, done.stderr
    curves = json.loads((results / "curves.json").read_text())
    assert list(curves) == list(CURVES)
    for name, curve in curves.items():
        assert list(curve["sets"]) == ["digits"]
        assert curve["run"]["seeds"] == [0]
        assert f"{name}, digits: " in done.stderr
        assert (results / f"curves-{name}.png").read_bytes().startswith(b"\x89PNG")
        sentence = reading(name, curve)
        assert "digits" in sentence or name == "foreign"
        assert sentence.endswith(".")
    size = curves["size"]["sets"]["digits"]
    assert [point["x"] for point in size["acr"]] == [8, 64]
    assert f"{size['acr'][1]['mean']:.3f}" in done.stdout
    assert str(ROOT) not in json.dumps(curves), "results name no place on this machine"
    assert str(tmp_path) not in json.dumps(curves)
    # Another run of one curve leaves the others as they are, --missing has nothing to do.
    curves["share"]["title"] = "kept"
    (results / "curves.json").write_text(json.dumps(curves))
    again = _command(tmp_path, "--quick", f"--save={results}", "--curves", "alarms", "--seeds=1")
    assert again.returncode == 0, again.stderr
    after = json.loads((results / "curves.json").read_text())
    assert after["share"] == curves["share"]
    assert after["alarms"]["run"]["seeds"] == [1]
    nothing = _command(tmp_path, "--quick", "--missing", f"--save={results}")
    assert nothing.returncode == 0, nothing.stderr
    assert json.loads((results / "curves.json").read_text()) == after


def test_quick_looks_never_replace_saved_results():
    from bench_curves import QUICK, RESULTS, parse

    assert parse(["--quick"]).save is None
    assert parse(["--quick", "--seeds=3"]).amounts.seeds == (3,)
    assert parse(["--quick"]).amounts == QUICK
    assert parse([]).save == RESULTS


def test_a_set_that_is_not_here_is_an_error_that_says_how_to_get_it(capsys):
    from bench_curves import parse

    with pytest.raises(SystemExit):
        parse(["--sets", "digits", "fars"])
    assert "no data of fars: `make bench-data`" in capsys.readouterr().err


def test_the_test_split_is_never_read(monkeypatch, tmp_path):
    from curves import bench

    parts = []
    plain = bench.splits
    monkeypatch.setattr(bench, "splits", lambda name, part: parts.append(part) or plain(name, part))
    bench.validation_splits.cache_clear()
    bench.Bench(bench.Amounts(), str(tmp_path)).runs("digits")
    assert parts == ["validation"]
    for path in (ROOT / "benchmarks" / "curves").glob("*.py"):
        assert '"test"' not in path.read_text()
