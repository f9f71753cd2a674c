"""The surfaces benchmark: its surfaces, its defects, its rivals and its command."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setenv("ACR_SKLEARN_DATA", str(tmp_path / "cache"))


def even(seed=0, side=512, contrast=15.0):
    rng = np.random.default_rng(seed)
    grey = 128 + contrast * rng.normal(size=(side, side, 1)) + rng.normal(size=3)
    return np.clip(grey, 0, 255).astype(np.uint8)


# ---------------------------------------------------------------------------------- the surfaces


def test_homogeneous_means_that_tiles_look_alike():
    from surfaces.textures import SCORED, TRAINED, is_homogeneous

    assert is_homogeneous(even(), SCORED)
    step = even()
    step[:256] //= 2
    assert not is_homogeneous(step, TRAINED)
    rough = even()
    rough[:64, :128] = 128
    assert not is_homogeneous(rough, TRAINED)
    assert not is_homogeneous(np.full((512, 512, 3), 90, np.uint8), TRAINED)
    loud = even(contrast=60.0)
    assert is_homogeneous(loud, TRAINED)
    assert not is_homogeneous(loud, SCORED)


def test_patches_are_the_texture_cut_up():
    from surfaces.textures import cut

    large, small = even(), even(side=256)
    patches = cut(large)
    assert patches.shape == (64, 3, 64, 64)
    assert np.array_equal(patches[9], large[64:128, 64:128].transpose(2, 0, 1))
    shifted = cut(small)
    assert shifted.shape == (64, 3, 64, 64)
    assert np.array_equal(shifted[:16][5], small[64:128, 64:128].transpose(2, 0, 1))
    assert len(np.unique(shifted, axis=0)) == 64


def test_surfaces_come_from_the_packages_and_folders_stay_together(monkeypatch, tmp_path):
    picture = pytest.importorskip("PIL.Image")
    from surfaces import textures

    folder = tmp_path / "cache" / "surfaces"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "a.pk3", "w") as archive:
        names = [f"textures/set{i // 2}/{i}.png" for i in range(12)]
        names += ["textures/set0/0_norm.png", "env/sky/1.png", "textures/set9/flat.png"]
        for i, name in enumerate(names):
            content = even(i) if "flat" not in name else np.zeros((512, 512, 3), np.uint8)
            with archive.open(name, "w") as file:
                picture.fromarray(content).save(file, "PNG")
        with archive.open("textures/set0/copy.png", "w") as file:
            picture.fromarray(even(0) + np.uint8(3)).save(file, "PNG")
    monkeypatch.setattr(textures, "N_TEST", 3)
    monkeypatch.setattr(textures, "N_VALIDATION", 2)
    splits = textures.load_surfaces()
    assert {k: len(v.names) for k, v in splits.items()} == {"train": 6, "validation": 2, "test": 3}
    folders = {k: {n.split("/")[1] for n in v.names} for k, v in splits.items()}
    assert not folders["train"] & folders["test"]
    assert not folders["train"] & folders["validation"]
    assert not folders["validation"] & folders["test"]
    used = [name for v in splits.values() for name in v.names]
    assert not any("norm" in n or "env" in n or "flat" in n or "copy" in n for n in used)
    (folder / "a.pk3").unlink()
    assert np.array_equal(textures.load_surfaces()["test"].patches, splits["test"].patches)


# ----------------------------------------------------------------------------------- the defects


@pytest.mark.parametrize("kind", ["pasted", "scratched", "blurred"])
def test_a_defect_changes_its_mask_and_nothing_else(kind):
    from surfaces.defects import add_defect

    image = even(side=64).transpose(2, 0, 1)
    other = 255 - even(1, side=64).transpose(2, 0, 1)
    areas = []
    for seed in range(60):
        changed, mask = add_defect(image, other, kind, np.random.default_rng(seed))
        assert np.array_equal(changed[:, ~mask], image[:, ~mask])
        assert (changed[:, mask] != image[:, mask]).any(axis=0).mean() > 0.5
        areas.append(mask.mean())
    assert 0.0015 < min(areas) < 0.004
    assert 0.03 < max(areas) <= 0.051
    # Log-uniform: half lie below the geometric mean.
    assert 0.006 < np.median(areas) < 0.016


def test_batches_have_a_fifth_of_defects_of_three_kinds():
    from surfaces.defects import KINDS, make_batch
    from surfaces.textures import cut

    patches = cut(even())
    batch = make_batch(patches, 255 - patches, np.random.default_rng(0))
    assert batch.is_anomalous.sum() == 13
    assert np.array_equal(batch.masks.any(axis=(1, 2)), batch.is_anomalous)
    counts = [int((batch.kinds == kind).sum()) for kind in KINDS]
    assert sorted(counts) == [4, 4, 5]
    clean = {p.tobytes() for p in patches}
    assert all(i.tobytes() in clean for i in batch.images[~batch.is_anomalous])
    again = make_batch(patches, 255 - patches, np.random.default_rng(0))
    assert np.array_equal(again.images, batch.images)


# ------------------------------------------------------------------------------------ the rivals


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 5, 3, 4)).astype(np.float32)


def test_mutual_scoring_is_what_the_paper_says(maps):
    from surfaces.rivals import mutual

    found = mutual(maps, [2, 3])
    layers = [maps[:, :2], maps[:, 2:]]
    slow = np.zeros((12, 3, 4))
    for layer in layers:
        for half in (0, 1, 2):
            near = np.empty_like(layer)
            for y, x in np.ndindex(3, 4):
                window = layer[
                    :, :, max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1
                ]
                near[:, :, y, x] = window.mean(axis=(2, 3))
            near /= np.linalg.norm(near, axis=1, keepdims=True)
            for i, y, x in np.ndindex(12, 3, 4):
                own = near[i, :, y, x]
                answers = [
                    np.linalg.norm(near[j] - own[:, None, None], axis=0).min()
                    for j in range(12)
                    if j != i
                ]
                slow[i, y, x] += np.mean(sorted(answers)[:3]) / 6  # 30 % of 11
    assert np.allclose(found, slow, atol=2e-3)


def test_the_memory_bank_leaves_the_own_image_out(maps):
    from surfaces.rivals import memory_bank

    twin = maps.copy()
    twin[1] = twin[0]
    near = memory_bank(twin, [5], n_neighbors=1)
    assert near[:2].max() < 1e-2
    assert near[2:].min() > 1e-2


@pytest.mark.parametrize("name", ["Gaussian per position", "Gaussian as PaDiM", "Gaussian, pooled"])
def test_gaussians_find_a_row_that_is_off(maps, name):
    from surfaces.rivals import RIVALS

    maps[4, :, 2, 1] += 20
    scores = RIVALS[name](maps, [5])
    assert np.unravel_index(scores.argmax(), scores.shape) == (4, 2, 1)


def test_figures_are_paired_by_surface():
    from bench_surfaces import _difference

    ours, theirs = [0.9, 0.8, 0.7, 0.5], [0.6, 0.5]  # two seeds of two surfaces
    found = _difference(ours, theirs, 2)
    assert found["mean"] == pytest.approx(np.mean([0.8 - 0.6, 0.65 - 0.5]))
    assert found["low"] <= found["mean"] <= found["high"]
    assert found["sd"] == pytest.approx(0.025)
    assert found["behind"] == 0
    assert _difference([0.1, 0.9], theirs, 2)["behind"] == 1


def test_rivals_get_means_and_one_of_them_all(monkeypatch, maps):
    from surfaces import run

    seen = {}
    for name in run.RIVALS:
        monkeypatch.setitem(
            run.RIVALS, name, lambda m, _layers, name=name: seen.setdefault(name, m).mean(axis=1)
        )
    monkeypatch.setattr(run, "LAYERS", {"a": 1, "b": 3})
    prepared = run.Prepared([], [], [], [maps])
    assert [name for name, *_ in run.rival_scores(prepared, list(run.RIVALS))] == list(run.RIVALS)
    whole = seen.pop(run.WHOLE)
    assert np.array_equal(whole, maps)
    assert all(np.array_equal(m, maps[:, :4]) for m in seen.values())


def test_the_test_surfaces_are_only_run_on_the_record(tmp_path):
    from bench_surfaces import count_test_run

    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "benchmarks/bench_surfaces.py"), "--split", "test"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "every run is counted" in done.stderr
    said = {"date": "today", "commit": "abc", "seeds": [0], "machine": {}}
    assert [count_test_run(tmp_path / "r" / "runs.json", said) for _ in range(2)] == [1, 2]
    assert json.loads((tmp_path / "r" / "runs.json").read_text())[1]["commit"] == "abc"


# ------------------------------------------------------------------------------- few references


def test_rivals_with_references_by_hand():
    from surfaces.few_shot import memory_bank, padim

    references = np.zeros((2, 2, 1, 2))
    references[:, 0, 0, 1] = 6.0
    references[1, 1, 0, 0] = 0.2
    maps = np.zeros((1, 2, 1, 2))
    maps[0, 0, 0] = 5.0, 0.0
    np.testing.assert_allclose(memory_bank()(references, maps), [[[1.0, 0.0]]], atol=1e-7)
    scaled = memory_bank(np.array([0.5, 1.0]))(references, maps)
    np.testing.assert_allclose(scaled, [[[2.0, 0.0]]], atol=1e-7)
    # Position 0: mean (0, .1), covariance diag(.01, .03); position 1: mean (6, 0), diag(.01, .01).
    expected = [np.sqrt(25 / 0.01 + 0.01 / 0.03), np.sqrt(36 / 0.01)]
    np.testing.assert_allclose(padim(references, maps)[0, 0], expected)


def test_references_are_normal_and_not_scored():
    from surfaces import few_shot
    from surfaces.defects import make_batch
    from surfaces.run import Prepared

    rng = np.random.default_rng(0)
    patches = rng.integers(0, 256, (20, 3, 64, 64)).astype(np.uint8)
    batch = make_batch(patches, patches, rng)
    maps = np.arange(20, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 4, 4), np.float32)
    train = [rng.normal(i, 1.0, (16, 2, 4, 4)).astype(np.float32) for i in range(4)]
    prepared = Prepared(train, ["a"], [batch], [maps])
    scored, references, rest = next(few_shot.cases(prepared, 4))
    known, left = references[:, 0, 0, 0].astype(int), rest[:, 0, 0, 0].astype(int)
    assert not batch.is_anomalous[known].any()
    assert sorted([*known, *left]) == list(range(20))
    np.testing.assert_array_equal(scored.kinds, batch.kinds[left])

    from acr_sklearn import ResADDetector

    quick = {"detector": ResADDetector(max_iter=2, n_blocks=1), "levels": None}
    found = few_shot.measure(prepared, 4, 0, quick)
    assert list(found) == [few_shot.OURS, few_shot.BANK, few_shot.SCALED_BANK, few_shot.PADIM]
    assert all(len(one[m]) == 1 for one in found.values() for m in few_shot.MEASURES)


def test_ablations_are_parameters_of_the_detector():
    from surfaces.few_shot import ABLATIONS

    from acr_sklearn import ResADDetector

    for name, left_out in ABLATIONS.items():
        changed = ResADDetector(**left_out).get_params()
        assert changed != ResADDetector().get_params(), name
