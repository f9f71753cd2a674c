"""Folds over domains, and the batches of a domain that training did not see.

Domains are split into five folds, groups kept whole; every fold is tested once with the domains of
the others as training domains, so that every domain is a test domain once. A batch holds up to 500
normal rows of one unseen domain and, on top, its labelled anomalies at a given share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from quality.datasets import Split, Unseen
from quality.rivals import Scaling

from .data import NativeSet

MIN_ANOMALIES = 3
KIND = "native"


@dataclass(frozen=True)
class Protocol:
    """What is drawn.

    Attributes
    ----------
    shares : tuple of float
        Shares of anomalies in a batch.
    n_normals : int
        Normal rows of a batch, where the domain has them.
    n_draws : int
        Batches per domain and share. Draw i is the same whatever `n_draws` is.
    n_folds : int
        Folds over domains.
    n_train : int
        Normal rows per training domain, at most.
    max_domains : int or None
        Score at most so many domains of a fold; None for all.
    """

    shares: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2)
    n_normals: int = 500
    n_draws: int = 2
    n_folds: int = 5
    n_train: int = 1500
    max_domains: int | None = None


@dataclass(frozen=True)
class Batch:
    """A batch to be drawn: cheap to list, its rows exist only after `draw`."""

    set_name: str
    split: str
    domain: Unseen
    share: float
    index: int
    n_normal: int
    n_anomalous: int

    @property
    def key(self) -> tuple[str, str, str, float, int]:
        """Identify the batch within its set."""
        return self.split, self.domain.name, KIND, self.share, self.index

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Return X of shape (n, d), float32, and y of shape (n,) in {1, -1}; always the same."""
        rng = generator(self.set_name, self.domain.name, self.share, self.index)
        normal = rng.permutation(len(self.domain.normals))[: self.n_normal]
        anomalous = rng.permutation(len(self.domain.pool))[: self.n_anomalous]
        X = np.concatenate([self.domain.normals[normal], self.domain.pool[anomalous]])
        y = np.repeat([1, -1], [self.n_normal, self.n_anomalous])
        mixed = rng.permutation(len(y))
        return X[mixed], y[mixed]


def generator(*words: object) -> np.random.Generator:
    """Return a generator that depends on the words alone, in every process."""
    digest = hashlib.sha256("|".join(map(str, words)).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))


def folds(data: NativeSet, n_folds: int) -> list[list[str]]:
    """Return the test domains of each fold: whole groups, as equal in number as they can be."""
    members: dict[str, list[str]] = {}
    for domain in data.domains:
        group = str(data.group[data.domain == domain][0])
        members.setdefault(group, []).append(domain)
    names = sorted(members)
    order = [names[i] for i in generator(data.name, "folds").permutation(len(names))]
    parts: list[list[str]] = [[] for _ in range(min(n_folds, len(names)))]
    for group in sorted(order, key=lambda name: -len(members[name])):
        min(parts, key=len).extend(members[group])
    return [sorted(part) for part in parts]


def splits(data: NativeSet, protocol: Protocol) -> Iterator[Split]:
    """Yield the folds of a set, in units of their training rows."""
    for i, unseen in enumerate(folds(data, protocol.n_folds)):
        train_names = [domain for domain in data.domains if domain not in unseen]
        if not train_names:
            raise ValueError(f"{data.name} has one group of domains only: nothing to train on.")
        train = [_training_rows(data, domain, protocol.n_train) for domain in train_names]
        scale = Scaling.of(np.concatenate(train))
        yield Split(
            name=f"fold {i}",
            train_names=tuple(train_names),
            train=tuple(scale(rows).astype(np.float32) for rows in train),
            unseen=tuple(_unseen(data, domain, scale) for domain in unseen),
        )


def _training_rows(data: NativeSet, domain: str, n_rows: int) -> np.ndarray:
    normal = data.normals(domain)
    chosen = generator(data.name, "train", domain).permutation(len(normal))[:n_rows]
    return data.X[normal[chosen]]


def _unseen(data: NativeSet, domain: str, scale: Scaling) -> Unseen:
    normals, pool = (
        scale(data.X[rows]).astype(np.float32)
        for rows in (data.normals(domain), data.anomalies(domain))
    )
    return Unseen(domain, normals, pool, np.arange(len(pool)))


def batches(set_name: str, split: Split, protocol: Protocol) -> Iterator[Batch]:
    """Yield every batch of a fold; cells that cannot be filled are left out."""
    for domain in split.unseen[: protocol.max_domains]:
        n_normal = min(protocol.n_normals, len(domain.normals))
        for share in protocol.shares:
            n_anomalous = round(n_normal * share / (1 - share))
            if not MIN_ANOMALIES <= n_anomalous <= len(domain.pool):
                continue
            for i in range(protocol.n_draws):
                yield Batch(set_name, split.name, domain, share, i, n_normal, n_anomalous)
