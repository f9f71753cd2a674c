"""WideResNet-50, without its classifier, under the names that its published weights have.

Written from S. Zagoruyko, N. Komodakis, "Wide Residual Networks", BMVC 2016, and K. He, X. Zhang,
S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016 (table 1); as published,
with the stride in the middle convolution of a block.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

#: Blocks of the four stages; channels of their middle convolutions and of their outputs.
_BLOCKS, _MIDDLE, _OUT = (3, 4, 6, 3), (128, 256, 512, 1024), (256, 512, 1024, 2048)


class _Bottleneck(nn.Module):
    """Narrow, filter, widen, and add the input."""

    def __init__(self, n_in: int, n_middle: int, n_out: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_middle)
        self.conv2 = nn.Conv2d(n_middle, n_middle, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_middle)
        self.conv3 = nn.Conv2d(n_middle, n_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(n_out)
        self.downsample: nn.Module | None = None
        if n_in != n_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        kept = x if self.downsample is None else self.downsample(x)
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        total: Tensor = self.bn3(self.conv3(y)) + kept
        return total.relu()


class WideResNet50(nn.Module):
    """The network up to its last stage; `layer1` to `layer3` are read as features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, 1)
        n_in = 64
        stages = zip(_BLOCKS, _MIDDLE, _OUT, strict=True)
        for number, (n_blocks, n_middle, n_out) in enumerate(stages, start=1):
            strides = [1 if number == 1 else 2, *[1] * (n_blocks - 1)]
            inputs = [n_in, *[n_out] * (n_blocks - 1)]
            blocks = [
                _Bottleneck(n, n_middle, n_out, s) for n, s in zip(inputs, strides, strict=True)
            ]
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
            n_in = n_out

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the last stage, (n, 2048, height / 32, width / 32)."""
        y: Tensor = self.pool(self.bn1(self.conv1(x)).relu())
        for number in range(1, 5):
            y = self.get_submodule(f"layer{number}")(y)
        return y


def load_wide_resnet50(path: Path) -> WideResNet50:
    """Build the network with weights from a file.

    Parameters
    ----------
    path : pathlib.Path
        A state dict under torchvision's names, such as ``wide_resnet50_2-95faca4d.pth``. Only
        tensors are read from it, no code; the classifier's are left out.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it holds other weights.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"No file {path}. Expected torchvision's weights of wide_resnet50_2 on ImageNet, such "
            "as wide_resnet50_2-95faca4d.pth."
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network = WideResNet50()
        network.load_state_dict({k: v for k, v in state.items() if not k.startswith("fc.")})
    except Exception as error:  # unpickling a foreign file fails in any way
        raise ValueError(
            f"{path} does not hold the weights of a WideResNet-50: {error}. Expected a state dict "
            "under torchvision's names."
        ) from error
    return network.eval()
