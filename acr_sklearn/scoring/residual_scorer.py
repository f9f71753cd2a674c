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

__all__ = ["ResidualScorer"]

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
            return self._score(torch.from_numpy(self.standardized(rows)), references, None)

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
        n_kept = min(len(ordered), _MOST_REFERENCES)
        kept = np.linspace(0, len(ordered) - 1, n_kept).round().astype(np.int64)
        own = np.full(len(ordered), -1)
        own[kept] = np.arange(n_kept)
        references, whose = ordered[torch.from_numpy(kept)], torch.from_numpy(own)

        def score(part: slice) -> Tensor:
            return self._score(ordered[part], references, whose[part])

        size = self.rows_per_chunk
        parts = (slice(start, start + size) for start in range(0, len(ordered), size))
        scores = np.empty(len(rows))
        scores[order] = _joined(in_order(score, parts, torch.device("cpu")))
        return scores

    def _score(self, rows: Tensor, references: Tensor, own: Tensor | None) -> Tensor:
        return self.network.scores(self.converter(rows, references, own))


def _joined(parts: Any) -> NDArray[np.float64]:
    return np.concatenate([part.numpy() for part in parts])
