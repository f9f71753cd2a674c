"""The picture of contributions shows the right rows and features, and refuses what does not fit."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest

from acr_sklearn import OutlierSynthesisDetector, ResADDetector, ZeroShotACRDetector
from acr_sklearn.plotting import ExplanationDisplay

VALUES = np.array([[0.1, -0.5, 0.0, 2.0], [3.0, 0.2, 0.4, 0.1], [0.0, 0.1, 0.0, 0.0]])


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_a_table_without_base_has_the_largest_sum_on_top():
    display = ExplanationDisplay.from_predictions(VALUES, n_rows=2)
    assert display.rows_.tolist() == [1, 0]
    drawn = np.asarray(display.ax_.images[0].get_array())
    np.testing.assert_array_equal(drawn, VALUES[[1, 0]])
    low, high = display.ax_.images[0].get_clim()
    assert -low == high == 3.0
    assert display.ax_.get_ylabel() == "row, the largest sum on top"


def test_a_table_with_base_has_the_most_anomalous_row_on_top():
    display = ExplanationDisplay.from_predictions(VALUES, base=[0.0, 1.0, 9.0])
    assert display.rows_.tolist() == [2, 1, 0]
    assert display.ax_.get_ylabel() == "row, the most anomalous on top"


def test_bars_have_the_strongest_reason_on_top():
    display = ExplanationDisplay.from_predictions(
        VALUES, feature_names=["a", "b", "$c", "d$"], row=0, n_features=3
    )
    assert display.features_.tolist() == [3, 0, 1]
    assert [bar.get_width() for bar in display.ax_.patches] == [2.0, 0.1, -0.5]
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == [r"d\$", "a", "b"]
    display.figure_.canvas.draw()
    assert display.ax_.yaxis_inverted()


def test_pixels_are_an_image():
    display = ExplanationDisplay.from_predictions(VALUES, row=0, image_shape=(2, 2))
    np.testing.assert_array_equal(display.ax_.images[0].get_array(), VALUES[0].reshape(2, 2))


def test_a_detector_is_asked():
    rng = np.random.default_rng(0)
    sites = [rng.normal(size=(60, 4)) for _ in range(4)]
    small = {"max_iter": 2, "n_tasks": 2, "task_size": 8, "hidden_layer_sizes": (8,)}
    detector = ZeroShotACRDetector(**small, random_state=0).fit(sites)
    X = rng.normal(size=(40, 4))
    X[5, 2] += 9
    display = ExplanationDisplay.from_estimator(detector, X, row=5)
    assert display.features_[0] == 2
    np.testing.assert_allclose(display.contributions, detector.explain(X))
    table = ExplanationDisplay.from_estimator(detector, X, n_rows=40)
    worst = np.argsort(detector.score_samples(X), kind="stable")
    assert worst.tolist() != np.argsort(-detector.explain(X).sum(axis=1)).tolist()
    assert table.rows_.tolist() == worst.tolist()
    with pytest.raises(TypeError, match="ExplanationDisplay.from_estimator got a IsolationForest"):
        ExplanationDisplay.from_estimator(IsolationForest().fit(X), X)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"row": 3}, "ExplanationDisplay got row=3. It needs the position of a row, 0 to 2"),
        ({"row": True}, "ExplanationDisplay got row=True"),
        ({"n_rows": 0}, "ExplanationDisplay got n_rows=0"),
        ({"base": [1.0]}, "ExplanationDisplay got a base of 1 scores for 3 rows"),
        ({"feature_names": ["a"]}, "no row of 4 names"),
        ({"image_shape": (3, 2), "row": 0}, "ExplanationDisplay got image_shape="),
    ],
)
def test_what_does_not_fit_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        ExplanationDisplay.from_predictions(VALUES, **given)


def test_a_detector_without_explain_is_told_which_have_it():
    with pytest.raises(TypeError, match="got a IsolationForest, which has no explain") as told:
        ExplanationDisplay.from_estimator(IsolationForest(), VALUES)
    for kind in (ZeroShotACRDetector, ResADDetector, OutlierSynthesisDetector):
        assert hasattr(kind, "explain")
        assert kind.__name__ in str(told.value)


@pytest.mark.parametrize("named", [True, False])
def test_a_domain_column_is_not_drawn(named):
    rng = np.random.default_rng(0)
    rows = np.insert(rng.normal(size=(240, 4)), 1, np.repeat(range(4), 60), axis=1)
    small = {"max_iter": 2, "n_tasks": 2, "task_size": 8, "hidden_layer_sizes": (8,)}
    X = pd.DataFrame(rows, columns=["a", "site", "b", "c", "d"]) if named else rows
    detector = ZeroShotACRDetector(**small, domain_column="site" if named else 1, random_state=0)
    detector.fit(X)
    table = ExplanationDisplay.from_estimator(detector, X)
    labels = [text.get_text() for text in table.ax_.get_xticklabels()]
    assert labels == (["a", "b", "c", "d"] if named else ["0", "2", "3", "4"])
    image = ExplanationDisplay.from_estimator(detector, X, row=3, image_shape=(2, 2))
    expected = detector.explain(X)[3, [0, 2, 3, 4]].reshape(2, 2)
    np.testing.assert_allclose(image.ax_.images[0].get_array(), expected)
