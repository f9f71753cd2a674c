"""Robust z-scores of log distances within a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["RobustLogScale", "robust_z_scores"]

#: Spread of log distances below which a batch counts as having none.
_LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class RobustLogScale:
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
    return values.quantile(0.5, dim=-1, keepdim=True) if _fits(values) else _middle(values)


def _fits(values: Tensor) -> bool:
    return values.shape[-1] < 2**24  # torch.quantile takes no more


def _middle(values: Tensor) -> Tensor:
    return values.median(dim=-1, keepdim=True).values
