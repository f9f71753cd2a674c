"""What the curves share: how much is measured, fitted detectors, batches of an exact size, scores.

Everything here is of validation splits; no curve may look at the test split.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from quality.datasets import Split, Unseen, splits
from quality.protocol import KINDS, Batch, evaluate
from quality.rivals import RIVALS, Method

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.exceptions import ACRWarning
from acr_sklearn.scoring.heads import make_head

REFITTED = ("iforest", "knn_batch")
COMPARATORS = (*REFITTED, "mahalanobis_centred")
HEADS = ("neighbors", "objective")
Scorer = Callable[[np.ndarray], np.ndarray]
Record = dict[str, Any]


@dataclass(frozen=True)
class Amounts:
    """How much is measured.

    Attributes
    ----------
    seeds : tuple of int
        Each takes splits of its own.
    trained_seeds : int
        So many of them serve the curves over foreign sets, norms and layers, whose points each
        cost a training; the curve over training domains has all seeds.
    domains : int
        Unseen domains per seed, where one split is enough for a network: splits are added until
        there are as many. Curves that train a network per point use one split per seed.
    batches : int
        Per (domain, kind, point).
    rows : int
        Of a batch where rows are not what is varied; fewer where a domain has fewer.
    clean_rows : int
        Of the batches on which false alarms are counted; smaller domains are left out.
    sizes, shares, counts : tuple
        The points of the curves over batch size, share of anomalies and training domains.
    max_iter : int or None
        Training steps; None for the detector's default.
    """

    seeds: tuple[int, ...] = (0, 1)
    trained_seeds: int = 1
    domains: int = 4
    batches: int = 1
    rows: int = 200
    clean_rows: int = 256
    sizes: tuple[int, ...] = (4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000, 4000, 10_000)
    shares: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    counts: tuple[int, ...] = (1, 2, 3, 4, 6, 8, 16, 32, 64, 256)
    max_iter: int | None = None


@dataclass(frozen=True)
class Run:
    """One seed on one split: what to train on and which unseen domains to score."""

    set_name: str
    split: Split
    seed: int
    domains: tuple[Unseen, ...]


@cache
def validation_splits(set_name: str) -> tuple[Split, ...]:
    """Return the validation splits of a set, those with the largest unseen domains first."""
    found = splits(set_name, "validation")
    return tuple(sorted(found, key=lambda split: -len(_largest(split.unseen, 1)[0].normals)))


def _largest(domains: Sequence[Unseen], n: int) -> tuple[Unseen, ...]:
    return tuple(sorted(domains, key=lambda domain: -len(domain.normals))[:n])


@dataclass
class Bench:
    """Detectors and comparators, each fitted once per (split, seed) and then kept."""

    amounts: Amounts
    memory: str
    _fitted: dict[tuple[object, ...], Any] = field(default_factory=dict)

    def trained_runs(self, set_name: str) -> list[Run]:
        """Return the runs of the curves in which every point is a training."""
        return self.runs(set_name, one_split=True)[: self.amounts.trained_seeds]

    def runs(self, set_name: str, *, one_split: bool = False) -> list[Run]:
        """Return the runs of a set; its splits are taken evenly spaced."""
        every = validation_splits(set_name)
        wanted = self.amounts.domains
        per_seed = 1 if one_split else math.ceil(wanted / max(len(s.unseen) for s in every))
        per_seed = min(per_seed, len(every))
        n_runs = per_seed * len(self.amounts.seeds)
        step = max(1, len(every) // n_runs)
        chosen = [every[i * step % len(every)] for i in range(n_runs)]
        seeds = np.repeat(self.amounts.seeds, per_seed).tolist()
        each = math.ceil(wanted / per_seed)
        return [
            Run(set_name, split, seed, _largest(split.unseen, each))
            for split, seed in zip(chosen, seeds, strict=True)
        ]

    def detector(
        self, run: Run, train: Sequence[np.ndarray] | None = None, **changes: Any
    ) -> ZeroShotACRDetector:
        """Return our detector, at its defaults but for `changes`, fitted on the split's domains.

        With other training rows it is fitted anew and not kept.
        """
        if train is not None:
            return self._fit(list(train), run.seed, changes)
        # A value that is the default's anyway must not cost a second training.
        own = ZeroShotACRDetector().get_params()
        changes = {name: value for name, value in changes.items() if value != own[name]}
        key = ("acr", run.set_name, run.split.name, run.seed, *sorted(changes.items()))
        if key not in self._fitted:
            # Trainings are cached, so that another contamination moves the threshold only.
            settings = changes | {"memory": self.memory}
            self._fitted[key] = self._fit(list(run.split.train), run.seed, settings)
        return self._fitted[key]

    def _fit(self, train: list[np.ndarray], seed: int, changes: Record) -> ZeroShotACRDetector:
        steps = {} if self.amounts.max_iter is None else {"max_iter": self.amounts.max_iter}
        with warnings.catch_warnings():
            # Few or small training domains are what a curve asks for.
            warnings.simplefilter("ignore", ACRWarning)
            return ZeroShotACRDetector(random_state=seed, **steps, **changes).fit(train)

    def comparator(self, name: str, run: Run) -> Method:
        """Return a rival fitted on the split's training domains."""
        key = (name, run.set_name, run.split.name, run.seed)
        if key not in self._fitted:
            model = RIVALS[name].make(run.seed)
            model.fit(list(run.split.train))
            self._fitted[key] = model
        return self._fitted[key]

    def scorers(self, run: Run, comparators: Sequence[str] = COMPARATORS) -> dict[str, Scorer]:
        """Return the scoring functions of our detector and of the comparators."""
        models = {"acr": self.detector(run)}
        models |= {name: self.comparator(name, run) for name in comparators}
        return {name: model.score_samples for name, model in models.items()}


