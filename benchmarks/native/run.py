"""Run methods on the batches of a native set; results of rivals are kept and used again."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd
from quality.fetch import cache_dir
from quality.run import Entry, Store, run_split

from .data import NativeSet
from .protocol import Protocol, batches, splits

# Raise it when a draw or a rival changes: results of another version are not reused.
VERSION = 2


def run(
    data: NativeSet, chosen: Sequence[Entry], protocol: Protocol, *, cache: bool = True
) -> dict[str, pd.DataFrame]:
    """Run every entry on every batch of a set.

    Returns
    -------
    results : dict of label -> DataFrame
        One row per batch and seed: split, domain, kind, share, index, ``seed``, ``auroc``, ``ap``,
        ``score_seconds`` and the ``fit_seconds`` of its fold; where thresholds were set too, what
        they come to, under "cut|measure".
    """
    stores = [open_store(data, entry, protocol, cache) for entry in chosen]
    keys: list[tuple[object, ...]] = []
    for split in splits(data, protocol):
        todo = list(batches(data.name, split, protocol))
        keys += [batch.key for batch in todo]
        for entry, store in zip(chosen, stores, strict=True):
            run_split(entry, store, split, todo)
        print(f"{data.name}, {split.name}: {len(todo)} batches", file=sys.stderr, flush=True)
    if not keys:
        raise ValueError(f"{data.name} has no domain with enough anomalies for a batch.")
    out: dict[str, list[pd.DataFrame]] = {}
    for entry, store in zip(chosen, stores, strict=True):
        out.setdefault(entry.label, []).append(store.frame(keys).assign(seed=entry.seed))
    return {label: pd.concat(frames, ignore_index=True) for label, frames in out.items()}


def open_store(data: NativeSet, entry: Entry, protocol: Protocol, cache: bool) -> Store:
    """Return where the results of an entry on a set are kept."""
    if not cache:
        return Store(None)
    setting = protocol.n_folds, protocol.n_train, protocol.n_normals
    # Rows of another build of the set are another set.
    folder = f"{data.name}-{_digest(data)}-{'-'.join(map(str, setting))}"
    name = f"{entry.label.replace(':', '-')}-seed{entry.seed}.parquet"
    return Store.open(cache_dir() / f"native-v{VERSION}" / folder / name, entry.reuse)


def _digest(data: NativeSet) -> str:
    found = hashlib.sha256()
    for part in (data.X, data.anomaly):
        found.update(np.ascontiguousarray(part).tobytes())
    for names in (data.domain, data.group):
        found.update("|".join(map(str, names)).encode())
    return found.hexdigest()[:12]
