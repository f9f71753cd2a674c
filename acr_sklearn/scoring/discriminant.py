"""Linear discriminant between normal rows and known kinds of anomaly, and its part of a score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

__all__ = [
    "Discriminant",
    "LabelledBatch",
    "discriminant_inputs",
    "fit_discriminant",
    "mixed",
    "projected",
    "projected_values",
]

#: Inverse of the penalty. With .001, .01 and .1 the discriminant alone had mean AUROC .837, .831
#: and .832 on four of the native sets, mixed with the consensus by the weight chosen in training
#: .841, .842 and .845; see docs/known_anomalies.md.
_INVERSE_PENALTY = 0.1
#: Rows that each domain counts as, half of them normal: what a domain weighs must not hang on how
#: many of its anomalies happen to be known.
_ROWS_PER_DOMAIN = 200.0
#: How far a discriminant may lower a row below the consensus, in units where the median row has 0,
#: one at one spread .7, at three 1.4. Without a bound, kinds of fault that were never
#: labelled lost .034 in mean AUROC on the native sets, .19 at worst; with it .005 and .025. Of what
#: labels gain on labelled kinds, .0185, the bound costs .003.
_LARGEST_DROP = 0.4
#: Quasi-Newton steps: the fit is smooth and penalised, more of them change no digit that counts.
_STEPS, _TOLERANCE = 200, 1e-3


@dataclass(frozen=True)
class Discriminant:
    """Weights of a row's evidence and of its values.

    The discriminant of a row is ``u @ evidence + [s, |s|] @ values`` with u its standardised
    evidence and s its normal scores in the batch: what is known of faults elsewhere, in the terms
    of the batch at hand. Where a fault shows on one side of a feature, s tells; where on either,
    |s|.

    Attributes
    ----------
    evidence : ndarray of shape (n_evidence,)
        Weights of the standardised evidence.
    values : ndarray of shape (2 * n_features,)
        Weights of the normal scores, then of their absolute values.
    weight : float
        Part of the discriminant in the score, in [0, 1]; the consensus has the rest.
    """

    evidence: NDArray[np.float64]
    values: NDArray[np.float64]
    weight: float


@dataclass(frozen=True)
class LabelledBatch:
    """Batch of one domain in which it is known which rows are anomalies.

    Attributes
    ----------
    domain : int
        Position of the domain.
    inputs : ndarray of shape (n_samples, n_evidence + 2 * n_features)
        Of `discriminant_inputs`.
    consensus : ndarray of shape (n_samples,)
        Consensus of the evidence.
    anomalous : ndarray of shape (n_samples,), bool
        Which rows are anomalies.
    """

    domain: int
    inputs: NDArray[np.float64]
    consensus: NDArray[np.float64]
    anomalous: NDArray[np.bool_]


def discriminant_inputs(standardised: Tensor, scores: Tensor) -> Tensor:
    """Put together what the discriminant is linear in.

    Parameters
    ----------
    standardised : Tensor of shape (n_evidence, n_samples)
        Of `EvidenceScale.standardise`.
    scores : Tensor of shape (n_samples, n_features)
        Normal scores of the rows, of `ValueGrid`.

    Returns
    -------
    Tensor of shape (n_samples, n_evidence + 2 * n_features)
        Evidence, normal scores, their absolute values.
    """
    return torch.cat([standardised.mT, scores, scores.abs()], dim=1)


def fit_discriminant(
    batches: list[LabelledBatch], n_evidence: int, weight: float = 1.0
) -> Discriminant:
    """Learn what tells known anomalies from normal rows in any domain.

    Logistic regression with a penalty on squares. Every domain counts alike, and so do the normal
    and the anomalous rows of each.

    Parameters
    ----------
    batches : list of LabelledBatch
        With normal rows and anomalies in every one.
    n_evidence : int
        How many of the inputs are evidence.
    weight : float, default=1.0
        Of the discriminant that is returned.

    Returns
    -------
    Discriminant
        The weights of the inputs; no constant, which changes no order within a batch.
    """
    inputs = np.concatenate([batch.inputs for batch in batches])
    anomalous = np.concatenate([batch.anomalous for batch in batches])
    domain = np.concatenate([np.full(len(b.inputs), b.domain) for b in batches])
    kind = np.unique(2 * domain + anomalous, return_inverse=True)[1]
    row_weights = _ROWS_PER_DOMAIN / 2 / np.bincount(kind)[kind]
    model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=_STEPS, tol=_TOLERANCE)
    coefficients = model.fit(inputs, anomalous, sample_weight=row_weights).coef_[0]
    return Discriminant(coefficients[:n_evidence], coefficients[n_evidence:], weight)


def projected(scores: Tensor, weights: Tensor) -> Tensor:
    """Weigh the values of rows.

    Parameters
    ----------
    scores : Tensor of shape (n_samples, n_features)
        Normal scores.
    weights : Tensor of shape (2 * n_features,)
        `Discriminant.values`.

    Returns
    -------
    Tensor of shape (n_samples,)
        The part of the discriminant that values have, high for rows like known anomalies.
    """
    signed, absolute = weights.chunk(2)
    return scores @ signed + scores.abs() @ absolute


def projected_values(scores: Tensor, weights: Tensor) -> Tensor:
    """Take apart by feature what `projected` returns.

    Parameters
    ----------
    scores : Tensor of shape (n_samples, n_features)
        As in `projected`.
    weights : Tensor of shape (2 * n_features,)
        As in `projected`.

    Returns
    -------
    Tensor of shape (n_samples, n_features)
        Summed over the features what `projected` returns.
    """
    signed, absolute = weights.chunk(2)
    return scores * signed + scores.abs() * absolute


def mixed(agreed: Tensor, found: Tensor, weight: float) -> Tensor:
    """Mix the consensus with a discriminant, so that this raises rows more than it lowers them.

    Parameters
    ----------
    agreed : Tensor of shape (n_samples,)
        Consensus of the evidence.
    found : Tensor of shape (n_samples,)
        Discriminant, brought to the same scale in the batch.
    weight : float
        Part of the discriminant, in [0, 1].

    Returns
    -------
    Tensor of shape (n_samples,)
        ``max((1 - weight) * agreed + weight * found, agreed - 0.4)``: what is unlike all known
        faults may still be one of a kind that was never labelled.
    """
    return torch.maximum(torch.lerp(agreed, found, weight), agreed - _LARGEST_DROP)
