"""BatchSizeCurveDisplay: batches of the sizes asked for, each scored by itself."""

import numpy as np
import pytest
from pyod.models.knn import KNN
from sklearn.base import BaseEstimator, OutlierMixin

from acr_sklearn.plotting import BatchSizeCurveDisplay

pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")


class Recorder(OutlierMixin, BaseEstimator):
    """Scores by the distance to the batch's median, and remembers the batches."""

    def __init__(self):
        self.seen = []

    def fit(self, X, y=None):
        return self

    def score_samples(self, X):
        self.seen.append(X)
        return -np.abs(X - np.median(X, axis=0)).sum(axis=1)


def test_batches_have_the_sizes_and_the_share_of_the_domain(unseen):
    X, y, site = unseen
    recorder = Recorder()
    display = BatchSizeCurveDisplay.from_estimator(
        recorder, X, y, domains=site, sizes=(64, 16, 256), n_batches=4, random_state=0
    )
    assert [len(rows) for rows in recorder.seen] == [16] * 4 + [64] * 4 + [16] * 4 + [64] * 4 + [
        16
    ] * 4 + [64] * 4
    odd = {tuple(row) for row in X[y == -1]}
    counts = {
        size: {
            sum(tuple(row) in odd for row in rows) for rows in recorder.seen if len(rows) == size
        }
        for size in (16, 64)
    }
    assert counts == {16: {2}, 64: {8}}
    assert all(len(np.unique(rows, axis=0)) == len(rows) for rows in recorder.seen)
    assert np.isnan(display.means_["x"]).tolist() == [False, False, True]
    assert display.values["y"].shape == (3, 4)


def test_it_repeats_and_takes_every_form_of_input(fitted, unseen):
    X, y, site = unseen
    options = {"sizes": (16, 100), "n_batches": 2, "random_state": 3}
    one = BatchSizeCurveDisplay.from_estimator(fitted, X, y, domains=site, **options)
    listed = BatchSizeCurveDisplay.from_estimator(
        fitted, [X[site == s] for s in "xyz"], y, **options
    )
    for a, b in zip(one.values.values(), listed.values.values(), strict=True):
        np.testing.assert_array_equal(a, b)
    # A batch of all rows is the domain itself.
    assert one.means_["x"][1] == pytest.approx(fitted.score(X[site == "x"], y[site == "x"]))


def test_a_domain_column_pyod_and_a_metric_of_ones_own(quick, domains, unseen):
    X, y, site = unseen
    number = np.searchsorted(["x", "y", "z"], site)
    train = np.concatenate([np.c_[rows, np.full(len(rows), i)] for i, rows in enumerate(domains)])
    detector = quick(domain_column=5).fit(train)
    shown = BatchSizeCurveDisplay.from_estimator(
        detector, np.c_[X, number], y, sizes=[16], n_batches=1
    )
    assert list(shown.values) == [0, 1, 2]

    own = site == "x"

    def share_found(labels, scores):
        lowest = np.argsort(scores)[: (labels == -1).sum()]
        return (labels[lowest] == -1).mean()

    shown = BatchSizeCurveDisplay.from_estimator(
        KNN().fit(X[own & (y == 1)]), X[own], y[own], sizes=[32], n_batches=5, metric=share_found
    )
    assert shown.ax_.get_ylabel() == "share_found"
    assert shown.means_[None].min() > 0.3


def test_messages(fitted, unseen):
    X, y, site = unseen
    with pytest.raises(ValueError, match=r"sizes=\[8, 64\]. It needs batches of at least 16 rows"):
        BatchSizeCurveDisplay.from_estimator(fitted, X, y, sizes=(64, 8))
    with pytest.raises(ValueError, match="found no domain with both labels and at least 128 rows"):
        BatchSizeCurveDisplay.from_estimator(fitted, X, y, domains=site, sizes=[128])
    with pytest.raises(ValueError, match="got the labels 0, 1 in y"):
        BatchSizeCurveDisplay.from_estimator(fitted, X, (y == -1).astype(int), domains=site)


def test_values_at_hand_are_drawn_as_they_are():
    values = {"north": [[0.6, 0.8], [0.9, 0.9]], "south": [[0.5, 0.7], [np.nan, np.nan]]}
    display = BatchSizeCurveDisplay.from_values([16, 64], values, metric_name="recall")
    assert display.means_["north"] == pytest.approx([0.7, 0.9])
    assert np.isnan(display.means_["south"]).tolist() == [False, True]
    assert display.ax_.get_ylabel() == "recall"
    again = BatchSizeCurveDisplay.from_values((16, 64), {"north": [0.6, 0.9]}, ax=display.ax_)
    assert again.ax_ is display.ax_
    assert again.means_["north"].tolist() == [0.6, 0.9]


@pytest.mark.parametrize(
    ("sizes", "values", "says"),
    [
        ([64, 16], {"a": [0.5, 0.6]}, "ascending whole numbers"),
        ([16, 16], {"a": [0.5, 0.6]}, "ascending whole numbers"),
        ([16, 64.5], {"a": [0.5, 0.6]}, "ascending whole numbers"),
        ([16, 64], [[0.5, 0.6]], "needs a mapping"),
        ([16, 64], {}, "needs a mapping"),
        ([16, 64], {"a": [0.5]}, r"values of a of shape \(1,\).*each of the 2 sizes"),
        ([16, 64], {"a": [0.5, np.inf]}, "not finite"),
        ([16, 64], {"a": [0.5, "x"]}, "no numbers"),
        ([16, 64], {"a": [np.nan, np.nan]}, "all nan"),
        ([16, 64], {"a": [[0.5, 0.6], [0.7]]}, "values of a whose rows differ in length"),
    ],
)
def test_values_that_do_not_fit_are_refused(sizes, values, says):
    with pytest.raises(ValueError, match=rf"BatchSizeCurveDisplay\.from_values got .*{says}"):
        BatchSizeCurveDisplay.from_values(sizes, values)
