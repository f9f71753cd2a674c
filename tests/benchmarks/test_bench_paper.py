"""The commands of benchmarks/paper on small files: they run, go on where they were, and refuse."""

import argparse
import importlib
import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from made_datasets import make_anoshift, make_cifar, make_mnist, make_mvtec, make_omniglot

from acr_sklearn import ZeroShotACRDetector

ROOT = Path(__file__).parents[2]
QUICK = ["max_iter=6", "n_tasks=4", "task_size=20"]
FEW_DRAWS = ["repeats=2", "shares=(.05,.2)"]
MLP = ["backbone=mlp", "hidden_layer_sizes=(16,)"]


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of each command's data."""
    root = tmp_path_factory.mktemp("made")
    return {
        "anoshift": make_anoshift(root / "anoshift"),
        "cifar100c": make_cifar(root / "cifar"),
        "mnist": make_mnist(root / "mnist"),
        "mvtec": make_mvtec(root / "mvtec", n_train=20, n_good=12),
        "omniglot": make_omniglot(root / "omniglot"),
    }


@pytest.fixture
def command(made, tmp_path):
    """Function (name, *changes, options=[]) -> what the command saved."""

    def call(name, *changes, options=(), out=tmp_path / "out", data=None):
        main = importlib.import_module(f"paper.{name}").main
        sets = [word for change in changes for word in ("--set", change)]
        main(["--data", str(data or made[name]), "--out", str(out), *sets, *options])
        return json.loads((out / f"paper-{name}.json").read_text())

    return call


# ------------------------------------------------------------------------------- the settings


def test_presets_are_the_published_settings():
    from paper import presets

    def line(preset):
        names = ("max_iter", "n_tasks", "task_size", "outlier_fraction", "learning_rate")
        return [preset.detector[name] for name in names]

    assert line(presets.ANOSHIFT) == [1000, 32, 512, 0.2, 4e-4]
    assert line(presets.OMNIGLOT) == [10000, 32, 30, 0.5, 1e-3]
    assert line(presets.CIFAR100C) == [6000, 32, 60, 0.5, 3e-3]
    assert line(presets.MVTEC) == [50, 32, 60, 0.5, 3e-4]
    assert presets.ANOSHIFT.detector["permute_features"]
    assert presets.OMNIGLOT.protocol["lr_factor"] == 0.7
    for preset in presets.PRESETS.values():
        # The loss and the score of the paper; what of ours can be turned off is off, what cannot
        # is among the differences.
        settings = preset.detector
        assert (settings["objective"], settings["score_head"]) == ("dsvdd", "objective")
        assert (settings["trim_fraction"], settings["whiten_features"]) == (0, False)
        assert not settings["early_stopping"]


def test_every_preset_says_where_it_is_not_the_released_recipe():
    from paper.presets import PRESETS

    assert len(PRESETS) == 7
    for name, preset in PRESETS.items():
        assert len(set(preset.differences)) == len(preset.differences)
        said = "; ".join(preset.differences)
        for word in ("units measured on the training domains", "own overall spread", "A + 0.001"):
            assert word in said, name
        assert said.count("as PyTorch starts them") == 1, name
        conv = preset.detector.get("backbone") == "conv"
        assert ("every pixel is centred on the batch" in said) == conv, name
        assert ("Xavier" in said) == conv, name
    assert "first n in the file" in "; ".join(PRESETS["anoshift"].differences)
    assert "sets 0.1 % of them aside" in "; ".join(PRESETS["anoshift"].differences)
    assert "does not fit its network's 512" in "; ".join(PRESETS["cifar100c"].differences)


def test_every_setting_is_a_parameter_of_the_detector_or_of_the_convolutional_network():
    from paper import presets
    from paper.command import OF_PARTS

    known = inspect.signature(ZeroShotACRDetector).parameters
    for preset in (presets.ANOSHIFT, presets.OMNIGLOT, presets.CIFAR100C, presets.MVTEC):
        assert set(preset.detector) <= set(known) | set(OF_PARTS)


