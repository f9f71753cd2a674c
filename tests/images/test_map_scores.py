"""Maps of pixels and scores of images, from scores of positions."""

import numpy as np
import pytest

from acr_sklearn.images.map_scores import MapScoresMixin


class _Given(MapScoresMixin):
    """Maps are their own scores."""

    def __init__(self, sigma):
        self.sigma = sigma

    def _score_positions(self, X, method):
        return np.asarray(X, float)


PEAK = np.zeros((2, 5, 5))
PEAK[1, 2, 2] = 1.0


def test_unsmoothed_maps_are_the_scores_and_images_have_their_maximum():
    given = _Given(0.0)
    np.testing.assert_array_equal(given.anomaly_maps(PEAK), PEAK)
    np.testing.assert_array_equal(given.score_samples(PEAK), [0.0, -1.0])


def test_maps_are_enlarged_then_smoothed_and_their_maximum_is_of_the_smoothed_map():
    plain, smooth = _Given(0.0), _Given(2.0)
    assert smooth.anomaly_maps(PEAK, (20, 10)).shape == (2, 20, 10)
    maps = smooth.anomaly_maps(PEAK, 20)
    assert 0 < maps[1].max() < plain.anomaly_maps(PEAK, 20)[1].max()
    np.testing.assert_allclose(smooth.score_samples(PEAK, 20), -maps.max(axis=(1, 2)))


def test_a_size_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"_Given.score_samples got image_size=0"):
        _Given(1.0).score_samples(PEAK, 0)
