"""Residuals of rows to their nearest normal references: what is left when the domain is taken out.

The feature converter of ResAD (Yao et al., NeurIPS 2024, arXiv:2410.20047), for vectors: a row is
seen only by its differences from references of its domain. What is more than the residual to one
reference (the mean, the range and the spread of the references) is ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["LARGEST_NUMBER", "METRICS", "N_SIGNS", "RESIDUALS", "Converter"]

METRICS = ("euclidean", "cosine")
RESIDUALS = ("plain", "squared", "none")
#: Signs of a feature: three distances, the spread of the references, and their number.
N_SIGNS = 5
#: From so many references on the signs no longer tell their number apart: none were trained on.
LARGEST_NUMBER = 64
#: Values beyond are no more of an outlier, and their squares are still numbers.
_LARGEST = 1e15


class _LeftOut(NamedTuple):
    """References that rows are not compared with, and for which rows there is any."""

    any: Tensor
    rows: Tensor


@dataclass(frozen=True)
class Converter:
    """How a row becomes residuals.

    Attributes
    ----------
    metric : {"euclidean", "cosine"}
        By which references are near.
    residual : {"plain", "squared", "none"}
        Absolute differences or their squares; "none" takes the row itself, as if the only
        reference were the origin.
    n_blended : int
        So many nearest references are averaged to the one that a row is held against.
    """

    metric: str = "euclidean"
    residual: str = "plain"
    n_blended: int = 1

    def __call__(self, rows: Tensor, references: Tensor, own: Tensor | None = None) -> Tensor:
        """Measure the signs of every feature of every row.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, n_features)
            Standardized rows.
        references : Tensor of shape (n_references, n_features)
            Normal rows of the same domain, standardized alike.
        own : Tensor of shape (n_rows,), int64, or None
            Which reference each row is not compared with, most often the row itself; -1 for none.

        Returns
        -------
        Tensor of shape (n_rows, n_features, 5)
            Inverse hyperbolic sines of the sizes of the differences to the nearest reference, to
            the mean of the references and to their range; of the references' standard deviation;
            and the logarithm of their number, 1 at 64.
        """
        rows, references = (part.clamp(-_LARGEST, _LARGEST) for part in (rows, references))
        if self.residual == "none":
            size = rows.abs()
            nothing = torch.zeros_like(size)
            return torch.stack([size, size, nothing, nothing, nothing], -1).arcsinh()
        nearest = self._nearest(rows, references, own)
        # Centred, no offset that rows and references share takes precision from the moments.
        center = references.mean(0)
        rows, references = rows - center, references - center
        left_out = None if own is None else _LeftOut((own >= 0)[:, None], references[own])
        number, mean, spread = _moments(rows, references, left_out)
        beyond = _beyond(rows, references, left_out)
        away = [rows - references[nearest].mean(1), rows - mean, beyond]
        sizes = [part.square() if self.residual == "squared" else part.abs() for part in away]
        count = (number.log() / math.log(LARGEST_NUMBER)).clamp_max(1.0).expand_as(rows)
        return torch.stack([*(part.arcsinh() for part in (*sizes, spread)), count], -1)

    def _nearest(self, rows: Tensor, references: Tensor, own: Tensor | None) -> Tensor:
        """Positions of the nearest references, (n_rows, n_blended)."""
        a, b = rows, references
        if self.metric == "cosine":
            a, b = (torch.nn.functional.normalize(part, dim=-1) for part in (a, b))
        # The product of matrices would round equal distances differently by their place.
        distances = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
        n_others = len(references)
        if own is not None and bool((own >= 0).any()):
            members = torch.nonzero(own >= 0)[:, 0]
            distances[members, own[members]] = torch.inf
            n_others -= 1
        if self.n_blended == 1:
            return distances.argmin(1, keepdim=True)
        return distances.topk(min(self.n_blended, n_others), largest=False).indices


def _moments(
    rows: Tensor, references: Tensor, left_out: _LeftOut | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Count, average and spread of the references, without those that are left out."""
    number = torch.full((len(rows), 1), float(len(references)), dtype=rows.dtype)
    total, squares = references.sum(0), references.square().sum(0)
    if left_out is not None:
        member = left_out.any.to(rows.dtype)
        number = number - member
        total = total - member * left_out.rows
        squares = squares - member * left_out.rows.square()
    mean = total / number
    variance = (squares - number * mean.square()) / (number - 1).clamp_min(1.0)
    return number, mean, variance.clamp_min(0.0).sqrt()


def _beyond(rows: Tensor, references: Tensor, left_out: _LeftOut | None) -> Tensor:
    """How far each feature lies outside the range of the references that are not left out."""
    high, low = references.amax(0), references.amin(0)
    if left_out is not None and len(references) > 1:
        top, bottom = references.topk(2, dim=0), references.topk(2, dim=0, largest=False)
        widest = left_out.any & (left_out.rows >= high)
        high = torch.where(widest, top.values[1], high)
        lowest = left_out.any & (left_out.rows <= low)
        low = torch.where(lowest, bottom.values[1], low)
    return (rows - high).clamp_min(0.0) + (low - rows).clamp_min(0.0)
