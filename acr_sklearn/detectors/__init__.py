"""Detectors: each one a choice of parts from the floors below."""

from acr_sklearn.detectors.acr import ZeroShotACRDetector

__all__ = ["ZeroShotACRDetector"]
