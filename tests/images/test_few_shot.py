"""The segmenter with references: what it finds, what it holds, and what it refuses."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from acr_sklearn import FewShotSegmenter, ResADDetector, segmentation_scores
from acr_sklearn.exceptions import EarlyStoppingWarning, SmallDomainWarning
from acr_sklearn.images.patches import pool_maps

CHANNELS, SIDE = 6, 5


def make_product(seed, n_images=20):
    """Rows around a centre of the product, alike at all positions."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(2, CHANNELS))
    rows = rng.normal(size=(n_images, SIDE, SIDE, 2)) @ mixing
    rows += 0.2 * rng.normal(size=rows.shape) + rng.normal(0, 4, CHANNELS)
    return rows.transpose(0, 3, 1, 2).astype(np.float32)


@pytest.fixture(scope="module")
def products():
    return [make_product(seed) for seed in range(5)]


@pytest.fixture(scope="module")
def fitted(products):
    quick = ResADDetector(max_iter=8, n_blocks=1)
    settings = {"regions": "neighborhood", "outliers": "detector", "sigma": 0.0, "random_state": 0}
    return FewShotSegmenter(detector=quick, levels=(2, 4), **settings).fit(products)


@pytest.fixture(scope="module")
def unseen():
    """References, maps and masks: every fourth image has a defect of two positions."""
    maps, rng = make_product(99), np.random.default_rng(7)
    references, maps = maps[:4], maps[4:]
    masks = np.zeros((len(maps), SIDE, SIDE), bool)
    for image in range(0, len(maps), 4):
        y, x = rng.integers(SIDE - 1), rng.integers(SIDE)
        masks[image, y : y + 2, x] = True
        maps[image, :, y : y + 2, x] += 4.0 * rng.choice([-1, 1], (CHANNELS, 1))
    return references, maps, masks


def test_defects_of_an_unseen_product_are_found_and_located(fitted, unseen):
    references, maps, masks = unseen
    found = segmentation_scores(masks, fitted.adapt(references).anomaly_maps(maps))
    assert found["pixel_auroc"] > 0.9
    assert found["image_auroc"] > 0.7


def test_levels_are_scored_by_themselves_and_summed(fitted, unseen):
    references, maps, _ = unseen
    everywhere = clone(fitted).set_params(regions="pooled").fit([make_product(s) for s in range(4)])
    known, rows = (part.transpose(0, 2, 3, 1).reshape(-1, CHANNELS) for part in (references, maps))
    low, high = everywhere.detectors_
    expected = -low.adapt(known[:, :2]).score_samples(rows[:, :2])
    expected -= high.adapt(known[:, 2:]).score_samples(rows[:, 2:])
    found = everywhere.adapt(references).patch_scores(maps)
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("changes", "far"),
    [({"regions": "position"}, (0, 1)), ({"region_size": 3}, (3, 0)), ({"region_size": 4}, (4, 4))],
)
def test_references_are_of_the_same_region(fitted, unseen, changes, far):
    references, maps, _ = unseen
    other = references.copy()
    other[:, :, far[0], far[1]] += 1.0
    live = copy.copy(fitted).set_params(**changes)
    before, after = (live.adapt(own).patch_scores(maps) for own in (references, other))
    np.testing.assert_array_equal(before[:, 0, 0], after[:, 0, 0])
    assert not np.allclose(before[:, far[0], far[1]], after[:, far[0], far[1]])


def test_images_are_scored_one_by_one(fitted, unseen):
    references, maps, _ = unseen
    live = fitted.adapt(references[:1])
    alone = live.patch_scores(maps[3:4])
    np.testing.assert_allclose(live.patch_scores(maps)[3:4], alone, rtol=1e-9)


