"""Anomalies in images: feature maps, and scores of their positions."""

from acr_sklearn.images.features import FeatureExtractor, mobilenet_extractor
from acr_sklearn.images.few_shot import FewShotSegmenter
from acr_sklearn.images.segmenter import ZeroShotSegmenter

__all__ = ["FeatureExtractor", "FewShotSegmenter", "ZeroShotSegmenter", "mobilenet_extractor"]
