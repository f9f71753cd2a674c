"""Made domains: which batches with anomalies, and which changed ones, are called unfamiliar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from acr_sklearn.domains.domain_shift import UNFAMILIAR, DomainShift, fit_domain_shift

#: Made domains of a kind, their rows, and kinds per seed.
N_DOMAINS, N_ROWS, N_KINDS = 12, 200, 10
FEATURES = (4, 8, 16, 64)
#: Batches with anomalies: every combination is a setting.
SHAPES = {
    "a cluster as wide as the normal rows": 1.0,
    "a cluster half as wide": 0.5,
    "a cluster a tenth as wide": 0.1,
    "a cluster, up or down by column": 1.0,
    "scattered": 1.0,
}
ROWS, SHARES = (30, 60, 200, 500), (0.1, 1 / 3)
COLUMNS, DEVIATIONS = ("one", "half", "all"), (2, 4, 6, 12)
N_BATCHES = 20
#: Of batches that did change.
CHANGED_ROWS = (30, 200)
MIXING = (0.0, 0.1, 0.3)


def made(rng: np.random.Generator, n_features: int) -> Callable[[int], np.ndarray]:
    """Return what draws rows of made domains: correlated normal features of unequal spreads."""
    mixing = np.eye(n_features) + 0.3 * rng.normal(size=(n_features, n_features))
    mixing *= np.exp(rng.normal(size=n_features))
    return lambda n_rows: rng.normal(size=(n_rows, n_features)) @ mixing


def fitted(draw: Callable[[int], np.ndarray]) -> DomainShift:
    """Return the check, fitted on made domains."""
    index = np.repeat(np.arange(N_DOMAINS), N_ROWS)
    rows = np.concatenate([draw(N_ROWS) for _ in range(N_DOMAINS)])
    return fit_domain_shift(rows, index, np.arange(N_DOMAINS))


def anomalies(seeds: Sequence[int], quick: bool) -> list[dict[str, Any]]:
    """Count by shape and features, over all settings, and in the setting with the most."""
    out = []
    for n_features in FEATURES[: 1 if quick else None]:
        warned: dict[tuple[Any, ...], int] = {}
        for seed in seeds:
            rng = np.random.default_rng((seed, n_features))
            draw = made(rng, n_features)
            shift, spread = fitted(draw), draw(5000).std(axis=0)
            settings = [("none", rows) for rows in ROWS]
            settings += product(SHAPES, ROWS[: 1 if quick else None], SHARES, COLUMNS, DEVIATIONS)
            for setting in settings:
                batches = (_with(draw, spread, rng, *setting) for _ in range(N_BATCHES))
                warned[setting] = warned.get(setting, 0) + _count(shift, batches)
        for shape in ("none", *SHAPES):
            counts = [count for setting, count in warned.items() if setting[0] == shape]
            out.append(
                {
                    "features": n_features,
                    "shape": shape,
                    "settings": len(counts),
                    "warned": sum(counts),
                    "most": max(counts),
                }
            )
    return out


def _with(
    draw: Callable[[int], np.ndarray],
    spread: np.ndarray,
    rng: np.random.Generator,
    shape: str,
    n_rows: int,
    part: float = 0.0,
    columns: str = "all",
    by: int = 0,
) -> np.ndarray:
    """Return a batch with anomalies."""
    batch, n_features = draw(n_rows), len(spread)
    if shape == "none":
        return batch
    n_columns = {"one": 1, "half": n_features // 2, "all": n_features}[columns]
    chosen, size = rng.permutation(n_features)[:n_columns], int(part * n_rows)
    off = np.ones((size, n_columns))
    if shape == "scattered":
        off = rng.normal(size=(size, n_columns))
    elif "up or down" in shape:
        off = off * rng.choice([-1.0, 1.0], n_columns)
    batch[:size, chosen] += by * spread[chosen] * off
    middle = batch[:size].mean(axis=0)
    batch[:size] = middle + SHAPES[shape] * (batch[:size] - middle)
    return batch


def _count(shift: DomainShift, batches: Iterator[np.ndarray]) -> int:
    return sum(shift.distance(batch) > UNFAMILIAR for batch in batches)


def changes(seeds: Sequence[int], quick: bool) -> list[dict[str, Any]]:
    """Count changed batches that are named, and those of which exactly the changed column is."""
    out = []
    for n_features, n_rows in product(FEATURES[: 1 if quick else None], CHANGED_ROWS):
        counts: dict[str, list[int]] = {}
        for seed, kind in product(seeds, range(1 if quick else N_KINDS)):
            rng = np.random.default_rng((seed, n_features, n_rows, kind))
            draw = made(rng, n_features)
            shift = fitted(draw)
            for _ in range(N_BATCHES):
                for change, (batch, column) in _changed(draw(n_rows), rng).items():
                    found = counts.setdefault(change, [0, 0, 0, 0])
                    found[0] += 1
                    if shift.distance(batch) <= UNFAMILIAR:
                        continue
                    named = [odd.position for odd in shift.odd_columns(batch)]
                    found[1] += 1
                    found[2] += bool(named)
                    found[3] += named == [column]
        for change, numbers in counts.items():
            keys = ("batches", "warned", "names", "right")
            one = {"features": n_features, "rows": n_rows, "change": change}
            out.append(one | dict(zip(keys, map(int, numbers), strict=True)))
    return out


def _changed(
    batch: np.ndarray, rng: np.random.Generator
) -> dict[str, tuple[np.ndarray, int | None]]:
    """Return a batch changed in several ways, each with the one column that is, or None."""
    n_features = batch.shape[1]
    column = int(rng.integers(n_features))
    one = np.arange(n_features) == column
    return {
        "columns permuted": (batch[:, rng.permutation(n_features)], None),
        "every column rescaled": (batch * np.exp(rng.normal(size=n_features)), None),
        "one column 12 times as wide": (batch * np.where(one, 12.0, 1.0), column),
        "one column 1,000 times as wide": (batch * np.where(one, 1000.0, 1.0), column),
        "one column constant": (np.where(one, 1.0, batch), column),
    }


def alike(seeds: Sequence[int], quick: bool) -> list[dict[str, Any]]:
    """Count permuted batches of 8 features whose spreads are equal but for how they are mixed."""
    out = []
    for entry in MIXING:
        warned = n_batches = 0
        for seed, kind in product(seeds, range(1 if quick else N_KINDS)):
            rng = np.random.default_rng((seed, kind))
            mixing = np.eye(8) + entry * rng.normal(size=(8, 8))

            def draw(n_rows: int, rng: Any = rng, mixing: Any = mixing) -> np.ndarray:
                return np.asarray(rng.normal(size=(n_rows, 8)) @ mixing)

            shift = fitted(draw)
            permuted = [draw(N_ROWS)[:, rng.permutation(8)] for _ in range(N_BATCHES)]
            warned += _count(shift, iter(permuted))
            n_batches += len(permuted)
        out.append({"mixing": entry, "batches": n_batches, "warned": int(warned)})
    return out
