"""CIFAR-100 as it is distributed, and its corrupted test images, CIFAR-100-C."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.paths import read_path
from acr_sklearn.datasets._classes import class_domains, flat_rows
from acr_sklearn.datasets._files import (
    checked_parsing,
    data_files,
    need_bytes,
    need_file,
    read_npy,
    read_pickle,
)
from acr_sklearn.datasets._lists import listed_names, listed_numbers
from acr_sklearn.datasets.domain_data import DomainData

__all__ = ["load_cifar100c"]

_SHAPE = (3, 32, 32)
_N_VALUES = 3 * 32 * 32
_N_SEVERITIES = 5
_CORRUPTED = "a folder of CIFAR-100-C: labels.npy and an .npy file per corruption"


def load_cifar100c(
    folder: str | PathLike[str],
    *,
    corruptions: Sequence[str] | None = None,
    severities: Sequence[int] = (5,),
) -> DomainData:
    """Read CIFAR-100 to train on and CIFAR-100-C to test on, with classes as domains.

    Parameters
    ----------
    folder : path
        With cifar-100-python (train, meta) or cifar-100-binary (train.bin, fine_label_names.txt),
        and with CIFAR-100-C: labels.npy and per corruption a file such as gaussian_noise.npy of
        uint8 images (50000, 32, 32, 3), 10,000 for each of the severities 1 to 5 in this order.
    corruptions : sequence of str or None, default=None
        Names of files without .npy; None for all in the folder.
    severities : sequence of int, default=(5,)
        Which of 1 to 5. Li et al. (2023) use the strongest.

    Returns
    -------
    DomainData
        Rows are images of shape (3, 32, 32), flattened, in [0, 1]. Training domains are the 100
        classes, without noise. Test domains are the classes in labels.npy under each corruption
        and severity, with the group "gaussian_noise-5" and the like; anomalies are the images of
        the other classes under the same. One group of images at a time is kept in memory (123 MB).

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    TypeError
        If `corruptions` is no list of strings, or `severities` no list of whole numbers.
    ValueError
        If a file is not what it should be, is truncated or does not fit the labels, or is of a
        form that is not read; if the labels are not those of the same images five times, or of
        classes without training images; or on unknown severities.

    Notes
    -----
    The pickles of cifar-100-python are read as plain data: nothing in them is called, and arrays
    are made from their bytes, whose number must be what shape and type say.

    References
    ----------
    .. [1] A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    .. [2] D. Hendrycks, T. Dietterich, "Benchmarking neural network robustness to common
       corruptions and perturbations", ICLR 2019.
    """
    folder = read_path(folder, who="load_cifar100c", what="folder")
    severities = _severities(severities)
    images, label, names = _read_train(folder)
    present = np.unique(label).tolist()
    corrupted = folder / "CIFAR-100-C"
    chosen = _corruptions(corrupted, corruptions)
    labels = _arrays(corrupted).get("labels", corrupted / "labels.npy")
    tested = _tested_classes(labels, present, names)
    for name in chosen:  # hours of training should not end at a file that was wrong before
        _open_corrupted(corrupted, name)
    # A group has a hundred domains, so what was read last is kept.
    read = lru_cache(maxsize=1)(_read_corrupted)
    test = []
    for name in chosen:
        for severity in severities:
            pool = partial(read, corrupted, name, severity)
            test += class_domains(pool, tested, names, f"{name}-{severity}")
    train = [flat_rows(images[label == c]) for c in present]
    return DomainData(train, [names[c] for c in present], test, _SHAPE)


def _severities(severities: Sequence[int]) -> list[int]:
    listed = listed_numbers(severities, who="load_cifar100c", name="severities", example=5)
    if odd := [s for s in listed if s not in range(1, _N_SEVERITIES + 1)] or not listed:
        raise ValueError(
            f"load_cifar100c got severities={tuple(listed)}"
            f"{f' with {odd}' if listed else ''}. Give some of 1, 2, 3, 4, 5."
        )
    return listed


def _corruptions(folder: Path, corruptions: Sequence[str] | None) -> list[str]:
    if corruptions is None:
        chosen = [name for name in _arrays(folder) if name != "labels"]
    else:
        chosen = listed_names(
            corruptions, who="load_cifar100c", name="corruptions", example="gaussian_noise"
        )
    if not chosen:
        raise FileNotFoundError(f"No corruptions in {folder}. Expected {_CORRUPTED}.")
    return chosen


def _arrays(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in data_files(folder, (".npy",), (".npz",), _CORRUPTED)}


def _read_train(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
    """Return images of shape (n, 3, 32, 32), labels and the names of the labels."""
    if (folder / "cifar-100-python").is_dir():
        path = folder / "cifar-100-python" / "train"
        images, label = _read_pickled(path)
        meta = folder / "cifar-100-python" / "meta"
        listed = read_pickle(
            meta, ("fine_label_names",), "the pickled names of CIFAR-100's classes"
        )
        names = listed["fine_label_names"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(
                f"{meta}: fine_label_names is no list of names. Expected the pickled names of "
                "CIFAR-100's classes: fetch or unpack it again."
            )
    elif (folder / "cifar-100-binary").is_dir():
        path = folder / "cifar-100-binary" / "train.bin"
        images, label = _read_binary(path)
        meta = folder / "cifar-100-binary" / "fine_label_names.txt"
        need_file(meta, "the names of CIFAR-100's classes, one a line")
        names = meta.read_text(encoding="latin1").split()
    else:
        raise FileNotFoundError(
            f"No folder cifar-100-python or cifar-100-binary in {folder}. Expected CIFAR-100, as "
            "its archives unpack, to train on."
        )
    if len(label) == 0 or label.min() < 0 or label.max() >= len(names):
        raise ValueError(
            f"{path} has {len(label)} labels that do not fit the {len(names)} names in {meta}. "
            "Expected fine labels from 0 to 99 and 100 names."
        )
    return images, label, names


def _read_pickled(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    expected = "a pickled dict of CIFAR-100 with data and fine_labels"
    content = read_pickle(path, ("data", "fine_labels"), expected)
    data, label = (_whole_numbers(path, key, content[key]) for key in ("data", "fine_labels"))
    if data.dtype != np.uint8 or data.shape != (len(label), _N_VALUES):
        raise ValueError(
            f"{path}: data has shape {data.shape} and type {data.dtype} for {len(label)} labels. "
            f"Expected uint8 of shape ({len(label)}, {_N_VALUES})."
        )
    return data.reshape(-1, *_SHAPE), label.astype(np.int64)


def _whole_numbers(path: Path, key: str, value: Any) -> NDArray[Any]:
    """Return an array, or a list of whole numbers that fit a class's, as an array."""
    if isinstance(value, list) and all(type(n) is int and abs(n) < 2**31 for n in value):
        return np.array(value, np.int64)
    if not isinstance(value, np.ndarray) or value.ndim == 0 or value.dtype.kind not in "iuf":
        raise ValueError(
            f"{path}: {key} holds no whole numbers. Expected an array or a list of them: fetch or "
            "unpack it again."
        )
    return value


