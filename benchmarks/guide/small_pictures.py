"""Rows that are small pictures: a convolutional network beside the fully connected one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from quality.datasets import Split, splits
from quality.protocol import Protocol, batches, evaluate

from acr_sklearn import ConvBackbone, ZeroShotACRDetector

from ._tables import share, table

PAGE = "images.md"
HEADS = ("consensus", "objective")
NETWORKS = {"`ConvBackbone`": "conv", "fully connected": "mlp"}
TASK_SIZE, N_SPLITS = 64, 2


def measure(seeds: Sequence[int], quick: bool) -> dict[str, Any]:
    """Measure the AUROC of natural anomalies on validation splits of Fashion-MNIST.

    Parameters
    ----------
    seeds : sequence of int
        A training of each network on each split.
    quick : bool
        One split of scikit-learn's digits and few steps.
    """
    name, n_splits = ("digits", 1) if quick else ("fashion_mnist", N_SPLITS)
    conv = ConvBackbone(input_shape=(1, 28, 28))
    if quick:
        conv = ConvBackbone(input_shape=(1, 8, 8), channels=(8, 8))
    found: list[dict[str, Any]] = []
    for split in islice(splits(name, "validation"), n_splits):
        for seed in seeds:
            for network in NETWORKS.values():
                backbone = conv if network == "conv" else "mlp"
                settings = {"max_iter": 2} if quick else {}
                where = {"split": split.name, "seed": seed, "network": network}
                found += (
                    where | one for one in _of_heads(split, seed, backbone=backbone, **settings)
                )
    return {"set": name, "task_size": TASK_SIZE, "splits": n_splits, "found": found}


def _of_heads(split: Split, seed: int, **settings: Any) -> Iterator[dict[str, Any]]:
    """Train once and yield the mean AUROC of each head, and the time of the training."""
    protocol = Protocol(kinds=("natural",), n_batches=1)
    drawn = [batch.draw() for batch in batches(split, protocol)]
    with tempfile.TemporaryDirectory() as memory:
        for head in HEADS:
            detector = ZeroShotACRDetector(
                task_size=TASK_SIZE,
                score_head=head,
                memory=memory,
                random_state=seed,
                **settings,
            )
            began = time.process_time()
            detector.fit(split.train)
            seconds = time.process_time() - began
            auroc = [evaluate(detector.score_samples(X), y)["auroc"] for X, y in drawn]
            one = {"head": head, "auroc": float(np.mean(auroc)), "batches": len(drawn)}
            yield one | ({"fit_seconds": round(seconds, 1)} if head == HEADS[0] else {})


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return the table of the page."""

    def mean(network: str, what: str, head: str) -> float:
        own = [
            one[what] for one in found["found"] if (one["network"], one["head"]) == (network, head)
        ]
        return float(np.mean(own))

    rows = [
        [
            words,
            *(share(mean(name, "auroc", head), 3) for head in HEADS),
            f"{mean(name, 'fit_seconds', HEADS[0]):.0f}",
        ]
        for words, name in NETWORKS.items()
    ]
    header = ("network", "default score", '`score_head="objective"`', "training, s of one core")
    return {"networks": table(header, rows)}
