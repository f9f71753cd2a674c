"""Measures of detection: on tensors of tasks, and over the domains of one call."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from acr_sklearn._input.labels import read_is_normal
from acr_sklearn.exceptions import ACRWarning

__all__ = ["anomaly_average_precision", "anomaly_roc_auc", "mean_domain_auc", "task_auc"]


def task_auc(scores: Tensor, is_outlier: Tensor) -> Tensor:
    """Area under the ROC curve of each task.

    Parameters
    ----------
    scores : Tensor of shape (n_tasks, n_rows)
        High for abnormal rows.
    is_outlier : Tensor of shape (n_tasks, n_rows), bool
        With the same number of outliers in every task.

    Returns
    -------
    Tensor of shape (n_tasks,)
        Share of (outlier, normal) pairs in the right order, ties counted half.
    """
    n_tasks = len(scores)
    above = scores[is_outlier].view(n_tasks, -1, 1)
    below = scores[~is_outlier].view(n_tasks, 1, -1)
    wins = (above > below).double() + 0.5 * (above == below).double()
    return wins.mean(dim=(1, 2))


def mean_domain_auc(
    scores: NDArray[np.float64],
    y: NDArray[Any],
    labels: NDArray[Any],
    batches: list[NDArray[np.int64]],
    *,
    who: str,
) -> float:
    """Mean over domains of the area under the ROC curve.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
        High for normal rows.
    y : ndarray of shape (n_rows,)
        1 for normal rows, -1 for anomalies.
    labels : ndarray of shape (n_domains,)
        Names of the domains.
    batches : list of ndarray of int
        Positions of each domain's rows.
    who : str
        For the messages.

    Returns
    -------
    float
        Domains with one kind of label are left out, with a warning; nan, with a warning, when `y`
        has labels other than 1 and -1.

    Raises
    ------
    ValueError
        When no domain has both labels.
    """
    odd = sorted(set(y.tolist()) - {1, -1}, key=str)
    if odd:
        warnings.warn(
            f"{who} got y with values {odd[:5]} and returns nan; it needs 1 for normal rows "
            "and -1 for anomalies. PyOD's labels are 0 and 1 (1 = anomaly): convert them with "
            "np.where(y == 1, -1, 1).",
            ACRWarning,
            stacklevel=4,
        )
        return float("nan")
    is_normal = np.asarray(y == 1, dtype=bool)
    values, skipped = [], []
    for name, rows in zip(labels, batches, strict=True):
        if is_normal[rows].all() or not is_normal[rows].any():
            skipped.append(str(name))
        else:
            values.append(roc_auc_score(is_normal[rows], scores[rows]))
    if not values:
        raise ValueError(
            f"{who} needs at least one domain with both normal rows (1) and anomalies (-1); "
            "each domain given has only one of them."
        )
    if skipped:
        warnings.warn(
            f"{who} left out domains with one kind of label only: {', '.join(skipped[:5])}"
            + (f" and {len(skipped) - 5} more." if len(skipped) > 5 else "."),
            ACRWarning,
            stacklevel=4,
        )
    return float(np.mean(values))


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