def test_the_learning_rate_falls_in_steps_as_published():
    from dataclasses import replace

    from paper.command import make_detector
    from paper.presets import OMNIGLOT

    detector = {"max_iter": 120, "n_tasks": 2, "task_size": 16, "verbose": 0, "learning_rate": 1e-2}
    preset = replace(
        OMNIGLOT,
        detector={"lr_schedule": "constant", "early_stopping": False, **detector},
        protocol={"lr_step": 50, "lr_factor": 0.5},
    )
    rng = np.random.default_rng(0)
    fitted = make_detector(preset, 0).fit([rng.normal(i, 1, (20, 3)) for i in range(4)])
    (rate,) = {group["lr"] for group in fitted.net_.optimizer_.param_groups}
    assert rate == pytest.approx(1e-2 * 0.5**2), "after 50 and after 100 of 120 steps"


# ---------------------------------------------------------------------------------- the runs


@pytest.mark.parametrize(
    ("name", "changes", "rows", "units"),
    [
        ("anoshift", ["max_train_rows=50"], ["IID", "NEAR", "FAR", "all"], 10),
        ("cifar100c", MLP, ["fog-5", "gaussian_noise-5", "all"], 2),
        ("mnist", MLP, [*map(str, range(10)), "all"], 10),
        ("omniglot", [*MLP, "n_train=10"], ["all"], 1),
    ],
)
def test_a_command_trains_scores_prints_and_saves(
    command, capsys, tmp_path, name, changes, rows, units
):
    result = command(name, *QUICK, *FEW_DRAWS, *changes)
    figures = result["figures"]["auroc"]
    assert list(figures) == rows
    assert all(list(by_share) == ["0.05", "0.2"] for by_share in figures.values())
    # The made sets are easy: a wrong sign, or rows that lost their labels, would show.
    assert figures["all"]["0.2"]["mean"] > 0.65
    assert 0 <= figures["all"]["0.05"]["std"] < 0.5
    store = json.loads((tmp_path / "out" / f"paper-{name}-units.json").read_text())
    assert len(store["done"]) == units
    shown = capsys.readouterr()
    assert f"{units}/{units}" in shown.err, "the progress bar came to its end"
    for row in rows:
        (line,) = [text for text in shown.out.splitlines() if text.startswith(f"{row} ")]
        assert f"{100 * figures[row]['0.2']['mean']:.1f} ±" in line
    assert "Unlike the released code: " in shown.out
    assert result["changed"]["max_iter"]["here"] == 6
    assert "Changed against the preset: " in shown.out
    assert f"max_iter 6 (preset {result['changed']['max_iter']['preset']})" in shown.out
    assert result["setting"]["detector"]["max_iter"] == 6
    for place in (ROOT, tmp_path):
        assert str(place) not in json.dumps(result), "results name no place on this machine"


@pytest.mark.parametrize(
    ("name", "changes"),
    [("cifar100c", []), ("mnist", []), ("omniglot", ["n_train=10"])],
)
def test_the_presets_run_with_their_convolutional_network(command, name, changes):
    channels = "conv_channels=(8,8)"
    figures = command(name, *QUICK, *FEW_DRAWS, channels, *changes)["figures"]["auroc"]
    assert 0.4 < figures["all"]["0.2"]["mean"] <= 1


def test_the_means_are_those_of_the_stored_batches(command, tmp_path):
    result = command("mnist", *QUICK, *FEW_DRAWS, *MLP, options=["--seeds", "0", "1"])
    done = json.loads((tmp_path / "out" / "paper-mnist-units.json").read_text())["done"]
    assert len(done) == 20
    every = np.array([unit["auroc"]["0.05"] for unit in done.values()])  # (units, 1, repeats)
    cell = result["figures"]["auroc"]["all"]["0.05"]
    assert cell["mean"] == pytest.approx(every.mean())
    by_draw = every.reshape(2, 10, 2).mean(axis=1)  # seeds come first in the order of the units
    assert cell["std"] == pytest.approx(by_draw.std())


def test_a_domain_is_read_once_and_every_draw_is_its_own():
    from paper.presets import ANOSHIFT
    from paper.shares import score_domains

    from acr_sklearn.datasets import LabelledDomain

    loads, batches = [], []
    X = np.arange(200, dtype=np.float32)[:, None]
    y = np.where(np.arange(200) < 100, 1, -1).astype(np.int8)

    class Value:
        def score_samples(self, rows):
            batches.append(rows[:, 0])
            return -rows[:, 0]

    domain = LabelledDomain("d", "g", lambda: loads.append(1) or (X, y))
    result = score_domains(Value(), [domain], ANOSHIFT, seed=0)
    assert loads == [1]
    assert {share: len(values[0]) for share, values in result["auroc"].items()} == {
        "0.01": 5,
        "0.05": 5,
        "0.1": 5,
        "0.2": 5,
    }
    assert np.ravel(list(result["auroc"].values())).tolist() == [1.0] * 20, "high is abnormal"
    assert len({tuple(sorted(batch)) for batch in batches}) == 20
    before = list(batches)
    assert score_domains(Value(), [domain], ANOSHIFT, seed=0) == result
    for first, second in zip(before, batches[20:], strict=True):
        np.testing.assert_array_equal(first, second)


