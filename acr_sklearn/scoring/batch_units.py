"""Features of a batch in units of their own mean and standard deviation in that batch."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from acr_sklearn.scoring.standardize import Standardizer

__all__ = ["BatchUnits"]

#: Powers of two by which a feature may be divided first, to stay among the normal numbers.
_LARGEST_POWER = {torch.float32: 126, torch.float64: 1022}
#: Up to these powers squares are numbers in single precision, and nothing need be divided.
_ORDINARY_POWER = 40


class BatchUnits(nn.Module):
    """Each feature less its mean in a batch, in units of its standard deviation there.

    A shift or a change of unit of a whole feature changes nothing. A feature that does not vary
    beyond rounding keeps its own size as its unit, so that it is zero for every row of the batch
    and a later row that deviates in it stands out.

    Parameters
    ----------
    rows : Tensor of shape (n_samples, n_features)
        Rows that the means and standard deviations are of.
    """

    factor: Tensor | None

    def __init__(self, rows: Tensor):
        super().__init__()
        peak = rows.abs().amax(dim=0).double()
        most = _LARGEST_POWER[rows.dtype]
        power = torch.frexp(peak).exponent.clamp(-most, most)
        # Multiplied by a power of two numbers keep all their digits, and no square of them
        # overflows or vanishes.
        factor = torch.ldexp(torch.ones_like(peak), -power)
        extreme = bool((power.abs() > _ORDINARY_POWER).any())
        self.register_buffer("factor", factor.to(rows.dtype) if extreme else None)
        scaled = rows.double() * factor
        location = scaled.mean(dim=0)
        around = scaled - location
        rest = around.mean(dim=0)
        spread = (around - rest).square().mean(dim=0).sqrt()
        # What rounding leaves of a constant is no unit to measure anything by.
        varies = spread > 2 * torch.finfo(rows.dtype).eps * peak * factor
        spread = torch.where(varies, spread, 1.0)
        if not extreme:
            location, rest, spread = location / factor, rest / factor, spread / factor
        self.standardizer: Standardizer = Standardizer(location + rest, spread, rows.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Bring rows to these units.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_features)
            Rows of the batch or others.

        Returns
        -------
        Tensor of the shape of `x`
            A copy.
        """
        units: Tensor = self.standardizer(x if self.factor is None else x * self.factor)
        return units

    def single(self) -> BatchUnits:
        """Give a copy for rows in single precision.

        Returns
        -------
        BatchUnits
            A copy.
        """
        single = copy.deepcopy(self)
        # Of double precision the location would be rounded before its rest is taken.
        single.standardizer = self.standardizer.single()
        if self.factor is not None:
            most = 2.0 ** _LARGEST_POWER[torch.float32]
            single.factor = self.factor.clamp_max(most).float()
        return single
