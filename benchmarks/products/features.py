"""Feature maps of pictures of products, from a frozen network, kept in files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from quality.fetch import WEIGHTS, data_dir
from surfaces.run import DEVIATIONS, LAYERS

from acr_sklearn import FeatureExtractor, mobilenet_extractor
from acr_sklearn.datasets import MVTecProduct
from products.wide_resnet import load_wide_resnet50

Maps = NDArray[np.floating]

NETWORKS = ("mobilenet", "wide_resnet50")
#: Stages of WideResNet-50 that are read, and their channels.
WIDE_LAYERS = {"layer1": 256, "layer2": 512, "layer3": 1024}


@dataclass(frozen=True)
class Network:
    """A frozen network: what extracts its feature maps, and the channels of their levels."""

    name: str
    extractor: FeatureExtractor
    levels: tuple[int, ...]


def load_network(name: str, weights: Path | None, map_size: int) -> Network:
    """Load MobileNetV2, fetched by name, or WideResNet-50 from a file of the user's."""
    options: dict[str, Any] = {"map_size": map_size, "dtype": "float16", "batch_size": 16}
    if name == "wide_resnet50":
        if weights is None:
            raise ValueError("wide_resnet50 got no weights: give torchvision's file by --weights.")
        module = load_wide_resnet50(weights)
        extractor = FeatureExtractor(module, list(WIDE_LAYERS), **options)
        return Network(name, extractor, tuple(WIDE_LAYERS.values()))
    path = data_dir("mobilenet") / WEIGHTS if weights is None else weights
    options |= {"layers": list(LAYERS), "deviations": list(DEVIATIONS)}
    levels = (*LAYERS.values(), *DEVIATIONS.values())
    return Network(name, mobilenet_extractor(path, **options), levels)


class Pictures(Sequence[NDArray[np.float32]]):
    """Pictures of a product, read when asked for.

    Parameters
    ----------
    product : MVTecProduct
    part : {"train", "test"}
    chosen : array of int
        Which of them, in this order.
    """

    def __init__(
        self, product: MVTecProduct, part: Literal["train", "test"], chosen: NDArray[np.int64]
    ):
        self.product, self.part, self.chosen = product, part, chosen

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.chosen)

    def __getitem__(self, i: Any) -> Any:
        """Read one, shape (3, crop, crop)."""
        place = int(self.chosen[i])
        rows = self.product.images(self.part, place, place + 1)
        return rows.reshape(self.product.input_shape)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Read one by one."""
        return (self[i] for i in range(len(self)))


def train_order(product: MVTecProduct, seed: int) -> NDArray[np.int64]:
    """Shuffle the training pictures of a product: the first are its references."""
    rng = np.random.default_rng([seed, *product.name.encode()])
    return rng.permutation(len(product.train_files))


def feature_maps(network: Network, pictures: Pictures, folder: Path, name: str) -> Maps:
    """Extract feature maps into a file of the folder, or read those that are there."""
    path = folder / f"{name}.npy"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        network.extractor.transform(pictures, out=path)
    maps: Maps = np.load(path, mmap_mode="r", allow_pickle=False)
    if len(maps) != len(pictures) or maps.shape[1] != sum(network.levels):
        raise ValueError(
            f"{path} has maps of shape {maps.shape}. Expected {len(pictures)} of "
            f"{sum(network.levels)} channels: give another folder by --features."
        )
    return maps
