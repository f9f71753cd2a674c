"""DomainMapDisplay: what is near in statistics is near in the picture, what is unlike is far."""

import pickle

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from acr_sklearn.plotting import DomainMapDisplay

pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")


def far(display):
    """Distance of each batch to the nearest training domain, in the picture."""
    gaps = display.batch_points_[:, None] - display.training_points_
    return np.linalg.norm(gaps, axis=2).min(axis=1)


@pytest.fixture(scope="module")
def whole(quick, domains):
    return quick(early_stopping=False).fit(domains)


def test_unlike_batches_lie_far_and_like_ones_near(whole, make_domain):
    like, unlike = make_domain(90), make_domain(91) * [1, 40, 1, 1, 0.02]
    display = DomainMapDisplay.from_estimator(whole, [like, unlike])
    near, away = far(display)
    assert away > 3 * near
    assert display.distances[0] < 1 < display.distances[1]
    assert display.training_points_.shape == (6, 2)
    assert display.explained_[0] >= display.explained_[1] >= 0
    texts = [text.get_text() for text in display.ax_.texts]
    assert {"0", "5", f"1 ({display.distances[1]:.1f})"} <= set(texts)
    # The larger distance of the two views is at most the one over all directions.
    gaps = np.linalg.norm(display.batches[:, None] - display.training, axis=2).min(axis=1)
    assert (gaps >= 0.99 * display.distances).all()


def test_a_shift_moves_the_center_only(whole, make_domain):
    rows = make_domain(90)
    both = {}
    for statistic in ("spread", "center"):
        display = DomainMapDisplay.from_estimator(whole, [rows, rows + 1000], statistic=statistic)
        both[statistic] = np.ptp(display.batches, axis=0).max()
    assert both["spread"] == pytest.approx(0, abs=1e-3)
    assert both["center"] > 10


def test_domains_held_out_are_not_shown(fitted, make_domain):
    display = DomainMapDisplay.from_estimator(fitted, make_domain(90))
    assert len(display.training_labels) == len(display.training) == 5
    assert display.batch_labels == ["new batch"]


def test_labels_pipelines_and_pickles(quick, domains, make_domain):
    rows, names = np.concatenate(domains), np.repeat(list("abcdef"), list(map(len, domains)))
    pipe = make_pipeline(StandardScaler(), quick(early_stopping=False))
    pipe.fit(rows, zeroshotacrdetector__domains=names)
    new = np.concatenate([make_domain(90), make_domain(91)])
    site = np.repeat(["north", "south"], 120)
    display = DomainMapDisplay.from_estimator(pipe, new, domains=site)
    assert display.training_labels == list("abcdef")
    assert display.batch_labels == ["north", "south"]
    frozen = FrozenEstimator(pickle.loads(pickle.dumps(pipe)))
    again = DomainMapDisplay.from_estimator(frozen, new, domains=site)
    np.testing.assert_allclose(again.batch_points_, display.batch_points_)
    display.plot(names=False)
    assert len(display.ax_.texts) == 2
    with pytest.raises(ValueError, match="a list of data sets for a Pipeline.*Use concat_domains"):
        DomainMapDisplay.from_estimator(pipe, [new])


def test_crowded_texts_keep_apart():
    points = np.zeros((6, 3))
    display = DomainMapDisplay(points, points[:2], list("abcdef"), ["u", "v"], np.array([0, 2.0]))
    heights = sorted(text.xyann[1] for text in display.plot().ax_.texts)
    assert np.diff(heights).min() >= 0.04
    assert display.explained_.tolist() == [0, 0]


def test_messages(whole, quick, domains):
    with pytest.raises(ValueError, match="statistic='mean'. It can be one of"):
        DomainMapDisplay.from_estimator(whole, domains[0], statistic="mean")
    two = quick(early_stopping=False).fit(domains[:2])
    with pytest.raises(ValueError, match="no measurements of training domains.*at least 3"):
        DomainMapDisplay.from_estimator(two, domains[0])


def test_statistics_at_hand_are_drawn_as_they_are(fitted, unseen):
    X, _, site = unseen
    one = DomainMapDisplay.from_estimator(fitted, X, domains=site)
    again = DomainMapDisplay.from_values(
        *(one.training, one.batches, one.distances),
        training_labels=one.training_labels,
        batch_labels=one.batch_labels,
    )
    np.testing.assert_array_equal(again.training_points_, one.training_points_)
    np.testing.assert_array_equal(again.batch_points_, one.batch_points_)
    texts = [[t.get_text() for t in display.ax_.texts] for display in (one, again)]
    assert texts[0] == texts[1]
    bare = DomainMapDisplay.from_values(one.training, one.batches, one.distances)
    assert bare.batch_labels == [str(i) for i in range(len(one.batches))]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"batches": np.zeros((2, 4))}, "3 statistics of each training domain and 4 of each batch"),
        ({"distances": [0.5]}, r"1 distances\. It needs 2"),
        ({"batch_labels": ["a"]}, r"1 batch_labels\. It needs 2"),
        ({"training_labels": list("abc")}, r"3 training_labels\. It needs 4"),
        ({"training": [[np.nan] * 3] * 4}, "not finite"),
        ({"batches": np.zeros(3)}, "2 axes"),
    ],
)
def test_statistics_that_do_not_fit_are_refused(change, says):
    given = {"training": np.eye(4, 3), "batches": np.zeros((2, 3)), "distances": [0.5, 2.0]}
    with pytest.raises(ValueError, match=rf"DomainMapDisplay\.from_values got .*{says}"):
        DomainMapDisplay.from_values(**given | change)
