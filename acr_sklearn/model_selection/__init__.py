"""Choosing and judging detectors on domains that training has not seen."""

from acr_sklearn.model_selection.contamination import ContaminationThreshold
from acr_sklearn.model_selection.domain_lists import concat_domains, split_domains
from acr_sklearn.model_selection.fit_on_normals import FitOnNormals
from acr_sklearn.model_selection.label_threshold import LabelThreshold
from acr_sklearn.model_selection.scorers import (
    PerDomainScorer,
    anomaly_average_precision_scorer,
    anomaly_roc_auc_scorer,
)
from acr_sklearn.model_selection.splits import NormalTrainSplit

__all__ = [
    "ContaminationThreshold",
    "FitOnNormals",
    "LabelThreshold",
    "NormalTrainSplit",
    "PerDomainScorer",
    "anomaly_average_precision_scorer",
    "anomaly_roc_auc_scorer",
    "concat_domains",
    "split_domains",
]
