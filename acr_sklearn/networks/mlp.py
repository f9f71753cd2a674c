"""Networks whose batch norm always uses the statistics of the rows processed together.

Every module here takes one batch, shape (n_rows, n_features), or a stack of tasks, shape
(n_tasks, n_rows, n_features), whose rows never see those of another task.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from acr_sklearn.networks.conv import ConvNetwork, check_images
from acr_sklearn.networks.normalization import RowMask, TaskBatchNorm, rows_first, rows_first_mask
from acr_sklearn.networks.user_module import StackedModule

__all__ = ["MLPNetwork", "WhitenedLinear", "make_backbone", "run_stacked"]


class WhitenedLinear(nn.Linear):
    """A linear layer on the features and, beside them, the same features whitened.

    Batch norm sees one direction at a time, so a network starts out blind to what is unusual only
    in the dependence between features; in whitened directions it is not. The fixed whitening is
    folded into the weights, which costs less than whitening rows and keeps none twice.

    Parameters
    ----------
    whitening : Tensor of shape (n_features, n_features)
        Rows times this matrix are whitened.
    out_features : int
        Width of the output.
    """

    whitening: Tensor

    def __init__(self, whitening: Tensor, out_features: int):
        super().__init__(2 * len(whitening), out_features, bias=False)
        self.register_buffer("whitening", whitening)

    def forward(self, x: Tensor) -> Tensor:
        """Map rows.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Rows, not whitened.

        Returns
        -------
        Tensor of shape (..., out_features)
            Weighted sums of features and whitened features.
        """
        return F.linear(x, self.folded_weight())

    def folded_weight(self) -> Tensor:
        """Weights on the features alone that do the same.

        Returns
        -------
        Tensor of shape (out_features, n_features)
            With the whitening multiplied in.
        """
        plain, white = self.weight.split(len(self.whitening), dim=1)
        return plain + white @ self.whitening.T


class MLPNetwork(nn.Module):
    """Fully connected layers, each followed by batch norm and ReLU.

    The tabular network of Li et al. (2023, section 4.2). The linear layers have no bias: the batch
    norm behind each would cancel it.

    Parameters
    ----------
    n_features : int
        Width of the input.
    hidden_layer_sizes : sequence of int, default=(512,)
        Widths of the layers.
    whitening : Tensor of shape (n_features, n_features) or None, default=None
        For a first layer that sees whitened features as well.
    """

    def __init__(
        self,
        n_features: int,
        hidden_layer_sizes: Sequence[int] = (512,),
        whitening: Tensor | None = None,
    ):
        super().__init__()
        widths = [n_features, *hidden_layer_sizes]
        self.linears: nn.ModuleList = nn.ModuleList(
            nn.Linear(a, b, bias=False) for a, b in pairwise(widths)
        )
        if whitening is not None:
            self.linears[0] = WhitenedLinear(whitening, widths[1])
        self.norms: nn.ModuleList = nn.ModuleList(TaskBatchNorm(width) for width in widths[1:])
        self.out_features: int = widths[-1]
        self.largest: int = max(widths[1:])

    def forward(self, x: Tensor, kept: RowMask = None) -> Tensor:
        """Map rows to the last hidden layer.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of tasks.
        kept : Tensor of shape (..., n_rows), bool, or int, or None
            Rows that the statistics are computed on, or how many of the first; None: all.

        Returns
        -------
        Tensor of shape (..., n_rows, out_features)
            Activations of the last layer.
        """
        return self.layers(x, kept)[-1]

    def layers(self, x: Tensor, kept: RowMask = None) -> list[Tensor]:
        """Map rows to all hidden layers.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of tasks.
        kept : Tensor of shape (..., n_rows), bool, or int, or None
            Rows that the statistics are computed on, or how many of the first; None: all.

        Returns
        -------
        list of Tensor of shape (..., n_rows, width)
            Activations of each layer, the last one last.
        """
        hidden, outputs = rows_first(x), []
        mask = rows_first_mask(kept)
        for linear, norm in zip(self.linears, self.norms, strict=True):
            hidden = norm(linear(hidden), mask).relu_()
            outputs.append(rows_first(hidden))
        return outputs


def run_stacked(backbones: Sequence[MLPNetwork], x: Tensor) -> list[Tensor]:
    """Run several backbones of one shape on the same tasks, layer by layer together.

    Parameters
    ----------
    backbones : sequence of MLPNetwork
        Members.
    x : Tensor of shape (n_tasks, n_rows, n_features)
        A stack of tasks.

    Returns
    -------
    list of Tensor of shape (n_tasks, n_rows, out_features)
        Last hidden layer of each member: what its own `forward` returns.
    """
    hidden = rows_first(x)
    n_rows, n_tasks = hidden.shape[:2]
    for depth in range(len(backbones[0].linears)):
        weights = [_weight(backbone.linears[depth]) for backbone in backbones]
        if depth == 0:
            hidden = F.linear(hidden, torch.cat(weights))
        else:
            apart = hidden.view(n_rows * n_tasks, len(backbones), -1).transpose(0, 1)
            hidden = torch.bmm(apart, torch.stack(weights).mT).transpose(0, 1)
        norms = [cast(TaskBatchNorm, backbone.norms[depth]) for backbone in backbones]
        flat = F.batch_norm(
            hidden.reshape(n_rows, -1),
            None,
            None,
            torch.cat([norm.weight for norm in norms]).repeat(n_tasks),
            torch.cat([norm.bias for norm in norms]).repeat(n_tasks),
            training=True,
            eps=norms[0].eps,
        )
        hidden = F.relu(flat)
    apart = hidden.view(n_rows, n_tasks, len(backbones), -1)
    return [rows_first(member) for member in apart.unbind(dim=2)]


def _weight(linear: nn.Module) -> Tensor:
    if isinstance(linear, WhitenedLinear):
        return linear.folded_weight()
    return cast(Tensor, linear.weight)


def make_backbone(
    backbone: str | nn.Module,
    n_features: int,
    hidden_layer_sizes: Sequence[int],
    whitening: Tensor | None = None,
    *,
    input_shape: tuple[int, int, int] | None = None,
    conv_channels: Sequence[int] = (64, 64, 64, 64),
    conv_downsampling: str = "stride",
) -> MLPNetwork | ConvNetwork | StackedModule:
    """Build the network part of the detector.

    Parameters
    ----------
    backbone : {"mlp", "conv"} or nn.Module
        A name, or a user's module, which is copied.
    n_features : int
        Width of the input.
    hidden_layer_sizes : sequence of int
        For "mlp".
    whitening : Tensor of shape (n_features, n_features) or None, default=None
        For "mlp".
    input_shape : tuple of int or None, default=None
        For "conv", which needs it.
    conv_channels : sequence of int, default=(64, 64, 64, 64)
        For "conv".
    conv_downsampling : {"stride", "maxpool"}, default="stride"
        For "conv".

    Returns
    -------
    nn.Module
        With attributes `out_features` and `largest`, the numbers per row in its largest activation.

    Raises
    ------
    ValueError
        For an unknown name or an unusable module.
    """
    if isinstance(backbone, nn.Module):
        return StackedModule(backbone, n_features)
    if backbone == "conv":
        check_images(input_shape, n_features, conv_channels, conv_downsampling)
        assert input_shape is not None
        return ConvNetwork(input_shape, conv_channels, conv_downsampling)
    if backbone != "mlp":
        raise ValueError(f"Unknown backbone {backbone!r}. Use 'mlp', 'conv' or an nn.Module.")
    return MLPNetwork(n_features, hidden_layer_sizes, whitening)
