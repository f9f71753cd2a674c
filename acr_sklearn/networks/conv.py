"""A convolutional network for rows that are images, under the statistics of each task's rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from acr_sklearn._input.parameters import are_counts
from acr_sklearn.networks.normalization import ImageBatchNorm, RowMask, rows_first, rows_first_mask

__all__ = ["BatchCenter", "ConvNetwork", "check_images", "sizes_by_layer"]


class ConvNetwork(nn.Module):
    """Convolutions of 3 by 3 pixels, each followed by batch norm and ReLU.

    The image networks of Li et al. (2023, section 4.1): every layer halves the image, by a stride
    of two (their Omniglot network, the mean over what is left of it being the output) or by taking
    the largest of 2 by 2 pixels (their CIFAR network, whose output is all that is left). Batch norm
    runs per task over rows and pixels. The convolutions have no bias: batch norm would cancel it.

    Before the first layer every pixel is centred on the rows of the mask. Behind a linear layer
    batch norm would do that; at the padded border of a convolution it does not.

    Tasks are folded into the rows of one convolution, with statistics per task after it, as many
    at once as fit into the caches of a CPU together (`ACRNetwork`), and each such part goes
    backward before the next goes forward. On two cores a training step ran 1.17 times as fast as a
    loop over tasks for 32 tasks of 30 images of 28 by 28 pixels, 1.13 times for 16 of 128, 1.01
    times for 8 of 64 with max-pooling, and 4.9 times for 32 of 12 images of 14 by 14; all folded
    0.78, 0.55, 0.84 and 5.7, `torch.vmap` 0.49, 0.39, 0.62 and 3.9. A loop that goes backward after
    each task, for little memory, ran 1.02, 1.19, 1.05 and 0.62 times as fast as one that does at
    its end (``make bench-conv``).

    Parameters
    ----------
    input_shape : tuple of int
        Channels, height and width of the images.
    conv_channels : sequence of int, default=(64, 64, 64, 64)
        Channels of the layers.
    conv_downsampling : {"stride", "maxpool"}, default="stride"
        What halves the image.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        conv_channels: Sequence[int] = (64, 64, 64, 64),
        conv_downsampling: str = "stride",
    ):
        super().__init__()
        self.input_shape = input_shape
        self.pools: bool = conv_downsampling == "maxpool"
        widths = [input_shape[0], *conv_channels]
        stride = 1 if self.pools else 2
        self.convs: nn.ModuleList = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=stride, padding=1, bias=False) for a, b in pairwise(widths)
        )
        self.norms: nn.ModuleList = nn.ModuleList(ImageBatchNorm(width) for width in conv_channels)
        self.center: BatchCenter = BatchCenter()
        sides = [
            sizes_by_layer(side, len(conv_channels), conv_downsampling) for side in input_shape[1:]
        ]
        # A pooled layer is as large as its input until it is pooled.
        behind = [
            width * prod(side[depth + (not self.pools)] for side in sides)
            for depth, width in enumerate(conv_channels)
        ]
        self.largest: int = max(behind)
        self.out_features: int = widths[-1] * (
            prod(side[-1] for side in sides) if self.pools else 1
        )

    def forward(self, x: Tensor, kept: RowMask = None) -> Tensor:
        """Map images to the output of the last layer.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of tasks; each row the pixels of an image.
        kept : Tensor of shape (..., n_rows), bool, or int, or None
            Rows that the statistics are computed on, or how many of the first; None: all.

        Returns
        -------
        Tensor of shape (..., n_rows, out_features)
            Mean over pixels of the last layer or, with "maxpool", all of its pixels.
        """
        return self._output(self._images(x, kept)[-1], x)

    def layers(self, x: Tensor, kept: RowMask = None) -> list[Tensor]:
        """Map images to a short description by every layer.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of tasks; each row the pixels of an image.
        kept : Tensor of shape (..., n_rows), bool, or int, or None
            Rows that the statistics are computed on, or how many of the first; None: all.

        Returns
        -------
        list of Tensor of shape (..., n_rows, width)
            Mean over pixels of every layer's channels, so that the width does not grow with the
            image; of the last layer the output.
        """
        images = self._images(x, kept)
        means = [_unstacked(image.mean((2, 3)), x) for image in images[:-1]]
        return [*means, self._output(images[-1], x)]

    def _images(self, x: Tensor, kept: RowMask) -> list[Tensor]:
        """Activations of every layer, shape (n_rows * n_tasks, n_channels, height, width)."""
        rows = rows_first(x if x.dim() == 3 else x[None])
        mask = rows_first_mask(kept[None] if isinstance(kept, Tensor) and x.dim() == 2 else kept)
        n_rows, n_tasks = rows.shape[:2]
        image = self.center(rows, mask).reshape(-1, *self.input_shape)
        images = []
        for conv, norm in zip(self.convs, self.norms, strict=True):
            image = conv(image)
            apart = image.view(n_rows, n_tasks, *image.shape[1:])
            image = F.relu(norm(apart, mask)).view(image.shape)
            if self.pools:
                image = F.max_pool2d(image, 2)
            images.append(image)
        return images

    def _output(self, image: Tensor, x: Tensor) -> Tensor:
        return _unstacked(image.flatten(1) if self.pools else image.mean((2, 3)), x)


