"""Scoring heads: how a batch, and what the network makes of it, become one score per row.

All functions take a stack of batches of equal size and treat every batch on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from acr_sklearn.domains.covariance import WithinDomainCovariance
from acr_sklearn.networks.acr_network import ACREnsemble, ACRNetwork
from acr_sklearn.scoring.neighbors import n_references, nearest_distance
from acr_sklearn.scoring.robust_scale import robust_z_scores
from acr_sklearn.scoring.standardize import largest_number

__all__ = ["SCORE_HEADS", "ScoreHead", "make_head", "most_normal", "round_down"]

Network = ACRNetwork | ACREnsemble

SCORE_HEADS = ("combined", "objective", "neighbors", "mahalanobis")

#: Share of the batch in the wide neighbourhood, chosen with the ridges below.
_WIDE = 0.3


@dataclass(frozen=True)
class ScoreHead:
    """How rows are scored.

    Attributes
    ----------
    kind : {"combined", "objective", "neighbors", "mahalanobis"}
        Which head.
    n_neighbors : int
        Neighbours that count.
    trim_fraction : float
        Share of the batch, the most anomalous at first sight, that the statistics leave out.
        First sight is the batch in the features: its Mahalanobis distance to the mean by the
        covariance of centred training normals and, where neighbours count anyway, the distance to
        near rows in whitened features and to 30 % of the batch in plain ones, whichever is the
        most alarming.
    shape : WithinDomainCovariance or None
        How the training normals vary around their centres; None for the objective in one pass.
    """

    #: Ridges of the whitened distances: chosen on validation domains of digits, Fashion-MNIST, road
    #: accidents and glyphs, see docs/concepts.md.
    ridge_norm: ClassVar[float] = 0.03
    ridge_neighbors: ClassVar[float] = 0.1

    kind: str
    n_neighbors: int
    trim_fraction: float
    shape: WithinDomainCovariance | None

    def score(
        self, network: Network, x: Tensor, units: Tensor | None, *, rescale: bool = False
    ) -> Tensor:
        """Score the rows of each batch.

        Parameters
        ----------
        network : ACRNetwork or ACREnsemble
            The trained network.
        x : Tensor of shape (n_batches, n_rows, n_inputs)
            Its input.
        units : Tensor of shape (n_batches, n_rows, n_features) or None
            The batches in the units of `shape`; None where there is no shape.
        rescale : bool, default=False
            Whether the network's input may be brought to the spread of the rows that count; not
            for a user's network, which sees rows as they are.

        Returns
        -------
        Tensor of shape (n_batches, n_rows)
            High for abnormal rows.
        """
        kept = None
        if round_down(self.trim_fraction, x.shape[1]):
            kept = most_normal(self._first_sight(units), self.trim_fraction)
            if rescale:
                # A gross row must not press the others below the epsilon of the batch norm.
                x = standardize_by_mask(x, kept)
        return self._look(network, x, units, kept)

    def _look(
        self, network: Network, x: Tensor, units: Tensor | None, kept: Tensor | None
    ) -> Tensor:
        if self.kind == "mahalanobis":
            return self._mahalanobis(units, kept)
        representation, centre = network.views(x, kept)
        if self.kind == "objective":
            return centre
        near = nearest_distance(representation, self.n_neighbors, kept)
        if self.kind == "neighbors":
            return near
        return torch.maximum(robust_z_scores(near), robust_z_scores(network.distance(centre)))

    def _first_sight(self, units: Tensor | None) -> Tensor:
        """Score before the network: what is far off in the features already must not move it."""
        far = self._mahalanobis(units, None)
        if self.kind in ("objective", "mahalanobis"):
            return far
        assert units is not None
        wide = self.wide_neighbors(units.shape[1])
        views = [
            far,
            nearest_distance(self._whitened(units, self.ridge_neighbors), self.n_neighbors),
            nearest_distance(units, wide),
        ]
        return torch.stack([robust_z_scores(view) for view in views]).amax(dim=0)

    def wide_neighbors(self, n_rows: int) -> int:
        """Neighbours of the wide view of a batch.

        Parameters
        ----------
        n_rows : int
            Rows of the batch.

        Returns
        -------
        int
            30 % of the rows that may serve as neighbours.
        """
        return max(self.n_neighbors, round(_WIDE * n_references(n_rows)))

    def _whitened(self, units: Tensor, ridge: float) -> Tensor:
        assert self.shape is not None
        whitening = torch.as_tensor(self.shape.whitening(ridge)).to(units)
        return units * whitening if self.shape.is_diagonal else units @ whitening

    def _mahalanobis(self, units: Tensor | None, kept: Tensor | None) -> Tensor:
        assert units is not None
        weight = torch.ones_like(units[..., :1]) if kept is None else kept[..., None].to(units)
        centred = units - (units * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)
        return self._whitened(centred, self.ridge_norm).norm(dim=-1)


def standardize_by_mask(x: Tensor, kept: Tensor) -> Tensor:
    """Centre batches on their kept rows and divide by these rows' overall spread.

    Parameters
    ----------
    x : Tensor of shape (n_batches, n_rows, n_features)
        Batches.
    kept : Tensor of shape (n_batches, n_rows), bool
        Rows that count.

    Returns
    -------
    Tensor of the shape of `x`
        With kept rows of mean 0 and mean square 1, unless they are all equal.
    """
    weight = kept.to(x)[..., None]
    count = weight.sum(1, keepdim=True)
    centred = x - (x * weight).sum(1, keepdim=True) / count
    # A second pass removes what rounding beside gross rows left over.
    centred = centred - (centred * weight).sum(1, keepdim=True) / count
    power = (centred.square() * weight).sum((1, 2), keepdim=True) / count / x.shape[2]
    largest = largest_number(x.dtype)
    return (centred / torch.where(power > 0, power.sqrt(), 1.0)).clamp(-largest, largest)


def round_down(fraction: float, n_rows: int) -> int:
    """Whole rows in a share of a batch.

    Parameters
    ----------
    fraction : float
        Share.
    n_rows : int
        Rows of the batch.

    Returns
    -------
    int
        Rounded down, at most all but two rows.
    """
    return max(0, min(int(fraction * n_rows + 1e-9), n_rows - 2))


def most_normal(scores: Tensor, trim_fraction: float) -> Tensor:
    """Mark the rows that statistics are computed on.

    Parameters
    ----------
    scores : Tensor of shape (n_batches, n_rows)
        High for abnormal rows.
    trim_fraction : float
        Share of rows to leave out.

    Returns
    -------
    Tensor of shape (n_batches, n_rows), bool
        Rows that score alike share their fate, so that the mark never depends on row order.
    """
    n_kept = scores.shape[1] - round_down(trim_fraction, scores.shape[1])
    limit = _kth_smallest(scores, n_kept)
    return scores <= limit + 100 * torch.finfo(scores.dtype).eps * (1 + limit.abs())


def _kth_smallest(scores: Tensor, k: int) -> Tensor:
    if scores.device.type != "cpu":
        return scores.kthvalue(k, dim=1, keepdim=True).values
    # In half the memory: no positions are wanted.
    return torch.from_numpy(np.partition(scores.numpy(), k - 1, axis=1)[:, k - 1 : k].copy())


def make_head(
    kind: str, n_neighbors: int, trim_fraction: float, shape: WithinDomainCovariance
) -> ScoreHead:
    """Build a head.

    Parameters
    ----------
    kind : {"combined", "objective", "neighbors", "mahalanobis"}
        Which head.
    n_neighbors : int
        Neighbours that count.
    trim_fraction : float
        Share of the batch that the statistics leave out.
    shape : WithinDomainCovariance
        Of the training normals; kept only where the head needs it.

    Returns
    -------
    ScoreHead
        Ready to score.
    """
    needed = kind == "mahalanobis" or trim_fraction > 0
    return ScoreHead(kind, n_neighbors, trim_fraction, shape if needed else None)
