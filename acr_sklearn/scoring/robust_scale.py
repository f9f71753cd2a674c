"""Robust z-scores of log distances within a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["RobustLogScale", "median", "robust_z_scores", "without_ties"]

#: Spread of log distances below which a batch counts as having none.
_LEAST_SPREAD = 1e-3
#: A fiftieth of the rows, and more than three, within a millionth of the mean distance are one
#: value: a few rows that happen to agree are not, nor is a stretch of many distances without gaps,
#: and equal rows come out equal to rounding only.
_MOST_TIED, _TIED_FRACTION, _SAME = 3, 0.02, 1e-6


@dataclass(frozen=True)
class RobustLogScale:
    """Median and median absolute deviation of the log distances in a batch.

    A value that a fiftieth of the rows have counts once: rows of an idle machine must not shrink
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
        counted = without_ties(distances)
        typical = median(counted, ordered=not counted.isnan().any())
        # Relative to the batch's distances: rows that coincide must not send the logarithm to
        # -inf, and where most of them do, the others must not stand out without bound.
        mean = distances.mean(dim=-1, keepdim=True)
        floor = torch.where(typical > 0, 1e-6 * typical, torch.where(mean > 0, mean, 1.0))
        logs = (counted + floor).log_()
        center = median(logs)
        spread = 1.4826 * median(logs.sub_(center).abs_())
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


def median(values: Tensor, *, ordered: bool = False) -> Tensor:
    """Find the median of each row without its nan.

    Parameters
    ----------
    values : Tensor of shape (..., n_rows)
        Of a row not all may be nan.
    ordered : bool, default=False
        Whether each row is in order, nan last.

    Returns
    -------
    Tensor of shape (..., 1)
        Of an even number the mean of the middle two.
    """
    # By a sort: torch's own takes at most 2**24 values, and the lower of two.
    if not ordered:
        values = values.sort(dim=-1).values  # nan come last
    count = values.shape[-1] - values.isnan().sum(dim=-1, keepdim=True)
    low, high = ((count - 1) // 2).clamp_min(0), count // 2
    return (values.gather(-1, low) + values.gather(-1, high.clamp_max(values.shape[-1] - 1))) / 2


def without_ties(distances: Tensor) -> Tensor:
    """Count a value that many rows have once.

    Parameters
    ----------
    distances : Tensor of shape (..., n_rows)
        Or other numbers.

    Returns
    -------
    Tensor of shape (..., n_rows)
        In order, with nan for all but the first of more than three, and more than a fiftieth of
        the rows, that are equal to a millionth of the mean size.
    """
    ordered = distances.sort(dim=-1).values
    n = ordered.shape[-1]
    most = max(_MOST_TIED, int(_TIED_FRACTION * n))
    if n <= most:
        return ordered
    same = _SAME * distances.abs().mean(dim=-1, keepdim=True)
    tied = ordered[..., most:] - ordered[..., :-most] <= same
    if not tied.any():
        return ordered
    # A value is there again where one of the `most` places before it begins a run of ties.
    begun = torch.zeros((*ordered.shape[:-1], n + 1), dtype=torch.int64, device=ordered.device)
    begun[..., 1 : n - most + 1] = tied
    begun = begun.cumsum(dim=-1)
    before = begun[..., :n].roll(most, dims=-1)
    before[..., :most] = 0
    return ordered.masked_fill(begun[..., :n] > before, torch.nan)
