"""ContaminationCurveDisplay: the curve is what refitting with each value would give."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score, matthews_corrcoef

from acr_sklearn import ContaminationThreshold
from acr_sklearn.plotting import ContaminationCurveDisplay

pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")


@pytest.mark.parametrize("threshold", ["train", "batch"])
def test_it_is_what_refitting_gives(quick, domains, unseen, trainings, threshold):
    X, y, site = unseen
    detector = quick(threshold=threshold).fit(domains)
    display = ContaminationCurveDisplay.from_estimator(
        detector, X, y, domains=site, metric=matthews_corrcoef
    )
    assert len(trainings) == 1, "drawing trains nothing"
    for i in (3, 12, 20):
        share = float(display.contaminations_[i])
        refitted = quick(threshold=threshold, contamination=share).fit(domains)
        for s in "xyz":
            expected = matthews_corrcoef(y[site == s], refitted.predict(X[site == s]))
            assert display.values_[s][i] == pytest.approx(expected, abs=1e-9)
    assert display.current == 0.1
    assert display.ax_.get_ylabel() == "matthews corrcoef"


def test_the_best_is_the_highest_mean(fitted, unseen):
    X, y, site = unseen
    display = ContaminationCurveDisplay.from_estimator(fitted, X, y, domains=site)
    mean = np.mean(list(display.values_.values()), axis=0)
    assert display.best_ == display.contaminations_[mean.argmax()]
    assert display.ax_.get_ylabel() == "balanced accuracy"


def test_another_detector_is_cut_at_its_own_percentiles(unseen):
    X, y, site = unseen
    own = site == "x"
    forest = IsolationForest(random_state=0).fit(X[own])
    display = ContaminationCurveDisplay.from_estimator(forest, X[own], y[own])
    scores = forest.score_samples(X[own])
    cut = np.where(scores < np.percentile(scores, 50), -1, 1)
    assert display.values_[None][-1] == pytest.approx(balanced_accuracy_score(y[own], cut))
    assert display.current is None


def test_a_set_threshold_is_cut_as_it_cuts_itself(fitted, domains, unseen):
    X, y, site = unseen
    rows, index = np.concatenate(domains), np.repeat(range(6), list(map(len, domains)))
    frozen = FrozenEstimator(fitted)
    cut = ContaminationThreshold(frozen, contamination=0.3).fit(rows, domains=index)
    display = ContaminationCurveDisplay.from_estimator(cut, X, y, domains=site)
    assert display.current == 0.3
    share = float(display.contaminations_[12])
    again = ContaminationThreshold(frozen, contamination=share).fit(rows, domains=index)
    for s in "xyz":
        expected = balanced_accuracy_score(y[site == s], again.predict(X[site == s]))
        assert display.values_[s][12] == pytest.approx(expected)


def test_messages():
    with pytest.raises(ValueError, match="needs at least one domain with both normal rows"):
        ContaminationCurveDisplay.from_predictions([1, 1], [0.1, 0.2])
    with pytest.raises(ValueError, match="got the labels 0, 1 in y"):
        ContaminationCurveDisplay.from_predictions([0, 1], [0.1, 0.2])