def by_head(detector: ZeroShotACRDetector) -> dict[str, Scorer]:
    """Return the detector's scoring, and that of its network by the two heads that use it alone."""
    found = {"acr": detector.score_samples}
    for kind in HEADS:
        other = copy.copy(detector)
        other.head_ = make_head(
            kind, detector.n_neighbors, detector.trim_fraction, detector.head_.covariance
        )
        found[f"acr, {kind}"] = other.score_samples
    return found


def exact_batches(
    run: Run, size: int, share: float, n_batches: int, kinds: Sequence[str] = KINDS
) -> Iterator[Batch]:
    """Yield batches of exactly so many rows, of the domains that have them, none drawn twice.

    Larger batches hold the normal rows of smaller ones, so that curves over the size are paired.
    """
    for domain in run.domains:
        yield from of_domain(run, domain, size, share, n_batches, kinds)


def of_domain(
    run: Run,
    domain: Unseen,
    size: int,
    share: float,
    n_batches: int,
    kinds: Sequence[str] = KINDS,
) -> Iterator[Batch]:
    """Yield the batches of one domain, with at least one anomaly unless the share is 0.

    None where the rows do not suffice for every kind: a domain would count at some points with
    its easier kinds only.
    """
    n_anomalous = max(1, round(share * size)) if share else 0
    n_normal = size - n_anomalous
    own = {n_normal if kind == "natural" else size for kind in kinds}
    foreign = n_anomalous if "natural" in kinds else 0
    if max(own) > len(domain.normals) or foreign > len(domain.allowed):
        return
    for kind in kinds:
        for i in range(n_batches):
            yield Batch(run.split.name, domain, kind, share, i, n_normal, n_anomalous)


def usual_batches(run: Run, amounts: Amounts, share: float = 0.1) -> Iterator[Batch]:
    """Yield batches of the usual size, or of what a domain has for anomalies of every kind."""
    for domain in run.domains:
        size = usual_size(domain, amounts, share)
        yield from of_domain(run, domain, size, share, amounts.batches)


def usual_size(domain: Unseen, amounts: Amounts, highest_share: float) -> int:
    """Return the rows of a batch, the same for every share up to the highest."""
    return min(amounts.rows, len(domain.normals), int(len(domain.allowed) / highest_share))


def scored(
    run: Run,
    batch: Batch,
    x: object,
    scorers: dict[str, Scorer],
    change: Callable[[np.ndarray], np.ndarray] | None = None,
) -> list[Record]:
    """Return a record per scorer: where the batch is from, the point x and the AUROC."""
    X, y = batch.draw()
    if change is not None:
        X = change(X)
    return [
        record(run, batch, name, x, evaluate(np.asarray(score(X)), y)["auroc"])
        for name, score in scorers.items()
    ]


def record(run: Run, batch: Batch, method: str, x: object, value: float) -> Record:
    """Return one measured value with all that it is averaged over."""
    return {
        "set": run.set_name,
        "method": method,
        "x": x,
        "kind": batch.kind,
        "domain": batch.domain.name,
        "value": value,
    }
