"""The segmenter: what it finds, what it leaves alone, and what it refuses."""

import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from acr_sklearn import ZeroShotACRDetector, ZeroShotSegmenter, segmentation_scores
from acr_sklearn.exceptions import SmallBatchWarning

ROOT = Path(__file__).parents[2]
SHAPE = (6, 5, 4)


def make_product(seed, n_images=40):
    """Rows around a centre of product and position, with correlations of the product's own."""
    rng = np.random.default_rng(seed)
    channels, height, width = SHAPE
    mixing = rng.normal(size=(channels, channels)) / 2
    rows = rng.normal(size=(n_images, height, width, channels)) @ mixing
    centres = rng.normal(0, 5, channels) + rng.normal(0, 2, (height, width, channels))
    return (rows + centres).transpose(0, 3, 1, 2).astype(np.float32)


def with_defects(seed, strength=4.0):
    """A product of which every fifth image has a defect of two positions."""
    maps, masks = make_product(seed), np.zeros((40, *SHAPE[1:]), bool)
    rng = np.random.default_rng(seed + 1000)
    for image in range(0, 40, 5):
        y, x = rng.integers(SHAPE[1] - 1), rng.integers(SHAPE[2])
        masks[image, y : y + 2, x] = True
        maps[image, :, y : y + 2, x] += strength * rng.normal(size=(SHAPE[0], 1))
    return maps, masks


@pytest.fixture(scope="module")
def products():
    return [make_product(seed) for seed in range(12)]


@pytest.fixture(scope="module")
def detector():
    return ZeroShotACRDetector(max_iter=20, n_tasks=8, task_size=32, hidden_layer_sizes=(32,))


@pytest.fixture(scope="module")
def make(products, detector):
    def build(**changes):
        settings = {"detector": detector, "random_state": 0, "sigma": 0.0}
        return ZeroShotSegmenter(**settings | changes).fit(products)

    return build


@pytest.fixture(scope="module")
def fitted(make):
    return make()


# --------------------------------------------------------------------------------- it finds them


@pytest.mark.parametrize(
    ("changes", "least"),
    [
        ({}, 0.85),
        ({"distance_weight": 0.0}, 0.8),
        ({"whiten": False}, 0.7),
        ({"regions": "neighborhood"}, 0.7),
        ({"regions": "pooled", "whiten": False}, 0.55),
    ],
)
def test_defects_of_unseen_products_are_found(make, changes, least):
    segmenter = make(**changes)
    found = []
    for seed in range(100, 104):
        maps, masks = with_defects(seed)
        found.append(segmentation_scores(masks, segmenter.anomaly_maps(maps)))
        # The measure itself is fair: unmoved images are where chance would be.
    assert np.mean([f["pixel_auroc"] for f in found]) > least
    assert np.mean([f["image_auroc"] for f in found]) > least - 0.1


def test_chance_is_chance(fitted):
    maps, masks = with_defects(100, strength=0.0)
    assert 0.3 < segmentation_scores(masks, fitted.anomaly_maps(maps))["pixel_auroc"] < 0.7


# ------------------------------------------------------------------------------ metamorphic truths


@pytest.mark.parametrize("regions", ["position", "neighborhood", "pooled"])
def test_the_order_of_images_does_not_matter(make, regions):
    segmenter, (maps, _) = make(regions=regions), with_defects(100)
    order = np.random.default_rng(0).permutation(len(maps))
    assert np.allclose(
        segmenter.patch_scores(maps[order]), segmenter.patch_scores(maps)[order], atol=1e-3
    )


@pytest.mark.parametrize("regions", ["position", "neighborhood"])
def test_regions_know_nothing_of_each_other(make, regions):
    """But for the common covariance and the units of the batch, both held here."""
    segmenter, (maps, _) = make(regions=regions, whiten=False), with_defects(100)
    changed = maps.copy()
    changed[:, :, 4, 3] *= 3
    before, after = segmenter.patch_scores(maps), segmenter.patch_scores(changed)
    # Units of the batch are one shift and one factor for all positions, before logarithms.
    before, after = (np.where(s > 0, np.expm1(s), s) for s in (before, after))
    slope, shift = np.polyfit(before[:, 0, 0], after[:, 0, 0], 1)
    assert np.allclose(after[:, :2, :2], slope * before[:, :2, :2] + shift, atol=1e-3)


def test_a_shift_of_the_product_does_not_matter(fitted):
    maps, _ = with_defects(100)
    shift = np.random.default_rng(0).normal(0, 3, SHAPE).astype(np.float32)
    assert np.allclose(fitted.patch_scores(maps + shift), fitted.patch_scores(maps), atol=1e-2)