# --------------------------------------------------------------------------- going on again


@pytest.fixture
def counted(monkeypatch):
    """Names of the units scored and the trainings run; scoring is interrupted at will."""
    from paper import shares

    seen = {"scored": [], "fits": 0, "stop_at": None}
    plain_score, plain_fit = shares.score_domains, ZeroShotACRDetector.fit

    def score(detector, domains, *args):
        if len(seen["scored"]) == seen["stop_at"]:
            raise KeyboardInterrupt
        seen["scored"].append([d.name for d in domains])
        return plain_score(detector, domains, *args)

    def fit(self, *args, **kwargs):
        seen["fits"] += 1
        return plain_fit(self, *args, **kwargs)

    monkeypatch.setattr(shares, "score_domains", score)
    monkeypatch.setattr(ZeroShotACRDetector, "fit", fit)
    return seen


def test_an_interrupted_run_goes_on_and_repeats_nothing(command, counted, tmp_path, capsys):
    changes = [*QUICK, *FEW_DRAWS, *MLP]
    whole = command("mnist", *changes, out=tmp_path / "whole")
    assert len(counted["scored"]) == 10
    assert counted["fits"] == 3
    counted.update(scored=[], fits=0, stop_at=4)
    with pytest.raises(KeyboardInterrupt):
        command("mnist", *changes)
    assert counted["scored"] == [["0"], ["1"], ["2"], ["3"]]
    assert not (tmp_path / "out" / "paper-mnist.json").exists(), "half a result is no result"
    counted.update(scored=[], fits=0, stop_at=None)
    resumed = command("mnist", *changes)
    assert counted["scored"] == [["4"], ["5"], ["6"], ["7"], ["8"], ["9"]]
    assert counted["fits"] == 1, "the detector of 3, 4 and 5 was kept; only the third is missing"
    assert "4 of 10 units are done already." in capsys.readouterr().out
    assert resumed["figures"] == whole["figures"]
    counted.update(scored=[], fits=0)
    assert command("mnist", *changes)["figures"] == whole["figures"]
    assert (counted["scored"], counted["fits"]) == ([], 0)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_run_goes_on_to_the_same_result(command, made, tmp_path):
    changes = [*QUICK, *MLP, "repeats=12", "shares=(.05,.2)"]
    sets = [word for change in changes for word in ("--set", change)]
    script = str(ROOT / "benchmarks" / "paper" / "mnist.py")
    out = tmp_path / "out"
    units = out / "paper-mnist-units.json"
    process = subprocess.Popen(
        [sys.executable, script, "--data", str(made["mnist"]), "--out", str(out), *sets],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while not (units.is_file() and json.loads(units.read_text())["done"]):
            assert time.monotonic() < deadline, "no unit was done in time"
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = json.loads(units.read_text())["done"]
    assert 0 < len(done) < 10
    resumed = command("mnist", *changes)
    assert {k: json.loads(units.read_text())["done"][k] for k in done} == done
    assert resumed["figures"] == command("mnist", *changes, out=tmp_path / "whole")["figures"]


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path):
    from paper.store import write_whole

    path = tmp_path / "folder" / "file"
    write_whole(path, lambda file: file.write(b"whole"))

    def fail(file):
        file.write(b"ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, fail)
    assert path.read_bytes() == b"whole"
    write_whole(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_results_of_other_settings_are_not_taken_for_these(command, counted, made, tmp_path):
    changes = [*QUICK, *FEW_DRAWS, *MLP]
    command("mnist", *changes)
    with pytest.raises(SystemExit, match=r"max_iter was 6 and is 7\. Give another --out, or --fr"):
        command("mnist", *changes, "max_iter=7")
    other = make_mnist(tmp_path / "other", n_each=21)
    with pytest.raises(SystemExit, match=r"without-0-1-2\.train\.3 was 20 and is 21; .* more"):
        command("mnist", *changes, data=other)
    for part, where in (("train", "train_crc32"), ("t10k", "test_crc32")):
        same_counts = make_mnist(tmp_path / part)
        path = same_counts / f"{part}-images-idx3-ubyte"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(SystemExit, match=where):
            command("mnist", *changes, data=same_counts)
    counted.update(scored=[], fits=0)
    command("mnist", *changes, "max_iter=7", options=["--fresh"])
    assert (len(counted["scored"]), counted["fits"]) == (10, 3)


def test_seeds_can_be_added_to_what_is_done(command, counted):
    changes = [*QUICK, *FEW_DRAWS, *MLP]
    command("mnist", *changes)
    counted.update(scored=[], fits=0)
    both = command("mnist", *changes, options=["--seeds", "0", "1"])
    assert (len(counted["scored"]), counted["fits"]) == (10, 3), "the second seed alone"
    assert both["setting"]["seeds"] == both["run"]["seeds"] == [0, 1]


def test_detectors_of_other_settings_are_not_taken_for_these(tmp_path):
    from paper.store import Store

    def run(rate):
        store = Store.open(tmp_path, "paper-x", {"protocol": {"rate": rate}})
        return store.trained("seed0", lambda: {"rate": rate})

    assert run(1) == {"rate": 1}
    old = next(tmp_path.glob("*.pkl"))
    kept, units = old.read_bytes(), tmp_path / "paper-x-units.json"
    units.unlink()
    assert run(2) == {"rate": 2}
    assert not old.exists(), "nothing says any more what it was trained with"
    old.write_bytes(kept)
    assert run(2) == {"rate": 2}
    old.rename(tmp_path / "lost")
    units.unlink()
    Store.open(tmp_path, "paper-x", {})
    assert not list(tmp_path.glob("*.pkl"))
    assert (tmp_path / "lost").exists(), "only its own files are removed"


def test_files_that_cannot_be_read_are_named_with_the_remedy(command, made, tmp_path):
    changes = [*QUICK, *FEW_DRAWS, *MLP]
    command("mnist", *changes)
    units = tmp_path / "out" / "paper-mnist-units.json"
    whole = units.read_text()
    for broken in (whole[:-9], "[]", "{}", '{"setting": {}, "done": 3}'):
        units.write_text(broken)
        with pytest.raises(
            SystemExit, match=r"paper-mnist-units\.json .*Give another --out, or --f"
        ):
            command("mnist", *changes)
    units.write_text(json.dumps(json.loads(whole) | {"done": {}}))
    (detector, *_) = sorted(units.parent.glob("*.pkl"))
    detector.write_bytes(b"half")
    with pytest.raises(SystemExit, match=rf"{detector.name} cannot be read .* Remove it"):
        command("mnist", *changes)


# ------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "change", "wanted"),
    [
        ("mnist", "shares=.05", r"shares=0.05: give different numbers .*\(0.05,\) for one"),
        ("mnist", "shares=()", "give different numbers between 0 and 1"),
        ("mnist", "shares=(.05,1)", "give different numbers between 0 and 1"),
        ("mnist", "shares=(.05,.05)", "give different numbers between 0 and 1"),
        ("mnist", "shares=few", "shares='few': give different numbers between 0 and 1"),
        ("mnist", "repeats=0", "repeats=0: give a whole number from 1"),
        ("mnist", "repeats=True", "repeats=True: give a whole number from 1"),
        ("mnist", "lr_step=0", "lr_step=0: give a whole number from 1"),
        ("mnist", "lr_factor=0", "lr_factor=0: give a number above 0"),
        ("mnist", "rotations=(0,1)", r"such as \(\(0, 1\), \(2, 3\)\)"),
        ("cifar100c", "channel_std=(1,1,0)", "three numbers above 0"),
        ("cifar100c", "train_rows_per_class=0", "from 1, or None for all"),
        ("mvtec", "noise=-1", "noise=-1: give a number from 0"),
        ("mvtec", "noisy_copies=1", "noisy_copies=1: give True or False"),
    ],
)
def test_a_protocol_that_cannot_be_run_is_refused_before_anything_is_read(
    command, capsys, tmp_path, name, change, wanted
):
    options = ["--features", "none"] if name == "mvtec" else []
    with pytest.raises(SystemExit):
        command(name, change, options=options, data=tmp_path / "nowhere")
    found = " ".join(capsys.readouterr().err.split())
    assert re.search(f"--set .*{wanted}", found), found


def test_the_presets_pass_their_own_rules():
    from paper.checks import RULES, complaint
    from paper.presets import PRESETS

    assert [complaint(preset) for preset in PRESETS.values()] == [None] * 7
    assert {name for preset in PRESETS.values() for name in preset.protocol} <= set(RULES)


def test_small_shares_are_headed_by_what_they_are():
    from _report import percent
    from paper.presets import ANOSHIFT
    from paper.shares import table

    shares = {str(share): {"mean": 0.5, "std": 0} for share in (0.005, 0.01, 0.07, 0.2)}
    head, *_, last, _ = table({"auroc": {"all": shares}}, ANOSHIFT).splitlines()
    assert head.split() == ["anoshift", "0.5", "%", "1", "%", "7", "%", "20", "%"]
    assert last.split()[-2:] == ["62.0", "59.1"], "published figures find their columns"
    assert percent("0.125") == "12.5%"


def test_the_help_says_what_is_begun_again(capsys):
    from paper.mnist import main

    with pytest.raises(SystemExit):
        main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "a training or a unit that was under way begins again" in shown


def test_changes_that_cannot_be_made_are_explained(command, capsys):
    for change in ("max_iterations=3", "max_iter", "=3"):
        with pytest.raises(SystemExit):
            command("anoshift", change)
        assert f"--set {change}: give NAME=VALUE with a name that --help" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match=r"No folder .*images_background"):
        command("omniglot", *MLP, data=Path("nowhere"))


