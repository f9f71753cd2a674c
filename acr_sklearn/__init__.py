"""Zero-shot anomaly detection for scikit-learn users."""

from acr_sklearn.detectors import (
    ConvBackbone,
    HeldOutDomains,
    MLPBackbone,
    NeuralTransformation,
    OutlierSynthesisDetector,
    ResADDetector,
    ZeroShotACRDetector,
)
from acr_sklearn.images import (
    FeatureExtractor,
    FewShotSegmenter,
    ZeroShotSegmenter,
    mobilenet_extractor,
)
from acr_sklearn.metrics import f1_max, per_region_overlap, segmentation_scores
from acr_sklearn.model_selection import (
    ContaminationThreshold,
    FitOnNormals,
    LabelThreshold,
    NormalTrainSplit,
    PerDomainScorer,
    anomaly_average_precision_scorer,
    anomaly_roc_auc_scorer,
    concat_domains,
    split_domains,
)
from acr_sklearn.persistence import load
from acr_sklearn.plotting import AnomalyMapDisplay
from acr_sklearn.preprocessing import DomainDetrender, DomainImputer, DomainScaler

__all__ = [
    "AnomalyMapDisplay",
    "ContaminationThreshold",
    "ConvBackbone",
    "DomainDetrender",
    "DomainImputer",
    "DomainScaler",
    "FeatureExtractor",
    "FewShotSegmenter",
    "FitOnNormals",
    "HeldOutDomains",
    "LabelThreshold",
    "MLPBackbone",
    "NeuralTransformation",
    "NormalTrainSplit",
    "OutlierSynthesisDetector",
    "PerDomainScorer",
    "ResADDetector",
    "ZeroShotACRDetector",
    "ZeroShotSegmenter",
    "anomaly_average_precision_scorer",
    "anomaly_roc_auc_scorer",
    "concat_domains",
    "f1_max",
    "load",
    "mobilenet_extractor",
    "per_region_overlap",
    "segmentation_scores",
    "split_domains",
]

__version__ = "0.1.0"
