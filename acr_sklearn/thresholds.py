"""From scores of normal rows to the offset that cuts them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["CALIBRATION_ROWS", "calibration_batches", "contamination_offset"]

#: Rows per calibration batch, where a domain has as many.
CALIBRATION_ROWS = 256


def contamination_offset(scores: NDArray[np.float64], contamination: float) -> float:
    """Score below which the given share of rows lies.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
        Calibration scores, high for normal rows.
    contamination : float
        Share in (0, 0.5].

    Returns
    -------
    float
        The percentile, linearly interpolated, as scikit-learn's own detectors take it.
    """
    return float(np.percentile(scores, 100.0 * contamination))


def calibration_batches(
    domains: list[NDArray[np.int64]], rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Cut each domain at random into batches of min(256, n_domain_rows) rows.

    Parameters
    ----------
    domains : list of ndarray of int
        Positions of the rows of each calibration domain.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    list of ndarray of int
        Disjoint batches; what is left of a domain after its last full batch is not used.
    """
    batches = []
    for rows in domains:
        size = min(CALIBRATION_ROWS, len(rows))
        whole = len(rows) // size
        batches.extend(np.split(rng.permutation(rows)[: whole * size], whole))
    return batches
