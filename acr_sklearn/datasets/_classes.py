"""Labelled images as domains: a class is a domain, its anomalies are the other classes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.datasets.domain_data import DomainData, LabelledDomain

__all__ = ["class_data", "class_domains", "flat_rows"]


def flat_rows(images: NDArray[Any], *, channels_last: bool = False) -> NDArray[np.float32]:
    """Turn bytes into rows of float32 in [0, 1], channel by channel.

    Parameters
    ----------
    images : ndarray of uint8
        Of shape (n, height, width) or (n, channels, height, width), or with the channels last.
    channels_last : bool, default=False
        Whether a fourth dimension, where there is one, is the channels.

    Returns
    -------
    ndarray of shape (n, channels * height * width), float32
        The values divided by 255.
    """
    if channels_last and images.ndim == 4:
        images = images.transpose(0, 3, 1, 2)
    rows = images.reshape(len(images), -1).astype(np.float32)
    rows /= 255
    return rows


def class_domains(
    read: Callable[[], tuple[NDArray[np.float32], NDArray[Any]]],
    classes: Sequence[int],
    names: Sequence[str],
    group: str,
) -> list[LabelledDomain]:
    """Return a test domain per class, its anomalies all rows of other classes.

    Parameters
    ----------
    read : callable
        Returns rows and their labels; the domains share what it returns.
    classes : sequence of int
        Labels that are normal in turn.
    names : sequence of str
        Name of every label.
    group : str
        Of all these domains.

    Returns
    -------
    list of LabelledDomain
        In the order of `classes`.
    """
    return [LabelledDomain(names[c], group, partial(_one_against_all, read, c)) for c in classes]


def _one_against_all(
    read: Callable[[], tuple[NDArray[np.float32], NDArray[Any]]], normal: int
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    rows, labels = read()
    return rows, np.where(labels == normal, 1, -1).astype(np.int8)


def class_data(
    train: tuple[NDArray[np.uint8], NDArray[Any]],
    test: tuple[NDArray[np.uint8], NDArray[Any]],
    unseen: Collection[int],
    names: Sequence[str],
    *,
    who: str,
) -> DomainData:
    """Split labelled images into training classes and classes that training does not see.

    Parameters
    ----------
    train, test : tuple of (images, labels)
        Bytes of shape (n, height, width) or (n, height, width, channels), and numbers of classes.
    unseen : collection of int
        Classes that are test domains; the others are training domains.
    names : sequence of str
        Name of every class.
    who : str
        For the message.

    Returns
    -------
    DomainData
        Training domains from `train`, test domains from `test`.

    Raises
    ------
    ValueError
        If `unseen` names no class, an unknown one, or all.
    """
    known = set(np.unique(train[1]).tolist())
    if not unseen or not set(unseen) < known:
        raise ValueError(
            f"{who} got unseen={tuple(unseen)}. Give some, not all, of the classes "
            f"{', '.join(map(str, sorted(known)))}: the others are trained on."
        )
    seen = sorted(known - set(unseen))
    shape = train[0].shape[1:]
    rows = flat_rows(test[0], channels_last=True)
    labels = test[1]
    return DomainData(
        train=[flat_rows(train[0][train[1] == c], channels_last=True) for c in seen],
        train_names=[names[c] for c in seen],
        test=class_domains(lambda: (rows, labels), sorted(unseen), names, "unseen"),
        input_shape=(shape[2] if len(shape) == 3 else 1, shape[0], shape[1]),
    )
