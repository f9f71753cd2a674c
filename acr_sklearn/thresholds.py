"""From scores to the offset that cuts them: of the training rows, or of each batch by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CALIBRATION_ROWS",
    "batch_offsets",
    "calibration_batches",
    "compact_scores",
    "contamination_offset",
    "estimate_contamination",
    "mad_offset",
    "normal_scores",
    "offset_of_kept",
    "p_values",
]

#: Rows per calibration batch, where a domain has as many.
CALIBRATION_ROWS = 256
#: Calibration scores that a detector keeps.
_KEPT_SCORES = 4096
_KEPT_QUANTILES = (np.arange(_KEPT_SCORES) + 0.5) / _KEPT_SCORES
#: Modified z-score beyond which Iglewicz and Hoaglin call a value an outlier, and the standard
#: normal's upper quartile, which makes it comparable with a standard deviation.
_OUTLYING, _QUARTILE = 3.5, 0.6745
#: Cuts looked at are those below which at most this fraction of calibration scores lies, and the
#: standard errors taken off: chosen on validation domains, see docs/thresholds.md.
_HIGHEST_CUT, _STANDARD_ERRORS = 0.1, 0.25
_MOST = 0.5
#: Standard errors by which low scores must exceed those of normal rows before any is left out: the
#: scores of a clean domain of its own are somewhat unlike those of others.
_EVIDENT = 4.0
#: P-value from which the standard error is that of the normal approximation: below, a single row
#: would be evidence.
_LEAST_CUT = 0.01
#: Share of the calibration rows that the outlier rule cuts off at most: where many scores are
#: nearly equal, the deviation says nothing about the others.
_MOST_OUTLYING = 0.1


def contamination_offset(scores: NDArray[np.float64], contamination: float | str) -> float:
    """Offset that cuts calibration scores.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
        Calibration scores, high for normal rows.
    contamination : float or "auto"
        Fraction in (0, 0.5], or "auto" for `mad_offset`.

    Returns
    -------
    float
        The percentile, linearly interpolated, as scikit-learn's own detectors take it.
    """
    if isinstance(contamination, str):
        return mad_offset(scores)
    # Of fewer bits than a float, a product would be rounded to these.
    return float(np.percentile(scores, 100.0 * float(contamination)))


def mad_offset(scores: NDArray[np.float64]) -> float:
    """Offset below which a score is an outlier among scores of normal rows.

    It is the score whose modified z-score is -3.5: ``median - 3.5 * MAD / 0.6745``, with MAD the
    median absolute deviation [1]_.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
        Calibration scores, high for normal rows.

    Returns
    -------
    float
        At most a tenth of the scores, rounded up, lie below. The lowest score, which cuts off no
        row, when more than half of the scores are equal.

    References
    ----------
    .. [1] B. Iglewicz, D. C. Hoaglin, "How to Detect and Handle Outliers", ASQC Quality Press,
       1993, the modified z-score.
    """
    median = np.median(scores)
    deviation = np.median(np.abs(scores - median))
    if deviation == 0:
        return float(np.min(scores))
    outlying = float(median - _OUTLYING * deviation / _QUARTILE)
    if np.count_nonzero(scores < outlying) > np.ceil(_MOST_OUTLYING * len(scores)):
        return _percentile(scores, _MOST_OUTLYING)
    return outlying


def batch_offsets(
    scores: NDArray[np.float64],
    batches: list[NDArray[np.int64]],
    contamination: float | str,
    calibration: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Offset of each batch, cut by itself.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
        High for normal rows.
    batches : list of ndarray of int
        Positions of the rows of each batch.
    contamination : float or "auto"
        Fraction of every batch to be cut off, or "auto" to estimate it by `estimate_contamination`.
    calibration : ndarray of shape (n_scores,)
        Sorted scores of normal rows; only "auto" looks at them.

    Returns
    -------
    ndarray of shape (n_rows,)
        The offset of the row's batch. Below it lies the fraction asked for, rounded up to whole
        rows; less where scores tie, as rows that score the same are cut off together or not at all.
    """
    offsets = np.empty(len(scores))
    for rows in batches:
        own = scores[rows]
        auto = isinstance(contamination, str)
        fraction = estimate_contamination(own, calibration) if auto else float(contamination)
        offsets[rows] = _percentile(own, fraction)
    return offsets


def _percentile(scores: NDArray[np.float64], fraction: float) -> float:
    """Take the percentile, or the value above it where ties carry the cut past the fraction."""
    offset = np.percentile(scores, 100.0 * fraction)
    # Of n distinct scores ceil(fraction (n - 1)) lie below the percentile; tied ones may be more.
    allowed = np.ceil(fraction * (len(scores) - 1))
    if np.count_nonzero(scores < offset) > allowed:
        offset = scores[scores < offset].max()
    return float(offset)


