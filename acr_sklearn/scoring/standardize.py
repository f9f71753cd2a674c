"""Standardization of rows by a fixed location and divisor, with no loss beside an offset."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from acr_sklearn.domains.batch_statistics import largest_number

__all__ = ["Standardizer"]


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
        self.has_rest: bool = bool((self.rest != 0).any())
        self.register_buffer("reach", self.divisor * largest_number(dtype))
        #: |x - location| <= max |x| + max |location|, so rows below it are surely within reach.
        self.margin: float = float(self.reach.min()) - float(self.location.abs().max())

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
        # One pass over the rows, and no copy of them.
        lowest, highest = torch.aminmax(x)
        return max(-lowest.item(), highest.item()) < self.margin

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
