"""Our detector at its defaults, trained on validation splits of the quality benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from quality.datasets import Split, Unseen, splits
from quality.protocol import Batch

from acr_sklearn import ZeroShotACRDetector

#: Splits per seed and unseen domains per split; a split serves one seed where there are enough.
AMOUNTS = {"digits": (3, 2), "fars": (2, 7), "glyphs": (1, 6), "fashion_mnist": (2, 2)}
IN_WORDS = {
    "digits": "digits",
    "fars": "road accidents (FARS)",
    "glyphs": "glyphs",
    "fashion_mnist": "Fashion-MNIST",
}


@dataclass(frozen=True)
class Run:
    """One seed on one split: the fitted detector and the unseen domains to score.

    Attributes
    ----------
    set_name : str
    split : str
    seed : int
    domains : tuple of Unseen
        Those with the most rows.
    detector : ZeroShotACRDetector
        Fitted on the split's training domains.
    """

    set_name: str
    split: str
    seed: int
    domains: tuple[Unseen, ...]
    detector: ZeroShotACRDetector

    def batch(self, domain: Unseen, kind: str, n_rows: int, n_anomalous: int, index: int) -> Batch:
        """Return a batch of exactly so many rows, not drawn yet; none is drawn twice."""
        n_normal, share = n_rows - n_anomalous, n_anomalous / n_rows
        return Batch(self.split, domain, kind, share, index, n_normal, n_anomalous)


def runs(seeds: Sequence[int], quick: bool) -> Iterator[Run]:
    """Yield the runs of all sets; a quick look is one of the digits, trained for five steps.

    Parameters
    ----------
    seeds : sequence of int
        Each trains on splits of its own.
    quick : bool
    """
    settings = {"max_iter": 5} if quick else {}
    for name, (n_splits, n_domains) in list(AMOUNTS.items())[: 1 if quick else None]:
        for split, seed in _assigned(name, seeds[:1] if quick else seeds, 1 if quick else n_splits):
            detector = ZeroShotACRDetector(random_state=seed, **settings).fit(list(split.train))
            largest = sorted(split.unseen, key=lambda domain: -len(domain.normals))
            yield Run(name, split.name, seed, tuple(largest[:n_domains]), detector)


def _assigned(name: str, seeds: Sequence[int], n_splits: int) -> Iterator[tuple[Split, int]]:
    """Yield splits with the seed that trains on each: in turn, from the first on."""
    wanted = n_splits * len(seeds)
    given = 0
    while given < wanted:
        for split in splits(name, "validation"):
            yield split, seeds[given % len(seeds)]
            given += 1
            if given == wanted:
                return


def mean_of_sets(by_set: dict[str, list[float]]) -> float:
    """Return the mean over sets, each counted alike, of the means within them."""
    return float(np.mean([np.mean(values) for values in by_set.values()]))


def in_a_row(words: Sequence[str]) -> str:
    """Return words as a list in a sentence.

    Examples
    --------
    >>> in_a_row(["a", "b", "c"]), in_a_row(["a"]), in_a_row([])
    ('a, b and c', 'a', '')
    """
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)
