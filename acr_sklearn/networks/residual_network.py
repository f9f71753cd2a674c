"""ResAD's network over signs of residuals, and its loss."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from acr_sklearn.networks.constraintor import Constraintor, constraint_loss
from acr_sklearn.networks.flow import TwoClassFlow, push_pull_loss
from acr_sklearn.networks.residuals import N_SIGNS

__all__ = ["EPSILON", "N_DISTANCES", "ResidualLoss", "ResidualNetwork", "ResidualOutput"]

#: Width of what is read off a feature, and features of wider rows that a training step looks at.
_WIDTH, _FEATURES_PER_STEP = 16, 128
#: The first signs are distances: their weighted sums are evidence on their own.
N_DISTANCES = 3
#: Added to a distance before its logarithm is taken.
EPSILON = 1e-3


class ResidualOutput(NamedTuple):
    """What the network says of rows, each Tensor of shape (..., n_rows) or with a last width.

    Attributes
    ----------
    distance : Tensor
        Logit of being abnormal by the weighted distances.
    contrast : Tensor
        The same by the classifier of the descriptors.
    normal, abnormal : Tensor
        Log-likelihoods of the classes, per dimension.
    before, after : Tensor
        Descriptors before and after the constraintor.
    """

    distance: Tensor
    contrast: Tensor
    normal: Tensor
    abnormal: Tensor
    before: Tensor
    after: Tensor


class ResidualNetwork(nn.Module):
    """Weighted distances beside descriptors, constrained and put through a flow.

    A descriptor is the mean, over the features, of what one small network reads off each of them
    (ours): it knows no feature by name, so that few domains do not teach it theirs. The weighted
    distances do, and rise with every residual.

    Parameters
    ----------
    n_features : int
        Of the rows.
    n_blocks : int, default=4
        Of the flow.
    constrained : bool, default=True
        Whether there is a constraintor.
    likelihood_weight : float, default=0.0
        Of the flow's likelihood in the score.
    """

    def __init__(
        self,
        n_features: int,
        n_blocks: int = 4,
        constrained: bool = True,
        likelihood_weight: float = 0.0,
    ):
        super().__init__()
        self.likelihood_weight = likelihood_weight
        self.weights: nn.Parameter = nn.Parameter(torch.zeros(N_DISTANCES, n_features))
        self.slopes: nn.Parameter = nn.Parameter(torch.zeros(N_DISTANCES))
        self.intercept: nn.Parameter = nn.Parameter(torch.zeros(()))
        self.reader: nn.Sequential = nn.Sequential(
            nn.Linear(N_SIGNS, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, _WIDTH), nn.ReLU()
        )
        width = 2 * _WIDTH + N_DISTANCES
        self.norm: nn.BatchNorm1d = nn.BatchNorm1d(width, affine=False)
        self.constraintor: Constraintor | None = Constraintor(width) if constrained else None
        self.classifier: nn.Sequential = nn.Sequential(
            nn.Linear(width + 1, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, 1)
        )
        self.flow: TwoClassFlow = TwoClassFlow(width, 1, n_blocks)

    def forward(self, signs: Tensor) -> ResidualOutput:
        """Read signs of shape (..., n_rows, n_features, 5)."""
        lead = signs.shape[:-2]
        signs = signs.flatten(0, -3)
        distance, contrast, before, after = self._read(signs)
        normal, abnormal = self.flow(after, signs[:, 0, -1:])
        parts = distance, contrast, normal, abnormal, before, after
        return ResidualOutput(*(part.unflatten(0, lead) for part in parts))

    def _read(self, signs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits, and descriptors before and after the constraintor, of (n_rows, ...) signs."""
        shares = self.weights.softmax(-1)
        distances = torch.einsum("rfd,df->rd", signs[..., :N_DISTANCES].sinh(), shares)
        logs = torch.log(distances + EPSILON)
        seen = signs
        if self.training and signs.shape[1] > _FEATURES_PER_STEP:
            seen = signs[:, torch.randperm(signs.shape[1])[:_FEATURES_PER_STEP]]
        read = self.reader(seen)
        means = torch.cat([read.mean(1), torch.log1p(read.square()).mean(1)], -1)
        return self._judge(means, logs, signs[:, 0, -1:])

    def _judge(
        self, means: Tensor, logs: Tensor, number: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        distance = 2 * logs @ F.softplus(self.slopes) + self.intercept
        before = self.norm(torch.cat([means, logs], -1))
        after = before if self.constraintor is None else self.constraintor(before)
        contrast = self.classifier(torch.cat([after, number], -1))[:, 0]
        return distance, contrast, before, after

    def terms(self, signs: Tensor) -> Tensor:
        """Give what each feature adds to the sums that a row is judged by.

        Parameters
        ----------
        signs : Tensor of shape (n_rows, n_features, 5)
            Of `Converter`.

        Returns
        -------
        Tensor of shape (n_rows, n_features, 35)
            Terms of the 32 means of what is read off the features, and of the weighted distances.
        """
        read = self.reader(signs)
        means = torch.cat([read, torch.log1p(read.square())], -1) / signs.shape[1]
        return torch.cat([means, signs[..., :N_DISTANCES].sinh() * self.weights.softmax(-1).mT], -1)

    def judged(self, sums: Tensor, number: Tensor) -> Tensor:
        """Score rows by the sums of their terms.

        Parameters
        ----------
        sums : Tensor of shape (n_rows, 35)
            Of `terms` over the features, with the logarithm of each distance and `EPSILON` in the
            place of the distance.
        number : Tensor of shape (n_rows, 1)
            The last sign of a row, which all its features share.

        Returns
        -------
        Tensor of shape (n_rows,)
            What `scores` returns.
        """
        means, logs = sums.split([sums.shape[-1] - N_DISTANCES, N_DISTANCES], -1)
        distance, contrast, before, after = self._judge(means, logs, number)
        if not self.likelihood_weight:
            return (distance + contrast) / 2
        normal, abnormal = self.flow(after, number)
        return self.anomaly_score(
            ResidualOutput(distance, contrast, normal, abnormal, before, after)
        )

    def anomaly_score(self, output: ResidualOutput) -> Tensor:
        """Mean of the two logits, less the weighted likelihood: high for abnormal rows."""
        return (output.distance + output.contrast) / 2 - self.likelihood_weight * output.normal

    def scores(self, signs: Tensor) -> Tensor:
        """Score signs of shape (n_rows, n_features, 5), without the flow where it has no weight."""
        if self.likelihood_weight:
            return self.anomaly_score(self(signs))
        distance, contrast, _, _ = self._read(signs)
        return (distance + contrast) / 2


class ResidualLoss(nn.Module):
    """Loss of a step: both logits, both likelihoods, push and pull, and the constraintor's.

    Parameters
    ----------
    invariance : float, default=1.0
        Weight of the abnormal-invariant term.
    constrained : bool, default=True
        Whether there is a constraintor.
    """

    constrained: bool
    invariance: float

    def __init__(self, invariance: float = 1.0, constrained: bool = True):
        super().__init__()
        self.invariance, self.constrained = invariance, constrained

    def forward(self, output: ResidualOutput, target: Tensor) -> Tensor:
        """Loss of outputs against a target of 1 for abnormal rows, (..., n_rows)."""
        is_anomaly = target.flatten() > 0
        out = ResidualOutput(*(part.flatten(0, target.ndim - 1) for part in output))
        label = is_anomaly.to(out.distance.dtype)
        losses = [
            F.binary_cross_entropy_with_logits(logit, label)
            for logit in (out.distance, out.contrast)
        ]
        losses.append(-torch.where(is_anomaly, out.abnormal, out.normal).mean())
        losses.append(push_pull_loss(out.normal, is_anomaly))
        if self.constrained:
            losses.append(constraint_loss(out.before, out.after, is_anomaly, self.invariance))
        return torch.stack(losses).sum()
