"""Distances between the rows of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

__all__ = [
    "Neighbors",
    "Products",
    "differences_are_cheap",
    "n_references",
    "nearest_distance",
    "rooted",
    "smallest",
]

#: Up to so many rows of a batch all are neighbours; of a larger one so many serve as neighbours,
#: or the cost would grow with its square. On validation classes of Fashion-MNIST with 5 % anomalies
#: 256 ranked no worse than 512 or 1024 (natural .898, .894, .894; shuffled .993 each).
_ALL_NEIGHBORS, _REFERENCE_ROWS = 2048, 256
#: Distances held at a time.
_CHUNK = 2**24
#: Squared distance, as a fraction of a row's squared length, that rounding may leave.
_NOTHING = 1e-12
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
    step = max(1, _CHUNK // (n_batches * n_rows))
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


def smallest(distances: Tensor, n_chosen: int, *, in_order: bool = False) -> Tensor:
    """Choose the smallest numbers of each row.

    Parameters
    ----------
    distances : Tensor of shape (..., n_others)
        Any numbers; they may be written over.
    n_chosen : int
        How many.
    in_order : bool, default=False
        Whether the smallest come first.

    Returns
    -------
    Tensor of shape (..., n_chosen)
        The numbers.
    """
    # From here on torch.topk partitions rows with their indices, 2 to 4 times as slow as NumPy.
    partitioned = distances.shape[-1] <= 64 * n_chosen
    if partitioned and distances.device.type == "cpu" and not distances.requires_grad:
        found = distances.numpy()
        found.partition(n_chosen - 1, axis=-1)
        chosen = found[..., :n_chosen]
        return torch.from_numpy(np.sort(chosen, axis=-1) if in_order else chosen)
    return distances.topk(n_chosen, dim=-1, largest=False).values


def rooted(chosen: Tensor, own: Tensor) -> Tensor:
    """Distances from products of matrices.

    Parameters
    ----------
    chosen : Tensor of shape (..., n_rows, n_chosen)
        Squared distances but for `own`.
    own : Tensor of shape (..., n_rows, 1)
        Squared length of each row, from the same centre.

    Returns
    -------
    Tensor of the shape of `chosen`
        Distances.
    """
    squares = (chosen + own).clamp_min(0.0)
    if squares.dtype == torch.float64:
        # Rows that coincide: what rounding leaves must not pass for a distance.
        squares = torch.where(squares > _NOTHING * own, squares, 0.0)
    if not squares.requires_grad:
        return squares.sqrt()
    # The root has no slope at zero, where rows coincide; there none is wanted.
    return torch.where(squares > 0, squares, 1.0).sqrt() * (squares > 0)


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
        return rooted(chosen, (x - self.center).square().sum(dim=-1, keepdim=True))

    def __getitem__(self, batch: int) -> Products:
        """Give the fixed rows of one batch of a stack."""
        return Products(self.center[batch], self.twice[batch], self.squares[batch])

    def anew(self, x: Tensor, references: Tensor, n_chosen: int, barred: Tensor) -> Tensor:
        """Measure rows anew by differences from the fixed rows that are nearest by products.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            Rows.
        references : Tensor of shape (n_references, n_features)
            The fixed rows.
        n_chosen : int
            How many are nearest.
        barred : Tensor of shape (n_rows, n_references), bool
            Fixed rows that are none to be chosen.

        Returns
        -------
        Tensor of shape (n_rows, n_chosen)
            Distances, the smallest first.
        """
        step, parts = max(1, _CHUNK // (n_chosen * x.shape[1])), []
        for some, bar in zip(x.split(step), barred.split(step), strict=True):
            ranks = self.lacking_own_square(some).masked_fill_(bar, torch.inf)
            where = ranks.topk(n_chosen, dim=1, largest=False).indices
            apart = (some[:, None] - references[where]).norm(dim=-1)
            parts.append(apart.masked_fill_(bar.gather(1, where), torch.inf).sort(dim=1).values)
        return torch.cat(parts)


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
        self.n_neighbors = min(n_neighbors, max(len(rows) - 1, 1))
        self.exact = exact
        products = Products.of(rows)
        for name in ("center", "twice", "squares"):
            self.register_buffer(name, getattr(products, name))

    def forward(self, x: Tensor, own: Tensor | None = None) -> Tensor:
        """Measure the distances.

        Parameters
        ----------
        x : Tensor of shape (n_rows, width)
            Rows of the batch or others.
        own : Tensor of shape (n_rows,), int64, or None
            Which fixed row each is, -1 for none: a row is no neighbour of its own. None: not known,
            so one fixed row at no distance counts as the row itself.

        Returns
        -------
        Tensor of shape (n_rows,)
            High for isolated rows.
        """
        products = None if self.exact else Products(self.center, self.twice, self.squares)
        nearest = self.nearest(_rankable(x, self.rows, products), x, own)
        if products is not None:
            # Chosen before the root, whose slope at no distance has no bound.
            nearest = products.root(nearest, x)
            # What is frozen into a module may be mapped by vmap, which takes no choice of rows.
            if own is not None and nearest.dtype == torch.float32 and not nearest.requires_grad:
                self.measure_anew(nearest, (x - self.center).square().sum(dim=1), x, own)
        return nearest.sum(1) / self.n_neighbors

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
