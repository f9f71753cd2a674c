"""Zero-shot anomaly detection for scikit-learn users."""

from acr_sklearn.detectors import ZeroShotACRDetector
from acr_sklearn.model_selection import NormalTrainSplit, concat_domains, split_domains

__all__ = ["NormalTrainSplit", "ZeroShotACRDetector", "concat_domains", "split_domains"]

__version__ = "0.1.0"
