"""Batches of unseen domains, metrics of a scored batch, paired comparison of two methods.

Three kinds of anomaly:

natural
    rows of the other unseen domains, or rows with the native label;
shuffled
    own normals, a random half of the features shuffled, each on its own, among the rows;
cluster
    own normals, all moved by one displacement: two standard deviations of every feature, up
    or down by a coin toss per feature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from .datasets import Split, Unseen

KINDS = ("natural", "shuffled", "cluster")
MIN_ANOMALIES = 3
CELL = ["split", "domain", "kind", "share"]
KEY = [*CELL, "index"]


@dataclass(frozen=True)
class Protocol:
    """What is drawn.

    Attributes
    ----------
    shares : tuple of float
        Shares of anomalies in a batch.
    kinds : tuple of str
    batch_size : int
        Rows of a batch where the domain has them; 1 % is left out below 251 (3 anomalies).
    n_batches : int
        Batches per (domain, kind, share). Batch i is the same whatever `n_batches` is.
    max_domains : int or None
        Score at most so many domains of a split, evenly spaced; None for all.
    """

    shares: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2)
    kinds: tuple[str, ...] = KINDS
    batch_size: int = 500
    n_batches: int = 10
    max_domains: int | None = None


@dataclass(frozen=True)
class Batch:
    """A batch to be drawn: cheap to list, its rows exist only after `draw`."""

    split: str
    domain: Unseen
    kind: str
    share: float
    index: int
    n_normal: int
    n_anomalous: int

    @property
    def key(self) -> tuple[str, str, str, float, int]:
        """Identify the batch within its set and part."""
        return self.split, self.domain.name, self.kind, self.share, self.index

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Return X of shape (n, d), float32, and y of shape (n,) in {1, -1}; always the same."""
        rng = _rng(*self.key)
        order = rng.permutation(len(self.domain.normals))
        normal = self.domain.normals[order[: self.n_normal]]
        if self.kind == "natural":
            chosen = rng.choice(self.domain.allowed, self.n_anomalous, replace=False)
            anomalous = self.domain.pool[chosen]
        else:
            rest = order[self.n_normal : self.n_normal + self.n_anomalous]
            anomalous = _DISTURB[self.kind](self.domain.normals, rest, rng)
        X = np.concatenate([normal, anomalous])
        y = np.repeat([1, -1], [self.n_normal, self.n_anomalous])
        mixed = rng.permutation(len(y))
        return X[mixed], y[mixed]


def batches(split: Split, protocol: Protocol) -> Iterator[Batch]:
    """Yield every batch of a split; cells with fewer than 3 anomalies are left out."""
    for domain in _spaced(split.unseen, protocol.max_domains):
        for kind in protocol.kinds:
            for share in protocol.shares:
                n_normal, n_anomalous = _sizes(domain, kind, share, protocol.batch_size)
                if n_anomalous < MIN_ANOMALIES:
                    continue
                for i in range(protocol.n_batches):
                    yield Batch(split.name, domain, kind, share, i, n_normal, n_anomalous)


def _spaced(domains: tuple[Unseen, ...], n: int | None) -> list[Unseen]:
    if n is None or n >= len(domains):
        return list(domains)
    return [domains[i] for i in np.linspace(0, len(domains) - 1, n).round().astype(int)]


def _sizes(domain: Unseen, kind: str, share: float, batch_size: int) -> tuple[int, int]:
    """Return how many normal and anomalous rows a batch has; none is ever drawn twice."""
    if kind == "natural":
        size = min(len(domain.normals) / (1 - share), len(domain.allowed) / share, batch_size)
    else:
        size = min(len(domain.normals), batch_size)
    n_anomalous = round(share * int(size))
    return int(size) - n_anomalous, n_anomalous


def _rng(*words: object) -> np.random.Generator:
    """Return a generator that depends on the words alone, in every process."""
    digest = hashlib.sha256("|".join(map(str, words)).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))


def _shuffled(normals: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return `rows` with half of their features taken, each on its own, from other normals."""
    out = normals[rows]
    n_features = normals.shape[1]
    half = rng.choice(n_features, (n_features + 1) // 2, replace=False)
    for feature in half:
        out[:, feature] = rng.choice(normals[:, feature], len(rows), replace=False)
    return out


def _displaced(normals: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return `rows` moved together by two standard deviations per feature, signs at random."""
    sign = rng.choice(np.array([-1.0, 1.0], dtype=normals.dtype), normals.shape[1])
    return normals[rows] + 2 * sign * normals.std(axis=0)


_DISTURB = {"shuffled": _shuffled, "cluster": _displaced}


def evaluate(scores: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return AUROC and average precision (anomalies positive) of scores that are high = normal.

    Raises
    ------
    ValueError
        If the scores are not one finite number per row: a failed method is an error, it does
        not count as chance.
    """
    scores = np.asarray(scores)
    if scores.shape != y.shape or not np.isfinite(scores).all():
        raise ValueError(f"Need {len(y)} finite scores; got shape {scores.shape}: {scores!r}.")
    anomalous = y == -1
    return {
        "auroc": float(roc_auc_score(anomalous, -scores)),
        "ap": float(average_precision_score(anomalous, -scores)),
    }


def cell_means(results: pd.DataFrame, metric: str = "auroc") -> pd.Series:
    """Return the mean per (kind, share) over domains, every domain counting the same."""
    per_domain = results.groupby(CELL, observed=True)[metric].mean()
    return per_domain.groupby(["kind", "share"], observed=True).mean()


@dataclass(frozen=True)
class Comparison:
    """Paired difference a - b: mean over domains, 90 % bootstrap interval, share of wins.

    `n_domains` counts what is resampled: a domain that several splits score is one.
    """

    mean: float
    low: float
    high: float
    win_share: float
    n_domains: int


def compare(
    a: pd.DataFrame, b: pd.DataFrame, metric: str = "auroc", n_boot: int = 10_000
) -> Comparison:
    """Compare two methods on the same batches, resampling domains.

    Several seeds of a method are averaged per batch first. A tie is half a win; wins are
    counted over batches. A domain is the mean of its (kind, share) cells. Where several splits
    score one domain, as the validation splits of the class sets do, it is drawn with all of
    them: their differences are alike, and drawn singly they would make the interval too narrow.

    Raises
    ------
    ValueError
        If the two were not run on the same batches.
    """
    first, second = (x.groupby(KEY, observed=True)[metric].mean() for x in (a, b))
    if not first.index.equals(second.index):
        raise ValueError(f"Not the same batches: {len(first)} and {len(second)} results.")
    delta = first - second
    per_domain = delta.groupby(CELL, observed=True).mean()
    per_domain = per_domain.groupby(["split", "domain"], observed=True).mean()
    drawn = per_domain.groupby("domain", observed=True).agg(["sum", "size"]).to_numpy()
    rng = np.random.default_rng(0)
    # Counts of a multinomial draw instead of indices: no (n_boot, n_domains) gather of rows.
    times = rng.multinomial(len(drawn), np.full(len(drawn), 1 / len(drawn)), size=n_boot)
    total, count = (times @ drawn).T
    low, high = np.quantile(total / count, [0.05, 0.95])
    wins = float(np.mean((delta > 0) + 0.5 * (delta == 0)))
    return Comparison(float(per_domain.mean()), float(low), float(high), wins, len(drawn))
