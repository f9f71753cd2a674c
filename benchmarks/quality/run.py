"""Run methods on the batches of a set, and keep what they scored.

A method is ``acr``, our detector at its defaults; ``paper``, the recipe of the paper; the name of
a rival or a control, or ``rivals`` or ``controls`` for all; or ``module:function``, a function
that takes a seed and returns a detector with ``fit(list_of_training_arrays)`` and
``score_samples(batch)``. Results are kept per batch in the data cache: rivals run once and are
reused, detectors are run anew unless told otherwise.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from acr_sklearn import ZeroShotACRDetector

from .controls import CONTROLS, paper
from .datasets import Part, Split, splits
from .fetch import cache_dir
from .protocol import KEY, Batch, Protocol, batches, evaluate
from .rivals import RIVALS, Method

# Raise it when a set, a draw or a rival changes: results of another version are not reused.
VERSION = 1


def acr(seed: int) -> Method:
    """Our detector as a user gets it: at its defaults."""
    return ZeroShotACRDetector(random_state=seed)


OWN: dict[str, Callable[[int], Method]] = {"acr": acr, "paper": paper, **CONTROLS}


@dataclass(frozen=True)
class Entry:
    """One method with one seed, as it is run and stored."""

    label: str
    seed: int
    make: Callable[[int], Method]
    reuse: bool
    #: What else is kept of the scores of a batch: from the fitted method, the scores and y.
    also: Callable[[Method, np.ndarray, np.ndarray], dict[str, float]] | None = None


def entries(
    methods: Sequence[str], seeds: Sequence[int], reuse: bool, rival_seeds: int | None = None
) -> list[Entry]:
    """Return what to run; a deterministic rival runs with the first seed only.

    `rival_seeds` bounds the seeds of the others that are not ours: rivals that draw, the paper's
    recipe and the controls.
    """
    # A name that is given twice, alone and within "rivals", runs once.
    groups = {"rivals": list(RIVALS), "controls": list(CONTROLS)}
    names = dict.fromkeys(name for m in methods for name in groups.get(m, [m]))
    out = []
    for name in names:
        if name in RIVALS:
            rival = RIVALS[name]
            own = seeds[:1] if rival.deterministic else seeds[:rival_seeds]
            out += [Entry(name, seed, rival.make, reuse=True) for seed in own]
        else:
            make = OWN.get(name) or _factory(name)
            own = seeds[:rival_seeds] if name == "paper" or name in CONTROLS else seeds
            out += [Entry(name, seed, make, reuse) for seed in own]
    return out


def _factory(name: str) -> Callable[[int], Method]:
    module, _, function = name.partition(":")
    if not function:
        known = ", ".join([*OWN, *RIVALS])
        raise ValueError(f"Unknown method {name!r}; give module:function, rivals or {known}.")
    make: Callable[[int], Method] = getattr(importlib.import_module(module), function)
    return make


@dataclass
class Store:
    """The results of one entry on one set, kept in a parquet file; path None keeps nothing."""

    path: Path | None
    rows: dict[tuple[object, ...], dict[str, float]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path | None, reuse: bool) -> Store:
        """Read what an earlier run left, if it may be reused."""
        if path is None or not (reuse and path.is_file()):
            return cls(path)
        records = pd.read_parquet(path).to_dict("records")
        return cls(path, {tuple(r.pop(k) for k in KEY): r for r in records})

    def frame(self, keys: Iterable[tuple[object, ...]] | None = None) -> pd.DataFrame:
        """Return the results as a frame, of the given batches or of all."""
        chosen = self.rows if keys is None else keys
        return pd.DataFrame([dict(zip(KEY, key, strict=True)) | self.rows[key] for key in chosen])

    def save(self) -> None:
        """Write the file, whole or not at all."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        self.frame().to_parquet(partial)
        partial.replace(self.path)


def run_split(entry: Entry, store: Store, split: Split, todo: Sequence[Batch]) -> None:
    """Fit a method on a split's training domains and score the batches not yet stored."""
    missing = [batch for batch in todo if batch.key not in store.rows]
    if not missing:
        return
    model, began = entry.make(entry.seed), time.perf_counter()
    model.fit(list(split.train))
    fit_seconds = time.perf_counter() - began
    for batch in missing:
        X, y = batch.draw()
        began = time.perf_counter()
        scores = np.asarray(model.score_samples(X))
        seconds = time.perf_counter() - began
        try:
            metrics = evaluate(scores, y)
        except ValueError as error:
            error.add_note(f"{entry.label}, seed {entry.seed}, on {batch.key}")
            raise
        if entry.also is not None:
            metrics |= entry.also(model, scores, y)
        store.rows[batch.key] = metrics | {"score_seconds": seconds, "fit_seconds": fit_seconds}
    store.save()


def run(
    set_name: str,
    part: Part,
    chosen: Sequence[Entry],
    protocol: Protocol,
    *,
    max_splits: int | None = None,
    cache: bool = True,
) -> dict[str, pd.DataFrame]:
    """Run every entry on every batch.

    Returns
    -------
    results : dict of label -> DataFrame
        One row per batch and seed: the key, ``seed``, ``auroc``, ``ap``, ``score_seconds`` and
        the ``fit_seconds`` of its split.
    """
    folder = cache_dir() / f"quality-v{VERSION}" / f"{set_name}-{part}-{protocol.batch_size}"
    paths = [folder / f"{_file_name(e)}.parquet" if cache else None for e in chosen]
    stores = [Store.open(path, e.reuse) for path, e in zip(paths, chosen, strict=True)]
    keys: list[tuple[object, ...]] = []
    for split in islice(splits(set_name, part), max_splits):
        todo = list(batches(split, protocol))
        keys += [batch.key for batch in todo]
        for entry, store in zip(chosen, stores, strict=True):
            run_split(entry, store, split, todo)
        print(f"{set_name}, {split.name}: {len(todo)} batches", file=sys.stderr, flush=True)
    out: dict[str, list[pd.DataFrame]] = {}
    for entry, store in zip(chosen, stores, strict=True):
        out.setdefault(entry.label, []).append(store.frame(keys).assign(seed=entry.seed))
    return {label: pd.concat(frames, ignore_index=True) for label, frames in out.items()}


def _file_name(entry: Entry) -> str:
    return f"{entry.label.replace(':', '-')}-seed{entry.seed}"