def sizes_by_layer(side: int, n_layers: int, conv_downsampling: str) -> list[int]:
    """Height or width of an image before the first layer and behind each.

    Parameters
    ----------
    side : int
        Of the input.
    n_layers : int
        How often it is halved.
    conv_downsampling : {"stride", "maxpool"}
        A padded convolution with stride rounds up, pooling rounds down.

    Returns
    -------
    list of int of length n_layers + 1
        0 where nothing is left.
    """
    sides = [side]
    for _ in range(n_layers):
        sides.append((sides[-1] + (conv_downsampling == "stride")) // 2)
    return sides


def check_images(
    input_shape: Any, n_features: int, conv_channels: Any, conv_downsampling: str
) -> None:
    """Refuse images that do not fit the rows, and layers that do not fit the images.

    Parameters
    ----------
    input_shape : tuple of int
        Channels, height and width.
    n_features : int
        Width of the rows.
    conv_channels : sequence of int
        Channels of the layers.
    conv_downsampling : {"stride", "maxpool"}
        What halves the image.

    Raises
    ------
    ValueError
        Saying which of them it is.
    """
    if not are_counts(input_shape) or len(input_shape) != 3:
        raise ValueError(
            f"ConvBackbone got input_shape={input_shape!r}. It needs the shape of the "
            f"image that each row of {n_features} features is, (channels, height, width), for "
            "example input_shape=(1, 28, 28)."
        )
    if prod(input_shape) != n_features:
        raise ValueError(
            f"ConvBackbone got input_shape={tuple(input_shape)}, images of {prod(input_shape)} "
            f"pixels and channels, but X has {n_features} features. Each row must be one image, "
            "channel after channel, line after line."
        )
    if not are_counts(conv_channels):
        raise ValueError(
            f"ConvBackbone got channels={conv_channels!r}. It needs a sequence of layers, "
            "each a positive whole number of channels."
        )
    sides = [
        sizes_by_layer(side, len(conv_channels), conv_downsampling) for side in input_shape[1:]
    ]
    # Pooling leaves nothing of a single pixel; a stride leaves it as it is, and halves no more.
    least = min if conv_downsampling == "maxpool" else max
    n_layers = sum(least(pair) > 1 for pair in zip(*sides, strict=True))
    if n_layers < len(conv_channels):
        raise ValueError(
            f"ConvBackbone got {len(conv_channels)} layers in channels, each of which "
            f"halves the image, but input_shape={tuple(input_shape)} with downsampling="
            f"{conv_downsampling!r} is down to one pixel behind {n_layers}. Give at most so many."
        )


class BatchCenter(nn.Module):
    """The mean of the batch as a part that `scoring.fixed_norms` can fix."""

    def forward(self, rows: Tensor, kept: RowMask = None) -> Tensor:
        """Centre pixels on their mean over the rows of the mask.

        Parameters
        ----------
        rows : Tensor of shape (n_rows, n_tasks, n_features)
            Rows first.
        kept : Tensor of shape (n_rows, n_tasks), bool, or int, or None
            Mask of rows, or how many of the first; None: all.

        Returns
        -------
        Tensor of the shape of `rows`
            All of them, centred.
        """
        if isinstance(kept, int):
            return rows - rows[:kept].mean(0)
        if kept is None:
            return rows - rows.mean(0)
        weight = kept.to(rows)[..., None]
        return rows - (rows * weight).sum(0) / weight.sum(0)


def _unstacked(rows: Tensor, x: Tensor) -> Tensor:
    """Bring tasks first again: from (n_rows * n_tasks, width) to the leading axes of `x`."""
    return rows_first(rows.view(x.shape[-2], -1, rows.shape[1])) if x.dim() == 3 else rows
