"""Conditional residuals: what a feature is beyond what the other features of its row foretell."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acr_sklearn.domains.feature_scale import positions_by_domain
from acr_sklearn.scoring.batch_units import BatchUnits
from acr_sklearn.scoring.value_grid import ValueGrid

__all__ = ["conditional_residuals", "fit_dependence", "residual_contributions"]

#: Added to the variances, as a multiple of their mean: features that follow from others exactly
#: would give residuals of rounding alone.
_RIDGE = 0.1
#: Rows per domain that the correlations are measured on.
_ROWS_PER_DOMAIN = 2000
#: With more features they are taken as independent: their correlations cost the cube of them.
_MOST_FEATURES = 2048


def fit_dependence(
    rows: NDArray[Any], index: NDArray[np.int64], n_domains: int
) -> NDArray[np.float64] | None:
    """Learn from training normals how each feature follows from the others.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Training rows in the users' units.
    index : ndarray of shape (n_rows,)
        Domain of each row.
    n_domains : int
        How many domains there are.

    Returns
    -------
    ndarray of shape (n_features, n_features) or None
        For `conditional_residuals`; None with more than 2048 features. Of larger domains 2000
        evenly spaced rows serve. With C the covariance of the normal scores of each domain's rows,
        pooled, and P the inverse of C with a ridge, the residual of feature j given the others is
        (P x)_j / P_jj and its variance 1 / P_jj (Lauritzen, "Graphical Models", 1996, section
        5.1); the columns are those of P over the root of P_jj.
    """
    n_features = rows.shape[1]
    if n_features > _MOST_FEATURES:
        return None
    total, count = np.zeros((n_features, n_features)), 0
    for part in positions_by_domain(index, n_domains):
        n_few = min(len(part), _ROWS_PER_DOMAIN)
        few = part[np.arange(n_few) * len(part) // n_few]
        own = torch.from_numpy(np.ascontiguousarray(rows[few]))
        units = BatchUnits(own)(own)
        scores = ValueGrid(units)(units)[1].double().numpy()
        total += scores.T @ scores
        count += len(few)
    covariance = total / count
    mean = np.trace(covariance) / n_features
    ridge = _RIDGE * (mean if mean > 0 else 1.0)
    precision = np.linalg.inv(covariance + ridge * np.eye(n_features))
    found: NDArray[np.float64] = precision / np.sqrt(np.diag(precision))
    return found


def conditional_residuals(scores: Tensor, dependence: Tensor | None) -> Tensor:
    """Measure how far the features of a row are from what the others foretell.

    Parameters
    ----------
    scores : Tensor of shape (n_samples, n_features)
        Normal scores of a batch, see `ValueGrid`.
    dependence : Tensor of shape (n_features, n_features) or None
        Of `fit_dependence`.

    Returns
    -------
    Tensor of shape (n_samples,)
        Sum over the features of log(1 + r^2) with r the residual in units of its standard
        deviation: many small ones count as much as one large one.
    """
    residuals = scores if dependence is None else scores @ dependence
    return residuals.square().log1p().sum(dim=1)


def residual_contributions(scores: Tensor, dependence: Tensor | None) -> Tensor:
    """Take the residuals of rows apart by the feature whose value makes them.

    A residual is linear in the normal scores of its row, r = s D, and each feature gets its terms
    of all residuals: feature j gets the sum over i of s_j D_ji log(1 + r_i^2) / r_i. One value that
    does not fit makes residuals in all features that it foretells; they count as its own.

    Parameters
    ----------
    scores : Tensor of shape (n_samples, n_features)
        As in `conditional_residuals`.
    dependence : Tensor of shape (n_features, n_features) or None
        Of `fit_dependence`.

    Returns
    -------
    Tensor of shape (n_samples, n_features)
        Summed over the features what `conditional_residuals` returns.
    """
    if dependence is None:
        return scores.square().log1p()
    residuals = scores @ dependence
    slopes = residuals.square().log1p() / torch.where(residuals == 0, 1.0, residuals)
    return scores * (slopes @ dependence.mT)
