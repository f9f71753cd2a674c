"""Classifier that is additive in its inputs and rises with each of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["MonotoneClassifier", "MonotoneLoss"]


class MonotoneClassifier(nn.Module):
    """Logistic regression whose weights, softplus of free ones, cannot be negative.

    Parameters
    ----------
    n_inputs : int
        Signs of abnormality, each high for abnormal rows.
    """

    def __init__(self, n_inputs: int):
        super().__init__()
        self.free: nn.Parameter = nn.Parameter(torch.full((n_inputs,), -1.0))
        self.bias: nn.Parameter = nn.Parameter(torch.zeros(()))

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logit of being an outlier, (n_samples,), and the weights, (n_inputs,)."""
        weights = functional.softplus(self.free)
        return inputs @ weights + self.bias, weights


class MonotoneLoss(nn.Module):
    """Cross-entropy of the logits, with a ridge on the weights.

    Parameters
    ----------
    ridge : float, default=0.02
        Factor of the sum of squared weights.
    """

    def __init__(self, ridge: float = 0.02):
        super().__init__()
        self.ridge = ridge

    def forward(self, output: tuple[Tensor, Tensor], is_outlier: Tensor) -> Tensor:
        """Average over rows, both classes at equal weight, and add the ridge."""
        logits, weights = output
        loss = functional.binary_cross_entropy_with_logits(logits, is_outlier, reduction="none")
        share = is_outlier.mean()
        balance = torch.where(is_outlier > 0, 0.5 / share, 0.5 / (1 - share))
        return (loss * balance).mean() + self.ridge * weights.square().sum()