def test_memory_does_not_decide(make):
    segmenter, (maps, _) = make(), with_defects(100)
    whole = segmenter.patch_scores(maps)
    small = clone(segmenter).set_params(max_batch_rows=90)
    small.detector_, small.n_channels_ = segmenter.detector_, segmenter.n_channels_
    assert np.allclose(small.patch_scores(maps), whole, atol=1e-4)


def test_a_large_region_is_cut_across_positions_not_across_images(make):
    segmenter = make(regions="pooled")
    segmenter.set_params(max_batch_rows=300)
    maps, _ = with_defects(100)
    order = np.random.default_rng(0).permutation(len(maps))
    scores = segmenter.patch_scores(maps)
    assert np.allclose(segmenter.patch_scores(maps[order]), scores[order], atol=1e-3)


def test_memory_maps_of_halves_are_read_like_arrays(fitted, tmp_path):
    maps, _ = with_defects(100)
    np.save(tmp_path / "maps.npy", maps.astype(np.float16))
    on_disk = np.load(tmp_path / "maps.npy", mmap_mode="r")
    found = fitted.patch_scores(on_disk)
    assert np.array_equal(found, fitted.patch_scores(np.array(on_disk)))
    # Rounding moves lengths by little, and the detector's scores of a whole position by more.
    moved = np.abs(found - fitted.patch_scores(maps))
    assert np.quantile(moved, 0.98) < 0.1
    assert moved.max() < 0.5
    lengths = clone(fitted).set_params(distance_weight=1.0)
    lengths.detector_, lengths.n_channels_ = fitted.detector_, fitted.n_channels_
    assert np.allclose(lengths.patch_scores(on_disk), lengths.patch_scores(maps), atol=0.05)


def test_images_are_scored_by_their_worst_pixel(fitted):
    maps, _ = with_defects(100)
    large = fitted.anomaly_maps(maps, (20, 16))
    assert large.shape == (40, 20, 16)
    assert np.array_equal(fitted.score_samples(maps, (20, 16)), -large.max(axis=(1, 2)))
    assert np.allclose(fitted.anomaly_maps(maps), fitted.patch_scores(maps), atol=1e-5)


def test_the_distance_is_that_of_a_gaussian_on_the_batch(make):
    maps, _ = with_defects(100)
    scores = make(distance_weight=1.0, shrinkage=1e-6, pooling=1).patch_scores(maps)
    rows = maps[:, :, 1, 2].astype(np.float64)
    rows -= rows.mean(axis=0)
    squares = np.einsum("ij,jk,ik->i", rows, np.linalg.inv(rows.T @ rows / 40), rows)
    lengths = np.log(squares / (1 - squares / 40)) / 2  # by the covariance of the others
    assert np.corrcoef(lengths, scores[:, 1, 2])[0, 1] > 0.999
    assert np.allclose(np.median(scores, axis=0), 0, atol=1e-9)


def test_neighbours_are_averaged_for_the_detector_alone(make):
    from acr_sklearn.images.patches import pool_maps

    maps, _ = with_defects(100)
    segmenter = make(distance_weight=0.0, pooling=3)
    first = segmenter.patch_scores(maps)
    plain = segmenter.set_params(pooling=1)
    assert np.allclose(first, plain.patch_scores(pool_maps(maps, 3)), atol=1e-6)
    assert not np.allclose(first, plain.patch_scores(maps), atol=0.1)
    plain.set_params(distance_weight=1.0)
    lengths = plain.patch_scores(maps)
    assert np.array_equal(lengths, plain.set_params(pooling=3).patch_scores(maps))


def test_both_scores_are_added_by_their_weights(make):
    maps, _ = with_defects(100)
    segmenter = make()
    learnt, lengths, mixed = (
        segmenter.set_params(distance_weight=weight).patch_scores(maps) for weight in (0, 1, 0.3)
    )
    assert np.allclose(mixed, 0.7 * learnt + 0.3 * lengths, atol=1e-6)


def test_images_that_are_all_alike_are_scored(make):
    maps, _ = with_defects(100)
    maps[:, :, :2] = maps[:1, :, :2]  # no length, so no logarithm, but for what is added to it
    scores = make().patch_scores(maps)
    assert np.isfinite(scores).all()
    assert np.allclose(scores[:, 0], scores[0, 0], atol=1e-3)


def test_memory_decides_no_length(make):
    segmenter, (maps, _) = make(distance_weight=1.0), with_defects(100)
    whole = segmenter.patch_scores(maps)
    assert np.allclose(segmenter.set_params(max_batch_rows=90).patch_scores(maps), whole, atol=1e-4)


# -------------------------------------------------------------------------------------- as sklearn


