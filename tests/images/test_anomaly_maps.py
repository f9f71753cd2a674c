"""From scores of patches to pixels."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from acr_sklearn.images.anomaly_maps import image_scores, upsample_maps


def test_maps_are_bilinear_between_the_centres_of_patches():
    scores = np.array([[[0.0, 1.0], [2.0, 3.0]]])
    maps = upsample_maps(scores, (4, 4), 0)
    # Pixel 1 lies a quarter of the way from the first centre to the second.
    assert np.allclose(maps[0, 0], [0, 0.25, 0.75, 1])
    assert np.allclose(maps[0, :, 0], [0, 0.5, 1.5, 2])
    assert maps.dtype == np.float32


def test_smoothing_is_gaussian_in_pixels_and_within_an_image():
    scores = np.random.default_rng(0).normal(size=(70, 8, 6))
    sharp, smooth = (upsample_maps(scores, (16, 12), sigma) for sigma in (0, 1.5))
    for i in (0, 33, 69):
        assert np.allclose(smooth[i], gaussian_filter(sharp[i], 1.5, mode="nearest"), atol=1e-5)


def test_a_constant_stays_and_the_size_may_stay():
    assert np.allclose(upsample_maps(np.full((2, 3, 3), 7.0), (9, 5), 4.0), 7)
    scores = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    assert np.array_equal(upsample_maps(scores, (5, 4), 0), scores)


def test_an_image_is_its_worst_pixel():
    maps = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    assert image_scores(maps).tolist() == [11, 23]
    assert image_scores(maps).dtype == np.float64
    assert image_scores(-maps).tolist() == pytest.approx([0, -12])
