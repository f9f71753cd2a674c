"""A second detector in few lines: Mahalanobis distance to the median of the row's batch."""

from typing import ClassVar

import numpy as np

from acr_sklearn.detectors.acr import ZeroShotACRDetector
from acr_sklearn.detectors.base import BaseBatchDetector


class MahalanobisDetector(BaseBatchDetector):
    """By the covariance within training domains."""

    _parameter_constraints: ClassVar = {
        name: ZeroShotACRDetector._parameter_constraints[name]
        for name in ("contamination", "threshold", "domain_column", "random_state")
    }

    def __init__(self, contamination=0.1, threshold="train", domain_column=None, random_state=None):
        self.contamination = contamination
        self.threshold = threshold
        self.domain_column = domain_column
        self.random_state = random_state

    def _train(self, data, held_out, seed, callback):
        centred = [data.rows[own] - data.rows[own].mean(axis=0) for own in data.batches()]
        return np.linalg.pinv(np.atleast_2d(np.cov(np.concatenate(centred).T)))

    def _keep_trained(self, trained):
        self.precision_ = trained

    def _score_batches(self, rows, batches):
        scores = np.zeros(len(rows))
        for own in batches:
            away = rows[own] - np.median(rows[own], axis=0)
            scores[own] = np.einsum("ij,jk,ik->i", away, self.precision_, away)
        return scores
