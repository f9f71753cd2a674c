"""Distances between the rows of a batch, and how they become comparable with one another."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = [
    "LogScale",
    "Products",
    "differences_are_cheap",
    "evenly_spaced",
    "n_references",
    "nearest_distance",
    "projection",
    "robust_z",
]

#: Up to so many rows of a batch all are neighbours; of a larger one so many serve as neighbours,
#: or the cost would grow with its square.
_ALL_NEIGHBORS, _REFERENCE_ROWS = 2048, 512
#: Distances held at a time.
_CHUNK = 2**24
_DIFFERENCES = "donot_use_mm_for_euclid_dist"
#: Spread of log distances below which a batch counts as having none.
_LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class LogScale:
    """Median and median absolute deviation of the log distances in a batch.

    Attributes
    ----------
    floor, center, spread : Tensor of shape (n_batches, 1)
        What is added to a distance before its logarithm, and what the logarithm is centred on and
        divided by.
    """

    floor: Tensor
    center: Tensor
    spread: Tensor

    @classmethod
    def of(cls, distances: Tensor) -> LogScale:
        """Measure batches.

        Parameters
        ----------
        distances : Tensor of shape (n_batches, n_rows)
            Not negative.

        Returns
        -------
        LogScale
            Of each batch.
        """
        typical = _median(distances)
        # Relative to the batch's distances: rows that coincide must not send the logarithm to
        # -inf, and where most of them do, the others must not stand out without bound.
        mean = distances.mean(dim=-1, keepdim=True)
        floor = torch.where(typical > 0, 1e-6 * typical, torch.where(mean > 0, mean, 1.0))
        logs = (distances + floor).log_()
        center = _median(logs)
        spread = 1.4826 * _median(logs.sub_(center).abs_())
        return cls(floor, center, spread.clamp_min(_LEAST_SPREAD))

    def standardise(self, distances: Tensor) -> Tensor:
        """Robust z-scores of log distances.

        Parameters
        ----------
        distances : Tensor of shape (n_batches, n_rows)
            Not negative.

        Returns
        -------
        Tensor of shape (n_batches, n_rows)
            Comparable between kinds of distance.
        """
        return (distances + self.floor).log_().sub_(self.center).div_(self.spread)


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
    return LogScale.of(distances).standardise(distances)


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
    # Where all rows serve, their order does not matter.
    chosen = evenly_spaced(projection(rows) if n_rows > _ALL_NEIGHBORS else rows[..., 0])
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
    exact = differences_are_cheap(n_batches * n_rows, chosen.shape[1], rows.shape[2], rows.dtype)
    products = None if exact else Products.of(references)
    parts = []
    for start in range(0, n_rows, step):
        part = rows[:, start : start + step]
        if products is None:
            distances = torch.cdist(part, references, compute_mode=_DIFFERENCES)
        else:
            distances = products.lacking_own_square(part)
        here = torch.arange(start, start + part.shape[1], device=rows.device)
        distances.masked_fill_(chosen[:, None, :] == here[None, :, None], torch.inf)
        if barred is not None:
            distances.masked_fill_(barred, torch.inf)
        nearest = distances.topk(most, dim=-1, largest=False).values
        if products is not None:
            nearest = products.root(nearest, part)
        parts.append(torch.where(counted, nearest, 0.0).sum(dim=-1) / counts[..., 0])
    return torch.cat(parts, dim=1)


@dataclass(frozen=True)
class Products:
    """Distances to fixed rows by one product of matrices: fast, less exact than differences.

    Attributes
    ----------
    center : Tensor of shape (..., 1, n_features)
        Mean of the fixed rows, taken off first: rounding is relative to what is left.
    twice : Tensor of shape (..., n_features, n_references)
        Minus two times the fixed rows.
    squares : Tensor of shape (..., 1, n_references)
        Their squared lengths.
    """

    center: Tensor
    twice: Tensor
    squares: Tensor

    @classmethod
    def of(cls, references: Tensor) -> Products:
        """Prepare fixed rows.

        Parameters
        ----------
        references : Tensor of shape (..., n_references, n_features)
            The fixed rows, one set or a stack of sets.

        Returns
        -------
        Products
            Ready to measure.
        """
        center = references.mean(dim=-2, keepdim=True)
        around = references - center
        squares = around.square().sum(dim=-1)[..., None, :]
        return cls(center, (-2 * around.mT).contiguous(), squares)

    def lacking_own_square(self, x: Tensor) -> Tensor:
        """Squared distances, but for the squared length of each row, which ranks nothing.

        Parameters
        ----------
        x : Tensor of shape (..., n_rows, n_features)
            Rows.

        Returns
        -------
        Tensor of shape (..., n_rows, n_references)
            Not yet distances: choose the smallest and take their `root`.
        """
        around = x - self.center
        if x.dim() == 2:
            return torch.addmm(self.squares, around, self.twice)
        return torch.baddbmm(self.squares, around, self.twice)

    def root(self, chosen: Tensor, x: Tensor) -> Tensor:
        """Distances from what was chosen.

        Parameters
        ----------
        chosen : Tensor of shape (..., n_rows, n_chosen)
            Of `lacking_own_square`.
        x : Tensor of shape (..., n_rows, n_features)
            The rows.

        Returns
        -------
        Tensor of the shape of `chosen`
            Distances.
        """
        own = (x - self.center).square().sum(dim=-1, keepdim=True)
        return (chosen + own).clamp_min(0.0).sqrt()


def differences_are_cheap(n_rows: int, n_others: int, width: int, dtype: torch.dtype) -> bool:
    """Say whether distances are computed as exact differences.

    Parameters
    ----------
    n_rows, n_others : int
        Rows of the whole batch, and those they are compared with.
    width : int
        Features of a row.
    dtype : torch.dtype
        Of the rows.

    Returns
    -------
    bool
        False: by products of matrices, see `Products`.
    """
    return dtype == torch.float64 and n_rows * n_others * width < 2**31


def n_references(n_rows: int) -> int:
    """Count the rows of a batch that serve as neighbours.

    Parameters
    ----------
    n_rows : int
        Rows of the batch.

    Returns
    -------
    int
        All up to 2048, else 512.
    """
    return n_rows if n_rows <= _ALL_NEIGHBORS else _REFERENCE_ROWS


def projection(rows: Tensor) -> Tensor:
    """Project rows on a fixed direction, by which they are put in an order of their own.

    Parameters
    ----------
    rows : Tensor of shape (..., n_features)
        Any rows.

    Returns
    -------
    Tensor of shape (...,)
        Whatever order the rows came in.
    """
    direction = torch.arange(1, rows.shape[-1] + 1, device=rows.device, dtype=rows.dtype)
    return rows @ direction.mul(12.9898).sin()


def evenly_spaced(projected: Tensor) -> Tensor:
    """Choose the rows that serve as neighbours.

    Parameters
    ----------
    projected : Tensor of shape (n_batches, n_rows)
        Projections of the rows.

    Returns
    -------
    Tensor of shape (n_batches, n_references), int64
        Positions: of all rows in order, or of 512 evenly spaced along the projection.
    """
    n_batches, n_rows = projected.shape
    if n_rows <= _ALL_NEIGHBORS:
        return torch.arange(n_rows, device=projected.device).expand(n_batches, n_rows)
    evenly = torch.arange(_REFERENCE_ROWS, device=projected.device) * n_rows // _REFERENCE_ROWS
    return projected.argsort(dim=1)[:, evenly]
