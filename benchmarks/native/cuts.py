"""Which rows are called anomalies: our thresholds, and what users of PyOD would take."""

from __future__ import annotations

from importlib import import_module

import numpy as np
from quality.rivals import Method
from sklearn.metrics import balanced_accuracy_score, f1_score

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.thresholds import batch_offsets

#: Share of anomalies that users of PyOD and scikit-learn state, and our default.
CONTAMINATION = 0.1
#: Methods of pythresh that set a threshold by the scores alone, need no further package, and are
#: done with a batch within a tenth of a second.
PYTHRESH = ("AUCP", "CLF", "FILTER", "IQR", "KARCH", "MAD", "MTT", "ZSCORE")
MEASURES = ("f1", "balanced accuracy", "false alarms")


def detector_cuts(model: Method, scores: np.ndarray) -> dict[str, np.ndarray]:
    """Return what a fitted detector of ours flags under each of its thresholds."""
    if not isinstance(model, ZeroShotACRDetector):
        raise TypeError(f"Only ZeroShotACRDetector has these thresholds, not {model!r}.")
    stated, batch = model.contamination, [np.arange(len(scores))]
    out = {}
    for contamination in (CONTAMINATION, "auto"):
        # The offset follows the setting without another fit.
        model.set_params(contamination=contamination)
        out[f"train, {contamination}"] = scores < model.offset_
        own = batch_offsets(scores, batch, contamination, model.calibration_scores_)
        out[f"batch, {contamination}"] = scores < own
    model.set_params(contamination=stated)
    return out


def refitted_cuts(_model: Method, scores: np.ndarray) -> dict[str, np.ndarray]:
    """Return what is flagged of a batch by its scores alone: a stated share, and pythresh."""
    out = {f"{CONTAMINATION}": scores < np.percentile(scores, 100 * CONTAMINATION)}
    for name in PYTHRESH:
        # Imported on use, as PyOD is.
        make = getattr(import_module(f"pythresh.thresholds.{name.lower()}"), name)
        out[f"pythresh {name}"] = make().eval(-scores).astype(bool)
    return out


def rates(flagged: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return F1 and balanced accuracy (anomalies positive), and the share of normals flagged."""
    anomalous = y == -1
    figures = (
        f1_score(anomalous, flagged, zero_division=0.0),
        balanced_accuracy_score(anomalous, flagged),
        flagged[~anomalous].mean(),
    )
    return dict(zip(MEASURES, map(float, figures), strict=True))


def of_detector(model: Method, scores: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return the rates of every threshold of ours, under "cut|measure"."""
    return _named(detector_cuts(model, scores), y)


def of_refitted(model: Method, scores: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return the rates of every threshold of a refitted rival, under "cut|measure"."""
    return _named(refitted_cuts(model, scores), y)


def _named(cuts: dict[str, np.ndarray], y: np.ndarray) -> dict[str, float]:
    return {
        f"{cut}|{measure}": value
        for cut, flagged in cuts.items()
        for measure, value in rates(flagged, y).items()
    }
