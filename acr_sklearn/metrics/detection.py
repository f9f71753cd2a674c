"""Measures of detection: on tensors of tasks, and over the domains of one call."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from acr_sklearn._input.callers import calling_fold
from acr_sklearn._input.labels import read_is_normal
from acr_sklearn._input.numbers import read_numbers
from acr_sklearn.exceptions import ACRWarning

__all__ = [
    "OneLabelError",
    "anomaly_average_precision",
    "anomaly_roc_auc",
    "auroc",
    "mean_domain_auc",
    "measure_by_domain",
    "refused_in_search",
    "task_auc",
]


class OneLabelError(ValueError):
    """No domain has both normal rows and anomalies, so that nothing can be measured."""


class _Refusal:
    """What a scorer returns in place of a number, for a search to stop at."""

    def __init__(self, message: str):
        self.message = message

    def __str__(self) -> str:
        return self.message


def refused_in_search(error: OneLabelError) -> Any:
    """Make a search stop that would go on with nan; for all other callers raise the error.

    A search takes an exception of a scorer for a score of nan, then the mean of every candidate is
    nan, and the first candidate passes for the best. What is no number it refuses, with the text
    of what it got.

    Parameters
    ----------
    error : OneLabelError
        What the scorer found.

    Returns
    -------
    object
        To be returned by the scorer; its text names fold and remedy.

    Raises
    ------
    OneLabelError
        The error itself, outside of a search, in ``cross_validate``, where it is seen which fold is
        nan, and where `error_score` is "raise" or a number of the user's.
    """
    fold = calling_fold()
    # The scores of train folds choose nothing, and a number of the user's is the user's word.
    if (
        fold is None
        or fold.scores_train_rows
        or not isinstance(fold.error_score, Real)
        or not math.isnan(fold.error_score)
    ):
        raise error
    return _Refusal(
        f"nothing: {error} This is test fold {fold.number} of {fold.n_folds}, counted from 0, and "
        "its nan would make the mean of every candidate nan. Wrap the splitter, "
        "NormalTrainSplit(cv), which leaves such folds out; or label anomalies there"
    )


def auroc(above: NDArray[Any], below: NDArray[Any]) -> Any:
    """Area under the ROC curve, as the fraction of pairs in the right order.

    Parameters
    ----------
    above, below : ndarray of shape (..., n_above) and (..., n_below)
        Numbers of which the first should be the higher; at least one of each.

    Returns
    -------
    float64 or ndarray of shape (...)
        ``(R - n (n + 1) / 2) / (n m)``, with R the sum of the ranks of the n first numbers among
        all n + m (Mann and Whitney, 1947): ties count half.
    """
    n = above.shape[-1]
    ranks = rankdata(np.concatenate([above, below], axis=-1), axis=-1)[..., :n]
    return (ranks.mean(axis=-1) - (n + 1) / 2) / below.shape[-1]


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
        Fraction of (outlier, normal) pairs in the right order, ties counted half.
    """
    n_tasks = len(scores)
    above, below = (
        scores[rows].detach().reshape(n_tasks, -1).cpu().numpy()
        for rows in (is_outlier, ~is_outlier)
    )
    # Scores that are no numbers rank nothing: such weights must never pass for the best.
    return torch.from_numpy(np.nan_to_num(auroc(above, below), nan=0.0))


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
    scores : ndarray of shape (n_samples,)
        High for normal rows.
    y : ndarray of shape (n_samples,)
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
    values = measure_by_domain(
        is_normal,
        zip(labels, batches, strict=True),
        lambda rows: float(roc_auc_score(is_normal[rows], scores[rows])),
        who=who,
        stacklevel=4,
    )
    return float(np.mean([value for _, value in values]))


def measure_by_domain(
    is_normal: NDArray[np.bool_],
    parts: Iterable[tuple[Any, NDArray[np.int64]]],
    measure: Callable[[NDArray[np.int64]], float],
    *,
    who: str,
    stacklevel: int = 3,
) -> list[tuple[Any, float]]:
    """Measure each domain that has both kinds of rows.

    Parameters
    ----------
    is_normal : ndarray of shape (n_samples,), bool
        False for anomalies.
    parts : iterable of (label, ndarray of int)
        Name of each domain and positions of its rows.
    measure : callable
        Takes the positions of a domain's rows.
    who : str
        For the messages.
    stacklevel : int, default=3
        Of the warning, as in `warnings.warn`.

    Returns
    -------
    list of (label, float)
        Domains with one kind of label are left out, with a warning.

    Raises
    ------
    OneLabelError
        When no domain has both labels.
    """
    values, skipped = [], []
    n_rows, n_normal = 0, 0
    for label, rows in parts:
        if is_normal[rows].all() or not is_normal[rows].any():
            skipped.append(str(label))
            n_rows, n_normal = n_rows + len(rows), n_normal + int(is_normal[rows].sum())
        else:
            values.append((label, measure(rows)))
    more = f" and {len(skipped) - 5} more" if len(skipped) > 5 else ""
    if not values:
        one = "each domain given has only one of them"
        named = "" if skipped in (["None"], []) else f": {', '.join(skipped[:5])}{more}"
        raise OneLabelError(
            f"{who} needs at least one domain with both normal rows (1) and anomalies (-1); "
            f"{one}{named} ({n_normal} of {n_rows} rows are normal)."
        )
    if skipped:
        warnings.warn(
            f"{who} left out domains with one kind of label only: {', '.join(skipped[:5])}{more}.",
            ACRWarning,
            stacklevel=stacklevel,
        )
    return values


def _require_both(normal: NDArray[np.bool_], who: str) -> None:
    if normal.all() or not normal.any():
        raise ValueError(
            f"{who} needs both normal rows (1) and anomalies (-1); {int(normal.sum())} of "
            f"{len(normal)} rows are normal."
        )


def anomaly_roc_auc(y_true: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve, with anomalies as the positive class.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        1 for a normal row, -1 for an anomalous one.
    scores : array-like of shape (n_samples,)
        High for normal rows.

    Returns
    -------
    float
        Fraction of pairs of an anomaly and a normal row in which the anomaly scores lower.

    Raises
    ------
    ValueError
        For labels other than 1 and -1, only one of them, or scores that are no finite numbers.
    """
    scores = read_numbers(scores, 1, who="anomaly_roc_auc", what="scores")
    normal = read_is_normal(y_true, len(scores), who="anomaly_roc_auc")
    _require_both(normal, "anomaly_roc_auc")
    return float(roc_auc_score(~normal, -scores))


def anomaly_average_precision(y_true: ArrayLike, scores: ArrayLike) -> float:
    """Average precision, with anomalies as the positive class.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        1 for a normal row, -1 for an anomalous one.
    scores : array-like of shape (n_samples,)
        High for normal rows.

    Returns
    -------
    float
        About the fraction of anomalies for a detector that guesses. With normal rows as the
        positive class it would be near 1 for every detector.

    Raises
    ------
    ValueError
        For labels other than 1 and -1, only one of them, or scores that are no finite numbers.
    """
    scores = read_numbers(scores, 1, who="anomaly_average_precision", what="scores")
    normal = read_is_normal(y_true, len(scores), who="anomaly_average_precision")
    _require_both(normal, "anomaly_average_precision")
    return float(average_precision_score(~normal, -scores))
