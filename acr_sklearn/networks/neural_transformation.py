"""Neural transformation learning: rows compared with learnt transformations of themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from acr_sklearn.networks.normalization import RowMask, rows_first, rows_first_mask
from acr_sklearn.networks.objective_base import Objective

__all__ = [
    "TRANSFORMATIONS",
    "BatchStandardization",
    "NeuralTransformationLearning",
    "NeuralTransformations",
    "standardized_by_batch",
]

#: How a transformation's network output f and its input x become the view.
TRANSFORMATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "residual": lambda f, x: f + x,
    "feedforward": lambda f, _: f,
    "multiplicative": lambda f, x: f.sigmoid() * x,
}

#: Temperature of the similarities between views (Qiu et al., 2021).
_TEMPERATURE = 0.1
#: Added to squared lengths, so that the direction of an embedding of zero has a finite gradient.
_LENGTH_FLOOR = 1e-8
#: The widest that the hidden layers of a transformation get.
_WIDEST = 64


class NeuralTransformations(nn.Module):
    """Small networks on the same rows, as products of stacked matrices.

    Each has three linear layers with ReLU between them, of the width of the input or 64, whichever
    is less (Qiu et al., 2021, section 3.1). The bias of the last layer starts standard normal, as
    far as rows are from one another in units of their batch: views that start alike can hardly be
    told apart, and AUROC on held-out classes (docs/method.md) was .619 and .911 instead of .952
    and .950.

    Parameters
    ----------
    n_features : int
        Width of the input, and of every view.
    n_transformations : int, default=19
        How many, M.
    kind : {"residual", "feedforward", "multiplicative"}, default="residual"
        Whether a view is f(x) + x, f(x), or sigmoid(f(x)) * x.
    """

    def __init__(self, n_features: int, n_transformations: int = 19, kind: str = "residual"):
        super().__init__()
        hidden = min(n_features, _WIDEST)
        sizes = list(pairwise((n_features, hidden, hidden, n_features)))
        self.kind = kind
        self.weights: nn.ParameterList = nn.ParameterList(
            _uniform((n_transformations, wide, narrow), wide) for wide, narrow in sizes
        )
        self.biases: nn.ParameterList = nn.ParameterList(
            _uniform((n_transformations, 1, narrow), wide) for wide, narrow in sizes
        )
        nn.init.normal_(self.biases[-1])

    def forward(self, x: Tensor, some: slice | None = None) -> Tensor:
        """Transform rows.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Rows; each is transformed on its own.
        some : slice or None, default=None
            Which of the transformations; None: all.

        Returns
        -------
        Tensor of shape (n_transformations, ..., n_features)
            The views.
        """
        rows = x.reshape(-1, x.shape[-1])
        hidden = rows
        these = some or slice(None)
        for depth, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = hidden.relu() if depth else rows.expand(len(weight[these]), *rows.shape)
            hidden = torch.baddbmm(bias[these], hidden, weight[these])
        return TRANSFORMATIONS[self.kind](hidden, rows).view(-1, *x.shape)


def _uniform(shape: tuple[int, ...], n_inputs: int) -> nn.Parameter:
    """Draw as torch draws the weights and biases of a linear layer."""
    bound = 1 / sqrt(n_inputs)
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


def standardized_by_batch(rows: Tensor, kept: RowMask = None) -> Tensor:
    """Standardize rows by mean and overall spread of the task's rows in the mask.

    Parameters
    ----------
    rows : Tensor of shape (n_rows, n_features) or (n_rows, n_tasks, n_features)
        Rows first.
    kept : Tensor of shape (n_rows,) or (n_rows, n_tasks), bool, or None
        Mask of rows; None: all.

    Returns
    -------
    Tensor of the shape of `rows`
        With rows of the mask of mean 0 and mean square 1, unless they are all equal.
    """
    weight = torch.ones(rows.shape[:-1]) if not isinstance(kept, Tensor) else kept
    weight = weight.to(rows)[..., None]
    count = weight.sum(0, keepdim=True)
    centred = rows - (rows * weight).sum(0, keepdim=True) / count
    squares = (centred.square() * weight).sum(0, keepdim=True) / count
    power = squares.mean(-1, keepdim=True)
    return centred / torch.where(power > 0, power.sqrt(), 1.0)


class BatchStandardization(nn.Module):
    """Standardization by the batch as a part that `scoring.fixed_norms` can fix."""

    def forward(self, rows: Tensor, kept: RowMask = None) -> Tensor:
        """Standardize rows by those in the mask: `standardized_by_batch`."""
        return standardized_by_batch(rows, kept)


class NeuralTransformationLearning(Objective):
    """Agreement between a row and learnt transformations of it.

    x_0 is the row and x_1..x_M its transformations, z_0..z_M their embeddings, and with
    h(a, b) = exp(cos(a, b) / 0.1) and p_k = h(z_k, z_0) / (h(z_k, z_0) + sum over l != k, l >= 1 of
    h(z_k, z_l)) the losses are L_n = -mean_k log p_k and L_a = -mean_k log(1 - p_k); L_n is the
    anomaly score (Qiu et al., 2021, equation 2; Li et al., 2023, section 3.3). With
    d_k = log((1 - p_k) / p_k) both are softplus functions, of d_k and of -d_k, that neither
    overflow nor lose a p_k near 0 or 1.

    Before all that the rows are centred on their batch and brought to its spread: a transformation
    stands in front of the first batch norm, which would cancel a shift. Batch statistics are those
    of the rows themselves, and their transformations are normalised by the same ones; what is
    unusual is measured from where the rows are, and views can be scored in portions. Mean AUROC
    on held-out classes of digits and of a set like letters (docs/method.md): .952 and .950; with
    statistics over all views together, as in the released code of Li et al., .912 and .943; with
    those of every view by itself, which cancels what sets views apart, .567 and .706. The encoder
    ends without a batch norm; with one it was .943 and .956.

    Parameters
    ----------
    in_features : int
        Width of the backbone's output.
    embedding_dim : int, default=32
        Dimension of z.
    n_features : int
        Width of the rows.
    n_transformations : int, default=19
        How many, M.
    transformation : {"residual", "feedforward", "multiplicative"}, default="residual"
        Of what kind.
    """

    #: Rows, transformed ones included, that are scored together.
    rows_together = 65536

    def __init__(
        self,
        in_features: int,
        embedding_dim: int = 32,
        *,
        n_features: int,
        n_transformations: int = 19,
        transformation: str = "residual",
    ):
        super().__init__(in_features, embedding_dim, normalised=False)
        self.n_views: int = 1 + n_transformations
        self.standardization: BatchStandardization = BatchStandardization()
        self.transformations: NeuralTransformations = NeuralTransformations(
            n_features, n_transformations, transformation
        )

    def expand(
        self, x: Tensor, kept: Tensor | None = None, some: slice | None = None
    ) -> tuple[Tensor, RowMask]:
        """Put the transformed rows of each task below its rows.

        Parameters
        ----------
        x : Tensor of shape (..., n_rows, n_features)
            One batch, or a stack of tasks.
        kept : Tensor of shape (..., n_rows), bool, or None
            Rows that the statistics are computed on; None: all.
        some : slice or None, default=None
            Which of the transformations; None: all.

        Returns
        -------
        rows : Tensor of shape (..., n_views * n_rows, n_features)
            View after view, the rows first, all standardized by the batch.
        mask : Tensor of shape (..., n_views * n_rows), bool, or int
            The rows, or those of them that are kept.
        """
        rows = rows_first(self.alone(x, kept))
        views = self.transformations(rows, some)
        stacked = rows_first(torch.cat([rows[None], views]).flatten(0, 1))
        if kept is None:
            return stacked, x.shape[-2]
        barred = kept.new_zeros(()).expand(*kept.shape[:-1], len(views) * kept.shape[-1])
        return stacked, torch.cat([kept, barred], dim=-1)

    def alone(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """Give of `expand` the rows alone, without their transformations.

        Parameters
        ----------
        x : Tensor of shape (..., n_rows, n_features)
            As in `expand`.
        kept : Tensor of shape (..., n_rows), bool, or None
            As in `expand`.

        Returns
        -------
        Tensor of the shape of `x`
            Standardized by the batch.
        """
        return rows_first(self.standardization(rows_first(x), rows_first_mask(kept)))

    def portions(self, n_rows: int) -> Sequence[slice | None]:
        """Cut the transformations into portions that are scored one after the other.

        Parameters
        ----------
        n_rows : int
            Rows that are scored together, over all batches.

        Returns
        -------
        sequence of slice
            Together all transformations.
        """
        step = max(1, self.rows_together // n_rows - 1)
        return [slice(start, start + step) for start in range(0, self.n_views - 1, step)]

    def forward(self, embedding: Tensor) -> Tensor:
        """Compare every transformed row with its row and with its other transformations.

        Parameters
        ----------
        embedding : Tensor of shape (..., n_views * n_rows, embedding_dim)
            View after view.

        Returns
        -------
        Tensor of shape (..., n_rows, n_transformations)
            Every row's d_k.
        """
        z = embedding.unflatten(-2, (self.n_views, -1)).transpose(-3, -2)
        z = z * (z.square().sum(-1, keepdim=True) + _LENGTH_FLOOR).rsqrt()
        similarity = z[..., 1:, :] @ z.mT / _TEMPERATURE
        itself = torch.eye(self.n_views - 1, dtype=torch.bool, device=z.device)
        others = similarity[..., 1:].masked_fill(itself, -torch.inf).logsumexp(-1)
        return others - similarity[..., 0]

    @staticmethod
    def anomaly_score(output: Tensor) -> Tensor:
        """Anomaly score from the head's output: L_n.

        Parameters
        ----------
        output : Tensor of shape (..., n_rows, n_transformations)
            What `forward` returned.

        Returns
        -------
        Tensor of shape (..., n_rows)
            High for abnormal rows.
        """
        return F.softplus(output).mean(-1)

    @staticmethod
    def losses(output: Tensor) -> tuple[Tensor, Tensor]:
        """L_n = mean_k log(1 + exp(d_k)) and L_a = mean_k log(1 + exp(-d_k))."""
        return F.softplus(output).mean(-1), F.softplus(-output).mean(-1)
