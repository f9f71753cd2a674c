"""Measures of detection on tensors."""

from __future__ import annotations

from torch import Tensor

__all__ = ["task_auc"]


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
