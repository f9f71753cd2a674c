"""Base class of objectives: a linear head, and the interface to the network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from acr_sklearn.networks.normalization import RowMask, TaskBatchNorm, rows_first, rows_first_mask

__all__ = ["Objective"]


class Objective(nn.Module):
    """Base class of objectives.

    Parameters
    ----------
    in_features : int
        Width of the backbone's output.
    embedding_dim : int
        Width of the embedding.
    normalised : bool, default=True
        Whether a batch norm follows the linear layer.
    """

    #: Rows that `expand` makes of one.
    n_views = 1

    def __init__(self, in_features: int, embedding_dim: int, *, normalised: bool = True):
        super().__init__()
        self.linear: nn.Linear = nn.Linear(in_features, embedding_dim, bias=False)
        self.norm: nn.Module | None = TaskBatchNorm(embedding_dim) if normalised else None

    def expand(
        self, x: Tensor, kept: Tensor | None = None, some: slice | None = None
    ) -> tuple[Tensor, RowMask]:
        """Expand the rows of each task for the backbone: here the rows themselves.

        Parameters
        ----------
        x : Tensor of shape (..., n_rows, n_features)
            One batch, or a stack of tasks.
        kept : Tensor of shape (..., n_rows), bool, or None
            Rows that the statistics are computed on; None: all.
        some : slice or None, default=None
            Which of further views are wanted; None: all.

        Returns
        -------
        rows : Tensor of shape (..., n_views * n_rows, n_features)
            View after view, the rows themselves first.
        mask : Tensor of shape (..., n_views * n_rows), bool, or int, or None
            Those of `rows` that the statistics are computed on.
        """
        return x, kept

    def alone(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """Give of `expand` the rows alone, without further views.

        Parameters
        ----------
        x : Tensor of shape (..., n_rows, n_features)
            As in `expand`.
        kept : Tensor of shape (..., n_rows), bool, or None
            As in `expand`.

        Returns
        -------
        Tensor of the shape of `x`
            The first of the rows that `expand` returns; they are normalised by `kept`.
        """
        return x

    def portions(self, n_rows: int) -> Sequence[slice | None]:
        """Cut further views into portions that are scored one after the other.

        Parameters
        ----------
        n_rows : int
            Rows that are scored together, over all batches.

        Returns
        -------
        sequence of slice or None
            Each for `expand`.
        """
        return [None]

    def embed(self, hidden: Tensor, kept: RowMask = None) -> Tensor:
        """Map the backbone's output to z.

        Parameters
        ----------
        hidden : Tensor of shape (..., n_rows, in_features)
            Output of the backbone.
        kept : Tensor of shape (..., n_rows), bool, or int, or None
            Rows that the statistics are computed on, or how many of the first; None: all.

        Returns
        -------
        Tensor of shape (..., n_rows, embedding_dim)
            Every row's z.
        """
        if self.norm is None:
            return self.linear(hidden)
        return rows_first(self.norm(self.linear(rows_first(hidden)), rows_first_mask(kept)))

    @staticmethod
    def anomaly_score(output: Tensor) -> Tensor:
        """Anomaly score from the head's output: the output itself.

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
        """Losses of every row as a normal row and as an outlier.

        Parameters
        ----------
        output : Tensor
            What `forward` returned.

        Returns
        -------
        normal_loss, outlier_loss : Tensor of shape (..., n_rows)
            L_n and L_a.
        """
        raise NotImplementedError

    @staticmethod
    def distance(score: Tensor) -> Tensor:
        """Bring anomaly scores to the scale of a distance, for comparison with others.

        Parameters
        ----------
        score : Tensor of shape (..., n_rows)
            Of `anomaly_score`, or a mean of such.

        Returns
        -------
        Tensor of shape (..., n_rows)
            Not negative, in the same order.
        """
        return score
