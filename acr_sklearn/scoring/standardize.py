"""Standardization of rows, by a fixed location or by kept rows, with no loss beside an offset."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

__all__ = ["Standardizer", "centre_by_mask", "largest_number", "standardize_by_mask"]


def largest_number(dtype: torch.dtype) -> float:
    """Largest input of a network whose squared outputs stay finite.

    Parameters
    ----------
    dtype : torch.dtype
        Of the rows.

    Returns
    -------
    float
        4e11 in single precision: so many times the spread of a batch is far enough.
    """
    # A square is at most max^0.6: that leaves a factor of max^0.4, in single precision 2e15, for
    # weights and sums over features.
    return float(torch.finfo(dtype).max ** 0.3)


def centre_by_mask(x: Tensor, kept: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Centre batches on their kept rows.

    Parameters
    ----------
    x : Tensor of shape (n_batches, n_samples, n_features)
        Batches.
    kept : Tensor of shape (n_batches, n_samples), bool, or None
        Rows that the statistics are computed on; None: all.

    Returns
    -------
    centred : Tensor of the shape of `x`
        With kept rows of mean 0.
    weight : Tensor of shape (n_batches, n_samples, 1)
        1 for kept rows, 0 for others.
    count : Tensor of shape (n_batches, 1, 1)
        Kept rows of each batch.
    """
    weight = torch.ones_like(x[..., :1]) if kept is None else kept.to(x)[..., None]
    count = weight.sum(1, keepdim=True)
    centred = x - (x * weight).sum(1, keepdim=True) / count
    # Beside a row of size m the first mean is off by about eps * m, for m = 1e6 in single precision
    # by 0.1; the mean of what is left is small, and so is its rounding.
    return centred - (centred * weight).sum(1, keepdim=True) / count, weight, count


def standardize_by_mask(x: Tensor, kept: Tensor) -> Tensor:
    """Centre batches on their kept rows and divide by these rows' overall spread.

    Parameters
    ----------
    x : Tensor of shape (n_batches, n_samples, n_features)
        Batches.
    kept : Tensor of shape (n_batches, n_samples), bool
        Rows that the statistics are computed on.

    Returns
    -------
    Tensor of the shape of `x`
        With kept rows of mean 0 and mean square 1, unless they are all equal.
    """
    centred, weight, count = centre_by_mask(x, kept)
    # One divisor for all features: their spreads relative to one another are kept.
    power = (centred.square() * weight).sum((1, 2), keepdim=True) / count / x.shape[2]
    largest = largest_number(x.dtype)
    return (centred / torch.where(power > 0, power.sqrt(), 1.0)).clamp(-largest, largest)


class Standardizer(nn.Module):
    """Standardization of rows: subtracts a location and divides.

    The location is held in two parts, for in single precision the mean of rows around a million is
    no number to be had; what is left of it would move every row.

    Parameters
    ----------
    location : Tensor of shape (n_features,), float64
        What is subtracted.
    divisor : Tensor of shape (n_features,)
        What rows are divided by.
    dtype : torch.dtype
        Of the rows.
    """

    location: Tensor
    rest: Tensor
    divisor: Tensor
    reach: Tensor

    def __init__(self, location: Tensor, divisor: Tensor, dtype: torch.dtype):
        super().__init__()
        self.register_buffer("location", location.to(dtype))
        # Numbers of single precision around 1e6 lie 2^-4 apart; `rest` holds the remainder.
        self.register_buffer("rest", (location - self.location).to(dtype))
        self.register_buffer("divisor", divisor.to(dtype))
        self.has_rest = bool((self.rest != 0).any())
        self.register_buffer("reach", self.divisor * largest_number(dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Standardize rows.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units.

        Returns
        -------
        Tensor of the shape of `x`
            A copy.
        """
        centred = x - self.location
        if self.has_rest:
            centred = centred.sub_(self.rest)
        return centred.clamp(-self.reach, self.reach).div_(self.divisor)

    def reaches(self, x: Tensor) -> bool:
        """Say whether all rows are surely within reach, so that nothing need be cut off.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units, at least one row.

        Returns
        -------
        bool
            False where some may not be.
        """
        # |x - location| <= max |x| + max |location|: one pass over the rows, and no copy of them.
        lowest, highest = torch.aminmax(x)
        far = torch.maximum(lowest.abs(), highest) + self.location.abs().max()
        return bool(far < self.reach.min())

    def centre(self, x: Tensor, out: Tensor, *, within: bool = False) -> None:
        """Subtract the location alone.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units.
        out : Tensor of the shape of `x`
            Is written over.
        within : bool, default=False
            That all rows are within reach.
        """
        torch.sub(x, self.location, out=out)
        if self.has_rest:
            out.sub_(self.rest)
        if not within:
            torch.clamp(out, -self.reach, self.reach, out=out)

    def single(self) -> Self:
        """Copy for rows in single precision.

        Returns
        -------
        Standardizer
            A copy.
        """
        location = self.location.double() + self.rest.double()
        return type(self)(location, self.divisor, torch.float32)
