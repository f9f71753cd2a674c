"""What the score of large batches costs, and where the consensus is weak."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from native import protocol as native
from native.data import NativeSet, available, read
from native.summary import difference
from numpy.typing import NDArray
from page.runs import NOT_MEASURED
from quality.datasets import splits
from quality.protocol import Protocol, batches, evaluate
from quality.rivals import iforest
from sklearn.metrics import roc_auc_score

from acr_sklearn import MLPBackbone, ZeroShotACRDetector
from acr_sklearn.scoring.consensus_head import ConsensusHead

from ._tables import share, table

PAGE = "scores.md"
Rows = NDArray[np.float64]

#: What serves as neighbours in large batches, and the rows from which a batch is looked at for it.
NEIGHBORS = {
    "256 rows": (256, True),
    "128 rows": (128, True),
    "128 rows, Euclidean distances": (128, False),
}
LEAST_ROWS = 400
#: Made batches: rows, share of a cluster, share of single values, and how many of each kind.
BATCH, CLUSTERED, SINGLE, DRAWS = 500, 0.2, 0.05, 5
FEATURES = (12, 4)
HEADS = ("consensus", "combined")
FOREST, BLIND = "IsolationForest", "without Mahalanobis"
ANOMALIES = ("cluster, 3 sd", "cluster, 6 sd", "single values, 4 sd")
#: For rows of other classes: validation splits 0, 4 and 8 of each set, and settings.
CLASSES = {"digits": "digits", "fashion_mnist": "Fashion-MNIST"}
_PLAIN = {"backbone": MLPBackbone(whiten_features=False), "outlier_source": "domains"}
SETTINGS: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "`backbone=` and `outlier_source=`": _PLAIN,
    '`score_head="combined"`': {"score_head": "combined"},
    "all three": _PLAIN | {"score_head": "combined"},
}


def measure(seeds: Sequence[int], quick: bool) -> dict[str, Any]:
    """Measure native sets, made batches, and sets of classes.

    Parameters
    ----------
    seeds : sequence of int
        Each has made batches of its own; the detectors of the other sets have the first.
    quick : bool
        Few steps, made batches alone.
    """
    settings = {"max_iter": 5} if quick else {}
    sets = {} if quick else {name: compared(read(name), seeds[0]) for name in available()}
    weak = [
        one
        for seed in seeds
        for n in FEATURES
        for correlated in (False, True)
        for one in made(n, correlated, seed, settings)
    ]
    classes = {} if quick else {name: of_classes(name, seeds[0]) for name in CLASSES}
    return {"native": summed_up(sets) if sets else None, "made": weak, "classes": classes}


def neighbors(n: int, manhattan: bool) -> AbstractContextManager[Any]:
    """Let so many rows serve as neighbours, whatever the size of the batch."""
    return patch(
        "acr_sklearn.scoring.consensus_head.n_evidence_rows",
        lambda n_rows: (n_rows, min(n, n_rows), manhattan),
    )


def blind() -> AbstractContextManager[Any]:
    """Keep the Mahalanobis distance from telling which rows the network's statistics leave out."""
    return patch.object(ConsensusHead, "_far", lambda _, rows: rows.new_zeros(rows.shape[:-1]))


def compared(data: NativeSet, seed: int) -> dict[str, pd.DataFrame]:
    """Score all batches of a set in every way; return a frame of each way, one row per batch."""
    ways = {
        "default": nullcontext,
        BLIND: blind,
        "all": lambda: neighbors(sys.maxsize, True),
        **{name: lambda how=how: neighbors(*how) for name, how in NEIGHBORS.items()},
    }
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    protocol = native.Protocol()
    for split in native.splits(data, protocol):
        detector = ZeroShotACRDetector(random_state=seed).fit(list(split.train))
        for batch in native.batches(data.name, split, protocol):
            X, y = batch.draw()
            cell = {"domain": batch.domain.name, "share": batch.share, "rows": len(X)}
            for name, way in ways.items():
                with way():
                    found[name].append(cell | evaluate(detector.score_samples(X), y))
    return {name: pd.DataFrame(rows) for name, rows in found.items()}


def summed_up(sets: dict[str, dict[str, pd.DataFrame]]) -> dict[str, Any]:
    """Return differences in the mean over sets, with 90 % intervals, of both measures."""
    large = {
        name: {way: frame[frame["rows"] >= LEAST_ROWS] for way, frame in ways.items()}
        for name, ways in sets.items()
    }
    large = {name: ways for name, ways in large.items() if len(ways["all"])}
    pairs = {name: (large, name, "all") for name in NEIGHBORS}
    pairs |= {"Mahalanobis": (sets, "default", BLIND)}
    return {
        "batches": {name: len(ways["all"]) for name, ways in large.items()},
        "minus": {
            name: {metric: difference(*pair, metric) for metric in ("auroc", "ap")}
            for name, pair in pairs.items()
        },
    }


