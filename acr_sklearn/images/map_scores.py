"""What every segmenter does with scores of positions: maps of pixels, scores of images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.parameters import read_size
from acr_sklearn.images.anomaly_maps import image_scores, upsample_maps

__all__ = ["MapScoresMixin"]


class MapScoresMixin:
    """Maps and image scores of a class that scores positions and has `sigma`."""

    sigma: float

    @abstractmethod
    def _score_positions(self, X: Any, method: str) -> NDArray[np.float64]:
        """Score every position of every image; messages name the method that was called."""

    def anomaly_maps(
        self, X: Any, image_size: Sequence[int] | int | None = None
    ) -> NDArray[np.float32]:
        """Score every pixel of every image.

        Parameters
        ----------
        X : array-like of shape (n_images, channels, height, width)
            As in `patch_scores`.
        image_size : (int, int), int or None, default=None
            Height and width in pixels, one number for a square; None leaves the size of the
            feature maps.

        Returns
        -------
        ndarray of shape (n_images, image_height, image_width), float32
            High = abnormal; enlarged and smoothed.

        Raises
        ------
        ValueError
            As in `patch_scores`, and for an `image_size` that is none.
        """
        return self._maps(X, image_size, "anomaly_maps")

    def _maps(self, X: Any, image_size: Any, method: str) -> NDArray[np.float32]:
        size = read_size(image_size, who=f"{type(self).__name__}.{method}", name="image_size")
        scores = self._score_positions(X, method)
        return upsample_maps(scores, size or (scores.shape[1], scores.shape[2]), float(self.sigma))

    def score_samples(
        self, X: Any, image_size: Sequence[int] | int | None = None
    ) -> NDArray[np.float64]:
        """Score images; the higher, the more normal.

        Parameters
        ----------
        X : array-like of shape (n_images, channels, height, width)
            As in `patch_scores`.
        image_size : (int, int), int or None, default=None
            As in `anomaly_maps`.

        Returns
        -------
        ndarray of shape (n_images,), float64
            The negative maximum of each anomaly map.
        """
        return -image_scores(self._maps(X, image_size, "score_samples"))
