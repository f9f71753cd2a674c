"""What runs on the native sets: our detector, its controls, and the rivals."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

import numpy as np
from quality.controls import CONTROLS
from quality.rivals import RIVALS, Method, Refitted, Rival
from quality.run import Entry, acr
from sklearn.neighbors import NearestNeighbors


def knn_tenth(X: np.ndarray, _seed: int) -> np.ndarray:
    """Return minus the mean distance to the nearest tenth of the other rows of the batch."""
    n_neighbors = max(1, round(0.1 * (len(X) - 1)))
    search = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(X)
    return -search.kneighbors()[0].mean(axis=1)


def _knn_tenth(seed: int) -> Method:
    return Refitted(knn_tenth, "batch", seed)


# The rows come in units of the training rows, so what sees both scalings sees the batch's here.
NATIVE_RIVALS: dict[str, Rival] = {
    **{name: rival for name, rival in RIVALS.items() if not name.endswith("_train")},
    "knn10%_batch": Rival(_knn_tenth),
}
OURS: dict[str, Callable[[int], Method]] = {"acr": acr, "untrained": CONTROLS["untrained"]}
GROUPS = {"rivals": list(NATIVE_RIVALS), "controls": ["untrained"]}
QUICK_RIVALS = ("iforest", "knn_batch", "knn10%_batch", "iforest_centred", "mahalanobis_centred")


def role(label: str) -> str:
    """Return "rival", "control" or "ours"."""
    if label in NATIVE_RIVALS:
        return "rival"
    return "control" if label in GROUPS["controls"] else "ours"


def entries(methods: Sequence[str], seeds: Sequence[int], reuse: bool = False) -> list[Entry]:
    """Return what to run: every name with every seed, deterministic rivals with the first only.

    Results of rivals are reused, those of other methods if `reuse` says so.
    """
    names = dict.fromkeys(name for m in methods for name in GROUPS.get(m, [m]))
    out = []
    for name in names:
        if name in NATIVE_RIVALS:
            rival = NATIVE_RIVALS[name]
            own = seeds[:1] if rival.deterministic else seeds
            out += [Entry(name, seed, rival.make, reuse=True) for seed in own]
        else:
            make = OURS.get(name) or _factory(name)
            out += [Entry(name, seed, make, reuse) for seed in seeds]
    return out


def _factory(name: str) -> Callable[[int], Method]:
    module, _, function = name.partition(":")
    if not function:
        known = ", ".join([*GROUPS, *OURS, *NATIVE_RIVALS])
        raise ValueError(f"Unknown method {name!r}; give module:function or one of {known}.")
    make: Callable[[int], Method] = getattr(importlib.import_module(module), function)
    return make
