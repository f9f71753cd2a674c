"""Zero-shot anomaly detection for scikit-learn users."""

from acr_sklearn.detectors import ZeroShotACRDetector
from acr_sklearn.model_selection import (
    ContaminationThreshold,
    NormalTrainSplit,
    PerDomainScorer,
    anomaly_average_precision_scorer,
    anomaly_roc_auc_scorer,
    concat_domains,
    split_domains,
)

__all__ = [
    "ContaminationThreshold",
    "NormalTrainSplit",
    "PerDomainScorer",
    "ZeroShotACRDetector",
    "anomaly_average_precision_scorer",
    "anomaly_roc_auc_scorer",
    "concat_domains",
    "split_domains",
]

__version__ = "0.1.0"
