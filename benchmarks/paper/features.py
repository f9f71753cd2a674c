"""Frozen features of MVTec AD: files of them, or an extractor that makes the files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from tqdm import tqdm

from acr_sklearn.datasets import MVTecProduct

from .store import write_whole

# What networks that were trained on ImageNet expect of colours in [0, 1].
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGES_AT_ONCE = 16


def feature_path(folder: Path, product: str, part: str) -> Path:
    """Return where the features of a product's train or test pictures are."""
    return folder / f"{product}_{part}.npy"


def read_features(folder: Path, product: MVTecProduct, part: str) -> np.ndarray:
    """Return features (n, channels, height, width), left on disk.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, unreadable, or not as long as the product has pictures.
    """
    path = feature_path(folder, product.name, part)
    n = len(product.train_files if part == "train" else product.test_files)
    expected = (
        f"an array ({n}, channels, height, width) of features of {product.name}'s {part} pictures, "
        "in the order of load_mvtec"
    )
    if not path.is_file():
        raise FileNotFoundError(f"No file {path}. Expected {expected}.")
    try:
        features: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path} cannot be read ({error}). Expected {expected}.") from error
    if features.ndim != 4 or len(features) != n:
        raise ValueError(f"{path} has shape {features.shape}. Expected {expected}.")
    return features


def load_extractor(path: Path) -> Any:
    """Return an exported network that maps pictures (n, 3, height, width) to features."""
    expected = "a network saved by torch.export.save, with any number of pictures"
    if not path.is_file():
        raise FileNotFoundError(f"No file {path}. Expected {expected}.")
    try:
        return torch.export.load(path).module()
    except (RuntimeError, ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read ({error}). Expected {expected}.") from error


def extract_features(extractor: Any, product: MVTecProduct, part: str, folder: Path) -> None:
    """Write the features of a product's pictures, unless they are there."""
    path = feature_path(folder, product.name, part)
    if path.is_file():
        return
    files = product.train_files if part == "train" else product.test_files
    mean = torch.tensor(IMAGENET_MEAN).reshape(3, 1, 1)
    std = torch.tensor(IMAGENET_STD).reshape(3, 1, 1)
    parts = []
    steps = range(0, len(files), IMAGES_AT_ONCE)
    for start in tqdm(steps, desc=f"features of {product.name}, {part}", leave=False):
        rows = product.images(part, start, start + IMAGES_AT_ONCE)
        images = torch.from_numpy(rows).reshape(-1, *product.input_shape)
        with torch.no_grad():
            features = extractor((images - mean) / std)
        if not isinstance(features, torch.Tensor) or features.ndim != 4:
            what = tuple(features.shape) if isinstance(features, torch.Tensor) else type(features)
            raise ValueError(
                f"The extractor returned {what}. Expected one tensor (n, channels, height, width)."
            )
        parts.append(features.numpy())
    content = np.concatenate(parts)

    def write(file: IO[bytes]) -> None:
        np.save(file, content)

    write_whole(path, write)
