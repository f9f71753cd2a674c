"""Scores of rows under references of their domain, or of a batch that is its own reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acr_sklearn._compute import in_order
from acr_sklearn._input.chunks import Chunks
from acr_sklearn.domains.feature_scale import FeatureScale
from acr_sklearn.networks.residual_network import ResidualNetwork
from acr_sklearn.networks.residuals import Converter
from acr_sklearn.scoring.reference_rows import ReferenceIndex, hash_weights

__all__ = ["ResidualScorer", "itself"]

#: Values that are read at a time, a few dozen numbers being held of each; rows at most.
_VALUES, _ROWS = 2**17, 512
#: Rows of a larger batch that are its reference.
_MOST_REFERENCES = 2048
_LARGEST = 1e15


@dataclass(frozen=True)
class ResidualScorer:
    """What scores rows, in double precision and without a trace.

    Attributes
    ----------
    network : ResidualNetwork
        In eval mode.
    scale : FeatureScale
        Of its training rows.
    converter : Converter
        Makes residuals.
    """

    network: ResidualNetwork
    scale: FeatureScale
    converter: Converter

    @property
    def rows_per_chunk(self) -> int:
        """Rows that are scored at a time."""
        return max(1, min(_ROWS, _VALUES // len(self.scale.location)))

    def standardized(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Bring rows from the users' units to those of training."""
        centred = np.subtract(rows, self.scale.location, dtype=np.float64)
        with np.errstate(over="ignore"):
            np.divide(centred, self.scale.scale, out=centred)
        return np.clip(centred, -_LARGEST, _LARGEST, out=centred)

    def users(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring standardized rows back to the users' units."""
        return np.asarray(rows * self.scale.scale + self.scale.location)

    def references(self, rows: NDArray[Any]) -> Tensor:
        """Standardize references.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            Normal rows of one domain.

        Returns
        -------
        Tensor of shape (n_distinct, n_features)
            Each distinct row once, in an order of their own: which of two references that are
            equally near is taken does not depend on the order in which they were given.
        """
        return torch.from_numpy(np.unique(self.standardized(rows), axis=0))

    def singly(self, chunks: Chunks, references: Tensor) -> NDArray[np.float64]:
        """Anomaly score of every row by itself.

        Parameters
        ----------
        chunks : Chunks
            The rows.
        references : Tensor of shape (n_references, n_features)
            Of `references`.

        Returns
        -------
        ndarray of shape (n_samples,)
            High for abnormal rows.
        """

        def score(rows: NDArray[Any]) -> Tensor:
            return self.score(torch.from_numpy(self.standardized(rows)), references)

        return _joined(in_order(score, chunks, torch.device("cpu")))

    def batch(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Anomaly score of every row of a batch, held against the others.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            At least two rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            Whatever the order of the rows. Of more than 2048 as many are the reference.
        """
        moved = self.standardized(rows)
        order = np.lexsort(moved.T[::-1])
        ordered = torch.from_numpy(moved[order])
        references = self.own_references(ordered.numpy())
        whose = itself(references, ordered.numpy())

        def score(part: slice) -> Tensor:
            return self.score(ordered[part], references, whose[part])

        size = self.rows_per_chunk
        parts = (slice(start, start + size) for start in range(0, len(ordered), size))
        scores = np.empty(len(rows))
        scores[order] = _joined(in_order(score, parts, torch.device("cpu")))
        return scores

    def own_references(self, ordered: NDArray[np.float64]) -> Tensor:
        """Choose the rows of a batch that are its reference.

        Parameters
        ----------
        ordered : ndarray of shape (n_samples, n_features)
            Standardized rows of the batch, sorted by their features.

        Returns
        -------
        Tensor of shape (n_references, n_features)
            All, or of more than 2048 as many.
        """
        n_kept = min(len(ordered), _MOST_REFERENCES)
        kept = np.linspace(0, len(ordered) - 1, n_kept).round().astype(np.int64)
        return torch.from_numpy(ordered[kept])

    def score(self, rows: Tensor, references: Tensor, own: Tensor | None = None) -> Tensor:
        """Score standardized rows under standardized references; `own` as of `Converter`."""
        return self.network.scores(self.converter(rows, references, own))


def itself(references: Tensor, rows: NDArray[np.float64]) -> Tensor:
    """Find the reference that each row is.

    Parameters
    ----------
    references : Tensor of shape (n_references, n_features)
        Standardized.
    rows : ndarray of shape (n_samples, n_features)
        Rows in the same units.

    Returns
    -------
    Tensor of shape (n_samples,), int64
        Its position, the same for equal rows; -1 for none.
    """
    index = ReferenceIndex.of(references.numpy(), hash_weights(None, references.shape[1]))
    return torch.from_numpy(index.positions(rows))


def _joined(parts: Any) -> NDArray[np.float64]:
    return np.concatenate([part.numpy() for part in parts])
