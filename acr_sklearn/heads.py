"""Scoring heads: how a batch, and what the network makes of it, become one score per row.

All functions take a stack of batches of equal size and treat every batch on its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from acr_sklearn.networks import ACREnsemble, ACRNetwork
from acr_sklearn.normal_shape import NormalShape

__all__ = ["SCORE_HEADS", "ScoreHead", "make_head", "nearest_distance", "robust_z"]

Network = ACRNetwork | ACREnsemble

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
        Neighbours that count.
    trim_fraction : float
        Share of the batch, the most anomalous at first sight, that the statistics leave out.
        First sight is the batch in the features: its Mahalanobis distance to the mean by the
        covariance of centred training normals and, where neighbours count anyway, the distance to
        near rows in whitened features and to 30 % of the batch in plain ones, whichever is the
        most alarming.
    shape : NormalShape or None
        How the training normals vary around their centres; None for the objective in one pass.
    """

    kind: str
    n_neighbors: int
    trim_fraction: float
    shape: NormalShape | None

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
                x = in_own_spread(x, kept)
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
        return torch.maximum(robust_z(near), robust_z(network.distance(centre)))

    def _first_sight(self, units: Tensor | None) -> Tensor:
        """Score before the network: what is far off in the features already must not move it."""
        far = self._mahalanobis(units, None)
        if self.kind in ("objective", "mahalanobis"):
            return far
        assert units is not None
        n_rows = min(units.shape[1], _ALL_NEIGHBORS)
        n_rows = n_rows if n_rows == units.shape[1] else _REFERENCE_ROWS
        wide = max(self.n_neighbors, round(_WIDE * n_rows))
        views = [
            far,
            nearest_distance(self._whitened(units, _RIDGE_NEIGHBORS), self.n_neighbors),
            nearest_distance(units, wide),
        ]
        return torch.stack([robust_z(view) for view in views]).amax(dim=0)

    def _whitened(self, units: Tensor, ridge: float) -> Tensor:
        assert self.shape is not None
        axes = self.shape.axes * self.shape.inverse_spread(ridge)
        return units @ torch.as_tensor(axes).to(units)

    def _mahalanobis(self, units: Tensor | None, kept: Tensor | None) -> Tensor:
        assert units is not None
        weight = torch.ones_like(units[..., :1]) if kept is None else kept[..., None].to(units)
        centred = units - (units * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)
        return self._whitened(centred, _RIDGE_NORM).norm(dim=-1)


def in_own_spread(x: Tensor, kept: Tensor) -> Tensor:
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
    return centred / torch.where(power > 0, power.sqrt(), 1.0)


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
    limit = scores.kthvalue(n_kept, dim=1, keepdim=True).values
    return scores <= limit + 100 * torch.finfo(scores.dtype).eps * (1 + limit.abs())


def make_head(kind: str, n_neighbors: int, trim_fraction: float, shape: NormalShape) -> ScoreHead:
    """Build a head.

    Parameters
    ----------
    kind : {"combined", "objective", "neighbors", "mahalanobis"}
        Which head.
    n_neighbors : int
        Neighbours that count.
    trim_fraction : float
        Share of the batch that the statistics leave out.
    shape : NormalShape
        Of the training normals; kept only where the head needs it.

    Returns
    -------
    ScoreHead
        Ready to score.
    """
    needed = kind == "mahalanobis" or trim_fraction > 0
    return ScoreHead(kind, n_neighbors, trim_fraction, shape if needed else None)


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
    # Relative to the batch's distances: rows that coincide must not send the logarithm to -inf,
    # and where most of them do, the others must not stand out without bound.
    mean = distances.mean(dim=-1, keepdim=True)
    floor = torch.where(typical > 0, 1e-6 * typical, torch.where(mean > 0, mean, 1.0))
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


def nearest_distance(rows: Tensor, n_neighbors: int, kept: Tensor | None = None) -> Tensor:
    """Mean Euclidean distance of each row to its nearest other rows of the batch.

    Parameters
    ----------
    rows : Tensor of shape (n_batches, n_rows, n_features)
        Stacked batches. Of more than 2048 rows 512, evenly spaced along a fixed direction and so
        independent of row order, serve as neighbours.
    n_neighbors : int
        Fewer where the batch has fewer other rows.
    kept : Tensor of shape (n_batches, n_rows), bool, or None
        Rows that may serve as neighbours; None: all.

    Returns
    -------
    Tensor of shape (n_batches, n_rows)
        High for isolated rows.
    """
    n_batches, n_rows, _ = rows.shape
    chosen = _reference_rows(rows)
    references = rows.take_along_dim(chosen[..., None], dim=1)
    barred = None if kept is None else ~kept.gather(1, chosen)[:, None, :]
    # Each batch has its own number of rows that may serve, and one of them is the row itself.
    serving = torch.full((n_batches, 1), chosen.shape[1], device=rows.device)
    if barred is not None:
        serving = (~barred).sum(-1)
    counts = (serving - 1).clamp(1, n_neighbors)[..., None]
    most = int(counts.max())
    counted = torch.arange(most, device=rows.device) < counts
    step = max(1, _CHUNK // (n_batches * chosen.shape[1]))
    parts = []
    for start in range(0, n_rows, step):
        part = rows[:, start : start + step]
        distances = torch.cdist(part, references, compute_mode=_mode(part, references))
        here = torch.arange(start, start + part.shape[1], device=rows.device)
        distances.masked_fill_(chosen[:, None, :] == here[None, :, None], torch.inf)
        if barred is not None:
            distances.masked_fill_(barred, torch.inf)
        nearest = distances.topk(most, dim=-1, largest=False).values
        parts.append(torch.where(counted, nearest, 0.0).sum(dim=-1) / counts[..., 0])
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
