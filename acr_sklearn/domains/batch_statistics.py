"""Mean and overall spread of a batch, of all its rows or of those that are kept."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["centre_by_mask", "largest_number", "overall_spread", "standardize_by_mask"]


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


def overall_spread(
    variance: Callable[[Tensor | None], Tensor],
    peak: Callable[[], Tensor],
    unit: Tensor | float = 1.0,
) -> Tensor:
    """Root mean square, over the features, of their spread in their units.

    One divisor for all features: their spreads relative to one another are kept.

    Parameters
    ----------
    variance : callable
        Takes what rows are to be divided by first, None for nothing; returns the variance of each
        feature, of shape (..., n_features).
    peak : callable
        Returns the largest magnitude of a batch, of shape (..., 1); called only where squares
        overflow or vanish.
    unit : Tensor of shape (n_features,) or float, default=1.0
        What the spread of a feature is measured in.

    Returns
    -------
    Tensor of shape (..., 1)
        1 for rows that are all equal.
    """
    found, factor = variance(None), None
    most = found.amax(-1)
    if not bool(((most > torch.finfo(most.dtype).tiny ** 0.65) & (most < torch.inf)).all()):
        # Squares at both ends of the numbers; of such a batch the peak comes out first.
        factor = _positive(peak())
        found = variance(factor)
    own = found.sqrt() / unit
    most = own.amax(-1, keepdim=True)
    spread = most * (own / most).square().mean(-1, keepdim=True).sqrt()
    return _positive(spread if factor is None else spread * factor)


def _positive(divisor: Tensor) -> Tensor:
    return torch.where(divisor > 0, divisor, 1.0)


def centre_by_mask(x: Tensor, kept: Tensor | None) -> Tensor:
    """Centre batches on their kept rows.

    Parameters
    ----------
    x : Tensor of shape (n_batches, n_samples, n_features)
        Batches.
    kept : Tensor of shape (n_batches, n_samples), bool, or None
        Rows that the statistics are computed on; None: all.

    Returns
    -------
    Tensor of the shape of `x`
        With kept rows of mean 0.
    """
    centred = x - _mean(x, kept)
    # Beside a row of size m the first mean is off by about eps * m, for m = 1e6 in single precision
    # by 0.1; the mean of what is left is small, and so is its rounding.
    return centred.sub_(_mean(centred, kept))


def _mean(x: Tensor, kept: Tensor | None) -> Tensor:
    """Mean over the kept rows, shape (n_batches, 1, n_features)."""
    if kept is None:
        return x.mean(1, keepdim=True)
    kept = kept[..., None]
    # Not a product with 0 and 1: the square of a gross row may be infinite.
    return torch.where(kept, x, 0.0).sum(1, keepdim=True) / kept.sum(1, keepdim=True)


def standardize_by_mask(x: Tensor, kept: Tensor | None, unit: Tensor | None = None) -> Tensor:
    """Centre batches on their kept rows and divide by these rows' overall spread.

    Parameters
    ----------
    x : Tensor of shape (n_batches, n_samples, n_features)
        Batches.
    kept : Tensor of shape (n_batches, n_samples), bool, or None
        Rows that the statistics are computed on; None: all.
    unit : Tensor of shape (n_features,) or None, default=None
        What each feature is measured in; None: as it is.

    Returns
    -------
    Tensor of the shape of `x`
        With kept rows of mean 0 and, in these units, mean square 1, unless they are all equal.
    """
    centred = centre_by_mask(x, kept)
    if unit is not None:
        centred.div_(unit)

    def variance(factor: Tensor | None) -> Tensor:
        squares = centred.square() if factor is None else (centred / factor).square_()
        return _mean(squares, kept)

    def peak() -> Tensor:
        # Columns in units so different from training's that no number holds them.
        most = torch.finfo(x.dtype).max / 4
        sizes = centred.clamp_(-most, most).abs()
        sizes = sizes if kept is None else torch.where(kept[..., None], sizes, 0.0)
        return sizes.amax((1, 2), keepdim=True)

    largest = largest_number(x.dtype)
    return centred.div_(overall_spread(variance, peak)).clamp_(-largest, largest)