def test_one_seed_gives_one_result(make):
    maps, _ = with_defects(100)
    first, again, other = (make(random_state=seed).patch_scores(maps) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


def test_the_given_detector_is_left_alone(products, detector):
    segmenter = ZeroShotSegmenter(detector=detector, random_state=0).fit(products)
    assert not hasattr(detector, "module_")
    assert detector.outlier_source == "auto"
    assert segmenter.detector_.outlier_source == "auto", "no bank in copies and pickles"
    assert clone(segmenter).get_params()["detector__max_iter"] == 20


def test_pickles_score_alike(fitted):
    maps, _ = with_defects(100)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.patch_scores(maps), fitted.patch_scores(maps))


def test_scoring_changes_nothing(fitted):
    maps, _ = with_defects(100)
    before = {k: v.clone() for k, v in fitted.detector_.module_.state_dict().items()}
    copy = maps.copy()
    fitted.anomaly_maps(maps, (20, 16))
    assert np.array_equal(maps, copy)
    after = fitted.detector_.module_.state_dict()
    assert all(np.array_equal(after[k].cpu(), v.cpu()) for k, v in before.items())


# --------------------------------------------------------------------------------------- bad input


def test_few_images_are_warned_about_once(fitted, make):
    maps, _ = with_defects(100)
    with pytest.warns(SmallBatchWarning, match="got 8 images.*regions='pooled'") as caught:
        fitted.patch_scores(maps[:8])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with pytest.warns(SmallBatchWarning, match="Segmenter.anomaly_maps got 8 images") as caught:
        fitted.anomaly_maps(maps[:8])
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(regions="pooled").patch_scores(maps[:8])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m[:1], "1 image.s.*Score the images of a product together"),
        (lambda m: m[:, :4], "4 channels, but was fitted on 6"),
        (lambda m: np.where(m == m.max(), np.nan, m), "NaN or infinity, first in image"),
        (lambda m: m[0], "FeatureExtractor"),
    ],
)
def test_bad_maps_are_refused(fitted, change, message):
    with pytest.raises(ValueError, match=f"ZeroShotSegmenter.anomaly_maps got .*{message}"):
        fitted.anomaly_maps(change(with_defects(100)[0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p[:1], "got 1; it needs a list.*at least 2 products"),
        (np.stack, "got ndarray"),
        (lambda p: [*p[:3], p[3][:, :5]], "product 0 has 6, product 3 has 5"),
        (lambda p: [*p[:3], p[3][:1]], "product 3 got feature maps of 1 image"),
    ],
)
def test_bad_products_are_refused(products, change, message):
    with pytest.raises(ValueError, match=f"ZeroShotSegmenter.fit.*{message}"):
        ZeroShotSegmenter().fit(change(products))


def test_bad_parameters_are_refused(products):
    with pytest.raises(ValueError, match="'regions' parameter"):
        ZeroShotSegmenter(regions="image").fit(products)
    with pytest.raises(ValueError, match="'shrinkage' parameter"):
        ZeroShotSegmenter(shrinkage=0.0).fit(products)


# ------------------------------------------------------------------------------------------ memory


MEMORY = """
import resource, sys
import numpy as np, torch
from acr_sklearn import MLPBackbone, ZeroShotACRDetector, ZeroShotSegmenter
torch.set_num_threads(1)
rng = np.random.default_rng(0)
products = [rng.normal(rng.normal(size=(16, 1, 1)), 1, (20, 16, 4, 4)) for _ in range(4)]
plain = MLPBackbone(whiten_features=False)
quick = ZeroShotACRDetector(max_iter=2, hidden_layer_sizes=(64,), backbone=plain)
segmenter = ZeroShotSegmenter(detector=quick, random_state=0, max_batch_rows=4096).fit(products)
segmenter.patch_scores(products[0])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
maps = np.lib.format.open_memmap(sys.argv[1], "w+", np.float16, (200, 16, 40, 40))
for i in range(200):
    maps[i] = rng.normal(size=(16, 40, 40))
segmenter.patch_scores(maps)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units elsewhere")
def test_memory_is_bounded(tmp_path):
    # 320,000 rows: 10 MB on disk, and 110 MB for every activation of 64 + 32 if all were held.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "maps.npy")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 80


@pytest.mark.parametrize("size", [32, np.int64(32), (32, 32), [32, 32], np.array([32, 32])])
def test_one_number_is_a_square(make, products, size):
    assert make().anomaly_maps(products[0], size).shape == (40, 32, 32)


@pytest.mark.parametrize(
    "size", [0, -3, True, 2.5, "32", (32,), (32, 0), (32, 32, 3), (32.0, 32.0), 10**30, {32, 16, 8}]
)
@pytest.mark.parametrize("method", ["anomaly_maps", "score_samples"])
def test_an_image_size_that_is_none_is_refused_before_any_work(make, size, method):
    with pytest.raises(ValueError, match=rf"Segmenter.{method} got image_size=.*\(256, 256\)"):
        getattr(make(), method)("never looked at", size)
