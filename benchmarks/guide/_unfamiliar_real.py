"""Real sets: which batches of domains that training did not see are called unfamiliar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from native.data import available as native_sets
from native.data import read
from native.protocol import Protocol
from native.protocol import splits as native_splits
from quality.datasets import Split, Unseen, splits

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.domains.domain_shift import UNFAMILIAR

#: Of the real sets: rows of a batch, and splits and unseen domains of a split.
SET_ROWS = (16, 30, 60, 150)
SETS = {"digits": (12, 2), "fars": (5, 7), "glyphs": (2, 20), "fashion_mnist": (6, 2)}
NATIVE = "native sets"
Counts = dict[str, list[int]]


def real(seed: int, quick: bool) -> Iterator[tuple[str, Counts]]:
    """Yield per set the batches of each kind: how many there are, and how many are named."""
    for name, (n_splits, n_domains) in list(SETS.items())[: 1 if quick else None]:
        counts: Counts = {}
        for i, split in enumerate(splits(name, "validation")):
            if i >= (1 if quick else n_splits):
                break
            _count_of(split, split.unseen[:n_domains], seed, counts)
        yield name, counts
    native: Counts = {}
    for name in () if quick else native_sets():
        for split in native_splits(read(name), Protocol(n_folds=3)):
            _count_of(split, split.unseen, seed, native)
    if native:
        yield NATIVE, native


def _count_of(split: Split, domains: Sequence[Unseen], seed: int, counts: Counts) -> None:
    # The check measures rows, not the network: one step of training will do.
    shift = ZeroShotACRDetector(max_iter=1, random_state=seed).fit(list(split.train))._domain_shift
    if shift is None:  # fewer than three domains beside those held out
        return
    spread = np.concatenate(split.train).std(axis=0)
    for domain, n_rows in product(domains, SET_ROWS):
        if len(domain.normals) < n_rows:
            continue
        rng = np.random.default_rng((seed, n_rows))
        for kind, batch in _of_domain(domain, spread, n_rows, rng):
            found = counts.setdefault(kind, [0, 0])
            found[0] += 1
            found[1] += int(shift.distance(batch) > UNFAMILIAR)


def _of_domain(
    domain: Unseen, spread: np.ndarray, n_rows: int, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield batches of a domain, as they are, with anomalies and changed."""
    normals = domain.normals.astype(np.float64)
    clean = normals[rng.permutation(len(normals))[:n_rows]]
    n_features, third, tenth = clean.shape[1], n_rows // 3, max(1, n_rows // 10)
    yield "clean", clean
    if len(domain.allowed) >= third:
        natural = clean.copy()
        natural[:third] = domain.pool[rng.choice(domain.allowed, third, replace=False)]
        yield "natural", natural
    own = normals.std(axis=0)
    gross = clean.copy()
    gross[:tenth] += 12 * own * rng.normal(size=(tenth, n_features))
    yield "gross", gross
    moved, columns = clean.copy(), rng.permutation(n_features)[: max(1, n_features // 5)]
    moved[:third, columns] += 6 * own[columns]
    yield "moved", moved
    yield "permuted", clean[:, rng.permutation(n_features)]
    yield "rescaled", clean * np.exp(rng.normal(size=n_features))
    yield "noise", spread * rng.normal(size=clean.shape)
