"""Feature maps of images from the layers of a frozen network, in bounded memory."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from acr_sklearn._compute import resolve_device
from acr_sklearn._input.parameters import are_counts, is_real, read_count, read_size
from acr_sklearn.images.loading import image_stacks
from acr_sklearn.images.map_file import MapFile
from acr_sklearn.images.mobilenet import load_mobilenet_v2

__all__ = ["FeatureExtractor", "mobilenet_extractor"]

#: Mean and standard deviation of ImageNet's colours, which pretrained networks expect.
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

#: Deviations far below it count as none: what is left of them is rounding.
_LEAST_DEVIATION = 1e-2


class _AllSeenError(Exception):
    """Every layer asked for has answered: the rest of the network need not run."""


class FeatureExtractor:
    """Read layers of a frozen network as one feature map per image.

    The maps of the layers are averaged over small neighbourhoods, brought to one size and put side
    by side.

    Parameters
    ----------
    module : torch.nn.Module
        Any network that takes images of shape (n, 3, height, width), such as torchvision's and
        timm's. A copy of it is frozen and used in eval mode.
    layers : sequence of str
        Names of submodules, see ``module.named_modules()``, whose outputs have shape (n, channels,
        height, width).
    map_size : (int, int), int or None, default=None
        Height and width of the maps, one number for a square; None takes those of the first layer.
    image_size : (int, int), int or None, default=None
        To which images are resized before the network; None leaves them as they are.
    neighborhood : int, default=3
        Side of the square over which each layer's map is averaged, odd.
    deviations : sequence of str, default=()
        Those of the layers whose standard deviations within what is averaged are put beside their
        means, as logarithms: fine structure that grows or fades leaves its mean where it was.
    normalize : {"all", "last", "none"}, default="last"
        Layers whose vectors are brought to length 1 at every position: deep layers vary in length
        for reasons that are no defect.
    mean : sequence of three floats, default=(0.485, 0.456, 0.406)
        What is subtracted from the colours (0 to 1); ImageNet's, which pretrained networks expect.
    std : sequence of three floats, default=(0.229, 0.224, 0.225)
        What they are divided by afterwards.
    batch_size : int, default=32
        Images that pass the network together, and that are in memory at a time.
    dtype : {"float32", "float16"}, default="float32"
        Of the maps; "float16" needs half the space.
    device : str, default="auto"
        "auto" takes CUDA where there is one, else the CPU.

    Attributes
    ----------
    module : torch.nn.Module
        The frozen copy.

    Raises
    ------
    ValueError, TypeError
        For layers that the network does not have, and for other settings that are none.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from acr_sklearn import FeatureExtractor
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU())
    >>> extractor = FeatureExtractor(network, ["1"])
    >>> extractor.transform(np.zeros((5, 3, 16, 16))).shape
    (5, 4, 8, 8)
    """

    def __init__(
        self,
        module: nn.Module,
        layers: Sequence[str],
        *,
        map_size: tuple[int, int] | int | None = None,
        image_size: tuple[int, int] | int | None = None,
        neighborhood: int = 3,
        deviations: Sequence[str] = (),
        normalize: str = "last",
        mean: Sequence[float] = _IMAGENET_MEAN,
        std: Sequence[float] = _IMAGENET_STD,
        batch_size: int = 32,
        dtype: str = "float32",
        device: str = "auto",
    ):
        who = type(self).__name__
        if not isinstance(module, nn.Module):
            raise TypeError(f"{who} got module={module!r}. It needs a torch.nn.Module.")
        names = {name for name, _ in module.named_modules() if name}
        layers = _read_names(layers, who=who, name="layers")
        deviations = _read_names(deviations, who=who, name="deviations")
        missing = [layer for layer in layers if layer not in names]
        unread = [layer for layer in deviations if layer not in layers]
        if missing or not layers:
            raise ValueError(
                f"{who} found no layer {missing[0] if missing else ''!r} in "
                f"{type(module).__name__}. Choose from its named_modules(): "
                f"{', '.join(sorted(names)[:8])}, ..."
            )
        if unread:
            raise ValueError(
                f"{who} got deviations of {unread[0]!r}, which is none of its layers {layers}. "
                "Name it there too."
            )
        if not are_counts([neighborhood]) or neighborhood % 2 == 0:
            raise ValueError(
                f"{who} got neighborhood={neighborhood!r}; it needs an odd number >= 1."
            )
        for name, value, allowed in (
            ("normalize", normalize, ("all", "last", "none")),
            ("dtype", dtype, ("float32", "float16")),
        ):
            if not isinstance(value, str) or value not in allowed:
                raise ValueError(f"{who} got {name}={value!r}; choose from {allowed}.")
        self.layers = layers
        self.map_size: tuple[int, int] | None = read_size(map_size, who=who, name="map_size")
        self.image_size: tuple[int, int] | None = read_size(image_size, who=who, name="image_size")
        self.neighborhood: int = int(neighborhood)
        self.deviations: tuple[str, ...] = tuple(deviations)
        self.normalize = normalize
        self.mean: tuple[float, ...] = _read_colours(mean, who=who, name="mean")
        self.std: tuple[float, ...] = _read_colours(std, who=who, name="std")
        self.batch_size: int = read_count(batch_size, who=who, name="batch_size")
        self.dtype = dtype
        try:
            self.device: str = resolve_device(device)
        except ValueError as error:
            raise ValueError(f"{who} got {error}") from error
        self.module: nn.Module = copy.deepcopy(module).eval().requires_grad_(False).to(self.device)
        # Hooks live on the module while a stack passes: two threads would hear each other's.
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the lock behind, which no pickle can hold."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make a lock again."""
        vars(self).update(state, _lock=threading.Lock())

    def transform(self, images: Any, out: str | Path | None = None) -> NDArray[Any]:
        """Extract feature maps.

        Parameters
        ----------
        images : array-like of shape (n_images, channels, height, width), or sequence
            A sequence holds arrays of shape (channels, height, width), or paths of picture files.
            Whole numbers are read as 0 to 255, floats as 0 to 1; grey images have one channel.
        out : str, pathlib.Path or None, default=None
            File (``.npy``) that keeps the maps; what is returned is then a memory map of it. It is
            written beside its place, in space reserved beforehand, and moved there when complete:
            after an error or a kill, what was there is as it was. A killed process leaves a hidden
            ``.<name>.<letters>.part``, which may be deleted.

        Returns
        -------
        ndarray of shape (n_images, channels, map_height, map_width)
            Of the extractor's `dtype`; channels of the layers side by side.

        Raises
        ------
        FileNotFoundError
            If a picture, or the folder of `out`, is missing.
        OSError
            If there is too little space for `out`.
        ValueError
            For images that differ in size or in channels, that are unreadable or larger than
            Pillow's limit, or that the network turns into values that are not finite.
        """
        who = f"{type(self).__name__}.transform"
        if out is None:
            return self._fill(images, who, np.empty)
        with MapFile(out, who=who) as file:
            self._fill(images, who, file.allocate)
            return file.finish()

    def _fill(
        self, images: Any, who: str, allocate: Callable[[tuple[int, ...], str], NDArray[Any]]
    ) -> NDArray[Any]:
        maps: NDArray[Any] | None = None
        start = 0
        for stack in image_stacks(images, self.batch_size, who=who):
            part = self._extract(torch.from_numpy(stack), who).cpu().numpy()
            if maps is None:
                maps = allocate((len(images), *part.shape[1:]), self.dtype)
            maps[start : start + len(part)] = part
            if not np.isfinite(maps[start : start + len(part)]).all():
                raise ValueError(
                    f"{who} got features that are not finite, first in the images {start} to "
                    f"{start + len(part) - 1}. Check the network's weights, or use dtype='float32'."
                )
            start += len(part)
        assert maps is not None
        return maps

    def _extract(self, colours: Tensor, who: str) -> Tensor:
        x = colours.to(self.device)
        shape = (1, 3, 1, 1)
        x = (x - x.new_tensor(self.mean).view(shape)) / x.new_tensor(self.std).view(shape)
        if self.image_size is not None:
            x = F.interpolate(
                x, self.image_size, mode="bilinear", antialias=True, align_corners=False
            )
        with torch.inference_mode():
            outputs = self._run(x, who)
            size = self.map_size or tuple(outputs[0].shape[2:])
            maps = [self._prepare(output, size) for output in outputs]
            found = dict(zip(self.layers, zip(outputs, maps, strict=True), strict=True))
            spreads = [self._deviation(*found[layer], size) for layer in self.deviations]
            if self.normalize != "none":
                chosen = range(len(maps)) if self.normalize == "all" else [len(maps) - 1]
                for i in chosen:
                    maps[i] = F.normalize(maps[i], dim=1)
            return torch.cat(maps + spreads, dim=1)

    def _run(self, x: Tensor, who: str) -> list[Tensor]:
        """Collect the outputs of the layers; the network stops behind the last of them."""
        seen: dict[str, Tensor] = {}

        def listen(name: str) -> Any:
            def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
                if not isinstance(output, Tensor) or output.dim() != 4:
                    is_tensor = isinstance(output, Tensor)
                    got = tuple(output.shape) if is_tensor else type(output).__name__
                    raise ValueError(
                        f"{who}: layer {name!r} answers with {got}, not with maps of shape "
                        "(n, channels, height, width). Choose a convolutional layer."
                    )
                seen[name] = output
                if len(seen) == len(set(self.layers)):
                    raise _AllSeenError

            return hook

        with self._lock:
            modules = dict(self.module.named_modules())
            handles = [
                modules[name].register_forward_hook(listen(name)) for name in set(self.layers)
            ]
            try:
                self.module(x)
            except _AllSeenError:
                pass
            finally:
                for handle in handles:
                    handle.remove()
        silent = [name for name in self.layers if name not in seen]
        if silent:
            raise ValueError(f"{who}: layer {silent[0]!r} does not take part in the forward pass.")
        return [seen[name] for name in self.layers]

    def _deviation(self, output: Tensor, mean: Tensor, size: tuple[int, ...]) -> Tensor:
        variance = self._prepare(output.square(), size) - mean.square()
        return (variance.clamp_min(0).sqrt() + _LEAST_DEVIATION).log()

    def _prepare(self, output: Tensor, size: tuple[int, ...]) -> Tensor:
        """Average over neighbourhoods, then to the common size."""
        if self.neighborhood > 1:
            half = self.neighborhood // 2
            output = F.avg_pool2d(
                output, self.neighborhood, stride=1, padding=half, count_include_pad=False
            )
        if tuple(output.shape[2:]) == tuple(size):
            return output
        if output.shape[2] >= size[0] and output.shape[3] >= size[1]:
            return F.adaptive_avg_pool2d(output, (size[0], size[1]))
        return F.interpolate(output, list(size), mode="bilinear", align_corners=False)