def test_pooling_averages_references_and_images_alike(fitted, products, unseen):
    references, maps, _ = unseen
    pooled = clone(fitted).set_params(pooling=3, levels=None).fit(products)
    assert len(pooled.detectors_) == 1
    expected = pooled.adapt(references).patch_scores(maps)
    pooled.set_params(pooling=1)
    found = pooled.adapt(pool_maps(references, 3)).patch_scores(pool_maps(maps, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_pooling_set_after_adapt_is_that_of_references_too(fitted, unseen):
    references, maps, _ = unseen
    live = fitted.adapt(references).set_params(pooling=3)
    later = clone(fitted).set_params(pooling=3)
    vars(later).update({name: vars(fitted)[name] for name in ("detectors_", "_counts")})
    later.n_channels_, later.references_ = fitted.n_channels_, None
    expected = later.adapt(references).patch_scores(maps)
    np.testing.assert_array_equal(live.patch_scores(maps), expected)


def test_outliers_of_patches_leave_the_detector_as_it_was(fitted, products, unseen):
    references, maps, _ = unseen
    own = clone(fitted).set_params(outliers="mixed").fit(products)
    assert own.detectors_[0].outlier_source == "auto"
    assert own.detector.random_state is None
    scores = [model.adapt(references).patch_scores(maps) for model in (own, fitted)]
    assert not np.allclose(*scores)


def test_same_seed_same_scores_and_adapt_changes_nothing(fitted, products, unseen):
    references, maps, _ = unseen
    again = clone(fitted).fit(products).adapt(references)
    scores = fitted.adapt(references).patch_scores(maps)
    np.testing.assert_array_equal(again.patch_scores(maps), scores)
    copied = pickle.loads(pickle.dumps(again))
    np.testing.assert_array_equal(copied.patch_scores(maps), scores)
    for method in ("patch_scores", "anomaly_maps", "score_samples"):
        said = rf"FewShotSegmenter\.{method} got no reference images\. Call adapt"
        with pytest.raises(NotFittedError, match=said):
            getattr(fitted, method)(maps)


@pytest.mark.parametrize("levels", [(2, 3), (0, 6), (6.0,), (), [[2, 4]], (True, 5)])
def test_levels_that_are_no_share_of_the_channels(products, levels):
    with pytest.raises(ValueError, match=r"FewShotSegmenter.fit got levels=.* of 6 channels"):
        FewShotSegmenter(levels=levels).fit(products)


def test_maps_that_cannot_be_held_or_scored(fitted, unseen):
    references, maps, _ = unseen
    live = fitted.adapt(references)
    with pytest.raises(ValueError, match=r"FewShotSegmenter.adapt got maps of 3 channels"):
        fitted.adapt(references[:, :3])
    for method in ("patch_scores", "anomaly_maps", "score_samples"):
        with pytest.raises(ValueError, match=rf"Segmenter\.{method} got maps of 3 channels"):
            getattr(live, method)(maps[:, :3])
    with pytest.raises(ValueError, match=r"adapt got feature maps of shape .* hold nothing"):
        fitted.adapt(references[:0])
    with pytest.raises(
        ValueError, match=r"got maps of \(4, 5\) positions, but its references have"
    ):
        live.patch_scores(maps[:, :, :4])
    with pytest.raises(ValueError, match=r"NaN or infinity, first in image 1"):
        live.patch_scores(np.where(np.arange(len(maps))[:, None, None, None] == 1, np.nan, maps))


@pytest.mark.parametrize("sigma", [1e30, -1.0])
def test_a_smoothing_wider_than_any_image_is_refused(fitted, unseen, sigma):
    live = fitted.adapt(unseen[0]).set_params(sigma=sigma)
    with pytest.raises(ValueError, match="'sigma' parameter"):
        live.anomaly_maps(unseen[1])


def test_too_little_to_train_on_is_said_once_in_the_words_of_images(products):
    quick = FewShotSegmenter(detector=ResADDetector(max_iter=1, n_blocks=1), levels=(2, 4))
    quick.set_params(domains_per_product=1, random_state=0)
    given = [maps[:n] for maps, n in zip(products[:3], (20, 15, 9), strict=True)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quick.fit(given)
    small, early = caught
    assert (small.category, early.category) == (SmallDomainWarning, EarlyStoppingWarning)
    assert "FewShotSegmenter.fit got products" in str(small.message)
    assert "image and position: 1 (15 rows), 2 (9 rows). Little" in str(small.message)
    assert "FewShotSegmenter.fit draws 3 regions from 3 products" in str(early.message)
    assert "of its ResADDetector holds some out and needs at least 4" in str(early.message)
    assert small.filename == early.filename == __file__
    with pytest.warns(EarlyStoppingWarning, match="ResADDetector.fit got 2 domains"):
        quick.detector.fit([rows.reshape(-1, CHANNELS) for rows in products[:2]])
