"""Distances to fixed rows by products of matrices, and the smallest of many numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["MOST_DISTANCES", "Products", "rooted", "smallest"]

#: Distances held at a time.
MOST_DISTANCES = 2**24
#: Squared distance, as a fraction of a row's squared length, that rounding may leave.
_NOTHING = 1e-12


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
        step, parts = max(1, MOST_DISTANCES // (n_chosen * x.shape[1])), []
        for some, bar in zip(x.split(step), barred.split(step), strict=True):
            ranks = self.lacking_own_square(some).masked_fill_(bar, torch.inf)
            where = ranks.topk(n_chosen, dim=1, largest=False).indices
            apart = (some[:, None] - references[where]).norm(dim=-1)
            parts.append(apart.masked_fill_(bar.gather(1, where), torch.inf).sort(dim=1).values)
        return torch.cat(parts)
