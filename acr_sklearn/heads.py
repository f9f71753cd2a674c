"""Scoring heads: how a batch, and what the network makes of it, become one score per row.

All functions take a stack of batches of equal size and treat every batch on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acr_sklearn.normal_shape import NormalShape, fit_shape
from acr_sklearn.objectives import ACRNetwork

__all__ = ["SCORE_HEADS", "ScoreHead", "make_head", "nearest_distance", "robust_z"]

SCORE_HEADS = ("combined", "objective", "neighbors", "mahalanobis")

#: Up to so many rows of a batch all are neighbours; of a larger one so many serve as neighbours,
#: or the cost would grow with its square.
_ALL_NEIGHBORS, _REFERENCE_ROWS = 2048, 512
#: Distances held at a time.
_CHUNK = 2**24
#: Ridges of the whitened distances and share of the batch in the wide neighbourhood: chosen on
#: validation domains of digits, Fashion-MNIST, road accidents and glyphs, see docs/concepts.md.
_RIDGE_NORM, _RIDGE_NEIGHBORS, _WIDE = 0.03, 0.1, 0.3
#: Spread of log distances below which a batch counts as having none.
_LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class ScoreHead:
    """How rows are scored.

    Attributes
    ----------
    kind : {"combined", "objective", "neighbors", "mahalanobis"}
        Which head.
    n_neighbors : int
        Neighbours in the narrow neighbourhoods.
    shape : NormalShape or None
        How the training normals vary around their centres; for "combined" and "mahalanobis".
    """

    kind: str
    n_neighbors: int
    shape: NormalShape | None

    def score(self, network: ACRNetwork, x: Tensor, units: Tensor | None) -> Tensor:
        """Score the rows of each batch.

        Parameters
        ----------
        network : ACRNetwork
            The trained network.
        x : Tensor of shape (n_batches, n_rows, n_features)
            Its input.
        units : Tensor of shape (n_batches, n_rows, n_features) or None
            The batches centred and in the units of `shape`; None where there is no shape.

        Returns
        -------
        Tensor of shape (n_batches, n_rows)
            High for abnormal rows.
        """
        if self.kind == "objective":
            return network.anomaly_score(x)
        if self.kind == "neighbors":
            return nearest_distance(network.backbone(x), self.n_neighbors)
        assert self.shape is not None
        assert units is not None
        turned = units @ torch.as_tensor(self.shape.axes).to(units)
        far = (turned * self._weights(turned, _RIDGE_NORM)).norm(dim=-1)
        if self.kind == "mahalanobis":
            return far
        n_rows = units.shape[1]
        n_references = n_rows if n_rows <= _ALL_NEIGHBORS else _REFERENCE_ROWS
        wide = max(self.n_neighbors, round(_WIDE * n_references))
        whitened = turned * self._weights(turned, _RIDGE_NEIGHBORS)
        views = [
            far,
            nearest_distance(whitened, self.n_neighbors),
            nearest_distance(units, wide),
            nearest_distance(network.backbone(x), self.n_neighbors),
        ]
        return torch.stack([robust_z(view) for view in views]).amax(dim=0)

    def _weights(self, like: Tensor, ridge: float) -> Tensor:
        assert self.shape is not None
        return torch.as_tensor(self.shape.inverse_spread(ridge)).to(like)


def make_head(
    kind: str, n_neighbors: int, rows: NDArray[Any], index: NDArray[np.int64], seed: int
) -> ScoreHead:
    """Build a head, measuring the training normals where it needs their shape.

    Parameters
    ----------
    kind : {"combined", "objective", "neighbors", "mahalanobis"}
        Which head.
    n_neighbors : int
        Neighbours in the narrow neighbourhoods.
    rows : ndarray of shape (n_rows, n_features)
        Training normals.
    index : ndarray of shape (n_rows,)
        Domain of each row, 0..n_domains-1.
    seed : int
        Chooses rows of large domains.

    Returns
    -------
    ScoreHead
        Ready to score.
    """
    if kind in ("objective", "neighbors"):
        return ScoreHead(kind, n_neighbors, None)
    return ScoreHead(kind, n_neighbors, fit_shape(rows, index, int(index.max()) + 1, seed))


def robust_z(distances: Tensor) -> Tensor:
    """Standardise log distances within each batch by median and median absolute deviation.

    Parameters
    ----------
    distances : Tensor of shape (n_batches, n_rows)
        Not negative.

    Returns
    -------
    Tensor of shape (n_batches, n_rows)
        Comparable between kinds of distance; zeros for a batch of equal distances.
    """
    typical = _median(distances)
    # Relative to the typical distance: rows that coincide must not send the logarithm to -inf.
    floor = torch.where(typical > 0, 1e-6 * typical, torch.ones_like(typical))
    logs = (distances + floor).log()
    centred = logs - _median(logs)
    spread = 1.4826 * _median(centred.abs())
    return centred / spread.clamp_min(_LEAST_SPREAD)


def _median(values: Tensor) -> Tensor:
    return values.quantile(0.5, dim=-1, keepdim=True) if _fits(values) else _middle(values)


def _fits(values: Tensor) -> bool:
    return values.shape[-1] < 2**24  # torch.quantile takes no more


def _middle(values: Tensor) -> Tensor:
    return values.median(dim=-1, keepdim=True).values


def nearest_distance(rows: Tensor, n_neighbors: int) -> Tensor:
    """Mean Euclidean distance of each row to its nearest other rows of the batch.

    Parameters
    ----------
    rows : Tensor of shape (n_batches, n_rows, n_features)
        Stacked batches. Of more than 2048 rows 512, evenly spaced along a fixed direction and so
        independent of row order, serve as neighbours.
    n_neighbors : int
        Fewer where the batch has fewer other rows.

    Returns
    -------
    Tensor of shape (n_batches, n_rows)
        High for isolated rows.
    """
    n_batches, n_rows, _ = rows.shape
    chosen = _reference_rows(rows)
    references = rows.take_along_dim(chosen[..., None], dim=1)
    n_neighbors = min(n_neighbors, n_rows - 1, chosen.shape[1] - 1)
    step = max(1, _CHUNK // (n_batches * chosen.shape[1]))
    parts = []
    for start in range(0, n_rows, step):
        part = rows[:, start : start + step]
        distances = torch.cdist(part, references, compute_mode=_mode(part, references))
        here = torch.arange(start, start + part.shape[1], device=rows.device)
        distances.masked_fill_(chosen[:, None, :] == here[None, :, None], torch.inf)
        nearest = distances.topk(n_neighbors, dim=-1, largest=False, sorted=False).values
        parts.append(nearest.mean(dim=-1))
    return torch.cat(parts, dim=1)


def _mode(part: Tensor, references: Tensor) -> str:
    """Exact differences while they are cheap; products of matrices, less exact, beyond."""
    work = part.shape[0] * part.shape[1] * references.shape[1] * part.shape[2]
    exact = part.dtype == torch.float64 and work < 2**31
    return "donot_use_mm_for_euclid_dist" if exact else "use_mm_for_euclid_dist"


def _reference_rows(rows: Tensor) -> Tensor:
    """Positions of the rows that serve as neighbours, shape (n_batches, n_references)."""
    n_batches, n_rows, n_features = rows.shape
    if n_rows <= _ALL_NEIGHBORS:
        return torch.arange(n_rows, device=rows.device).expand(n_batches, n_rows)
    direction = torch.arange(1, n_features + 1, device=rows.device, dtype=rows.dtype).mul(12.9898)
    order = (rows @ direction.sin()).argsort(dim=1)
    evenly = torch.arange(_REFERENCE_ROWS, device=rows.device) * n_rows // _REFERENCE_ROWS
    return order[:, evenly]
