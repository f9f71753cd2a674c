"""Measures of anomaly maps: by image, by pixel and by defective region.

ROC and precision-recall curves are scikit-learn's, connected regions are SciPy's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import label
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from acr_sklearn._input.numbers import read_numbers
from acr_sklearn._input.parameters import is_real
from acr_sklearn._input.validation import FOREIGN_ERRORS, plain_array

__all__ = ["f1_max", "per_region_overlap", "segmentation_scores"]

#: Regions whose pixels touch at a corner are one region.
_NEIGHBOURHOOD = np.ones((3, 3), int)


def f1_max(y_true: ArrayLike, anomaly_score: ArrayLike) -> float:
    """Largest F1 score over all thresholds.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        True for anomalies.
    anomaly_score : array-like of shape (n,)
        High = abnormal.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        When there is no anomaly, and for labels or scores that are none.

    Examples
    --------
    >>> from acr_sklearn import f1_max
    >>> f1_max([False, False, True, True], [0.1, 0.6, 0.5, 0.9])
    0.8
    """
    truth = _read_truth(y_true, "f1_max", "y_true").ravel()
    if not truth.any():
        raise ValueError("f1_max got no anomaly in y_true; it needs at least one.")
    scores = read_numbers(anomaly_score, None, who="f1_max", what="anomaly_score").ravel()
    if len(scores) != len(truth):
        raise ValueError(f"f1_max got {len(truth)} labels in y_true for {len(scores)} scores.")
    precision, recall, _ = precision_recall_curve(truth, scores)
    both = precision + recall
    return float(np.max(2 * precision * recall / np.where(both > 0, both, 1.0)))


def per_region_overlap(masks: ArrayLike, maps: ArrayLike, *, max_fpr: float = 0.3) -> float:
    """Per-region overlap (PRO), averaged up to a false-positive rate.

    At every threshold the fraction of pixels found is averaged over the connected defective
    regions, so that small defects weigh as much as large ones; the area under that curve over the
    false-positive rate of the normal pixels is divided by `max_fpr`. P. Bergmann, M. Fauser,
    D. Sattlegger, C. Steger, "Uninformed Students", CVPR 2020, section 4.

    Parameters
    ----------
    masks : array-like of shape (n_images, height, width), bool
        True on defects.
    maps : array-like of the shape of `masks`
        Anomaly maps, high = abnormal.
    max_fpr : float, default=0.3
        False-positive rate up to which the curve counts, in (0, 1].

    Returns
    -------
    float
        Between 0 and 1. Tied pixels are found together, and the curve is straight between two
        thresholds.

    Raises
    ------
    ValueError
        For masks of another shape than the maps, without a defect or without a normal pixel, for
        maps that are not finite, and for `max_fpr` out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn import per_region_overlap
    >>> masks = np.zeros((1, 4, 4), bool)
    >>> masks[0, 1, 1] = True
    >>> per_region_overlap(masks, masks.astype(float))
    1.0
    """
    who = "per_region_overlap"
    truth, scores = _read_maps(masks, maps, who)
    if not is_real(max_fpr) or not 0 < float(max_fpr) <= 1:
        raise ValueError(f"{who} got max_fpr={max_fpr!r}; it needs a rate in (0, 1].")
    if not truth.any() or truth.all():
        raise ValueError(
            f"{who} needs defective and normal pixels; the masks have only one of them."
        )
    # What one pixel adds, on being found, to the mean overlap of the regions.
    gain = np.zeros(truth.shape)
    n_regions = 0
    for image in range(len(truth)):
        regions, n = label(truth[image], _NEIGHBOURHOOD)
        sizes = np.bincount(regions.ravel(), minlength=n + 1)
        gain[image] = np.where(regions > 0, 1.0 / sizes[regions], 0.0)
        n_regions += n
    order = np.argsort(-scores, axis=None, kind="stable")
    last_of_tie = np.append(np.diff(scores.ravel()[order]) != 0, True)
    overlap = np.cumsum(gain.ravel()[order])[last_of_tie] / n_regions
    normal = np.cumsum(~truth.ravel()[order])[last_of_tie]
    rate = np.concatenate([[0.0], normal / normal[-1]])
    overlap = np.concatenate([[0.0], overlap])
    return _area(rate, overlap, float(max_fpr)) / float(max_fpr)


def _area(x: NDArray[np.float64], y: NDArray[np.float64], end: float) -> float:
    """Area under straight pieces from 0 to `end`."""
    inside = x <= end
    n = int(inside.sum())
    if n < len(x):
        step = x[n] - x[n - 1]
        at_end = y[n - 1] + (y[n] - y[n - 1]) * (end - x[n - 1]) / step
        x, y = np.append(x[:n], end), np.append(y[:n], at_end)
    return float(np.trapezoid(y, x))


def segmentation_scores(
    masks: ArrayLike, maps: ArrayLike, image_scores: ArrayLike | None = None
) -> dict[str, float]:
    """Measure the maps of one product as MVTec AD's protocol does.

    Parameters
    ----------
    masks : array-like of shape (n_images, height, width), bool
        True on defects; an image is anomalous when it has any.
    maps : array-like of the shape of `masks`
        Anomaly maps, high = abnormal.
    image_scores : array-like of shape (n_images,), default=None
        High = abnormal; the maximum of each map unless given.

    Returns
    -------
    dict of str to float
        `image_auroc`, `image_ap`, `image_f1_max`, `pixel_auroc`, `pixel_ap`, `pixel_f1_max` and
        `pro`; the image ones are nan when all images are anomalous or none is.

    Raises
    ------
    ValueError
        As in `per_region_overlap`.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn import segmentation_scores
    >>> masks = np.zeros((2, 4, 4), bool)
    >>> masks[0, 1, 1] = True
    >>> segmentation_scores(masks, masks.astype(float))["pixel_auroc"]
    1.0
    """
    who = "segmentation_scores"
    truth, scores = _read_maps(masks, maps, who)
    by_image = scores.max(axis=(1, 2))
    if image_scores is not None:
        by_image = read_numbers(image_scores, 1, who=who, what="image_scores")
    if by_image.shape != (len(truth),):
        raise ValueError(
            f"{who} got image_scores of shape {by_image.shape} for {len(truth)} images; it needs "
            "one number per image."
        )
    is_anomalous = truth.any(axis=(1, 2))
    one_kind = is_anomalous.all() or not is_anomalous.any()
    pro = per_region_overlap(truth, scores)
    found = {
        f"image_{name}": float("nan") if one_kind else value(is_anomalous, by_image)
        for name, value in _CURVES.items()
    }
    found |= {
        f"pixel_{name}": value(truth.ravel(), scores.ravel()) for name, value in _CURVES.items()
    }
    return {name: float(value) for name, value in found.items()} | {"pro": pro}


_CURVES = {"auroc": roc_auc_score, "ap": average_precision_score, "f1_max": f1_max}


def _read_maps(
    masks: ArrayLike, maps: ArrayLike, who: str
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    truth = _read_truth(masks, who, "masks")
    scores = read_numbers(maps, None, who=who, what="maps")
    if truth.ndim != 3 or truth.shape != scores.shape:
        raise ValueError(
            f"{who} got masks of shape {truth.shape} and maps of shape {scores.shape}; both need "
            "the same (n_images, height, width). Resize the maps to the masks: "
            "anomaly_maps(..., image_size=masks.shape[1:])."
        )
    return truth, scores


def _read_truth(given: ArrayLike, who: str, what: str) -> NDArray[np.bool_]:
    """Read truth values, or bytes that stand for them."""
    truth = plain_array(given, who=who, what=what)
    try:
        truth = np.asarray(truth)
        known = truth.dtype.kind in "biuf" or truth.dtype == object
        known = known and bool(np.isin(truth, (0, 1, 255)).all())
        if known:
            return np.asarray(truth, dtype=bool)
    except FOREIGN_ERRORS as error:
        raise ValueError(
            f"{who} got {what} of type {type(given).__name__} that are no truth values: {error}."
        ) from error
    raise ValueError(f"{who} got {what} with values other than 0, 1 and 255.")
