"""Measures of anomaly maps against slow oracles that follow their definitions."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from sklearn.metrics import f1_score

from acr_sklearn.metrics.segmentation import f1_max, per_region_overlap, segmentation_scores


def flood(mask):
    """Connected regions, eight neighbours, by walking."""
    left, regions = {tuple(p) for p in np.argwhere(mask)}, []
    while left:
        stack, region = [left.pop()], []
        while stack:
            y, x = stack.pop()
            region.append((y, x))
            near = {(y + a, x + b) for a in (-1, 0, 1) for b in (-1, 0, 1)} & left
            left -= near
            stack += near
        regions.append(region)
    return regions


def slow_pro(masks, maps, max_fpr):
    """Threshold by threshold, region by region."""
    regions = [(i, r) for i, mask in enumerate(masks) for r in flood(mask)]
    rates, overlaps = [0.0], [0.0]
    for threshold in sorted(set(maps.ravel().tolist()), reverse=True):
        found = maps >= threshold
        rates.append(np.mean(found[~masks]))
        overlaps.append(np.mean([np.mean([found[i][p] for p in r]) for i, r in regions]))
    grid = np.linspace(0, max_fpr, 20_001)
    return np.trapezoid(np.interp(grid, rates, overlaps), grid) / max_fpr


def slow_f1(truth, scores):
    return max(f1_score(truth, scores >= t) for t in set(scores.tolist()))


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    masks = np.zeros((6, 20, 20), bool)
    masks[0, 2:5, 2:9] = True
    masks[0, 12, 12] = True
    masks[1, 5:18, 3:4] = True
    masks[2, 0, 0] = masks[2, 1, 1] = True  # joined at a corner
    maps = rng.normal(size=masks.shape) + 1.5 * masks * rng.uniform(0, 2, (6, 1, 1))
    return masks, maps


@pytest.mark.parametrize("max_fpr", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("digits", [0, 3])
def test_pro_is_what_its_definition_says(case, max_fpr, digits):
    masks, maps = case
    maps = maps.round(digits)  # with none, most pixels are tied
    # Where thousands tie, the curve has a vertical piece that the oracle's grid rounds off.
    exact = 1e-3 if digits else 2e-2
    assert per_region_overlap(masks, maps, max_fpr=max_fpr) == pytest.approx(
        slow_pro(masks, maps, max_fpr), abs=exact
    )


def test_every_region_weighs_the_same():
    masks = np.zeros((1, 30, 30), bool)
    masks[0, :10, :10] = True
    masks[0, 20, 20] = True
    only_large = np.zeros(masks.shape)
    only_large[0, :10, :10] = 1
    # The large region at once; the small one only with the mass of equal pixels, at rate 1.
    expected = np.trapezoid([0.5, 0.5 + 0.5 * 0.3], [0, 0.3]) / 0.3
    assert per_region_overlap(masks, only_large) == pytest.approx(expected)


def test_pixels_at_a_corner_are_one_region():
    masks = np.zeros((1, 6, 6), bool)
    masks[0, 0, 0] = masks[0, 1, 1] = masks[0, 5, 5] = True
    maps = np.zeros(masks.shape)
    maps[0, 5, 5] = 1
    # Two regions, so one of them is a half; with three it would be a third.
    assert per_region_overlap(masks, maps, max_fpr=1e-9) == pytest.approx(0.5, abs=1e-6)


def test_f1_max_is_the_best_of_all_thresholds(case):
    masks, maps = case
    truth, scores = masks.ravel()[:400], maps.round(1).ravel()[:400]
    assert f1_max(truth, scores) == pytest.approx(slow_f1(truth, scores))


def test_all_scores_at_once(case):
    masks, maps = case
    found = segmentation_scores(masks, maps)
    assert found["pro"] == per_region_overlap(masks, maps)
    wins = maps[masks][:, None] > maps[~masks][None]
    assert found["pixel_auroc"] == pytest.approx(wins.mean())
    top, bad = maps.max(axis=(1, 2)), masks.any(axis=(1, 2))
    assert found["image_auroc"] == pytest.approx((top[bad][:, None] > top[~bad]).mean())
    assert found["image_f1_max"] == pytest.approx(slow_f1(bad, top))
    given = segmentation_scores(masks, maps, bad.astype(float))
    assert given["image_auroc"] == given["image_ap"] == 1.0
    assert given["pixel_ap"] == found["pixel_ap"]


def test_bytes_are_masks_too(case):
    masks, maps = case
    assert per_region_overlap(masks * np.uint8(255), maps) == per_region_overlap(masks, maps)


def test_images_of_one_kind_have_no_image_curve(case):
    masks, maps = case
    found = segmentation_scores(masks[:2], maps[:2])
    assert np.isnan(found["image_auroc"])
    assert 0 < found["pixel_auroc"] <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, s: (m[:, :10], s), "anomaly_maps.*image_size"),
        (lambda m, s: (m[0], s[0]), "n_images, height, width"),
        (lambda m, s: (m & False, s), "only one of them"),
        (lambda m, s: (m | True, s), "only one of them"),
        (lambda m, s: (m * 3, s), "0, 1 and 255"),
        (lambda m, s: (m, np.where(m, np.nan, s)), "not finite"),
    ],
)
def test_bad_input_is_refused(case, change, message):
    with pytest.raises(ValueError, match=message):
        segmentation_scores(*change(*case))


def test_bad_rates_and_scores_are_refused(case):
    masks, maps = case
    with pytest.raises(ValueError, match="max_fpr=0; it needs a rate"):
        per_region_overlap(masks, maps, max_fpr=0)
    for value in (Fraction(1, 3), Decimal("0.3"), True, np.array(0.3), "0.3", np.nan, 1j):
        with pytest.raises(ValueError, match="per_region_overlap got max_fpr=.* needs a rate"):
            per_region_overlap(masks, maps, max_fpr=value)
    with pytest.raises(ValueError, match="one number per image"):
        segmentation_scores(masks, maps, [1.0])
    with pytest.raises(ValueError, match="no anomaly"):
        f1_max([False, False], [0.0, 1.0])
