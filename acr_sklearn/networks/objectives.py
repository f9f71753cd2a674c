"""Training objectives: a head on the backbone, one number per row, one loss per step.

Inside torch code a high `anomaly_score` means abnormal.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from acr_sklearn.networks.neural_transformation import NeuralTransformationLearning
from acr_sklearn.networks.objective_base import Objective

__all__ = ["OBJECTIVES", "BinaryCrossEntropy", "DeepSVDD", "ObjectiveLoss", "make_objective"]

#: Bounds the outlier loss 1/A near A = 0; A is about twice `embedding_dim` before training.
_INVERSE_FLOOR = 1e-3


class DeepSVDD(Objective):
    """Distance to a learnt centre: the one-class objective with outlier exposure.

    With z the embedding of a row under its task's statistics and c the centre, A = ||z - c||^2; the
    loss is A for normal rows and 1/A for outliers (Li et al., 2023, section 3.3, after Ruff et
    al., 2018). 1/A is bounded as 1/(A + 0.001).

    Parameters
    ----------
    in_features : int
        Width of the backbone's output.
    embedding_dim : int, default=32
        Dimension of z.
    """

    def __init__(self, in_features: int, embedding_dim: int = 32):
        super().__init__(in_features, embedding_dim)
        self.center: nn.Parameter = nn.Parameter(torch.randn(embedding_dim))

    def forward(self, embedding: Tensor) -> Tensor:
        """Squared distance of each row to the centre.

        Parameters
        ----------
        embedding : Tensor of shape (..., n_rows, embedding_dim)
            Every row's z.

        Returns
        -------
        Tensor of shape (..., n_rows)
            Every row's A.
        """
        return (embedding - self.center).square().sum(-1)

    @staticmethod
    def losses(output: Tensor) -> tuple[Tensor, Tensor]:
        """L_n = A and L_a = 1 / (A + 0.001)."""
        return output, (output + _INVERSE_FLOOR).reciprocal()

    @staticmethod
    def distance(score: Tensor) -> Tensor:
        """Take the root of A."""
        return score.clamp_min(0).sqrt()


class BinaryCrossEntropy(Objective):
    """One logit per row, trained as a classifier of normal rows (0) and outliers (1).

    The logit is a linear function of ReLU(z). It is the anomaly score (Li et al., 2023, section
    3.3).

    Parameters
    ----------
    in_features : int
        Width of the backbone's output.
    embedding_dim : int, default=32
        Dimension of z.
    """

    def __init__(self, in_features: int, embedding_dim: int = 32):
        super().__init__(in_features, embedding_dim)
        self.logit: nn.Linear = nn.Linear(embedding_dim, 1)

    def forward(self, embedding: Tensor) -> Tensor:
        """Log odds of being an outlier.

        Parameters
        ----------
        embedding : Tensor of shape (..., n_rows, embedding_dim)
            Every row's z.

        Returns
        -------
        Tensor of shape (..., n_rows)
            Every row's logit.
        """
        return self.logit(F.relu(embedding))[..., 0]

    @staticmethod
    def losses(output: Tensor) -> tuple[Tensor, Tensor]:
        """L_n = log(1 + exp(logit)) and L_a = log(1 + exp(-logit))."""
        return F.softplus(output), F.softplus(-output)

    @staticmethod
    def distance(score: Tensor) -> Tensor:
        """Take the loss of the row as a normal row."""
        return F.softplus(score)


OBJECTIVES: dict[str, type[Objective]] = {
    "dsvdd": DeepSVDD,
    "bce": BinaryCrossEntropy,
    "ntl": NeuralTransformationLearning,
}


def make_objective(
    objective: str,
    in_features: int,
    embedding_dim: int,
    n_features: int,
    n_transformations: int = 19,
    transformation: str = "residual",
) -> Objective:
    """Build the objective of a network.

    Parameters
    ----------
    objective : {"dsvdd", "bce", "ntl"}
        Which one.
    in_features : int
        Width of the backbone's output.
    embedding_dim : int
        Dimension of z.
    n_features : int
        Width of the rows.
    n_transformations : int, default=19
        For "ntl".
    transformation : {"residual", "feedforward", "multiplicative"}, default="residual"
        For "ntl".

    Returns
    -------
    Objective
        Untrained.
    """
    if objective != "ntl":
        return OBJECTIVES[objective](in_features, embedding_dim)
    return NeuralTransformationLearning(
        in_features,
        embedding_dim,
        n_features=n_features,
        n_transformations=n_transformations,
        transformation=transformation,
    )


class ObjectiveLoss(nn.Module):
    """Loss of one step: the mean over tasks of the mean over their rows.

    Parameters
    ----------
    objective : {"dsvdd", "bce", "ntl"}, default="dsvdd"
        Whose row losses are averaged.
    """

    def __init__(self, objective: str = "dsvdd"):
        super().__init__()
        self.losses: Callable[[Tensor], tuple[Tensor, Tensor]] = OBJECTIVES[objective].losses

    def forward(self, output: Tensor, is_outlier: Tensor) -> Tensor:
        """Average the losses (Li et al., 2023, equation 5).

        Parameters
        ----------
        output : Tensor of shape (n_tasks, n_rows, ...) or (n_estimators, n_tasks, n_rows, ...)
            What the network returned.
        is_outlier : Tensor of shape (n_tasks, n_rows), bool
            True for the rows drawn as outliers.

        Returns
        -------
        Tensor of shape ()
            All tasks have the same number of rows, so one mean is the mean of means. Of several
            members it is the mean as well, but with the gradient of their sum: each is trained,
            and its weight decay weighs, as if it were alone.
        """
        normal_loss, outlier_loss = self.losses(output)
        loss = torch.where(is_outlier, outlier_loss, normal_loss).mean()
        others = len(normal_loss) - 1 if normal_loss.dim() > is_outlier.dim() else 0
        return loss + others * (loss - loss.detach())
