"""What the network sees of a row: its features in fixed units, and beside them whitened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.normal_shape import NormalShape
from acr_sklearn.scaling import FeatureScale

__all__ = ["NetworkInput"]

#: Ridge of the whitening: weaker ones let directions without variance drown the rest.
_RIDGE = 0.1


@dataclass(frozen=True)
class NetworkInput:
    """The fixed map from users' rows to the network's input.

    Attributes
    ----------
    scale : FeatureScale or None
        Units of the features; None passes rows on as they are.
    whitening : ndarray of shape (n_features, n_features), float64, or None
        Applied to rows in those units; the result stands beside them in the input. Batch norm
        sees one direction at a time, so a network starts out blind to what is unusual only in the
        dependence between features; in whitened directions it is not.
    """

    scale: FeatureScale | None
    whitening: NDArray[np.float64] | None

    @classmethod
    def of(cls, shape: NormalShape, *, whiten: bool) -> NetworkInput:
        """Build the map from what is known of the training normals.

        Parameters
        ----------
        shape : NormalShape
            Their pooled within-domain covariance.
        whiten : bool
            Whether to add the whitened features; not done where the covariance is diagonal, which
            the units account for already.

        Returns
        -------
        NetworkInput
            The map.
        """
        if not whiten or shape.is_diagonal:
            return cls(shape.scale, None)
        return cls(shape.scale, shape.axes * shape.inverse_spread(_RIDGE))

    def width(self, n_features: int) -> int:
        """Count the network's inputs.

        Parameters
        ----------
        n_features : int
            Features of a row.

        Returns
        -------
        int
            Twice as many where they are whitened as well.
        """
        return n_features if self.whitening is None else 2 * n_features

    def training_rows(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Rows as the network sees them in training.

        Parameters
        ----------
        rows : ndarray of shape (..., n_features)
            In the users' units, any float type.

        Returns
        -------
        ndarray of shape (..., n_inputs), float32
            A copy.
        """
        if self.scale is None:
            return np.array(rows, dtype=np.float32)
        return self.beside_whitened(self.scale.training_rows(rows))

    def beside_whitened(self, units: NDArray[Any]) -> NDArray[Any]:
        """Put the whitened features beside rows that are in the network's units.

        Parameters
        ----------
        units : ndarray of shape (..., n_features), float32 or float64
            Rows in the units of `scale`.

        Returns
        -------
        ndarray of shape (..., n_inputs)
            The rows themselves where nothing is whitened.
        """
        if self.whitening is None:
            return units
        return np.concatenate([units, units @ self.whitening.astype(units.dtype)], axis=-1)