# ------------------------------------------------------------------------------- MVTec AD


class Patches(torch.nn.Module):
    """A frozen stand-in for a network: means and other sums over patches of 8 x 8 pixels."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 12, 8, stride=8)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            self.conv.weight.copy_(torch.randn(self.conv.weight.shape, generator=generator) / 8)
            self.conv.bias.zero_()

    def forward(self, x):
        return self.conv(x)


SMALL = ["size=64", "crop=64", "sigma=2.0", "n_tasks=8", "task_size=20"]
# Sums over patches differ by more than the published noise, and few steps need a higher rate.
LEARNS = ["max_iter=50", "learning_rate=.01", "noise=.5", "hidden_layer_sizes=(16,8)"]


@pytest.fixture(scope="module")
def extractor(tmp_path_factory):
    path = tmp_path_factory.mktemp("extractor") / "patches.pt2"
    sizes = ({0: torch.export.Dim("n", min=1)},)
    network = Patches().eval()
    program = torch.export.export(network, (torch.zeros(2, 3, 64, 64),), dynamic_shapes=sizes)
    torch.export.save(program, path)
    return path


def test_mvtec_finds_defects_in_frozen_features(command, extractor, capsys, tmp_path):
    changes = [*SMALL, *LEARNS]
    result = command("mvtec", *changes, options=["--extractor", str(extractor)])
    figures = result["figures"]
    assert list(figures) == ["bottle", "tile", "mean"]
    for level in ("image", "pixel"):
        both = [figures[name][level] for name in ("bottle", "tile")]
        assert figures["mean"][level] == pytest.approx(np.mean(both))
        assert min(both) > 0.9, "an eleventh of a picture in other colours"
    (folder,) = (tmp_path / "out" / "features").iterdir()
    from_files = command(
        "mvtec", *changes, options=["--features", str(folder)], out=tmp_path / "again"
    )
    assert from_files["figures"] == figures
    assert "mean, published" in capsys.readouterr().out


def _export(path, seed, dynamic=True):
    network = Patches().eval()
    with torch.no_grad():
        network.conv.bias.fill_(seed)
    sizes = ({0: torch.export.Dim("n", min=1)},) if dynamic else None
    program = torch.export.export(network, (torch.zeros(2, 3, 64, 64),), dynamic_shapes=sizes)
    torch.export.save(program, path)
    return path


def _prepared(data, out, *, fresh=False, size=64, extractor=None, features=None):
    from paper.mvtec import prepared_features

    from acr_sklearn.datasets import load_mvtec

    options = argparse.Namespace(out=out, fresh=fresh, extractor=extractor, features=features)
    return prepared_features(options, load_mvtec(data, size=size, crop=64))


def test_features_of_other_weights_sizes_or_pictures_are_not_taken_for_these(made, tmp_path):
    data = shutil.copytree(made["mvtec"], tmp_path / "data")
    file = _export(tmp_path / "net.pt2", 0)
    size = file.stat().st_size
    folder, facts = _prepared(data, tmp_path, extractor=file)
    assert _prepared(data, tmp_path, extractor=file) == (folder, facts)
    first = np.load(folder / "bottle_train.npy")

    _export(file, 3)
    assert file.stat().st_size == size, "the test is of weights that a size cannot tell"
    other, other_facts = _prepared(data, tmp_path, extractor=file)
    np.testing.assert_allclose(np.load(other / "bottle_train.npy"), first + 3, rtol=1e-5, atol=1e-5)
    assert other_facts["extractor"] != facts["extractor"]

    resized, _ = _prepared(data, tmp_path, extractor=file, size=96)
    assert not np.allclose(np.load(resized / "bottle_train.npy"), first + 3)

    picture = data / "bottle" / "train" / "good" / "000.png"
    shutil.copy(data / "tile" / "train" / "good" / "000.png", picture)
    replaced, _ = _prepared(data, tmp_path, extractor=file)
    assert not np.allclose(np.load(replaced / "bottle_train.npy")[0], first[0] + 3)
    assert len({folder, other, resized, replaced}) == 4


def test_fresh_features_are_made_anew(made, tmp_path):
    file = _export(tmp_path / "net.pt2", 0)
    folder, facts = _prepared(made["mvtec"], tmp_path, extractor=file)
    path = folder / "tile_test.npy"
    np.save(path, np.load(path) + 1)
    kept = _prepared(made["mvtec"], tmp_path, extractor=file)[1]
    assert kept["crc32"] != facts["crc32"], "features of equal shape and other values are others"
    assert _prepared(made["mvtec"], tmp_path, features=folder)[1]["crc32"] == kept["crc32"]
    assert _prepared(made["mvtec"], tmp_path, features=folder, fresh=True)[0] == folder
    assert _prepared(made["mvtec"], tmp_path, extractor=file, fresh=True)[1] == facts


def test_an_extractor_of_a_fixed_number_of_pictures_is_named_with_the_remedy(made, tmp_path):
    file = _export(tmp_path / "fixed.pt2", 0, dynamic=False)
    with pytest.raises(ValueError, match=r"fixed\.pt2 was given pictures \(16, .* dynamic_shapes"):
        _prepared(made["mvtec"], tmp_path, extractor=file)


def test_the_written_features_are_those_of_normalised_pictures(made, extractor, tmp_path):
    from paper.features import extract_features, feature_path, load_extractor

    from acr_sklearn.datasets import load_mvtec

    (bottle, _) = load_mvtec(made["mvtec"], size=64, crop=64)
    extract_features(load_extractor(extractor), bottle, "train", tmp_path)
    features = np.load(feature_path(tmp_path, "bottle", "train"))
    assert features.shape == (20, 12, 8, 8), "two calls of at most 16 pictures, put together"
    picture = torch.from_numpy(bottle.images("train", 17, 18).reshape(1, 3, 64, 64))
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    with torch.no_grad():
        expected = Patches()((picture - mean) / std)
    np.testing.assert_allclose(features[17], expected[0], rtol=1e-4, atol=1e-5)


def test_mvtec_needs_features_or_an_extractor_and_says_why(command, capsys, tmp_path):
    for options in ([], ["--features", "a", "--extractor", "b"]):
        with pytest.raises(SystemExit):
            command("mvtec", options=options)
        assert "nothing in this repository can stand in for" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match=r"bottle_train\.npy\. Expected an array \(20, "):
        command("mvtec", options=["--features", str(tmp_path)])
    np.save(tmp_path / "bottle_train.npy", np.zeros((19, 2, 4, 4), np.float32))
    with pytest.raises(ValueError, match=r"bottle_train\.npy has shape \(19, 2, 4, 4\)\. Expected"):
        command("mvtec", options=["--features", str(tmp_path)])
    (tmp_path / "bottle_train.npy").write_bytes(b"no array")
    with pytest.raises(ValueError, match=r"bottle_train\.npy cannot be read .* Expected an array"):
        command("mvtec", options=["--features", str(tmp_path)])
    with pytest.raises(FileNotFoundError, match=r"gone\.pt2\. Expected a network saved by torch"):
        command("mvtec", options=["--extractor", str(tmp_path / "gone.pt2")])


class FirstFeature:
    """Scores a row by its first feature, and keeps the batches it was given."""

    def score_samples(self, batches):
        self.sizes = [len(rows) for rows in batches]
        return -np.concatenate([rows[:, 0] for rows in batches])


@pytest.mark.parametrize("copies", [False, True])
def test_a_map_holds_every_positions_score_at_its_place(copies):
    from paper.maps import anomaly_maps

    features = np.random.default_rng(0).normal(size=(7, 3, 4, 5)).astype(np.float32)
    detector = FirstFeature()
    rng = np.random.default_rng(1)
    maps = anomaly_maps(detector, features, noise=0.1, copies=copies, rng=rng)
    np.testing.assert_array_equal(maps, features[:, 0])
    assert detector.sizes == [14 if copies else 7] * 5, "a batch is all pictures at a position"


def test_a_positions_rows_are_the_pictures_channels():
    from paper.maps import position_rows

    features = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    (rows,) = position_rows(features, np.array([7]))
    np.testing.assert_array_equal(rows, features[:, :, 1, 2])


def test_enlarged_maps_keep_their_places_and_their_mean():
    from paper.maps import smooth_maps

    maps = np.zeros((2, 14, 14))
    maps[0, 3, 10] = 1
    maps[1] = 0.25
    large = smooth_maps(maps, 224, 4.0)
    assert large.shape == (2, 224, 224)
    assert np.unravel_index(large[0].argmax(), (224, 224)) in {
        (line, column) for line in (55, 56) for column in (167, 168)
    }
    np.testing.assert_allclose(large[1], 0.25)


def test_outliers_of_a_position_are_its_rows_with_noise_of_the_given_size():
    from paper.maps import NoisyRows

    X = 10 * np.arange(400, dtype=np.float32)[:, None] + np.zeros((1, 5), np.float32)
    rows = NoisyRows(0.1).sample(X, 0, 400, np.random.default_rng(0))
    origin = np.rint(rows / 10) * 10
    assert sorted(origin[:, 0]) == X[:, 0].tolist(), "each row once, where there are enough"
    assert (rows - origin).std() == pytest.approx(0.1, rel=0.1)
    assert NoisyRows(0.1).sample(X[:3], 0, 9, np.random.default_rng(0)).shape == (9, 5)


# ------------------------------------------------------------- sets of the quality benchmark


def test_a_quality_set_becomes_domains_of_the_commands():
    from paper.quality_sets import domain_data
    from quality.datasets import splits

    split = next(iter(splits("digits", "validation")))
    data = domain_data("digits", "validation", most_domains=1, most_rows=50, input_shape=(1, 8, 8))
    assert data.input_shape == (1, 8, 8)
    assert data.train_names == list(split.train_names)
    for got, expected in zip(data.train, split.train, strict=True):
        np.testing.assert_array_equal(got, expected)
    (domain,) = data.test
    X, y = domain.load()
    own = split.unseen[0]
    np.testing.assert_array_equal(X[y == 1], own.normals[:50])
    np.testing.assert_array_equal(X[y == -1], own.pool[own.allowed])
    X, y = domain.draw(0.1, np.random.default_rng(0))
    assert (len(y), np.sum(y == -1)) == (55, 5)


def test_looks_at_test_domains_are_counted_before_the_run(tmp_path, monkeypatch):
    from paper import glyphs, quality_sets

    def stop(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(quality_sets, "RESULTS", tmp_path)
    monkeypatch.setattr(glyphs, "domain_data", stop)
    record = tmp_path / "test-runs.json"
    record.write_text("[]")
    for part, looks in (("validation", 0), ("test", 1), ("test", 2)):
        with pytest.raises(KeyboardInterrupt):
            glyphs.main(["--part", part, "--seeds", "3"])
        assert len(json.loads(record.read_text())) == looks
    last = json.loads(record.read_text())[-1]
    assert (last["seeds"], last["sets"]) == ([3], ["glyphs"])


def test_mnist_counts_a_look_where_its_results_are_published(made, tmp_path, monkeypatch):
    from paper import mnist, quality_sets

    def stop(*_args, **_kwargs):
        raise KeyboardInterrupt

    published = tmp_path / "results"
    published.mkdir()
    monkeypatch.setattr(quality_sets, "RESULTS", published)
    monkeypatch.setattr(mnist, "RESULTS", published)
    monkeypatch.setattr(mnist, "load_mnist", stop)
    record = published / "test-runs.json"
    record.write_text("[]")
    for out, looks in ((tmp_path / "own", 0), (published, 1), (published / "mnist-mlp", 2)):
        with pytest.raises(KeyboardInterrupt):
            mnist.main(["--data", str(made["mnist"]), "--out", str(out), "--seeds", "3"])
        assert len(json.loads(record.read_text())) == looks
    last = json.loads(record.read_text())[-1]
    assert (last["seeds"], last["sets"], last["methods"]) == ([3], ["mnist"], ["paper/mnist.py"])


def test_the_published_mnist_runs_are_in_the_record():
    results = ROOT / "benchmarks" / "results"
    looks = json.loads((results / "test-runs.json").read_text())
    found = {(look["date"], look["commit"], *look["sets"]) for look in looks}
    runs = list(results.glob("*mnist*/paper-mnist.json"))
    assert len(runs) == 4
    for path in runs:
        run = json.loads(path.read_text())["run"]
        name = path.parent.name.rpartition("-")[0]
        assert (run["date"], run["commit"], name) in found


# ----------------------------------------------------------------------- the page of results


def _saved(folder, name, backbone, means, std=0.01, changed=None):
    detector = {"backbone": backbone, "max_iter": 300, "task_size": 30}
    detector |= {"conv_channels": [8]} if backbone == "conv" else {}
    setting = {"detector": detector, "data": {}, "protocol": {"repeats": 5}, "read": {"n": 3}}
    cells = {share: {"mean": mean, "std": std} for share, mean in means.items()}
    figures = {metric: {"all": cells} for metric in ("auroc", "ap")}
    one = {"setting": setting | {"seeds": [0]}, "figures": figures}
    one |= {} if changed is None else {"changed": changed}
    (folder / name).mkdir()
    (folder / name / "paper-mnist.json").write_text(json.dumps(one))


def test_the_page_shows_what_each_run_changed(tmp_path):
    from page.paper import section

    _saved(tmp_path, "new", "conv", {"0.005": 0.9}, changed={"noise": {"here": 3}})
    _saved(tmp_path, "old", "mlp", {"0.005": 0.5})
    said, rows, *_ = section(tmp_path)
    assert "but for the number of steps" not in said
    head, _, new, old = rows.splitlines()
    assert "| 0.5% |" in head
    assert "| noise 3 |" in new
    assert "| backbone mlp (preset conv), max_iter 300 (preset 10000) |" in old


def test_the_page_says_whether_networks_are_level(tmp_path):
    from page.paper import section

    _saved(tmp_path, "a-conv", "conv", {"0.05": 0.9, "0.2": 0.9})
    _saved(tmp_path, "b-mlp", "mlp", {"0.05": 0.89, "0.2": 0.8})
    assert section(tmp_path)[-1].splitlines()[0] == (
        "- AUROC, `a-conv/paper-mnist.json` minus `b-mlp/paper-mnist.json`: +0.010 to +0.100, "
        "conv is ahead at 1 of 2 shares; level at 1 of 2 shares."
    )
    _saved(tmp_path, "c-mlp", "mlp", {"0.05": 0.9, "0.2": 0.91})
    lines = section(tmp_path)[-1].splitlines()
    assert len(lines) == 4, "two runs of the same network are not compared"
    assert lines[2].endswith("-0.010 to +0.000, level at all of 2 shares.")
    path = tmp_path / "c-mlp" / "paper-mnist.json"
    other = json.loads(path.read_text())
    other["setting"]["read"] = {"n": 4}
    path.write_text(json.dumps(other))
    assert len(section(tmp_path)[-1].splitlines()) == 2, "nor are runs on other data"


def test_changes_are_settings_that_differ_from_the_preset():
    from dataclasses import replace

    from paper.presets import ANOSHIFT, changes, in_words, plain_setting

    assert changes("anoshift", plain_setting(ANOSHIFT)) == {}
    assert in_words({}) == "nothing"
    other = replace(
        ANOSHIFT, detector=ANOSHIFT.detector | {"max_iter": 7, "device": "cpu"}, protocol={}
    )
    found = changes("anoshift", json.loads(json.dumps(plain_setting(other))))
    assert found == {"max_iter": {"preset": 1000, "here": 7}, "device": {"here": "cpu"}}
    assert in_words(found) == "max_iter 7 (preset 1000), device cpu"
    assert changes("unheard-of", plain_setting(other)) is None
