"""Within-domain covariance: the covariance of training normals centred by domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.domains.feature_scale import FeatureScale, fit_scale, positions_by_domain

__all__ = ["WithinDomainCovariance", "fit_within_domain_covariance", "whitened"]

#: Rows per domain that the covariance is measured on.
_ROWS_PER_DOMAIN = 2000
#: With more features their covariance is taken as diagonal: the full one costs their cube.
_FULL_COVARIANCE = 2048


@dataclass(frozen=True)
class WithinDomainCovariance:
    """Covariance of the centred training normals, by its axes.

    Attributes
    ----------
    scale : FeatureScale
        Standardization under which it is measured.
    axes : ndarray of shape (n_features, n_features), float64, or None
        Orthonormal columns; None where the features themselves are the axes.
    variances : ndarray of shape (n_features,), float64
        Along the axes, not negative.
    """

    scale: FeatureScale
    axes: NDArray[np.float64] | None
    variances: NDArray[np.float64]

    @property
    def is_diagonal(self) -> bool:
        """Whether the axes are the features themselves."""
        return self.axes is None

    def inverse_spread(self, ridge: float) -> NDArray[np.float64]:
        """Weights that whiten coordinates along the axes.

        Parameters
        ----------
        ridge : float
            Added to the variances, as a multiple of their mean: an axis along which training
            normals hardly vary must not outweigh all others.

        Returns
        -------
        ndarray of shape (n_features,)
            Reciprocal standard deviations.
        """
        mean = self.variances.mean()
        return 1 / np.sqrt(self.variances + ridge * (mean if mean > 0 else 1.0))

    def whitening(self, ridge: float) -> NDArray[np.float64]:
        """Matrix that whitens standardized rows by multiplication.

        Parameters
        ----------
        ridge : float
            Of `inverse_spread`.

        Returns
        -------
        ndarray of shape (n_features, n_features) or (n_features,)
            A matrix for ``rows @ whitening``; a vector for ``rows * whitening`` where the
            covariance is diagonal.
        """
        weights = self.inverse_spread(ridge)
        return weights if self.axes is None else self.axes * weights


def fit_within_domain_covariance(
    rows: NDArray[Any], index: NDArray[np.int64], n_domains: int, seed: int
) -> WithinDomainCovariance:
    """Measure the pooled within-domain covariance.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Training rows.
    index : ndarray of shape (n_rows,)
        Domain of each row.
    n_domains : int
        How many domains there are.
    seed : int
        Chooses 2000 rows of larger domains.

    Returns
    -------
    WithinDomainCovariance
        Diagonal when there are more than 2048 features.
    """
    scale = fit_scale(rows, index, n_domains)
    rng = np.random.default_rng((seed, 2))
    centred = []
    for part in positions_by_domain(index, n_domains):
        few = part[rng.permutation(len(part))[:_ROWS_PER_DOMAIN]]
        own = (rows[few] - scale.location) / scale.scale
        centred.append(own - own.mean(axis=0))
    pooled = np.concatenate(centred)
    if pooled.shape[1] > _FULL_COVARIANCE:
        return WithinDomainCovariance(scale, None, pooled.var(axis=0))
    variances, axes = np.linalg.eigh(pooled.T @ pooled / len(pooled))
    return WithinDomainCovariance(scale, axes, np.maximum(variances, 0.0))


def whitened(rows: Any, whitening: Any) -> Any:
    """Whiten rows, arrays or tensors.

    Parameters
    ----------
    rows : ndarray or Tensor of shape (..., n_samples, n_features)
        Standardized like the covariance.
    whitening : ndarray or Tensor of shape (n_features, n_features) or (n_features,)
        Of `WithinDomainCovariance.whitening`.

    Returns
    -------
    ndarray or Tensor of the shape of `rows`
        Rows whose Euclidean distances count dependence between features.
    """
    return rows * whitening if whitening.ndim == 1 else rows @ whitening
