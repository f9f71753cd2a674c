"""Measures of detection and of segmentation, with anomalies as what is looked for."""

from acr_sklearn.metrics.detection import anomaly_average_precision, anomaly_roc_auc
from acr_sklearn.metrics.segmentation import f1_max, per_region_overlap, segmentation_scores

__all__ = [
    "anomaly_average_precision",
    "anomaly_roc_auc",
    "f1_max",
    "per_region_overlap",
    "segmentation_scores",
]
