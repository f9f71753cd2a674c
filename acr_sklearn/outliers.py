"""Sources of outliers for meta-training: the protocol of a source, and the one that is built in."""

from acr_sklearn.tasks.outliers import OutlierSource, SyntheticOutliers

__all__ = ["OutlierSource", "SyntheticOutliers"]
