"""MNIST in its idx files, and the sets of MedMNIST in their npz files."""

from __future__ import annotations

from collections.abc import Collection
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.paths import read_path
from acr_sklearn.datasets._classes import class_data
from acr_sklearn.datasets._files import read_idx, read_npz
from acr_sklearn.datasets._lists import listed_numbers
from acr_sklearn.datasets.domain_data import DomainData

__all__ = ["load_medmnist", "load_mnist"]

_NAMES = [str(label) for label in range(256)]


def load_mnist(folder: str | PathLike[str], *, unseen: Collection[int]) -> DomainData:
    """Read MNIST, or another set in its format, with classes as domains.

    Parameters
    ----------
    folder : path
        With train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
        t10k-labels-idx1-ubyte, each plain or with .gz; "train-images.idx3-ubyte" and the like are
        found as well.
    unseen : collection of int
        Classes that are test domains, drawn from the t10k files: normal is one class, anomalies
        are all others. The remaining classes of the train files are the training domains.

    Returns
    -------
    DomainData
        Rows are images of shape (1, height, width), flattened, in [0, 1]. All test domains have
        the group "unseen".

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    TypeError
        If `unseen` is no list of whole numbers.
    ValueError
        If a file is not idx, is truncated or does not fit the others, or on unknown classes.

    References
    ----------
    .. [1] Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998.

    Examples
    --------
    >>> from acr_sklearn.datasets import load_mnist
    >>> data = load_mnist("mnist", unseen=(7, 8, 9))  # doctest: +SKIP
    >>> X, y = data.test[0].draw(0.05, np.random.default_rng(0))  # doctest: +SKIP
    """
    chosen = listed_numbers(unseen, who="load_mnist", name="unseen", example=7)
    given = read_path(folder, who="load_mnist", what="folder")
    train, test = (_read_part(given, part) for part in ("train", "t10k"))
    if train[0].shape[1:] != test[0].shape[1:]:
        raise ValueError(
            f"The images of {folder} are {_by(train[0].shape[1:])} pixels in the train file and "
            f"{_by(test[0].shape[1:])} in the t10k file. Expected files of one set."
        )
    return class_data(train, test, chosen, _NAMES, who="load_mnist")


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _read_part(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images = _read_idx(folder, f"{part}-images", 3, "images in MNIST's idx3 format")
    labels = _read_idx(folder, f"{part}-labels", 1, "labels in MNIST's idx1 format")
    if images.size == 0:  # a header alone may claim millions of pictures without a pixel
        raise ValueError(
            f"{folder / part}-images-idx3-ubyte has images of shape {images.shape}, without a "
            "pixel. Expected images in MNIST's idx3 format: fetch it again."
        )
    if len(images) != len(labels):
        raise ValueError(
            f"{folder / part}-labels-idx1-ubyte has {len(labels):,} labels for the "
            f"{len(images):,} images of {part}-images-idx3-ubyte. Expected one label per image."
        )
    return images, labels


def _read_idx(folder: Path, stem: str, n_dims: int, expected: str) -> NDArray[np.uint8]:
    paths = [folder / f"{stem}{dot}idx{n_dims}-ubyte" for dot in "-."]
    there = [p for p in paths if p.is_file() or p.with_name(f"{p.name}.gz").is_file()]
    return read_idx((there or paths)[0], n_dims, expected)


def load_medmnist(path: str | PathLike[str], *, unseen: Collection[int]) -> DomainData:
    """Read a set of MedMNIST with one label per picture, such as OrganA, with classes as domains.

    Parameters
    ----------
    path : path
        Of the .npz file, such as organamnist.npz, with train_images (n, height, width) or
        (n, height, width, 3) and train_labels (n, 1), and test_images and test_labels likewise.
        The val arrays are not used.
    unseen : collection of int
        Classes that are test domains, drawn from the test arrays: normal is one class, anomalies
        are all others. The remaining classes of the train arrays are the training domains.

    Returns
    -------
    DomainData
        Rows are images of shape (channels, height, width), flattened, in [0, 1]. All test domains
        have the group "unseen".

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If `unseen` is no list of whole numbers.
    ValueError
        If the file is no npz of MedMNIST, is truncated, has several labels per picture, labels
        that are no numbers of classes, volumes instead of pictures, or test pictures of another
        size or colour than the training ones; or on unknown classes.

    References
    ----------
    .. [1] J. Yang, R. Shi, D. Wei et al., "MedMNIST v2 - A large-scale lightweight benchmark for
       2D and 3D biomedical image classification", Scientific Data, 2023.
    """
    path = read_path(path, who="load_medmnist", what="path")
    chosen = listed_numbers(unseen, who="load_medmnist", name="unseen", example=7)
    names = tuple(f"{part}_{what}" for part in ("train", "test") for what in ("images", "labels"))
    expected = "an .npz file of MedMNIST with train_images, train_labels, test_images, test_labels"
    arrays = read_npz(path, names, expected)
    train, test = (_check_medmnist(path, part, arrays) for part in ("train", "test"))
    if train[0].shape[1:] != test[0].shape[1:]:
        raise ValueError(
            f"{path}: a picture of train_images has shape {train[0].shape[1:]} and one of "
            f"test_images {test[0].shape[1:]}. Expected pictures of one size and one number of "
            "colours: fetch the file again, or convert one part to the other's."
        )
    return class_data(train, test, chosen, _NAMES, who="load_medmnist")


def _check_medmnist(
    path: Path, part: str, arrays: dict[str, NDArray[Any]]
) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
    is_2d = images.size and (images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3))
    if images.dtype != np.uint8 or not is_2d:
        raise ValueError(
            f"{path}: {part}_images has shape {images.shape} and type {images.dtype}. Expected "
            "uint8 pictures (n, height, width) or (n, height, width, 3); volumes are not read."
        )
    if labels.shape not in {(len(images), 1), (len(images),)}:
        raise ValueError(
            f"{path}: {part}_labels has shape {labels.shape} for {len(images)} images. Expected "
            f"one label per picture, shape ({len(images)}, 1)."
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(
            f"{path}: {part}_labels has type {labels.dtype}. Expected numbers of classes in an "
            "integer type, as uint8: convert them."
        )
    if odd := sorted(set(np.unique(labels).tolist()) - set(range(len(_NAMES)))):
        raise ValueError(
            f"{path}: {part}_labels has {', '.join(map(str, odd[:5]))}. Expected numbers of "
            f"classes from 0 to {len(_NAMES) - 1}: number the classes from 0."
        )
    return images, labels.ravel()
