"""Classes that a file may hold: a closed table, so that no file names what is imported."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["TORCH", "WEIGHTED", "class_named", "name_of"]

_PARTS = {
    # Estimators with a save of their own, and what is passed to them.
    "ContaminationThreshold": "model_selection.contamination",
    "ConvBackbone": "detectors.parts",
    "DomainDetrender": "preprocessing.detrender",
    "DomainImputer": "preprocessing.imputer",
    "DomainScaler": "preprocessing.scaler",
    "FewShotSegmenter": "images.few_shot",
    "FitOnNormals": "model_selection.fit_on_normals",
    "HeldOutDomains": "detectors.parts",
    "LabelThreshold": "model_selection.label_threshold",
    "MLPBackbone": "detectors.parts",
    "NeuralTransformation": "detectors.parts",
    "OutlierSynthesisDetector": "detectors.synthesis",
    "OutlierSynthesizer": "training.outlier_synthesizer",
    "ResADDetector": "detectors.resad",
    "SyntheticOutliers": "tasks.outliers",
    "ZeroShotACRDetector": "detectors.acr",
    "ZeroShotSegmenter": "images.segmenter",
    # Plain state.
    "BottleneckOutliers": "tasks.latent_outliers",
    "Calibration": "detectors._scoring",
    "ConsensusHead": "scoring.consensus_head",
    "Converter": "networks.residuals",
    "Discriminant": "scoring.discriminant",
    "Distilled": "training.distillation",
    "DomainShift": "domains.domain_shift",
    "FeatureScale": "domains.feature_scale",
    "LatentOutliers": "tasks.latent_outliers",
    "ReferenceIndex": "scoring.reference_rows",
    "RobustSpreads": "domains.robust_spreads",
    "RowUnits": "domains.row_units",
    "SavedNet": "training.saved_net",
    "SavedReference": "detectors._reference_state",
    "SavedResidualNet": "training.saved_residuals",
    "ScoreHead": "scoring.heads",
    "SlidingWindow": "detectors._sliding",
    "WithinDomainCovariance": "domains.covariance",
    # Networks and their parts.
    "ACREnsemble": "networks.ensemble",
    "ACRNetwork": "networks.acr_network",
    "Autoencoder": "networks.autoencoder",
    "BatchCenter": "networks.conv",
    "BatchEvidence": "scoring.evidence",
    "BatchStandardization": "networks.neural_transformation",
    "BatchUnits": "scoring.batch_units",
    "BinaryCrossEntropy": "networks.objectives",
    "Combination": "scoring.evidence",
    "ConsensusBatch": "scoring.consensus_batch",
    "ConvNetwork": "networks.conv",
    "DeepSVDD": "networks.objectives",
    "FixedBatch": "scoring.fixed_batch",
    "FixedNorm": "scoring.fixed_norms",
    "FixedStandardization": "scoring.fixed_norms",
    "FusedMLP": "scoring.fused_mlp",
    "FusedNeighbors": "scoring.fused_mlp",
    "ImageBatchNorm": "networks.normalization",
    "MLPNetwork": "networks.mlp",
    "MonotoneClassifier": "networks.monotone",
    "Neighborhoods": "scoring.neighborhoods",
    "Neighbors": "scoring.neighbors",
    "NeuralTransformationLearning": "networks.neural_transformation",
    "NeuralTransformations": "networks.neural_transformation",
    "ObjectiveLoss": "networks.objectives",
    "ResidualLoss": "networks.residual_network",
    "RowSigns": "networks.signs",
    "StackedModule": "networks.user_module",
    "Standardizer": "scoring.standardize",
    "TaskBatchNorm": "networks.normalization",
    "ValueGrid": "scoring.value_grid",
    "VariationalAutoencoder": "networks.variational",
    "WhitenedLinear": "networks.mlp",
    "_Passed": "scoring.fixed_norms",
}
#: PyTorch's own modules among those parts, with the arguments they are built from: their further
#: attributes are PyTorch's to change.
TORCH: dict[str, tuple[str, ...]] = {
    "Conv2d": (
        *("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation"),
        *("groups", "padding_mode"),
    ),
    "Linear": ("in_features", "out_features"),
    "ModuleList": (),
    "ParameterList": (),
    "ReLU": ("inplace",),
    "Sequential": (),
}
#: Those of them that have a weight and may have a bias.
WEIGHTED = frozenset({"Conv2d", "Linear"})
_PLACES = {
    **{name: f"acr_sklearn.{module}" for name, module in _PARTS.items()},
    **dict.fromkeys(TORCH, "torch.nn"),
    "FrozenEstimator": "sklearn.frozen",
    "Pipeline": "sklearn.pipeline",
}


def class_named(name: Any) -> type[Any]:
    """Look a class up.

    Parameters
    ----------
    name : str
        As in a file.

    Returns
    -------
    type
        Of the table.

    Raises
    ------
    ValueError
        For a name that is not in the table.
    """
    if not isinstance(name, str) or name not in _PLACES:
        raise ValueError(f"names a class {name!r}, which no file of acr_sklearn may hold")
    found: type[Any] = getattr(importlib.import_module(_PLACES[name]), name)
    return found


def name_of(kind: type[Any]) -> str | None:
    """Name a class for a file.

    Parameters
    ----------
    kind : type
        Any class.

    Returns
    -------
    str or None
        None for one that is not in the table.
    """
    name = kind.__name__
    return name if name in _PLACES and class_named(name) is kind else None
