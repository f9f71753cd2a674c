"""Which anomalies of the training domains are known: how many domains, how many each, how wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from native.data import NativeSet
from native.protocol import Protocol, generator
from quality.datasets import Split
from quality.rivals import Scaling

#: Known anomalies of a training domain, at most: as many as a test batch has normal rows.
MOST = 500


@dataclass(frozen=True)
class Labels:
    """What is known.

    Attributes
    ----------
    n_domains : int or None
        Labelled training domains; None for all.
    n_each : int
        Known anomalies of each.
    wrong : float
        Share of the marks that are on normal rows, as many anomalies lying unmarked among them.
    """

    n_domains: int | None = None
    n_each: int = MOST
    wrong: float = 0.0


@dataclass(frozen=True)
class Labelled:
    """Training rows, one array and one mask per domain."""

    rows: list[np.ndarray]
    marked: list[np.ndarray]


def label(data: NativeSet, split: Split, protocol: Protocol, labels: Labels) -> Labelled:
    """Put the known anomalies of a fold beside its normal rows, in the same units."""
    chosen = _domains(data, split.train_names, labels)
    scale = _scale(data, split.train_names, protocol)
    rows, marked = [], []
    for name, normals in zip(split.train_names, split.train, strict=True):
        anomalies = np.empty((0, normals.shape[1]), np.float32)
        if name in chosen:
            own = data.anomalies(name)
            order = generator(data.name, "known", name).permutation(len(own))[: labels.n_each]
            anomalies = scale(data.X[own[order]]).astype(np.float32)
        mask = np.repeat([False, True], [len(normals), len(anomalies)])
        n_wrong = round(labels.wrong * len(anomalies))
        if n_wrong:
            rng = generator(data.name, "wrong", name)
            mask[rng.permutation(len(normals))[:n_wrong]] = True
            mask[len(normals) + rng.permutation(len(anomalies))[:n_wrong]] = False
        rows.append(np.concatenate([normals, anomalies]))
        marked.append(mask)
    return Labelled(rows, marked)


def _domains(data: NativeSet, names: Sequence[str], labels: Labels) -> set[str]:
    able = [name for name in names if len(data.anomalies(name))]
    if labels.n_domains is None:
        return set(able)
    order = generator(data.name, "labelled", *names).permutation(len(able))
    return {able[i] for i in order[: labels.n_domains]}


def _scale(data: NativeSet, names: Sequence[str], protocol: Protocol) -> Scaling:
    """Return the units of the fold, which `native.protocol.splits` made of the same rows."""
    parts = []
    for name in names:
        normal = data.normals(name)
        rng = generator(data.name, "train", name)
        parts.append(data.X[normal[rng.permutation(len(normal))[: protocol.n_train]]])
    return Scaling.of(np.concatenate(parts))
