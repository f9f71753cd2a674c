"""How distances of different kinds become comparable within a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["RobustLogScale", "robust_z_scores"]

#: Spread of log distances below which a batch counts as having none.
_LEAST_SPREAD = 1e-3
#: More distances than this within a millionth of the mean are one value: two or three rows that
#: happen to agree are not, and equal rows come out equal to rounding only.
_MOST_TIED, _SAME = 3, 1e-6


@dataclass(frozen=True)
class RobustLogScale:
    """Median and median absolute deviation of the log distances in a batch.

    A value that more than three rows share counts once: rows of an idle machine must not shrink
    the unit of the others.

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
    def of(cls, distances: Tensor) -> RobustLogScale:
        """Measure batches.

        Parameters
        ----------
        distances : Tensor of shape (n_batches, n_rows)
            Not negative.

        Returns
        -------
        RobustLogScale
            Of each batch.
        """
        counted = _without_ties(distances)
        typical = _median(counted)
        # Relative to the batch's distances: rows that coincide must not send the logarithm to
        # -inf, and where most of them do, the others must not stand out without bound.
        mean = distances.mean(dim=-1, keepdim=True)
        floor = torch.where(typical > 0, 1e-6 * typical, torch.where(mean > 0, mean, 1.0))
        logs = (counted + floor).log_()
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


def robust_z_scores(distances: Tensor) -> Tensor:
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
    return RobustLogScale.of(distances).standardise(distances)


def _median(values: Tensor) -> Tensor:
    return values.nanquantile(0.5, dim=-1, keepdim=True) if _fits(values) else _middle(values)


def _without_ties(distances: Tensor) -> Tensor:
    """Sorted distances, with nan for all but the first of more than three equal ones."""
    ordered = distances.sort(dim=-1).values
    n = ordered.shape[-1]
    same = _SAME * distances.mean(dim=-1, keepdim=True)
    tied = ordered[..., _MOST_TIED:] - ordered[..., :-_MOST_TIED] <= same
    if n <= _MOST_TIED or not tied.any():
        return distances
    again = torch.zeros_like(ordered, dtype=torch.bool)
    for later in range(1, _MOST_TIED + 1):
        again[..., later : n - _MOST_TIED + later] |= tied
    return ordered.masked_fill(again, torch.nan)


def _fits(values: Tensor) -> bool:
    return values.shape[-1] < 2**24  # torch.nanquantile takes no more


def _middle(values: Tensor) -> Tensor:
    return values.nanmedian(dim=-1, keepdim=True).values
