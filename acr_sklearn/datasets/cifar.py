"""CIFAR-100 as it is distributed, and its corrupted test images, CIFAR-100-C."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.datasets._classes import class_domains, flat_rows
from acr_sklearn.datasets._files import need_file, need_folder, read_npy, read_pickle
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
        classes, without noise. Test domains are the classes under each corruption and severity,
        with the group "gaussian_noise-5" and the like; anomalies are the images of the other
        classes under the same. One group of images at a time is kept in memory (123 MB).

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is not what it should be, is truncated or does not fit the labels, or on
        unknown severities.

    Notes
    -----
    The pickles of cifar-100-python are read by an unpickler that knows arrays and plain Python
    data and refuses all else.

    References
    ----------
    .. [1] A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    .. [2] D. Hendrycks, T. Dietterich, "Benchmarking neural network robustness to common
       corruptions and perturbations", ICLR 2019.
    """
    folder = Path(folder)
    if odd := [s for s in severities if s not in range(1, _N_SEVERITIES + 1)] or not severities:
        raise ValueError(
            f"load_cifar100c got severities={tuple(severities)}"
            f"{f' with {odd}' if severities else ''}. Give some of 1, 2, 3, 4, 5."
        )
    images, label, names = _read_train(folder)
    corrupted = need_folder(folder / "CIFAR-100-C", _CORRUPTED)
    found = sorted(p.stem for p in corrupted.glob("*.npy") if p.stem != "labels")
    chosen = found if corruptions is None else list(corruptions)
    if not chosen:
        raise FileNotFoundError(f"No corruptions in {corrupted}. Expected {_CORRUPTED}.")
    for name in chosen:  # hours of training should not end at a file that was wrong before
        _open_corrupted(corrupted, name)
    present = sorted(set(label.tolist()))
    # A group has a hundred domains, so what was read last is kept.
    read = lru_cache(maxsize=1)(_read_corrupted)
    test = []
    for name in chosen:
        for severity in severities:
            pool = partial(read, corrupted, name, severity)
            test += class_domains(pool, present, names, f"{name}-{severity}")
    train = [flat_rows(images[label == c]) for c in present]
    return DomainData(train, [names[c] for c in present], test, _SHAPE)


def _read_train(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
    """Return images of shape (n, 3, 32, 32), labels and the names of the labels."""
    if (folder / "cifar-100-python").is_dir():
        path = folder / "cifar-100-python" / "train"
        images, label = _read_pickled(path)
        meta = folder / "cifar-100-python" / "meta"
        listed = read_pickle(
            meta, ("fine_label_names",), "the pickled names of CIFAR-100's classes"
        )
        names = [str(name) for name in listed["fine_label_names"]]
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
    data, label = np.asarray(content["data"]), np.asarray(content["fine_labels"])
    if data.dtype != np.uint8 or data.shape != (len(label), _N_VALUES):
        raise ValueError(
            f"{path}: data has shape {data.shape} and type {data.dtype} for {len(label)} labels. "
            f"Expected uint8 of shape ({len(label)}, {_N_VALUES})."
        )
    return data.reshape(-1, *_SHAPE), label.astype(np.int64)


def _read_binary(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    need_file(path, "CIFAR-100's binary version")
    content = np.fromfile(path, np.uint8)
    # A record is the coarse label, the fine label, and the image.
    if len(content) == 0 or len(content) % (2 + _N_VALUES):
        raise ValueError(
            f"{path} has {len(content):,} bytes. Expected a multiple of {2 + _N_VALUES}, two "
            "labels and an image each: fetch or unpack it again."
        )
    records = content.reshape(-1, 2 + _N_VALUES)
    return records[:, 2:].reshape(-1, *_SHAPE), records[:, 1].astype(np.int64)


def _open_corrupted(folder: Path, corruption: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the images of a corruption, left on disk, and their labels."""
    path = folder / f"{corruption}.npy"
    label = read_npy(folder / "labels.npy", "the labels of CIFAR-100-C")
    if label.ndim != 1 or len(label) % _N_SEVERITIES or len(label) == 0:
        raise ValueError(
            f"{folder / 'labels.npy'} has shape {label.shape}. Expected (50000,): the labels of "
            "10,000 images, five times."
        )
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
