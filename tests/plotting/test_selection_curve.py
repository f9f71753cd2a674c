"""SelectionCurveDisplay: the lines are the selection's, and the weight in use is marked."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from acr_sklearn import FitOnNormals, ZeroShotACRDetector
from acr_sklearn.plotting import SelectionCurveDisplay

pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")

WEIGHTS, AUROC = [0.0, 0.25, 0.5], [[0.5, 0.75, 0.75], [0.75, 0.75, 0.5]]


@pytest.fixture(scope="module")
def marked(domains):
    """X, mask and domains: the last eight rows of five domains are one kind of fault."""
    rows, masks = [], []
    for i, domain in enumerate(domains):
        faulty = (np.arange(len(domain)) >= len(domain) - 8) & (i != 2)
        shift = np.where(faulty, 3.0, 0.0)[:, None] * domain.std(axis=0) * [1, -1, 0, 0, 0]
        rows.append(domain + shift)
        masks.append(faulty)
    sizes = [len(domain) for domain in domains]
    return np.concatenate(rows), np.concatenate(masks), np.repeat(list("abcdef"), sizes)


@pytest.fixture(scope="module")
def taught(marked, quick):
    X, mask, site = marked
    return quick().fit(X, domains=site, known_anomalies=mask)


def chosen_point(display):
    (point,) = [line for line in display.ax_.lines if line.get_marker() == "o"]
    return point


def test_the_lines_are_the_selection(taught):
    told = taught.selection_
    display = SelectionCurveDisplay.from_estimator(taught)
    assert list(display.lines_) == list("abdef")
    for line, values in zip(display.lines_.values(), told["domain_auroc"], strict=True):
        np.testing.assert_array_equal(line.get_xdata(), list(told["auroc"]))
        np.testing.assert_array_equal(line.get_ydata(), values)
    np.testing.assert_allclose(display.mean_, list(told["auroc"].values()))
    (mean,) = [line for line in display.ax_.lines if line.get_label() == "mean of 5 domains"]
    np.testing.assert_array_equal(mean.get_ydata(), display.mean_)
    (x,), (y,) = chosen_point(display).get_data()
    assert x == told["weight"]
    assert y == pytest.approx(told["auroc"][told["weight"]])


def test_a_detector_inside_is_found(taught, marked, quick):
    assert SelectionCurveDisplay.from_estimator(FrozenEstimator(taught)).chosen is not None
    X, mask, site = marked
    wrapped = FitOnNormals(quick(), anomalies="known").fit(X, np.where(mask, -1, 1), domains=site)
    display = SelectionCurveDisplay.from_estimator(wrapped)
    np.testing.assert_array_equal(display.auroc, taught.selection_["domain_auroc"])


def test_the_weight_in_use_is_marked_where_it_is():
    display = SelectionCurveDisplay.from_values(WEIGHTS, AUROC, chosen=0.25)
    assert chosen_point(display).get_label() == "chosen: 0.750 at 0.25"
    assert list(display.values_) == [0, 1]
    none = SelectionCurveDisplay.from_values(WEIGHTS, AUROC, chosen=0)
    assert chosen_point(none).get_label() == "chosen: 0.625 at 0, the consensus alone"
    with pytest.raises(ValueError, match="not enough values"):
        chosen_point(SelectionCurveDisplay.from_values(WEIGHTS, AUROC))


def test_many_domains_are_grey_and_one_has_no_mean():
    values = np.tile(AUROC[0], (9, 1))
    crowd = SelectionCurveDisplay.from_values(WEIGHTS, values)
    assert len(crowd.lines_) == 9
    assert crowd.ax_.get_legend_handles_labels()[1] == ["mean of 9 domains"]
    alone = SelectionCurveDisplay.from_values(WEIGHTS, AUROC[:1], domains=["press"])
    assert alone.ax_.get_legend_handles_labels()[1] == ["press"]


def test_it_draws_where_it_is_told(taught):
    first = SelectionCurveDisplay.from_estimator(taught)
    again = SelectionCurveDisplay.from_values(WEIGHTS, AUROC, ax=first.ax_)
    assert again.figure_ is first.figure_
    # Domains may have any names, those of labels too.
    named = SelectionCurveDisplay.from_values(WEIGHTS, AUROC, domains=np.array([1, -1]))
    assert list(named.lines_) == [1, -1]


def test_what_has_no_selection(fitted, marked, quick):
    match = "found no selection_ on ZeroShotACRDetector: it is not fitted.*known_anomalies="
    for detector in (ZeroShotACRDetector(), fitted):
        with pytest.raises(ValueError, match=match):
            SelectionCurveDisplay.from_estimator(detector)
    X, mask, site = marked
    one = quick().fit(X, domains=site, known_anomalies=mask & (site == "b"))
    with pytest.raises(ValueError, match="known anomalies in one domain, b: none was left"):
        SelectionCurveDisplay.from_estimator(one)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"weights": [0.0, 0.5, 0.25]}, "weights that do not ascend. Sort them"),
        ({"weights": [0.0, 0.25, 0.25]}, "weights that do not ascend"),
        ({"weights": [0.0, 0.25, 2.0]}, "weights from 0 to 2. They lie between 0 and 1"),
        ({"auroc": [[0.5, -0.1, 0.5]]}, "auroc from -0.1 to 0.5"),
        ({"weights": [0.0, 0.25]}, r"auroc of shape \(2, 3\) for 2 weights. It needs a row for"),
        ({"auroc": [0.5, 0.5, 0.5]}, "numbers along 2 axes"),
        ({"auroc": [[0.5, np.nan, 0.5]]}, "auroc that are not finite"),
        ({"domains": ["a"]}, "domains that are no row of 2 labels"),
        ({"domains": "ab"}, "domains that are no row of 2 labels"),
        ({"domains": [["a", "b"], ["c", "d"]]}, "cannot be hashed"),
        ({"domains": np.eye(2)}, "domains that are no row of 2 labels"),
        ({"domains": ["a", "a"]}, "a label twice in domains"),
        ({"chosen": 0.4}, r"none of the weights \[0.0, 0.25, 0.5\]. Pass one of them"),
        ({"chosen": "0.5"}, "chosen weight of type str that is none"),
    ],
)
def test_messages(changes, match):
    given = {"weights": WEIGHTS, "auroc": AUROC} | changes
    with pytest.raises(ValueError, match=f"SelectionCurveDisplay got .*{match}"):
        SelectionCurveDisplay.from_values(**given)
