"""Measures of scores that are high for normal rows, with anomalies as what is looked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, roc_auc_score

from acr_sklearn._labels import read_is_normal

__all__ = ["anomaly_average_precision", "anomaly_roc_auc"]


def anomaly_roc_auc(y_true: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve, with anomalies as the positive class.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        1 for a normal row, -1 for an anomalous one.
    scores : array-like of shape (n_rows,)
        High for normal rows.

    Returns
    -------
    float
        Share of pairs of an anomaly and a normal row in which the anomaly scores lower.

    Raises
    ------
    ValueError
        For labels other than 1 and -1.
    """
    scores = np.asarray(scores, dtype=np.float64)
    normal = read_is_normal(y_true, len(scores), who="anomaly_roc_auc")
    return float(roc_auc_score(~normal, -scores))


def anomaly_average_precision(y_true: ArrayLike, scores: ArrayLike) -> float:
    """Average precision, with anomalies as the positive class.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        1 for a normal row, -1 for an anomalous one.
    scores : array-like of shape (n_rows,)
        High for normal rows.

    Returns
    -------
    float
        About the share of anomalies for a detector that guesses. With normal rows as the positive
        class it would be near 1 for every detector.

    Raises
    ------
    ValueError
        For labels other than 1 and -1.
    """
    scores = np.asarray(scores, dtype=np.float64)
    normal = read_is_normal(y_true, len(scores), who="anomaly_average_precision")
    return float(average_precision_score(~normal, -scores))
