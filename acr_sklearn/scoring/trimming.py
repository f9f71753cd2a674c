"""Trimming: which rows the statistics of a batch are computed on, the most anomalous left out."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["most_normal", "round_down"]


def round_down(fraction: float, n_rows: int) -> int:
    """Whole rows in a fraction of a batch.

    Parameters
    ----------
    fraction : float
        Fraction.
    n_rows : int
        Rows of the batch.

    Returns
    -------
    int
        Rounded down, at most all but two rows.
    """
    return max(0, min(int(fraction * n_rows + 1e-9), n_rows - 2))


def most_normal(scores: Tensor, trim_fraction: float, n_roundings: float = 100.0) -> Tensor:
    """Mark the rows that statistics are computed on.

    Parameters
    ----------
    scores : Tensor of shape (n_batches, n_rows)
        High for abnormal rows.
    trim_fraction : float
        Fraction of rows to leave out.
    n_roundings : float, default=100
        Scores that differ by so many roundings are alike. The more, the likelier a row is kept in
        single precision that double precision leaves out.

    Returns
    -------
    Tensor of shape (n_batches, n_rows), bool
        Rows that score alike share their fate, so that the mark never depends on row order.
    """
    n_kept = scores.shape[1] - round_down(trim_fraction, scores.shape[1])
    limit = _kth_smallest(scores, n_kept)
    return scores <= limit + n_roundings * torch.finfo(scores.dtype).eps * (1 + limit.abs())


def _kth_smallest(scores: Tensor, k: int) -> Tensor:
    if scores.device.type != "cpu":
        return scores.kthvalue(k, dim=1, keepdim=True).values
    # In half the memory: no indices are wanted.
    return torch.from_numpy(np.partition(scores.numpy(), k - 1, axis=1)[:, k - 1 : k].copy())
