"""How much a discriminant counts, decided on labelled domains that it was not learnt from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acr_sklearn.metrics.detection import auroc
from acr_sklearn.scoring.discriminant import (
    Discriminant,
    LabelledBatch,
    fit_discriminant,
    mixed,
)
from acr_sklearn.scoring.evidence import EvidenceScale

__all__ = ["Selection", "choose_discriminant"]

#: Weights that are tried. The whole score is never the discriminant's: a kind of fault that was
#: never labelled is seen by the consensus alone.
_WEIGHTS = (0.0, 0.25, 0.5, 0.75)
#: Largest weight per labelled domain beyond the first: what holds for one or two domains need not
#: hold for the next.
_WEIGHT_PER_DOMAIN = 0.1
#: Standard errors that are taken off what a weight gains on domains left out. With half of one the
#: native sets gained .0002 more in the mean, but one of them lost .002.
_STANDARD_ERRORS = 1.0
#: Up to so many labelled domains each is left out by itself, of more a fifth at a time.
_LEFT_OUT_SINGLY, _FOLDS = 8, 5


@dataclass(frozen=True)
class Selection:
    """What was chosen, and by which figures.

    Attributes
    ----------
    weight : float
        Of the discriminant in the score; 0 for the consensus alone.
    weights : ndarray of shape (n_weights,)
        What could be chosen, ascending from 0.
    auroc : ndarray of shape (n_domains, n_weights)
        Area under the ROC curve of each labelled domain under each weight, by a discriminant
        learnt from other domains alone; empty where there is but one labelled domain.
    domains : ndarray of shape (n_domains,), int64
        Positions of the labelled domains.
    """

    weight: float
    weights: NDArray[np.float64]
    auroc: NDArray[np.float64]
    domains: NDArray[np.int64]


def choose_discriminant(
    batches: list[LabelledBatch], n_evidence: int
) -> tuple[Discriminant | None, Selection]:
    """Learn a discriminant, and choose its weight by leaving labelled domains out.

    Parameters
    ----------
    batches : list of LabelledBatch
        One or more of every labelled domain, in the order of the domains.
    n_evidence : int
        How many of the inputs are evidence.

    Returns
    -------
    discriminant : Discriminant or None
        Learnt from all labelled domains, under the chosen weight; None where that is 0.
    selection : Selection
        What was chosen.
    """
    domains = np.unique([batch.domain for batch in batches])
    most = min(_WEIGHTS[-1], _WEIGHT_PER_DOMAIN * (len(domains) - 1))
    weights = np.unique(np.minimum(_WEIGHTS, most))
    if len(weights) == 1:
        return None, Selection(0.0, weights, np.empty((0, 1)), domains)
    found: dict[int, list[list[float]]] = {}
    for learnt, left_out in _folds(batches, domains):
        discriminant = fit_discriminant(learnt, n_evidence)
        for batch in left_out:
            own, agreed = _discriminant(discriminant, batch), torch.from_numpy(batch.consensus)
            scores = [mixed(agreed, own, weight).numpy() for weight in weights]
            parted = [(s[batch.anomalous], s[~batch.anomalous]) for s in scores]
            found.setdefault(batch.domain, []).append([auroc(*both) for both in parted])
    by_domain = np.array([np.mean(found[int(domain)], axis=0) for domain in domains])
    weight = _chosen(by_domain, weights)
    selection = Selection(weight, weights, by_domain, domains)
    if not weight:
        return None, selection
    return replace(fit_discriminant(batches, n_evidence), weight=weight), selection


def _folds(
    batches: list[LabelledBatch], domains: NDArray[np.int64]
) -> Iterator[tuple[list[LabelledBatch], list[LabelledBatch]]]:
    """Yield batches to learn from, and those of the domains left out."""
    n = len(domains)
    n_folds = n if n <= _LEFT_OUT_SINGLY else _FOLDS
    # Neighbours in the order of names are likelier releases or months of one thing than others
    # are, and are left out together.
    fold = dict(zip(domains.tolist(), (np.arange(n) * n_folds // n).tolist(), strict=True))
    for left_out in range(n_folds):
        yield (
            [batch for batch in batches if fold[batch.domain] != left_out],
            [batch for batch in batches if fold[batch.domain] == left_out],
        )


def _discriminant(discriminant: Discriminant, batch: LabelledBatch) -> Tensor:
    """Standardised discriminant of the rows of a batch, as it is in a score."""
    own = batch.inputs @ np.concatenate([discriminant.evidence, discriminant.values])
    found = torch.from_numpy(own)[None]
    return EvidenceScale.of(found).standardise(found)[0]


def _chosen(by_domain: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Take the weight that is best by what is surely gained over none."""
    gains = by_domain - by_domain[:, :1]
    errors = gains.std(axis=0) / math.sqrt(len(gains))
    sure = gains.mean(axis=0) - _STANDARD_ERRORS * errors
    # The first of equals: argmax takes the smallest weight.
    return float(weights[int(np.argmax(np.round(sure, 6)))])
