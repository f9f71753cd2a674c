"""Runs on the folds of a native set: one training each, and what labels make of it."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from native.data import NativeSet
from native.methods import NATIVE_RIVALS
from native.protocol import Protocol, batches, generator, splits
from native.run import open_store
from quality.datasets import Split
from quality.protocol import evaluate
from quality.run import Entry, run_split
from sklearn.ensemble import HistGradientBoostingClassifier

from acr_sklearn import ZeroShotACRDetector

from .labels import Labelled, Labels, label

#: Kinds of anomaly that are made, and so never labelled.
MADE = ("gross", "shuffled", "cluster")
#: Curves are of the first fold of a set and the first draws: each point learns anew.
CURVE_FOLDS = ("fold 0",)
DEFAULT, KNOWN, FOREST, TREES = "default", "known", "iforest", "raw trees"
METHODS = (KNOWN, DEFAULT, FOREST, TREES)


@dataclass(frozen=True)
class Condition:
    """A point of a curve: what is labelled, and what is looked for."""

    curve: str
    at: str
    labels: Labels = field(default_factory=Labels)
    made: bool = False


HEADLINE = Condition("headline", "all")
CURVES = (
    *(Condition("domains", str(n), Labels(n_domains=n)) for n in (0, 1, 2, 4, 8)),
    Condition("domains", "all"),
    Condition("one of one", "1", Labels(n_domains=1, n_each=1)),
    *(Condition("each", str(n), Labels(n_each=n)) for n in (1, 3, 10, 30)),
    *(Condition("wrong", f"{share:.0%}", Labels(wrong=share)) for share in (0.1, 0.2, 0.3)),
    Condition("never labelled", "made", made=True),
    Condition("never labelled", "made, no labels", Labels(n_domains=0), made=True),
)


def raw_trees(train: Labelled, seed: int) -> Any:
    """Boosted trees on the pooled rows as they are, as one would do without this package."""
    model = HistGradientBoostingClassifier(random_state=seed, early_stopping=False)
    return model.fit(np.concatenate(train.rows), np.concatenate(train.marked))


def forest_rows(data: NativeSet, split: Split, protocol: Protocol, seed: int) -> pd.DataFrame:
    """Return IsolationForest refitted on each batch, as `make bench-native` runs and keeps it."""
    entry = Entry(FOREST, seed, NATIVE_RIVALS[FOREST].make, True)
    kept, todo = open_store(data, entry, protocol, True), list(batches(data.name, split, protocol))
    run_split(entry, kept, split, todo)
    return kept.frame([batch.key for batch in todo])


def run_fold(
    data: NativeSet,
    split: Split,
    protocol: Protocol,
    seed: int,
    conditions: Sequence[Condition],
    memory: Path,
) -> list[dict[str, Any]]:
    """Score the batches of a fold under every condition; rows of plain figures.

    The network is trained once, and fetched for every condition with the same normal rows.
    """
    out = []
    for condition in conditions:
        headline = condition is HEADLINE
        if not headline and split.name not in CURVE_FOLDS:
            continue
        train = label(data, split, protocol, condition.labels)
        models = _models(train, split, seed, memory, rivals=headline)
        setting = {
            "set": data.name,
            "split": split.name,
            "curve": condition.curve,
            "at": condition.at,
            "seed": seed,
        }
        for domain, share, index, X, y in _drawn(data, split, protocol, made=condition.made):
            if index and not headline:
                continue
            for name, (score, told) in models.items():
                began = time.perf_counter()
                found = evaluate(score(X), y)
                found["score_seconds"] = time.perf_counter() - began
                where = {"domain": domain, "share": share, "index": index, "method": name}
                out.append(setting | where | told | found)
    return out


def _models(
    train: Labelled, split: Split, seed: int, memory: Path, *, rivals: bool
) -> dict[str, tuple[Callable[[np.ndarray], np.ndarray], dict[str, float]]]:
    """Fit what is asked for: to each its scores, and what else is kept of the fit."""
    marked = train.marked if any(mask.any() for mask in train.marked) else None
    known, seconds = _timed_fit(seed, train.rows, memory, known_anomalies=marked)
    weight = known.selection_["weight"] if marked else 0.0
    models = {KNOWN: (known.score_samples, {"weight": weight, "fit_seconds": seconds})}
    if rivals:
        # Trained anew on one fold of a set, for the time it takes; else the network is fetched.
        anew = split.name == "fold 0"
        plain, seconds = _timed_fit(seed, list(split.train), None if anew else memory)
        told = {"weight": 0.0, "fit_seconds": seconds if anew else np.nan}
        models[DEFAULT] = plain.score_samples, told
        trees = raw_trees(train, seed)
        told = {"weight": np.nan, "fit_seconds": np.nan}
        models[TREES] = lambda X: -trees.predict_proba(X)[:, 1], told
    return models


def _timed_fit(
    seed: int, rows: list[np.ndarray], memory: Path | None, **options: Any
) -> tuple[ZeroShotACRDetector, float]:
    began = time.perf_counter()
    kept = None if memory is None else str(memory)
    detector = ZeroShotACRDetector(random_state=seed, memory=kept).fit(rows, **options)
    return detector, time.perf_counter() - began


def _drawn(data: NativeSet, split: Split, protocol: Protocol, *, made: bool) -> Any:
    """Yield the batches of a fold, of labelled anomalies or of made kinds."""
    if not made:
        for batch in batches(data.name, split, protocol):
            yield batch.domain.name, str(batch.share), batch.index, *batch.draw()
        return
    for domain in split.unseen[: protocol.max_domains]:
        normals = domain.normals
        if len(normals) < 100:
            continue
        for kind in MADE:
            rng = generator(data.name, domain.name, kind)
            normal = normals[rng.permutation(len(normals))[: protocol.n_normals]]
            others = make_anomalies(kind, normals, max(3, len(normal) // 10), rng)
            y = np.repeat([1, -1], [len(normal), len(others)])
            yield domain.name, kind, 0, np.concatenate([normal, others]), y


def make_anomalies(kind: str, normals: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Make anomalies of normal rows: twice as far out, half shuffled, or all moved alike."""
    rows = normals[rng.integers(len(normals), size=n)].copy()
    if kind == "gross":
        return normals.mean(axis=0) + 2 * (rows - normals.mean(axis=0))
    width = rows.shape[1]
    if kind == "shuffled":
        features = rng.permutation(width)[: max(1, width // 2)]
        rows[:, features] = normals[rng.integers(len(normals), size=(n, len(features))), features]
        return rows
    moved = rng.choice([-1.0, 1.0], width) * (rng.random(width) < 0.5)
    return (rows + 2 * normals.std(axis=0) * moved).astype(normals.dtype)


def run(
    data: NativeSet,
    protocol: Protocol,
    seeds: Sequence[int],
    conditions: Sequence[Condition],
    memory: Path,
    *,
    max_folds: int | None = None,
) -> pd.DataFrame:
    """Run a set, the curves with the first seed; a fold that was run is not run again."""
    frames = []
    for split in islice(splits(data, protocol), max_folds):
        for seed in seeds:
            chosen = list(conditions) if seed == seeds[0] else [HEADLINE]
            path = memory / f"{data.name}-{_key(data, split, protocol, seed, chosen)}.parquet"
            if not path.is_file():
                rows = run_fold(data, split, protocol, seed, chosen, memory)
                path.parent.mkdir(parents=True, exist_ok=True)
                pd.DataFrame(rows).to_parquet(path)
            forest = forest_rows(data, split, protocol, seed).drop(columns="kind")
            forest = forest.assign(share=forest["share"].astype(str), set=data.name, seed=seed)
            named = {"curve": HEADLINE.curve, "at": HEADLINE.at, "method": FOREST}
            frames += [pd.read_parquet(path), forest.assign(**named)]
        print(f"{data.name}, {split.name}", file=sys.stderr, flush=True)
    return pd.concat(frames, ignore_index=True)


def _key(
    data: NativeSet, split: Split, protocol: Protocol, seed: int, chosen: Sequence[Condition]
) -> str:
    """Name what a fold came to by all that it depends on: rows, setting, code."""
    package = Path(sys.modules["acr_sklearn"].__file__ or "").parent
    found = hashlib.sha256(repr((split.name, protocol, seed, chosen)).encode())
    found.update(np.ascontiguousarray(data.X).tobytes())
    for room in ("_input", "domains", "networks", "scoring", "tasks", "training", "detectors"):
        for path in sorted((package / room).glob("*.py")):
            found.update(path.read_bytes())
    for path in sorted(Path(__file__).parent.glob("[lr]*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]