def made(
    n_features: int, correlated: bool, seed: int, settings: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the AUROC of every way to score on made batches with anomalies of each kind."""
    rng = np.random.default_rng((seed, n_features, correlated))
    mixing = rng.normal(size=(n_features, n_features)) if correlated else np.eye(n_features)

    def domain(n: int) -> Rows:
        return rng.normal(0, 5, n_features) + rng.normal(size=(n, n_features)) @ mixing

    train = [domain(300) for _ in range(8)]
    with TemporaryDirectory() as memory:  # a training serves both heads
        consensus, combined = (
            ZeroShotACRDetector(score_head=head, random_state=seed, memory=memory, **settings).fit(
                train
            )
            for head in HEADS
        )
    for kind in ANOMALIES:
        for _ in range(DRAWS):
            X, n = anomalous(domain(BATCH), kind, rng)
            y = np.arange(BATCH) < n
            scores = {
                "consensus": consensus.score_samples(X),
                "combined": combined.score_samples(X),
                FOREST: iforest(X, seed),
            }
            with blind():
                scores[BLIND] = consensus.score_samples(X)
            yield {
                "features": n_features,
                "correlated": correlated,
                "anomalies": kind,
                "seed": seed,
                **{name: round(float(roc_auc_score(y, -some)), 4) for name, some in scores.items()},
            }


def anomalous(X: Rows, kind: str, rng: np.random.Generator) -> tuple[Rows, int]:
    """Make the first rows anomalous; return all of them and how many these are.

    A cluster is a twentieth as wide as the normal rows, and off in half of the features; of single
    values one feature of each row is off, which one is drawn.
    """
    X, spread, (n_rows, n_features) = X.copy(), X.std(axis=0), X.shape
    off = float(kind.split(", ")[1].removesuffix(" sd"))
    if kind.startswith("cluster"):
        n, half = round(CLUSTERED * n_rows), rng.permutation(n_features)[: n_features // 2]
        away = np.zeros(n_features)
        away[half] = off * rng.choice([-1, 1], len(half))
        center = X.mean(axis=0)
        X[:n] = center + away * spread + (X[:n] - center) / 20
        return X, n
    n = round(SINGLE * n_rows)
    which = rng.integers(0, n_features, n)
    X[np.arange(n), which] += off * spread[which] * rng.choice([-1, 1], n)
    return X, n


def of_classes(name: str, seed: int) -> dict[str, list[float]]:
    """Return, for all settings, the AUROC of each batch whose anomalies are of other classes."""
    found: dict[str, list[float]] = {setting: [] for setting in SETTINGS}
    protocol = Protocol(kinds=("natural",), n_batches=3)
    for split in islice(splits(name, "validation"), 0, 9, 4):
        with TemporaryDirectory() as memory:
            for setting, parameters in SETTINGS.items():
                detector = ZeroShotACRDetector(random_state=seed, memory=memory, **parameters)
                detector.fit(list(split.train))
                for batch in batches(split, protocol):
                    X, y = batch.draw()
                    auroc = evaluate(detector.score_samples(X), y)["auroc"]
                    found[setting].append(round(auroc, 4))
    return found


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return the tables of the page."""
    return {
        "large batches": _large(found["native"]),
        "weak points": _weak(found["made"]),
        "price": _price(found["native"]),
        "classes": _classes(found["classes"]),
    }


def _price(found: dict[str, Any] | None) -> str:
    if found is None:
        return NOT_MEASURED
    auroc, ap = (_with_interval(found["minus"]["Mahalanobis"][m]) for m in ("auroc", "ap"))
    return f"Consensus with it minus without it: AUROC {auroc}, average precision {ap}."


def _large(found: dict[str, Any] | None) -> str:
    if found is None:
        return NOT_MEASURED
    rows = []
    for name in NEIGHBORS:
        pair = found["minus"][name]
        rows.append([name, *(_with_interval(pair[metric]) for metric in ("auroc", "ap"))])
    return table(("neighbours", "AUROC", "average precision"), rows)


def _with_interval(one: dict[str, float]) -> str:
    mean, low, high = (share(one[name], 4) for name in ("mean", "low", "high"))
    return f"{'' if one['mean'] < 0 else '+'}{mean} [{low}, {high}]"


def _classes(sets: dict[str, dict[str, list[float]]]) -> str:
    if not sets:
        return NOT_MEASURED
    rows = [
        [setting, *(share(float(np.mean(one[setting])), 3) for one in sets.values())]
        for setting in SETTINGS
    ]
    return table(("changed", *(CLASSES[name] for name in sets)), rows)


def _weak(found: list[dict[str, Any]]) -> str:
    ways = (*HEADS, FOREST, BLIND)
    rows = []
    for kind in ANOMALIES:
        for n in FEATURES:
            for correlated in (False, True):
                cell = (kind, n, correlated)
                ones = [
                    one
                    for one in found
                    if (one["anomalies"], one["features"], one["correlated"]) == cell
                ]
                means = [share(float(np.mean([one[way] for one in ones]))) for way in ways]
                features = f"{n}, {'correlated' if correlated else 'independent'}"
                rows.append([kind, features, *means])
    header = ("anomalies", "features", *HEADS, FOREST)
    return table((*header, "consensus without Mahalanobis"), rows)
