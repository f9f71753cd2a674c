"""Synthetic outliers of one data set: for its own classifier, and as a source for others."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from acr_sklearn._input.domain_rows import read_rows
from acr_sklearn.domains.row_units import RowUnits
from acr_sklearn.networks.monotone import MonotoneClassifier
from acr_sklearn.networks.signs import RowSigns
from acr_sklearn.persistence.estimators import FileStorage
from acr_sklearn.tasks.latent_outliers import OUTSKIRTS, BottleneckOutliers, LatentOutliers
from acr_sklearn.training.distillation import Distilled, distil, train_classifier
from acr_sklearn.training.known_rows import fit_signs
from acr_sklearn.training.settings import TrainingSettings

__all__ = [
    "OutlierSynthesizer",
    "Synthesis",
    "SynthesisPlan",
    "draw_seed",
    "latent_source",
    "sampled",
    "train_synthesis",
]

#: Synthetic outliers that the classifier sees, and normal rows beside them at most.
_OUTLIERS, _NORMALS = 2000, 4096


@dataclass(frozen=True)
class SynthesisPlan:
    """Plan of a training.

    Attributes
    ----------
    widths, n_latent, max_iter : tuple of int or None, int, int
        Of the two levels, see `distil`.
    outskirts, outskirts_fraction : str, float
        See `LatentOutliers`.
    source : OutlierSource or None
        Makes the outliers; None decodes them.
    n_known_rows : int
        Rows that others are compared with, at most.
    """

    widths: tuple[int, ...] | None
    n_latent: int
    max_iter: int
    outskirts: str
    outskirts_fraction: float
    source: Any
    n_known_rows: int


@dataclass(frozen=True)
class Synthesis:
    """Result of a training: units, signs, their classifier, losses of every stage."""

    units: RowUnits
    signs: RowSigns
    classifier: MonotoneClassifier
    history: list[dict[str, object]]


def train_synthesis(
    rows: NDArray[Any], plan: SynthesisPlan, settings: TrainingSettings, *, who: str
) -> Synthesis:
    """Train both levels, make outliers, and train the classifier against them.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        Normal rows in the users' units.
    plan : SynthesisPlan
        What to train.
    settings : TrainingSettings
        How to train the levels.
    who : str
        For messages.

    Returns
    -------
    Synthesis
        In double precision.
    """
    distilled = distil(rows, plan.widths, plan.n_latent, plan.max_iter, settings)
    seen = distilled.units.standardized(rows)
    rng = np.random.default_rng((settings.seed, 2))
    signs = fit_signs(seen, distilled, plan.n_known_rows, rng)
    if plan.source is None:
        how = plan.outskirts, plan.outskirts_fraction
        outliers = latent_source(distilled, seen, *how, rng).sample(_OUTLIERS, rng)
    else:
        made = sampled(plan.source, rows, _OUTLIERS, rng, who=who)
        outliers = torch.from_numpy(distilled.units.standardized(made))
    normal = torch.from_numpy(seen[rng.permutation(len(seen))[:_NORMALS]])
    with torch.no_grad():
        both = signs(normal), signs(outliers)
    classifier, history = train_classifier(*both, settings)
    return Synthesis(distilled.units, signs, classifier, distilled.history + history)


def draw_seed(random_state: Any) -> int:
    """Turn the parameter `random_state` into a seed, without scikit-learn's global generator."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def latent_source(
    distilled: Distilled,
    rows: NDArray[np.float64],
    outskirts: str,
    fraction: float,
    rng: np.random.Generator,
) -> LatentOutliers | BottleneckOutliers:
    """Choose where outliers are decoded from: the variational level, or the first without it.

    Parameters
    ----------
    distilled : Distilled
        What the networks learnt.
    rows : ndarray of shape (n_samples, n_features)
        Standardized training rows.
    outskirts : str
        Criterion, see `OUTSKIRTS`.
    fraction : float
        Of the rows that are outskirts.
    rng : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    LatentOutliers or BottleneckOutliers
        Makes standardized rows.
    """
    known = torch.from_numpy(rows)
    if distilled.variational is None:
        return BottleneckOutliers(distilled.level, known)
    return LatentOutliers(distilled.variational, known, outskirts, fraction, rng)


def sampled(
    source: Any, rows: NDArray[Any], n: int, rng: np.random.Generator, *, who: str
) -> NDArray[np.float64]:
    """Draw outliers from a user's source.

    Parameters
    ----------
    source : OutlierSource
        The parameter.
    rows : ndarray of shape (n_samples, n_features)
        Normal rows in the users' units.
    n : int
        Outliers wanted.
    rng : numpy.random.Generator
        Source of all randomness.
    who : str
        For the message.

    Returns
    -------
    ndarray of shape (n, n_features)
        In the users' units.

    Raises
    ------
    ValueError
        For anything but `n` finite rows of the same width.
    """
    view = rows.view()
    view.flags.writeable = False  # these may be the user's own rows
    wanted = (n, rows.shape[1])
    given = source.sample(view, 0, n, rng)
    try:
        made = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{who} got from outlier_source={source!r} a {type(given).__name__} that holds no "
            f"numbers: {error}. Its sample must return an array of shape {wanted}."
        ) from error
    if made.shape != wanted or not np.isfinite(made).all():
        fault = "" if np.isfinite(made).all() else " with NaN or infinity"
        raise ValueError(
            f"{who} got from outlier_source={source!r} an array of shape {made.shape}{fault}. Its "
            f"sample must return finite rows, here of shape {wanted}."
        )
    return made


