"""Domain discriminability: rows of domains told apart serve as outliers of one another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn._input.validation import LARGEST_SINGLE
from acr_sklearn.domains.covariance import fit_within_domain_covariance, whitened
from acr_sklearn.domains.feature_scale import positions_by_domain
from acr_sklearn.metrics.detection import auroc

__all__ = ["domain_discriminability"]

#: Pairs of domains that are compared, and rows that either half of a domain gives to a pair.
_PAIRS, _ROWS = 50, 100
_RIDGE = 0.1


def domain_discriminability(rows: NDArray[Any], index: NDArray[np.int64], seed: int) -> float:
    """Mean AUROC at which rows of one domain are told from rows of another.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Training rows in the users' units.
    index : ndarray of shape (n_rows,)
        Domain of each row, 0..n_domains-1, at least two domains of at least two rows.
    seed : int
        Halves the domains, and chooses 50 pairs of them and 100 rows of each half.

    Returns
    -------
    float
        Mean AUROC of the linear discriminant (Fisher, 1936) learnt from half of the rows, on the
        other half; 0.5 when domains are alike, 1 when they lie apart. The covariance is learnt as
        well: on rows that it has seen, few rows of many features always lie apart.
    """
    n_domains = int(index.max()) + 1
    rng = np.random.default_rng((seed, 3))
    parts = positions_by_domain(index, n_domains)
    halves = [np.array_split(rng.permutation(part), 2) for part in parts]
    learnt = np.concatenate([half for half, _ in halves])
    covariance = fit_within_domain_covariance(rows[learnt], index[learnt], n_domains, seed)
    whitening = covariance.whitening(_RIDGE)

    def white_rows(half: NDArray[np.int64]) -> NDArray[np.float64]:
        few = rows[rng.permutation(half)[:_ROWS]]
        with np.errstate(over="ignore"):
            moved = (few - covariance.scale.location) / covariance.scale.scale
        # As in training; see `FeatureScale.training_rows`.
        moved = np.clip(moved, -LARGEST_SINGLE, LARGEST_SINGLE)
        white: NDArray[np.float64] = whitened(moved, whitening)
        return white

    values = []
    for _ in range(_PAIRS):
        one, other = rng.choice(n_domains, 2, replace=False)
        (learnt_a, a), (learnt_b, b) = (map(white_rows, halves[domain]) for domain in (one, other))
        direction = learnt_a.mean(axis=0) - learnt_b.mean(axis=0)
        values.append(auroc(a @ direction, b @ direction))
    return float(np.mean(values))
