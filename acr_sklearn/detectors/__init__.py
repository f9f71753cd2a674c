"""Detectors: each one a choice of parts from the floors below."""

from acr_sklearn.detectors.acr import ZeroShotACRDetector
from acr_sklearn.detectors.parts import (
    ConvBackbone,
    HeldOutDomains,
    MLPBackbone,
    NeuralTransformation,
)
from acr_sklearn.detectors.resad import ResADDetector
from acr_sklearn.detectors.synthesis import OutlierSynthesisDetector

__all__ = [
    "ConvBackbone",
    "HeldOutDomains",
    "MLPBackbone",
    "NeuralTransformation",
    "OutlierSynthesisDetector",
    "ResADDetector",
    "ZeroShotACRDetector",
]