def estimate_contamination(scores: NDArray[np.float64], calibration: NDArray[np.float64]) -> float:
    """Estimate the fraction of anomalies in a batch.

    The estimator of Meinshausen and Rice [1]_. With p-values p against the calibration scores,
    F(t) the fraction of the batch with p <= t, and d(t) = sqrt(t (1 - t)), it is the largest
    ``(F(t) - t - b d(t)) / (1 - t)``, with b a quarter of ``sqrt(1 / n_rows + 1 / n_scores)``. It
    falls short of the true fraction where anomalies score like normal rows. Unlike the paper's, the
    maximum is over t <= 0.1 only: scores are relative to their batch, so anomalies change the
    scores of its normal rows, least in the lower tail. At b = 0 and one t this is one minus the
    fraction of true hypotheses by Storey [2]_.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
        Of one batch, high for normal rows.
    calibration : ndarray of shape (n_scores,)
        Sorted scores of normal rows in batches of their own.

    Returns
    -------
    float
        In [0, 0.5]; 0 with fewer than 9 calibration scores, which cannot show anything unusual.

    References
    ----------
    .. [1] N. Meinshausen, J. Rice, "Estimating the proportion of false null hypotheses among a
       large number of independently tested hypotheses", Annals of Statistics 34, 2006.
    .. [2] J. D. Storey, "A direct approach to false discovery rates", Journal of the Royal
       Statistical Society B 64, 2002.
    """
    n_rows, n_scores = len(scores), len(calibration)
    t, reached = _low_p_values(scores, calibration)
    if len(t) == 0:
        return 0.0
    # In n normal rows F(t) has the variance t (1 - t) / n; so has the rank among calibration
    # scores that t is read from, with their number.
    noise = _STANDARD_ERRORS * np.sqrt(t * (1 - t) * (1 / n_rows + 1 / n_scores))
    return float(np.clip(((reached - t - noise) / (1 - t)).max(), 0.0, _MOST))


def normal_scores(
    scores: NDArray[np.float64], calibration: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Leave out the lowest scores of a reference where it evidently holds anomalies.

    Evidently: at some p-value t <= 0.1 the share of the reference with one as small exceeds t by
    four standard errors, those at t = 0.01 below it. The share left out is that of
    `estimate_contamination`.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
        Of the reference, high for normal rows.
    calibration : ndarray of shape (n_scores,)
        Sorted scores of normal rows in batches of their own.

    Returns
    -------
    ndarray of shape (n_kept,)
        At least half of the scores; all, in their order, where nothing is evident.
    """
    n_rows = len(scores)
    t, reached = _low_p_values(scores, calibration)
    cut = np.maximum(t, _LEAST_CUT)
    noise = np.sqrt(cut * (1 - cut) * (1 / n_rows + 1 / len(calibration)))
    if not np.any(reached - t > _EVIDENT * noise):
        return scores
    n_left_out = round(estimate_contamination(scores, calibration) * n_rows)
    return np.sort(scores)[n_left_out:]


def _low_p_values(
    scores: NDArray[np.float64], calibration: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """P-values up to the highest cut, ascending, and the share of the scores up to each."""
    t = np.sort(p_values(scores, calibration))
    # At its last occurrence a tied p-value has all of its rows counted.
    reached = np.arange(1, len(scores) + 1) / len(scores)
    low = t <= _HIGHEST_CUT
    return t[low], reached[low]


def p_values(scores: NDArray[np.float64], calibration: NDArray[np.float64]) -> NDArray[np.float64]:
    """Conformal p-values of scores.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
        High for normal rows.
    calibration : ndarray of shape (n_scores,)
        Sorted scores of normal rows.

    Returns
    -------
    ndarray of shape (n_rows,)
        One plus the calibration scores that are as low, over one plus their number.
    """
    # A normal score is the lowest of itself and n others with probability 1 / (n + 1), the least
    # p-value: it is never 0.
    return (1 + np.searchsorted(calibration, scores, side="right")) / (len(calibration) + 1)


def compact_scores(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sort calibration scores, and keep 4096 evenly spaced quantiles of more.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
        In any order.

    Returns
    -------
    ndarray of shape (min(n_rows, 4096),), float64
        Ascending.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    if len(ordered) <= _KEPT_SCORES:
        return ordered
    return np.quantile(ordered, _KEPT_QUANTILES)


def offset_of_kept(kept: NDArray[np.float64], contamination: float | str) -> float:
    """Offset that cuts the scores that `compact_scores` kept as it would have cut all of them.

    Parameters
    ----------
    kept : ndarray of shape (n_scores,)
        As `compact_scores` returns them.
    contamination : float or "auto"
        As in `contamination_offset`.

    Returns
    -------
    float
        Interpolated between the quantiles that the kept scores are, where not all were kept.
    """
    if isinstance(contamination, str) or len(kept) < _KEPT_SCORES:
        return contamination_offset(kept, contamination)
    return float(np.interp(float(contamination), _KEPT_QUANTILES, kept))


def calibration_batches(
    domains: list[NDArray[np.int64]], rng: np.random.Generator, most: int | None = None
) -> list[NDArray[np.int64]]:
    """Cut each domain at random into batches of min(256, n_domain_rows) rows.

    Parameters
    ----------
    domains : list of ndarray of int
        Positions of the rows of each calibration domain.
    rng : numpy.random.Generator
        Source of randomness.
    most : int or None, default=None
        Batches of a domain, so that a large one neither decides nor costs more than others; None
        for all.

    Returns
    -------
    list of ndarray of int
        Disjoint batches; what is left of a domain after its last full batch is not used.
    """
    batches = []
    for rows in domains:
        size = min(CALIBRATION_ROWS, len(rows))
        whole = min(len(rows) // size, most or len(rows))
        batches.extend(np.split(rng.permutation(rows)[: whole * size], whole))
    return batches
