"""Distances between the rows of a batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from acr_sklearn.scoring.products import MOST_DISTANCES, Products, smallest

__all__ = [
    "Neighbors",
    "differences_are_cheap",
    "n_references",
    "nearest_distance",
]

#: Up to so many rows of a batch all are neighbours; of a larger one so many serve as neighbours,
#: or the cost would grow with its square. On validation classes of Fashion-MNIST with 5 % anomalies
#: 256 ranked no worse than 512 or 1024 (natural .898, .894, .894; shuffled .993 each).
_ALL_NEIGHBORS, _REFERENCE_ROWS = 2048, 256
#: Fraction of a row within which it agrees with itself, computed twice, in single precision or read
#: back from a table of numbers with six digits.
_ROUNDING = 3e-5
#: Squared distance by products, in machine precisions of a row's squared length, that is mostly
#: rounding: up to there the distance is computed anew, as a difference.
_MOSTLY_ROUNDING = 64
_DIFFERENCES = "donot_use_mm_for_euclid_dist"


def nearest_distance(rows: Tensor, n_neighbors: int, kept: Tensor | None = None) -> Tensor:
    """Mean Euclidean distance of each row to its nearest other rows of the batch.

    Parameters
    ----------
    rows : Tensor of shape (n_batches, n_rows, n_features)
        Stacked batches, of at most as many rows as all serve as neighbours, see `n_references`.
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
    barred = None if kept is None else ~kept[:, None, :]
    # Each batch has its own number of rows that may serve, and one of them is the row itself.
    serving = torch.full((n_batches, 1), n_rows, device=rows.device)
    if barred is not None:
        serving = (~barred).sum(-1)
    counts = (serving - 1).clamp(1, n_neighbors)[..., None]
    most = int(counts.max())
    mask = torch.arange(most, device=rows.device) < counts
    fewer = bool((counts < most).any())
    step = max(1, MOST_DISTANCES // (n_batches * n_rows))
    exact = differences_are_cheap(n_batches * n_rows, n_rows, rows.shape[2], rows.dtype)
    products = None if exact else Products.of(rows)
    parts = []
    for start in range(0, n_rows, step):
        part = rows[:, start : start + step]
        distances = _rankable(part, rows, products)
        distances.diagonal(start, 1, 2).fill_(torch.inf)
        if barred is not None:
            distances.masked_fill_(barred, torch.inf)
        nearest = smallest(distances, most, in_order=fewer)
        if products is not None:
            nearest = products.root(nearest, part)
            if rows.dtype == torch.float32 and not rows.requires_grad:
                _measure_anew(nearest, rows, start, products, barred)
        parts.append(torch.where(mask, nearest, 0.0).sum(dim=-1) / counts[..., 0])
    return torch.cat(parts, dim=1)


def _measure_anew(
    nearest: Tensor, rows: Tensor, start: int, products: Products, barred: Tensor | None
) -> None:
    """Measure anew, in place, what is mostly rounding of the distances of rows from `start` on."""
    part = rows[:, start : start + nearest.shape[1]]
    close = _close(nearest, (part - products.center).square().sum(dim=-1))
    for i in torch.nonzero(close.any(dim=1)).flatten().tolist():
        (at,) = torch.nonzero(close[i], as_tuple=True)
        bar = torch.zeros(len(at), rows.shape[1], dtype=torch.bool, device=rows.device)
        bar |= False if barred is None else barred[i]
        bar[torch.arange(len(at)), start + at] = True
        nearest[i, at] = products[i].anew(part[i, at], rows[i], nearest.shape[-1], bar)


def _close(nearest: Tensor, squares: Tensor) -> Tensor:
    """Mark rows, of these squared lengths, with distances that are mostly rounding."""
    bound = _MOSTLY_ROUNDING * torch.finfo(squares.dtype).eps
    return nearest.amin(-1).square_() <= bound * squares


def _rankable(x: Tensor, others: Tensor, products: Products | None) -> Tensor:
    """Distances or, by products, numbers of the same ranking, see `Products.root`."""
    if products is None:
        return torch.cdist(x, others, compute_mode=_DIFFERENCES)
    return products.lacking_own_square(x)


class Neighbors(nn.Module):
    """Mean distance to the nearest of some fixed rows.

    Parameters
    ----------
    rows : Tensor of shape (n_references, width)
        The fixed rows.
    n_neighbors : int
        How many count.
    exact : bool
        Whether distances are computed as differences, see `differences_are_cheap`.
    """

    rows: Tensor
    center: Tensor
    twice: Tensor
    squares: Tensor

    def __init__(self, rows: Tensor, n_neighbors: int, exact: bool):
        super().__init__()
        self.register_buffer("rows", rows)
        # One of the rows that may serve is the row itself.
        self.n_neighbors: int = min(n_neighbors, max(len(rows) - 1, 1))
        self.exact = exact
        products = Products.of(rows)
        for name in ("center", "twice", "squares"):
            self.register_buffer(name, getattr(products, name))

    def forward(self, x: Tensor, own: Tensor | None = None, *, exact: bool | None = None) -> Tensor:
        """Measure the distances.

        Parameters
        ----------
        x : Tensor of shape (n_rows, width)
            Rows of the batch or others.
        own : Tensor of shape (n_rows,), int64, or None
            Which fixed row each is, -1 for none: a row is no neighbour of its own. None: not known,
            so one fixed row at no distance counts as the row itself.
        exact : bool or None, default=None
            Whether distances are computed as differences; None: as they always are here.

        Returns
        -------
        Tensor of shape (n_rows,)
            High for isolated rows.
        """
        exact = self.exact if exact is None else exact
        products = None if exact else Products(self.center, self.twice, self.squares)
        nearest = self.nearest(_rankable(x, self.rows, products), x, own)
        if products is not None:
            # Chosen before the root, whose slope at no distance has no bound.
            nearest = products.root(nearest, x)
            # What is frozen into a module may be mapped by vmap, which takes no choice of rows.
            if own is not None and nearest.dtype == torch.float32 and not nearest.requires_grad:
                self.measure_anew(nearest, (x - self.center).square().sum(dim=1), x, own)
        return nearest.sum(1) / self.n_neighbors

    def itself(self, x: Tensor) -> Tensor:
        """Find the fixed row that each row is.

        Parameters
        ----------
        x : Tensor of shape (n_rows, width)
            As in `forward`.

        Returns
        -------
        Tensor of shape (n_rows,), int64
            The row at no distance, -1 for none.
        """
        where = torch.cdist(x, self.rows).argmin(dim=1)
        apart = (x - self.rows[where]).norm(dim=1)
        return torch.where(apart <= _ROUNDING * x.norm(dim=1), where, -1)

    def measure_anew(self, nearest: Tensor, squares: Tensor, x: Tensor, own: Tensor | None) -> None:
        """Measure anew what is mostly rounding.

        Parameters
        ----------
        nearest : Tensor of shape (n_rows, n_neighbors)
            Distances by products; written over.
        squares : Tensor of shape (n_rows,)
            Squared lengths of the rows less the centre.
        x : Tensor of shape (n_rows, width)
            The rows.
        own : Tensor of shape (n_rows,), int64, or None
            As in `forward`.
        """
        (at,) = torch.nonzero(_close(nearest, squares), as_tuple=True)
        if not len(at):
            return
        products = Products(self.center, self.twice, self.squares)
        some, k, n_rows = x[at], self.n_neighbors, len(self.rows)
        barred = torch.zeros(len(at), n_rows, dtype=torch.bool, device=x.device)
        if own is None:
            found = products.anew(some, self.rows, min(k + 1, n_rows), barred)
            itself = found[:, :1] <= _ROUNDING * some.norm(dim=1, keepdim=True)
            nearest[at] = torch.where(itself, found[:, -k:], found[:, :k])
        else:
            barred |= own[at, None] == torch.arange(n_rows, device=x.device)
            nearest[at] = products.anew(some, self.rows, k, barred)

    def nearest(self, distances: Tensor, x: Tensor, own: Tensor | None) -> Tensor:
        """Choose the distances to the nearest rows.

        Parameters
        ----------
        distances : Tensor of shape (n_rows, n_references)
            Or what ranks as they do.
        x : Tensor of shape (n_rows, width)
            The rows.
        own : Tensor of shape (n_rows,), int64, or None
            As in `forward`.

        Returns
        -------
        Tensor of shape (n_rows, n_neighbors)
            The smallest but for the row's own.
        """
        k = self.n_neighbors
        if own is not None:
            (ours,) = torch.nonzero(own >= 0, as_tuple=True)
            if distances.requires_grad:  # its slopes are computed from what it was
                distances = distances.clone()
            distances[ours, own[ours]] = torch.inf
            return smallest(distances, k)
        nearest, where = distances.topk(min(k + 1, len(self.rows)), dim=1, largest=False)
        # A product of matrices leaves more than rounding of no distance; a difference does not.
        apart = (x - self.rows[where[:, 0]]).norm(dim=1, keepdim=True)
        itself = apart <= _ROUNDING * x.norm(dim=1, keepdim=True)
        return torch.where(itself, nearest[:, -k:], nearest[:, :k])


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
        All up to 2048, else 256.
    """
    return n_rows if n_rows <= _ALL_NEIGHBORS else _REFERENCE_ROWS
