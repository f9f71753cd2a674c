"""TrainingCurveDisplay: the lines are the history's."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.plotting import TrainingCurveDisplay


def test_the_lines_are_the_history(fitted):
    display = TrainingCurveDisplay.from_estimator(fitted)
    assert set(display.lines_) == {"train_loss", "valid_loss", "valid_auc"}
    for name, line in display.lines_.items():
        np.testing.assert_array_equal(line.get_ydata(), [row[name] for row in fitted.history_])
        np.testing.assert_array_equal(line.get_xdata(), [row["n_steps"] for row in fitted.history_])
    best = max(fitted.history_, key=lambda row: row["valid_auc"])
    assert display.best_step_ == best["n_steps"]
    assert display.auc_ax_ is not display.ax_


def test_a_detector_inside_is_found(fitted):
    wrapped = FrozenEstimator(Pipeline([("acr", fitted)]))
    assert TrainingCurveDisplay.from_estimator(wrapped).history is fitted.history_


def test_without_held_out_domains_there_is_no_second_scale(quick, domains):
    display = TrainingCurveDisplay.from_estimator(quick(early_stopping=False).fit(domains))
    assert set(display.lines_) == {"train_loss"}
    assert display.auc_ax_ is None
    assert display.best_step_ is None


def test_the_best_is_named_on_either_side():
    rows = [{"n_steps": s, "train_loss": 1.0, "valid_auc": a} for s, a in [(1, 0.9), (2, 0.5)]]
    assert TrainingCurveDisplay.from_history(rows).best_step_ == 1
    assert TrainingCurveDisplay.from_history(rows[::-1]).best_step_ == 1


def test_messages():
    with pytest.raises(
        ValueError, match="found no history_ on ZeroShotACRDetector.*call fit first"
    ):
        TrainingCurveDisplay.from_estimator(ZeroShotACRDetector())
    with pytest.raises(ValueError, match="got an empty history"):
        TrainingCurveDisplay.from_history([])