def _read_binary(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    need_file(path, "CIFAR-100's binary version")
    with checked_parsing(path, "CIFAR-100's binary version"):
        need_bytes(path.stat().st_size, "it")
    content = np.fromfile(path, np.uint8)
    # A record is the coarse label, the fine label, and the image.
    if len(content) == 0 or len(content) % (2 + _N_VALUES):
        raise ValueError(
            f"{path} has {len(content):,} bytes. Expected a multiple of {2 + _N_VALUES}, two "
            "labels and an image each: fetch or unpack it again."
        )
    records = content.reshape(-1, 2 + _N_VALUES)
    return records[:, 2:].reshape(-1, *_SHAPE), records[:, 1].astype(np.int64)


def _tested_classes(path: Path, present: list[int], names: list[str]) -> list[int]:
    """Return the classes of CIFAR-100-C, all in `present`; refuse labels of not five severities."""
    label = read_npy(path, "the labels of CIFAR-100-C")
    wanted = "Expected (50000,): the labels of 10,000 images, five times."
    if label.ndim != 1 or len(label) % _N_SEVERITIES or len(label) == 0:
        raise ValueError(f"{path} has shape {label.shape}. {wanted}")
    if label.dtype.kind not in "iu":
        raise ValueError(
            f"{path} has type {label.dtype}. Expected numbers of classes in an integer type: "
            "fetch it again, or convert it."
        )
    parts = label.reshape(_N_SEVERITIES, -1)
    if (parts != parts[0]).any():
        raise ValueError(
            f"{path} has {len(label):,} labels whose fifths differ, so it does not hold severities "
            f"1 to 5 of the same images. {wanted} Fetch it again, or put the images of all five "
            "severities, each in the same order, into every file."
        )
    tested = np.unique(label).tolist()
    if odd := [c for c in tested if c not in present]:
        called = ", ".join(f"{c} ({names[c]})" if 0 <= c < len(names) else str(c) for c in odd[:5])
        raise ValueError(
            f"{path} has labels of classes without training images: {called}. Expected the "
            "fine labels of CIFAR-100's classes that are trained on: fetch both of one set."
        )
    return tested


def _open_corrupted(folder: Path, corruption: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the images of a corruption, left on disk, and their labels."""
    arrays = _arrays(folder)
    path = arrays.get(corruption, folder / f"{corruption}.npy")
    label = read_npy(arrays.get("labels", folder / "labels.npy"), "the labels of CIFAR-100-C")
    images = read_npy(path, "the images of a corruption of CIFAR-100-C", mmap=True)
    if images.dtype != np.uint8 or images.shape != (len(label), 32, 32, 3):
        raise ValueError(
            f"{path} has shape {images.shape} and type {images.dtype}. Expected uint8 of shape "
            f"({len(label)}, 32, 32, 3), as many as {folder / 'labels.npy'} has labels."
        )
    return images, label.astype(np.int64)


def _read_corrupted(
    folder: Path, corruption: str, severity: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the images of one corruption and severity as rows, and their labels."""
    images, label = _open_corrupted(folder, corruption)
    size = len(label) // _N_SEVERITIES
    part = slice((severity - 1) * size, severity * size)
    return flat_rows(images[part], channels_last=True), label[part]
