"""ScoresOverTimeDisplay: every row is drawn at its time, and flagged as the detector flags it."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import polars
import pytest
from matplotlib import pyplot
from matplotlib.dates import date2num

from acr_sklearn.plotting import ScoresOverTimeDisplay

pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")


def marked(panel, text):
    """x and y of the marks whose name in the legend begins so."""
    [line] = [line for line in panel.lines if line.get_label().startswith(text)]
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


def test_flagged_rows_are_those_of_predict_in_a_panel_per_domain(fitted, unseen):
    X, y, site = unseen
    display = ScoresOverTimeDisplay.from_estimator(fitted, X, y, domains=site)
    flagged = fitted.predict(X, domains=site) == -1
    np.testing.assert_array_equal(display.flagged_, flagged)
    assert [panel.get_title(loc="left") for panel in display.axes_] == ["x", "y", "z"]
    for panel, name in zip(display.axes_, "xyz", strict=True):
        own = site == name
        rows, heights = marked(panel, "flagged")
        np.testing.assert_array_equal(rows, np.flatnonzero(flagged[own]))
        assert (heights < 0).all()
        rows, _ = marked(panel, "known anomaly (12)")
        np.testing.assert_array_equal(rows, np.arange(88, 100))
    assert display.axes_[-1].get_xlabel() == "row"


def test_rows_are_drawn_in_the_order_of_their_times():
    start = datetime(2020, 1, 1)
    stamps = [start + timedelta(hours=hour) for hour in (3, 0, 2, 1)]
    scores = [3.0, -1.0, 2.0, 1.0]
    for times in (stamps, np.array(stamps, "datetime64[s]"), pd.Series(stamps), [3, 0, 2, 1]):
        display = ScoresOverTimeDisplay.from_predictions(scores, times=times)
        line = display.ax_.lines[0]
        assert list(line.get_ydata()) == [-1.0, 1.0, 2.0, 3.0]
        assert (np.diff(line.get_xdata()).astype(float) > 0).all()
        assert display.flagged_.tolist() == [False, True, False, False]
        assert display.ax_.get_xlabel() == "time"


BERLIN = pd.Series(pd.date_range("2026-03-28T22:00", periods=4, freq="6h", tz="Europe/Berlin"))


@pytest.mark.parametrize(
    "times",
    [
        BERLIN,
        pd.DatetimeIndex(BERLIN),
        BERLIN.tolist(),
        [BERLIN[0], *BERLIN[1:].dt.tz_convert("Asia/Tokyo")],
        polars.Series(BERLIN.tolist()),
    ],
    ids=["series", "index", "objects", "two zones", "polars"],
)
def test_times_with_a_zone_are_drawn_in_it(times):
    """The clock goes forward between the first and the second of them."""
    display = ScoresOverTimeDisplay.from_predictions([1.0, 2.0, -1.0, 0.5], times=times)
    display.figure_.canvas.draw()
    hours = np.diff(display.ax_.lines[0].get_xdata()) / np.timedelta64(1, "h")
    assert hours.tolist() == [6.0] * 3
    shown = dict(zip(display.ax_.get_xticks(), display.ax_.xaxis.get_ticklabels(), strict=True))
    noon = date2num(datetime(2026, 3, 29, 10, tzinfo=UTC))  # of Berlin's summer
    [label] = [text.get_text() for place, text in shown.items() if abs(place - noon) < 1e-6]
    assert label == "12:00"
    assert display.ax_.get_xlabel() == "time (Europe/Berlin)"


def test_a_zone_of_fixed_hours_is_named():
    east = timezone(timedelta(hours=2))
    stamps = [datetime(2026, 1, 1, hour, tzinfo=east) for hour in (3, 1)]
    display = ScoresOverTimeDisplay.from_predictions([1.0, 2.0], times=stamps)
    assert display.ax_.get_xlabel() == "time (UTC+02:00)"
    assert list(display.ax_.lines[0].get_ydata()) == [2.0, 1.0]


@pytest.mark.parametrize("threshold", [0.0, None, 1e308, -1e308])
@pytest.mark.parametrize(
    "scores",
    [
        [1e308, -1e308, 0.0],
        [1e308, -1e308],
        [*np.linspace(-1, 1, 20), 1e308],
        [*np.linspace(-1, 1, 20), -1e308],
        [-1e308] * 3 + [1.0, 2.0, 3.0],
        [1e308] * 5,
        [1e-308, 2e-308],
    ],
)
def test_scores_of_any_size_are_drawn(scores, threshold):
    display = ScoresOverTimeDisplay.from_predictions(scores, threshold=threshold)
    display.figure_.canvas.draw()  # fails where an axis has no range
    assert np.isfinite(display.ax_.get_ylim()).all()


def test_one_score_far_above_does_not_make_a_line_of_the_others():
    scores = [*np.linspace(-1, 1, 20), 1e308]
    display = ScoresOverTimeDisplay.from_predictions(scores)
    assert display.ax_.get_ylim()[1] < 20
    assert "rows at the edge: 1 above" in display.ax_.get_title(loc="right")


def test_one_gross_anomaly_does_not_make_a_line_of_the_others():
    display = ScoresOverTimeDisplay.from_predictions([1.0, 2.0, 1.5, -0.5, -1e6])
    assert display.ax_.get_ylim()[0] > -12
    assert display.ax_.get_title(loc="right") == "rows at the edge: 1 below -8"
    assert marked(display.ax_, "flagged (2 of 5)")[1].tolist() == [-0.5, -8.0]


def test_without_a_threshold_nothing_is_flagged_and_axes_are_used():
    _, ax = pyplot.subplots()
    display = ScoresOverTimeDisplay.from_predictions([1.0, -2.0], threshold=None, ax=ax)
    assert display.ax_ is ax
    assert not display.flagged_.any()
    assert ax.get_legend() is None


def test_messages():
    draw = ScoresOverTimeDisplay.from_predictions
    with pytest.raises(ValueError, match="got scores that are not finite"):
        draw([1.0, np.nan])
    with pytest.raises(ValueError, match=r"got times of shape \(3,\) for 2 scores"):
        draw([1.0, 2.0], times=[1, 2, 3])
    with pytest.raises(ValueError, match=r"times that are missing \(NaT\)"):
        draw([1.0, 2.0], times=np.array(["2020-01-01", "NaT"], "datetime64[D]"))
    with pytest.raises(ValueError, match="times of type ndarray that are no numbers"):
        draw([1.0], times=[object()])
    for text in (["2020-01-01"], pd.Series(["2020-01-01"]), np.array(["2020-01-01"], object)):
        with pytest.raises(ValueError, match=r"got times as text\. Turn it into time stamps"):
            draw([1.0], times=text)
    mixed = [datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1)]
    with pytest.raises(ValueError, match=r"1 times with a time zone and 1 without one\. Give all"):
        draw([1.0, 2.0], times=mixed)
    with pytest.raises(ValueError, match=r"times that are missing \(NaT\)"):
        draw([1.0, 2.0], times=[mixed[0], pd.NaT])
    with pytest.raises(ValueError, match="threshold='low'. It needs a number or None"):
        draw([1.0], threshold="low")
    with pytest.raises(ValueError, match="got ax= and rows of 2 domains"):
        draw([1.0, 2.0], domains=["a", "b"], ax=pyplot.subplots()[1])
    with pytest.raises(ValueError, match="got the labels 0, 1 in y"):
        draw([1.0, 2.0], [0, 1])


def test_a_dollar_in_a_domain_begins_no_formula():
    display = ScoresOverTimeDisplay.from_predictions([1.0, 2.0], domains=["$a^$", "$a^$"])
    display.figure_.canvas.draw()
    assert display.ax_.get_title(loc="left") == "$a^$"


def test_rows_above_the_threshold_are_drawn_above_it_where_nearly_all_are_flagged():
    scores = np.r_[np.linspace(-10.2, -9.8, 95), np.full(5, 1.0)]
    display = ScoresOverTimeDisplay(scores).plot()
    heights = np.concatenate([line.get_ydata() for line in display.ax_.lines[1:2]])
    assert len(heights) == 5
    assert (heights > 0).all()


def test_a_missing_time_without_a_zone_is_named():
    times = pd.Series(pd.date_range("2026-01-01", periods=3)).astype(object)
    times[1] = pd.NaT
    with pytest.raises(ValueError, match="times"):
        ScoresOverTimeDisplay.from_predictions(np.arange(3.0), times=times)
