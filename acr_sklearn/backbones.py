"""Networks whose batch norm always uses the statistics of the rows processed together.

Every module here takes one batch, shape (n_rows, n_features), or a stack of tasks, shape
(n_tasks, n_rows, n_features), whose rows never see those of another task.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from acr_sklearn.batch_norm import TaskBatchNorm, rows_first
from acr_sklearn.user_module import StackedModule

__all__ = ["MLPBackbone", "make_backbone"]


class MLPBackbone(nn.Module):
    """Fully connected layers, each followed by batch norm and ReLU.

    The tabular network of Li et al. (2023, section 4.2). The linear layers have no bias: the batch
    norm behind each would cancel it.

    Parameters
    ----------
    n_features : int
        Width of the input.
    hidden_layer_sizes : sequence of int, default=(128, 128, 128)
        Widths of the layers.
    """

    def __init__(self, n_features: int, hidden_layer_sizes: Sequence[int] = (128, 128, 128)):
        super().__init__()
        widths = [n_features, *hidden_layer_sizes]
        self.linears = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(TaskBatchNorm(width) for width in widths[1:])
        self.out_features = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Map rows to the last hidden layer.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of tasks.

        Returns
        -------
        Tensor of shape (..., n_rows, out_features)
            Activations of the last layer.
        """
        return self.layers(x)[-1]

    def layers(self, x: Tensor, kept: Tensor | None = None) -> list[Tensor]:
        """Map rows to all hidden layers.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of tasks.
        kept : Tensor of shape (..., n_rows), bool, or None
            Rows that the statistics are computed on; None: all.

        Returns
        -------
        list of Tensor of shape (..., n_rows, width)
            Activations of each layer, the last one last.
        """
        hidden, outputs = rows_first(x), []
        kept = None if kept is None else rows_first(kept[..., None])[..., 0]
        for linear, norm in zip(self.linears, self.norms, strict=True):
            hidden = F.relu(norm(linear(hidden), kept))
            outputs.append(rows_first(hidden))
        return outputs


def make_backbone(
    backbone: str | nn.Module, n_features: int, hidden_layer_sizes: Sequence[int]
) -> MLPBackbone | StackedModule:
    """Build the network part of the detector.

    Parameters
    ----------
    backbone : {"mlp"} or nn.Module
        A name, or a user's module, which is copied.
    n_features : int
        Width of the input.
    hidden_layer_sizes : sequence of int
        For "mlp".

    Returns
    -------
    nn.Module
        With an attribute `out_features`.

    Raises
    ------
    ValueError
        For an unknown name or an unusable module.
    """
    if isinstance(backbone, nn.Module):
        return StackedModule(backbone, n_features)
    if backbone != "mlp":
        raise ValueError(f"Unknown backbone {backbone!r}. Use 'mlp' or an nn.Module.")
    return MLPBackbone(n_features, hidden_layer_sizes)
