"""Can the training domains be told apart? If not, rows of one are poor outliers for another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from acr_sklearn.normal_shape import NormalShape
from acr_sklearn.scaling import positions_by_domain

__all__ = ["separability"]

_PAIRS, _ROWS = 50, 200
_RIDGE = 0.1


def separability(
    rows: NDArray[Any], index: NDArray[np.int64], shape: NormalShape, seed: int
) -> float:
    """How well rows of one domain can be told from rows of another, on average.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Training rows in the users' units.
    index : ndarray of shape (n_rows,)
        Domain of each row, 0..n_domains-1, at least two domains.
    shape : NormalShape
        Pooled within-domain covariance of those rows.
    seed : int
        Chooses 50 pairs of domains and 200 rows of each.

    Returns
    -------
    float
        Mean AUROC of the linear discriminant (Fisher, 1936) learnt from half of a pair's rows, on
        the other half; 0.5 when domains are alike, 1 when they lie apart.
    """
    parts = positions_by_domain(index, int(index.max()) + 1)
    whitening = shape.inverse_spread(_RIDGE)
    rng = np.random.default_rng((seed, 3))
    values = []
    for _ in range(_PAIRS):
        chosen = rng.choice(len(parts), 2, replace=False)
        halves = []
        for part in (parts[domain] for domain in chosen):
            few = rows[part[rng.permutation(len(part))[:_ROWS]]]
            white = ((few - shape.scale.location) / shape.scale.scale) @ shape.axes * whitening
            halves.append(np.array_split(white, 2))
        (learnt_a, a), (learnt_b, b) = halves
        direction = learnt_a.mean(axis=0) - learnt_b.mean(axis=0)
        values.append(_auc(a @ direction, b @ direction))
    return float(np.mean(values))


def _auc(above: NDArray[np.float64], below: NDArray[np.float64]) -> float:
    """Share of pairs in the right order, ties counted half (Mann and Whitney, 1947)."""
    ranks = rankdata(np.concatenate([above, below]))[: len(above)]
    return float((ranks.mean() - (len(above) + 1) / 2) / len(below))
