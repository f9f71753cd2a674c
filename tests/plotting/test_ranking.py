"""DomainRocDisplay and DomainPrecisionRecallDisplay: the curves and areas of each domain."""

import numpy as np
import pytest
from matplotlib import pyplot
from sklearn.metrics import auc, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from acr_sklearn.plotting import DomainPrecisionRecallDisplay, DomainRocDisplay

pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")
BOTH = pytest.mark.parametrize("display", [DomainRocDisplay, DomainPrecisionRecallDisplay])


def test_the_area_is_that_of_the_batch_by_itself(fitted, unseen):
    X, y, site = unseen
    display = DomainRocDisplay.from_estimator(fitted, X, y, domains=site)
    for s in "xyz":
        own = roc_auc_score(y[site == s], fitted.score_samples(X[site == s]))
        assert display.areas_[s] == pytest.approx(own)
        assert auc(*display.curves_[s]) == pytest.approx(own)
    assert "mean of 3 domains" in display.ax_.get_title()
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == [f"{s}  {display.areas_[s]:.3f}" for s in "xyz"]


@BOTH
def test_perfect_and_perverse_scores(display):
    y, scores = [1, 1, 1, -1], [3.0, 2.0, 4.0, 1.0]
    perfect = display.from_predictions(y, scores)
    assert perfect.areas_ == {None: 1.0}
    worst = display.from_predictions(y, -np.array(scores))
    assert worst.areas_[None] <= 0.25
    assert perfect.ax_.get_legend() is None


def test_precision_and_recall_are_those_of_anomalies():
    display = DomainPrecisionRecallDisplay.from_predictions([1, 1, -1, -1], [4.0, 1.0, 2.0, 0.5])
    recall, precision = display.curves_[None]
    assert sorted(zip(recall.tolist(), precision.round(3).tolist(), strict=True)) == [
        (0.5, 0.5),
        (0.5, 1.0),
        (1.0, 0.5),
        (1.0, 0.667),
    ]


@BOTH
def test_axes_given_and_a_pipeline(display, quick, domains, unseen):
    X, y, site = unseen
    own = site == "y"
    pipe = make_pipeline(StandardScaler(), quick())
    rows = np.concatenate(domains)
    labels = np.repeat(range(6), list(map(len, domains)))
    pipe.fit(rows, zeroshotacrdetector__domains=labels)
    _, ax = pyplot.subplots()
    shown = display.from_estimator(pipe, X[own], y[own], ax=ax)
    assert shown.ax_ is ax
    again = display.from_predictions(y[own], pipe.score_samples(X[own]))
    assert again.areas_ == shown.areas_


@BOTH
def test_many_domains_and_those_of_one_label(display):
    rng = np.random.default_rng(0)
    y = np.tile([1, 1, 1, -1], 30)
    site = np.repeat(range(12), 10)
    y[site == 3] = 1
    shown = display.from_predictions(y, rng.normal(size=120), domains=site)
    assert len(shown.lines_) == len(shown.areas_) == 11
    assert shown.ax_.get_legend() is None


@BOTH
def test_messages(display, fitted):
    with pytest.raises(ValueError, match=f"{display.__name__} needs at least one domain with both"):
        display.from_predictions([1, 1], [0.1, 0.2])
    with pytest.raises(ValueError, match="got the labels 0, 1 in y.*PyOD's labels"):
        display.from_predictions([0, 1], [0.1, 0.2])
    X = [np.ones((20, 5)), np.zeros((20, 5))]
    with pytest.raises(ValueError, match=r"from_estimator got domains= although X is a list"):
        display.from_estimator(fitted, X, np.ones(40), domains=np.repeat(["a", "b"], 20))


def test_a_domain_column_is_found_and_may_not_be_said_twice(quick, domains, unseen):
    X, y, site = unseen
    numbers = np.searchsorted(["x", "y", "z"], site)
    train = np.concatenate([np.c_[rows, np.full(len(rows), i)] for i, rows in enumerate(domains)])
    detector = quick(domain_column=5).fit(train)
    display = DomainRocDisplay.from_estimator(detector, np.c_[X, numbers], y)
    assert list(display.areas_) == [0, 1, 2]
    with pytest.raises(ValueError, match=r"got domains= although domain_column=5. Say once"):
        DomainRocDisplay.from_estimator(detector, np.c_[X, numbers], y, domains=site)
