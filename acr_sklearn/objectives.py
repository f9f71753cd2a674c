"""Training objectives: a head on the backbone, one number per row, one loss per step.

Inside torch code a high `anomaly_score` means abnormal.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from acr_sklearn.batch_norm import TaskBatchNorm, rows_first

__all__ = ["OBJECTIVES", "DeepSVDD", "ObjectiveLoss"]

#: Bounds the outlier loss 1/A near A = 0; A is about twice `embedding_dim` before training.
_INVERSE_FLOOR = 1e-3


class DeepSVDD(nn.Module):
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
        super().__init__()
        self.linear = nn.Linear(in_features, embedding_dim, bias=False)
        self.norm = TaskBatchNorm(embedding_dim)
        self.center = nn.Parameter(torch.randn(embedding_dim))

    def embed(self, hidden: Tensor, kept: Tensor | None = None) -> Tensor:
        """Map the backbone's output to z.

        Parameters
        ----------
        hidden : Tensor of shape (..., n_rows, in_features)
            Output of the backbone.
        kept : Tensor of shape (..., n_rows), bool, or None
            Rows that the statistics are computed on; None: all.

        Returns
        -------
        Tensor of shape (..., n_rows, embedding_dim)
            Every row's z.
        """
        kept = None if kept is None else rows_first(kept[..., None])[..., 0]
        return rows_first(self.norm(self.linear(rows_first(hidden)), kept))

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
    def anomaly_score(output: Tensor) -> Tensor:
        """Anomaly score from the head's output: A itself.

        Parameters
        ----------
        output : Tensor of shape (..., n_rows)
            What `forward` returned.

        Returns
        -------
        Tensor of shape (..., n_rows)
            High for abnormal rows.
        """
        return output

    @staticmethod
    def losses(output: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of every row, were it normal and were it an outlier.

        Parameters
        ----------
        output : Tensor of shape (..., n_rows)
            What `forward` returned.

        Returns
        -------
        normal_loss, outlier_loss : Tensor of shape (..., n_rows)
            L_n = A and L_a = 1 / (A + 0.001).
        """
        return output, (output + _INVERSE_FLOOR).reciprocal()


OBJECTIVES: dict[str, type[DeepSVDD]] = {"dsvdd": DeepSVDD}


class ObjectiveLoss(nn.Module):
    """Loss of one step: the mean over tasks of the mean over their rows.

    Parameters
    ----------
    objective : {"dsvdd"}, default="dsvdd"
        Whose row losses are averaged.
    """

    def __init__(self, objective: str = "dsvdd"):
        super().__init__()
        self.losses: Callable[[Tensor], tuple[Tensor, Tensor]] = OBJECTIVES[objective].losses

    def forward(self, output: Tensor, is_outlier: Tensor) -> Tensor:
        """Average the losses (Li et al., 2023, equation 5).

        Parameters
        ----------
        output : Tensor of shape (n_tasks, n_rows) or (n_estimators, n_tasks, n_rows)
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
        others = len(output) - 1 if output.dim() == 3 else 0
        return loss + others * (loss - loss.detach())
