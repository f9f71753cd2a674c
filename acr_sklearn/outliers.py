"""Sources of outliers for meta-training: the protocol of a source, and those that are built in."""

from acr_sklearn.tasks.outliers import OutlierSource, SyntheticOutliers
from acr_sklearn.training.outlier_synthesizer import OutlierSynthesizer

__all__ = ["OutlierSource", "OutlierSynthesizer", "SyntheticOutliers"]