class OutlierSynthesizer(FileStorage, BaseEstimator):
    """Outlier source that decodes outliers from the outskirts of a latent space.

    Fitted on the same normal rows as the detector that takes it as its `outlier_source`. Rows of
    several domains are centred on their own means first; what is drawn for a domain is moved to
    its mean. A clone stays fitted, since what was learnt are this parameter's own contents.

    Parameters
    ----------
    n_latent : int, default=8
        Dimensions of the latent space, at most half of the features.
    outskirts : {"coverage", "mahalanobis", "divergence", "random"}, default="coverage"
        Whose latent Gaussians are sampled, see `acr_sklearn.OutlierSynthesisDetector`.
    outskirts_fraction : float, default=0.3
        Fraction of the rows that are outskirts, in (0, 1].
    max_iter : int, default=250
        Optimiser steps of each level.
    learning_rate : float, default=0.002
        Of Adam; it falls to zero along half a cosine.
    random_state : int, RandomState or None, default=None
        Decides what is learnt; None draws fresh entropy.

    Attributes
    ----------
    n_features_in_ : int
        Columns of `X` in fit.
    history_ : list of dict
        Losses of both levels.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn import ZeroShotACRDetector
    >>> from acr_sklearn.outliers import OutlierSynthesizer
    >>> rng = np.random.default_rng(0)
    >>> sites = [rng.normal(rng.normal(0, 3, 4), 1.0, (200, 4)) for _ in range(6)]
    >>> source = OutlierSynthesizer(max_iter=20, random_state=0).fit(sites)
    >>> detector = ZeroShotACRDetector(outlier_source=source, max_iter=5, random_state=0)
    >>> detector.fit(sites).n_iter_
    5
    """

    history_: list[dict[str, object]]
    units_: RowUnits

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_latent": [Interval(Integral, 1, None, closed="left")],
        "outskirts": [StrOptions(set(OUTSKIRTS))],
        "outskirts_fraction": [Interval(Real, 0, 1, closed="right")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, 1e30, closed="right")],
        "random_state": ["random_state"],
    }
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"domains": True}

    def __init__(
        self,
        *,
        n_latent: int = 8,
        outskirts: str = "coverage",
        outskirts_fraction: float = 0.3,
        max_iter: int = 250,
        learning_rate: float = 2e-3,
        random_state: Any = None,
    ):
        self.n_latent = n_latent
        self.outskirts = outskirts
        self.outskirts_fraction = outskirts_fraction
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.random_state = random_state

    def __sklearn_clone__(self) -> Self:
        """Copy with what was learnt, as scikit-learn's FrozenEstimator does."""
        return copy.deepcopy(self)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, *, domains: ArrayLike | None = None) -> Self:
        """Learn how normal rows vary.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list or mapping of such
            Normal rows: what the detector is trained on.
        y : Ignored
            Not used, present for API consistency by convention.
        domains : array-like of shape (n_samples,), default=None
            Label of the domain each row comes from.

        Returns
        -------
        self : object
            Fitted source.

        Raises
        ------
        ValueError
            For input that cannot be trained on.
        """
        data = read_rows(self, X, domains, reset=True, method="fit")
        if len(data.rows) < 2:
            raise ValueError(
                "OutlierSynthesizer.fit got 1 sample. Outliers are made from how rows vary, so at "
                "least 2 are needed: give it some hundred normal rows."
            )
        centred = np.empty(data.rows.shape)
        for own in data.batches():
            centred[own] = data.rows[own] - data.rows[own].mean(axis=0, dtype=np.float64)
        seed = draw_seed(self.random_state)
        settings = TrainingSettings(
            seed=seed,
            learning_rate=self.learning_rate,
            lr_schedule="cosine",
            who=f"{type(self).__name__}.fit",
        )
        distilled = distil(centred, None, self.n_latent, self.max_iter, settings)
        rows = distilled.units.standardized(centred)
        rng = np.random.default_rng((seed, 2))
        self.source_: LatentOutliers | BottleneckOutliers = latent_source(
            distilled, rows, self.outskirts, self.outskirts_fraction, rng
        )
        self.units_, self.history_ = distilled.units, distilled.history
        return self

    def sample(
        self, X: NDArray[Any], domain_index: int, n: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Make outliers beside the rows of one domain.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Normal rows of the domain.
        domain_index : int
            Not used: domains vary alike around their means.
        n : int
            How many.
        rng : numpy.random.Generator
            Source of all randomness.

        Returns
        -------
        ndarray of shape (n, n_features)
            In the units of `X`.

        Raises
        ------
        ValueError
            Before fit, and for rows of another width.
        """
        check_is_fitted(
            self,
            msg="%(name)s.sample was called before fit. Call fit with the normal rows that the "
            "detector is to be trained on, then pass it as outlier_source.",
        )
        if X.shape[1] != self.n_features_in_:
            raise ValueError(
                f"OutlierSynthesizer.sample got rows of {X.shape[1]} features, but was fitted on "
                f"{self.n_features_in_}. Fit it on the rows that the detector is trained on."
            )
        made: Tensor = self.source_.sample(n, rng)
        return self.units_.users(made.numpy()) + X.mean(axis=0, dtype=np.float64)
