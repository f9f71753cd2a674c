"""The rivals, all with one interface.

A method has ``fit(list_of_training_arrays)`` and ``score_samples(batch)``, high = normal, like
the detector itself. The refitted rivals use the training rows for the scaling only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from typing import Protocol as Interface

import numpy as np
from scipy.stats import spearmanr
from sklearn.covariance import EmpiricalCovariance
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM

N_NEIGHBORS = 5
BatchScore = Callable[[np.ndarray, int], np.ndarray]  # (rows, seed) -> scores, high = normal
MAX_REFERENCE = 10_000  # rows a fitted kNN searches; bounds its cost per batch


class Method(Interface):
    """What the runner needs of a detector."""

    def fit(self, train: Sequence[np.ndarray]) -> object:
        """Learn from one array of normal rows per training domain."""

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        """Score the rows of one batch, high = normal."""


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of rows; constant features are only centred."""

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray) -> Scaling:
        """Measure the rows."""
        std = X.std(axis=0, dtype=np.float64)
        return cls(X.mean(axis=0, dtype=np.float64), np.where(std > 1e-12, std, 1.0))

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the rows centred and scaled, float64."""
        return (X - self.mean) / self.std


def standardised(X: np.ndarray) -> np.ndarray:
    """Return rows centred and scaled by themselves."""
    return Scaling.of(X)(X)


def _neighbour_score(reference: np.ndarray, X: np.ndarray | None) -> np.ndarray:
    """Return minus the mean distance to the nearest rows (None: of the reference itself)."""
    available = len(reference) - (X is None)
    search = NearestNeighbors(n_neighbors=min(N_NEIGHBORS, available), algorithm="brute")
    return -search.fit(reference).kneighbors(X)[0].mean(axis=1)


def iforest(X: np.ndarray, seed: int) -> np.ndarray:
    """Return IsolationForest scores of a batch."""
    return IsolationForest(random_state=seed).fit(X).score_samples(X)


def knn(X: np.ndarray, _seed: int) -> np.ndarray:
    """Return minus the mean distance to the five nearest other rows of the batch."""
    return _neighbour_score(X, None)


def lof(X: np.ndarray, _seed: int) -> np.ndarray:
    """Return local outlier factors of a batch, negated."""
    model = LocalOutlierFactor(n_neighbors=min(20, len(X) - 1))
    return model.fit(X).negative_outlier_factor_


def ocsvm(X: np.ndarray, _seed: int) -> np.ndarray:
    """Return one-class SVM scores of a batch."""
    return OneClassSVM().fit(X).score_samples(X)


def _pyod(name: str, *, seeded: bool = False, **options: object) -> BatchScore:
    """Return the scoring of a batch by a PyOD model (high = abnormal there, hence the sign)."""

    def score(X: np.ndarray, seed: int) -> np.ndarray:
        # Imported on use: PyOD compiles for a while, and the other rivals do without it.
        make: Callable[..., Any] = getattr(import_module(f"pyod.models.{name}"), name.upper())
        drawn = {"random_state": seed} if seeded else {}
        return -make(**options, **drawn).fit(X).decision_scores_

    return score


@dataclass
class Refitted:
    """A detector refitted on every batch, on rows scaled by the training rows or the batch."""

    score: BatchScore
    scaling: str
    seed: int

    def fit(self, train: Sequence[np.ndarray]) -> Refitted:
        """Learn the scaling, if it is the training rows'."""
        if self.scaling == "train":
            self._scale: Callable[[np.ndarray], np.ndarray] = Scaling.of(np.concatenate(train))
        else:
            self._scale = standardised
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        """Refit on the batch and score it."""
        return self.score(self._scale(X), self.seed)


class _Centred:
    """Base of the rivals fitted on training rows that are standardised domain by domain."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, train: Sequence[np.ndarray]) -> _Centred:
        """Standardise every domain by itself, pool the rows, fit on them."""
        self._fit(np.concatenate([standardised(X) for X in train]))
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        """Standardise the batch by itself and score its rows."""
        return self._score(standardised(X))

    def _fit(self, X: np.ndarray) -> None:
        raise NotImplementedError

    def _score(self, X: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class CentredForest(_Centred):
    """IsolationForest on centred training normals."""

    def _fit(self, X: np.ndarray) -> None:
        self._model = IsolationForest(random_state=self.seed).fit(X)

    def _score(self, X: np.ndarray) -> np.ndarray:
        return self._model.score_samples(X)


class CentredNeighbours(_Centred):
    """Distance to the five nearest centred training normals."""

    def _fit(self, X: np.ndarray) -> None:
        rng = np.random.default_rng(self.seed)
        kept = rng.permutation(len(X))[:MAX_REFERENCE]
        self._reference = X[kept].astype(np.float32)

    def _score(self, X: np.ndarray) -> np.ndarray:
        return _neighbour_score(self._reference, X.astype(np.float32))


class CentredMahalanobis(_Centred):
    """Mahalanobis distance in the covariance of the centred training normals.

    The plain covariance and its pseudo-inverse: on validation domains it is a stronger rival
    than the Ledoit-Wolf estimate (digits +.008, FARS +.014, Fashion-MNIST -.001).
    """

    def _fit(self, X: np.ndarray) -> None:
        self._model = EmpiricalCovariance().fit(X)

    def _score(self, X: np.ndarray) -> np.ndarray:
        return -self._model.mahalanobis(X)


@dataclass(frozen=True)
class Rival:
    """A named rival: ``make(seed)`` builds it; a deterministic one needs one seed only."""

    make: Callable[[int], Method]
    deterministic: bool = True


def _refitted(score: BatchScore, scaling: str) -> Callable[[int], Method]:
    return lambda seed: Refitted(score, scaling, seed)


# These look at one feature at a time, by ranks or by its own range, so both scalings give the
# same ranking (see scale_agreement); they are run once, on batch-standardised rows.
_SCALE_FREE: dict[str, tuple[BatchScore, bool]] = {
    "iforest": (iforest, False),
    "ecod": (_pyod("ecod"), True),
    "copod": (_pyod("copod"), True),
}
_SCALED: dict[str, tuple[BatchScore, bool]] = {
    "knn": (knn, True),
    "lof": (lof, True),
    "ocsvm": (ocsvm, True),
    # PyOD's own standardisation would undo the choice of scaling.
    "pca": (_pyod("pca", seeded=True, standardization=False), True),
    "inne": (_pyod("inne", seeded=True), False),
    "hbos": (_pyod("hbos"), True),
}
RIVALS: dict[str, Rival] = {
    **{name: Rival(_refitted(f, "batch"), fixed) for name, (f, fixed) in _SCALE_FREE.items()},
    **{
        f"{name}_{scaling}": Rival(_refitted(f, scaling), fixed)
        for name, (f, fixed) in _SCALED.items()
        for scaling in ("train", "batch")
    },
    "iforest_centred": Rival(CentredForest, deterministic=False),
    "knn_centred": Rival(CentredNeighbours),
    "mahalanobis_centred": Rival(CentredMahalanobis),
}


def scale_agreement(train: Sequence[np.ndarray], X: np.ndarray) -> dict[str, float]:
    """Return the rank correlation between both scalings of the rivals run on one only."""

    def agreement(score: BatchScore) -> float:
        views = (Refitted(score, scaling, 0).fit(train) for scaling in ("train", "batch"))
        return float(spearmanr(*(view.score_samples(X) for view in views)).statistic)

    return {name: agreement(score) for name, (score, _) in _SCALE_FREE.items()}
