"""What runs on the native sets: our detector, its controls, and the rivals."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from quality.controls import CONTROLS, default_head
from quality.rivals import RIVALS, Method, Refitted, Rival
from quality.run import Entry, acr
from sklearn.neighbors import NearestNeighbors

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.scoring.evidence import EvidenceScale, consensus

from .cuts import of_detector, of_refitted

#: Components shorter than this share of the longest are what rounding left.
LEAST_LENGTH = 1e-5


def knn_tenth(X: np.ndarray, _seed: int) -> np.ndarray:
    """Return minus the mean distance to the nearest tenth of the other rows of the batch."""
    n_neighbors = max(1, round(0.1 * (len(X) - 1)))
    search = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(X)
    return -search.kneighbors()[0].mean(axis=1)


def _knn_tenth(seed: int) -> Method:
    return Refitted(knn_tenth, "batch", seed)


class Statistics:
    """The consensus of the evidence that needs no network, as the default head takes it."""

    def fit(self, train: Sequence[np.ndarray]) -> Statistics:
        """Learn how the features of normal rows depend on one another."""
        self._head = default_head(train)
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        """Score the rows of one batch, high = normal."""
        values = self._head.measure(torch.from_numpy(X)).values
        return -consensus(EvidenceScale.of(values).standardise(values)).double().numpy()


def statistics(_seed: int) -> Method:
    """Return the statistics of the batch alone: the default head without its network."""
    return Statistics()


def acr_combined(seed: int) -> Method:
    """Return our detector as it was by default before the consensus of evidence."""
    return ZeroShotACRDetector(score_head="combined", random_state=seed)


def pca(X: np.ndarray, seed: int) -> np.ndarray:
    """Return PyOD's PCA scores of a batch, of as many components as its rows span.

    It divides by the variance of each component: one without any makes every score infinite.
    """
    lengths = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)
    # The rows were single precision once.
    n_components = max(1, int((lengths > LEAST_LENGTH * lengths.max()).sum()))
    model = importlib.import_module("pyod.models.pca").PCA(
        n_components=n_components, standardization=False, random_state=seed
    )
    scores: np.ndarray = -model.fit(X).decision_scores_
    return scores


def _pca(seed: int) -> Method:
    return Refitted(pca, "batch", seed)


# The rows come in units of the training rows, so what sees both scalings sees the batch's here.
NATIVE_RIVALS: dict[str, Rival] = {
    **{name: rival for name, rival in RIVALS.items() if not name.endswith("_train")},
    "pca_batch": Rival(_pca),
    "knn10%_batch": Rival(_knn_tenth),
}
# These draw no numbers: one seed is all.
FIXED = ("statistics",)
OURS: dict[str, Callable[[int], Method]] = {
    "acr": acr,
    "acr_combined": acr_combined,
    "untrained": CONTROLS["untrained"],
    "statistics": statistics,
}
GROUPS = {"rivals": list(NATIVE_RIVALS), "controls": ["untrained", "statistics"]}
CUTS = {"acr": of_detector, "iforest": of_refitted}
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
            out += [Entry(name, seed, rival.make, True, CUTS.get(name)) for seed in own]
        else:
            make = OURS.get(name) or _factory(name)
            own = seeds[:1] if name in FIXED else seeds
            out += [Entry(name, seed, make, reuse, CUTS.get(name)) for seed in own]
    return out


def _factory(name: str) -> Callable[[int], Method]:
    module, _, function = name.partition(":")
    if not function:
        known = ", ".join([*GROUPS, *OURS, *NATIVE_RIVALS])
        raise ValueError(f"Unknown method {name!r}; give module:function or one of {known}.")
    make: Callable[[int], Method] = getattr(importlib.import_module(module), function)
    return make
