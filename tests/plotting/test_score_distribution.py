"""ScoreDistributionDisplay: every row is in one bar, and the line is the threshold."""

import numpy as np
import pytest
from pyod.models.knn import KNN

from acr_sklearn.plotting import ScoreDistributionDisplay

pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")


def heights(bars):
    return np.array([bar.get_height() for bar in bars])


def test_every_row_is_in_one_bar(fitted, unseen):
    X, y, site = unseen
    own = site == "x"
    display = ScoreDistributionDisplay.from_estimator(fitted, X[own], y[own], bins=20)
    normal, anomalous = display.bars_[None]
    assert heights(normal).sum() == 88
    assert heights(anomalous).sum() == 12
    assert display.line_.get_xdata()[0] == 0
    # Left of the line lie as many rows as predict calls anomalies, to the width of a bar.
    below = sum(
        bar.get_height()
        for bars in (normal, anomalous)
        for bar in bars
        if bar.get_x() + bar.get_width() <= 0
    )
    flagged = (fitted.predict(X[own]) == -1).sum()
    assert below <= flagged <= below + max(heights(normal) + heights(anomalous))


def test_one_row_of_bars_per_domain_each_its_own_batch(fitted, unseen):
    X, y, site = unseen
    display = ScoreDistributionDisplay.from_estimator(fitted, X, y, domains=site)
    assert list(display.bars_) == ["z", "y", "x"]  # from below
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["z", "y", "x"]
    np.testing.assert_allclose(display.scores, fitted.decision_function(X, domains=site), rtol=1e-9)
    for normal, anomalous in display.bars_.values():
        assert (heights(normal) + heights(anomalous)).max() == pytest.approx(1)
    listed = ScoreDistributionDisplay.from_estimator(fitted, [X[site == s] for s in "xyz"], y)
    np.testing.assert_allclose(listed.scores, display.scores, rtol=1e-9)
    assert set(listed.bars_) == {0, 1, 2}


def test_one_gross_anomaly_does_not_squash_the_others():
    scores = [1.0, 2.0, 1.5, -0.5, -1e6]
    display = ScoreDistributionDisplay.from_predictions(scores, bins=10)
    assert display.ax_.get_xlim()[0] > -10
    assert "first bar: 1 of the rows lie below -6" in display.ax_.get_title(loc="left")
    assert heights(display.bars_[None][0]).sum() == 5


@pytest.mark.parametrize(("scores", "threshold"), [([1.0, 1.0], None), ([-3.0, -2.0], 0.0)])
def test_odd_cases_are_drawn(scores, threshold):
    display = ScoreDistributionDisplay.from_predictions(scores, threshold=threshold)
    assert heights(display.bars_[None][0]).sum() == 2
    assert (display.line_ is None) == (threshold is None)


def test_pyods_scores_are_turned_and_cut_at_its_threshold(unseen):
    X, y, site = unseen
    own = site == "x"
    detector = KNN(contamination=0.12).fit(X[own])
    display = ScoreDistributionDisplay.from_estimator(detector, X[own], y[own])
    flagged = detector.predict(X[own]) == 1
    np.testing.assert_array_equal(np.asarray(display.scores) < 0, flagged)


def test_messages():
    with pytest.raises(ValueError, match="got scores that are not finite"):
        ScoreDistributionDisplay.from_predictions([1.0, np.nan])
    with pytest.raises(ValueError, match=r"got scores of shape \(1, 2\). It needs numbers along 1"):
        ScoreDistributionDisplay.from_predictions([[1.0, 2.0]])
    with pytest.raises(ValueError, match="got the labels 0, 1 in y.*PyOD's labels"):
        ScoreDistributionDisplay.from_predictions([1.0, 2.0], [0, 1])