def _read_names(given: Any, *, who: str, name: str) -> list[str]:
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not all(isinstance(one, str) for one in names):
        raise TypeError(f"{who} got {name}={given!r}. It needs a list of names of submodules.")
    return list(names)


def _read_colours(given: Any, *, who: str, name: str) -> tuple[float, ...]:
    values = given.tolist() if isinstance(given, np.ndarray | Tensor) else given
    least = 0.0 if name == "std" else -np.inf
    if (
        not isinstance(values, list | tuple)
        or len(values) != 3
        or not all(is_real(value) and float(value) > least for value in values)
    ):
        positive = "positive " if name == "std" else ""
        raise ValueError(
            f"{who} got {name}={given!r}. It needs three {positive}numbers, one per colour."
        )
    return tuple(float(value) for value in values)


def mobilenet_extractor(path: str | Path, **settings: Any) -> FeatureExtractor:
    """Build an extractor on MobileNetV2 with weights from a file.

    Parameters
    ----------
    path : str or pathlib.Path
        State dict under torchvision's names, such as ``mobilenet_v2-b0353104.pth``.
    **settings : Any
        Of `FeatureExtractor`; `layers` are blocks 3, 6 and 13 unless given.

    Returns
    -------
    FeatureExtractor
        Ready to transform images.

    See Also
    --------
    FeatureExtractor : For any other network.

    Examples
    --------
    >>> from acr_sklearn import mobilenet_extractor
    >>> mobilenet_extractor("no_such_file.pth")
    Traceback (most recent call last):
    ...
    FileNotFoundError: load_mobilenet_v2 found no file 'no_such_file.pth'...
    """
    settings = {"layers": ("features.3", "features.6", "features.13")} | settings
    return FeatureExtractor(load_mobilenet_v2(path), **settings)
