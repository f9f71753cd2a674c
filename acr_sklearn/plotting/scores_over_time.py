"""Scores of rows in the order of time, with the rows that are flagged."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acr_sklearn._input.labels import read_is_normal, read_y
from acr_sklearn._input.numbers import read_numbers
from acr_sklearn._input.parameters import is_real
from acr_sklearn._input.validation import LARGEST, plain_array
from acr_sklearn.model_selection.normality import domain_parts, scored_rows
from acr_sklearn.plotting.canvas import (
    ANOMALY,
    GREY,
    MEAN,
    NORMAL,
    add_legend,
    date_axis,
    open_panels,
)

__all__ = ["ScoresOverTimeDisplay"]

#: Scores lower than this many times the distance from the threshold to the highest score are drawn
#: at the edge: one gross anomaly would make all others one line.
_FARTHEST = 4.0
#: So are scores higher than this many times the distance from the median to the upper tenth.
_HIGHEST = 10.0


class ScoresOverTimeDisplay:
    """Score of each row against its time, with the threshold and the flagged rows.

    Use `from_estimator` or `from_predictions`; the parameters are stored as attributes. Each
    domain has a panel of its own, as scores compare rows of one batch only. Scores that fall or
    rise steadily, or are lowest at both ends, speak of a batch that drifts within itself, see
    `DomainDetrender`.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        High for normal rows.
    y : array-like of shape (n_samples,), default=None
        1 for a normal row, -1 for an anomalous one: known anomalies are ringed.
    domains : array-like of shape (n_samples,), default=None
        Label of each row's domain.
    times : array-like of shape (n_samples,), default=None
        Numbers or time stamps of the rows (``datetime64``, `datetime`, a column of pandas or
        polars), in any order; without them rows are numbered within their domain. Time stamps
        with a time zone are drawn in the zone of the first.
    threshold : float, default=0.0
        Rows with lower scores are flagged; None flags none and draws no line.
    score_name : str, default="score"
        Label of the vertical axis.

    Attributes
    ----------
    axes_ : list of matplotlib.axes.Axes
        One per domain, from the top.
    ax_ : matplotlib.axes.Axes
        The first of them.
    figure_ : matplotlib.figure.Figure
        Their figure.
    flagged_ : ndarray of shape (n_samples,), bool
        Which rows are flagged, in the order given.

    Examples
    --------
    >>> from acr_sklearn.plotting import ScoresOverTimeDisplay
    >>> display = ScoresOverTimeDisplay.from_predictions([0.2, 1.5, -3.0])
    >>> display.flagged_
    array([False, False,  True])
    """

    #: Name of the ringed rows.
    _ringed = "known anomaly"

    def __init__(
        self,
        scores: ArrayLike,
        y: ArrayLike | None = None,
        domains: ArrayLike | None = None,
        times: ArrayLike | None = None,
        threshold: float | None = 0.0,
        score_name: str = "score",
    ) -> None:
        self.scores = scores
        self.y = y
        self.domains = domains
        self.times = times
        self.threshold = threshold
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        domains: ArrayLike | None = None,
        times: ArrayLike | None = None,
        ax: Any = None,
    ) -> Self:
        """Score rows and draw.

        Parameters
        ----------
        estimator : estimator
            A fitted detector, or a Pipeline that ends with one; PyOD's too.
        X : array-like of shape (n_samples, n_features) or list of such
            Rows of one or more domains; each domain is one batch.
        y : array-like of shape (n_samples,), default=None
            1 for a normal row, -1 for an anomalous one.
        domains : array-like of shape (n_samples,), default=None
            Label of each row's domain.
        times : array-like of shape (n_samples,), default=None
            Numbers or time stamps of the rows.
        ax : matplotlib.axes.Axes, default=None
            Where to draw a single domain; None opens a figure.

        Returns
        -------
        ScoresOverTimeDisplay
            With the picture drawn. The scores are those of `decision_function`, so the threshold
            is at 0, also where each batch has one of its own.
        """
        who = f"{cls.__name__}.from_estimator"
        scores, domains = scored_rows(estimator, X, domains, "decision_function", who=who)
        return cls(scores, y, domains, times, 0.0, "score - threshold").plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        scores: ArrayLike,
        y: ArrayLike | None = None,
        *,
        domains: ArrayLike | None = None,
        times: ArrayLike | None = None,
        threshold: float | None = 0.0,
        ax: Any = None,
    ) -> Self:
        """Draw scores that are at hand.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            High for normal rows.
        y : array-like of shape (n_samples,), default=None
            1 for a normal row, -1 for an anomalous one.
        domains : array-like of shape (n_samples,), default=None
            Label of each row's domain.
        times : array-like of shape (n_samples,), default=None
            Numbers or time stamps of the rows.
        threshold : float, default=0.0
            Rows with lower scores are flagged; None flags none and draws no line.
        ax : matplotlib.axes.Axes, default=None
            Where to draw a single domain; None opens a figure.

        Returns
        -------
        ScoresOverTimeDisplay
            With the picture drawn.
        """
        return cls(scores, y, domains, times, threshold).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw a single domain; None opens a figure.

        Returns
        -------
        ScoresOverTimeDisplay
            Itself.

        Raises
        ------
        ValueError
            For labels other than 1 and -1, scores and times that are not finite, and for `ax`
            with several domains.
        """
        who = type(self).__name__
        scores = read_numbers(self.scores, 1, who=who, what="scores")
        if self.threshold is not None and not is_real(self.threshold):
            raise ValueError(f"{who} got threshold={self.threshold!r}. It needs a number or None.")
        anomalous = np.zeros(len(scores), dtype=bool)
        if self.y is not None:
            y = read_y(self.y, len(scores), who=who)
            anomalous = ~read_is_normal(y, len(scores), who=who)
        times, zone = self._read_times(len(scores), who)
        parts = list(domain_parts(len(scores), self.domains, who=who))
        self.axes_, self.figure_ = open_panels(ax, len(parts), who=f"{who}.plot")
        self.ax_ = self.axes_[0]
        cut = -np.inf if self.threshold is None else self.threshold
        self.flagged_ = scores < cut
        for panel, (label, rows) in zip(self.axes_, parts, strict=True):
            own = np.arange(len(rows)) if times is None else times[rows]
            order = np.argsort(own, kind="stable")
            self._draw(panel, own[order], scores[rows[order]], self.flagged_[rows[order]])
            self._ring(panel, own, scores[rows], anomalous[rows])
            if own.dtype.kind == "M":
                date_axis(panel, zone)
            if panel.get_legend_handles_labels()[0]:
                add_legend(panel)
            if label is not None:
                panel.set_title(str(label), fontsize="small", loc="left", parse_math=False)
            panel.set_ylabel(self.score_name)
        self.axes_[-1].set_xlabel("row" if times is None else f"time{_in_zone(zone)}")
        return self

    def _read_times(self, n_rows: int, who: str) -> tuple[NDArray[Any] | None, tzinfo | None]:
        """Read times as numbers or as stamps of UTC, with the zone that they are drawn in."""
        if self.times is None:
            return None, None
        given = plain_array(self.times, who=who, what="times")
        times: NDArray[Any] = np.asarray(given)
        # A column of polars becomes stamps of UTC, and tells its zone by its type alone.
        name = getattr(getattr(given, "dtype", None), "time_zone", None)
        zone: tzinfo | None = None if name is None else ZoneInfo(name)
        if times.dtype.kind in "OUT" and any(isinstance(time, str) for time in times.flat):
            raise ValueError(
                f"{who} got times as text. Turn it into time stamps, as pandas.to_datetime does."
            )
        if times.dtype == object and all(isinstance(time, datetime) for time in times.flat):
            times, zone = _plain_stamps(times, who)
        if times.dtype.kind != "M":
            times = read_numbers(times, 1, who=who, what="times")
        if times.shape != (n_rows,):
            raise ValueError(
                f"{who} got times of shape {times.shape} for {n_rows} scores. It needs one time "
                "per row."
            )
        if times.dtype.kind == "M" and np.isnat(times).any():
            raise ValueError(f"{who} got times that are missing (NaT). Leave their rows out.")
        return times, zone

    def _draw(
        self, panel: Any, times: NDArray[Any], scores: NDArray[np.float64], flagged: NDArray[Any]
    ) -> None:
        shown, low, high = self._within_reach(scores)
        panel.plot(times, shown, color=GREY, linewidth=0.6, zorder=1)
        panel.plot(times[~flagged], shown[~flagged], ".", color=NORMAL, markersize=4)
        if flagged.any():
            label = f"flagged ({flagged.sum()} of {len(scores)})"
            panel.plot(
                times[flagged], shown[flagged], "v", color=ANOMALY, markersize=5, label=label
            )
        if self.threshold is not None:
            cut = float(np.clip(self.threshold, -LARGEST, LARGEST))
            panel.axhline(cut, color=MEAN, linewidth=1, linestyle="--", label="threshold")
        edges = ((scores < low, "below", low), (scores > high, "above", high))
        out = [f"{own.sum()} {where} {edge:.3g}" for own, where, edge in edges if own.any()]
        if out:
            text = f"rows at the edge: {', '.join(out)}"
            panel.set_title(text, fontsize="small", loc="right")

    def _ring(
        self,
        panel: Any,
        times: NDArray[Any],
        scores: NDArray[np.float64],
        anomalous: NDArray[np.bool_],
    ) -> None:
        shown, *_ = self._within_reach(scores)
        style = {"markersize": 9, "markerfacecolor": "none", "color": MEAN, "markeredgewidth": 0.8}
        if anomalous.any():
            label = f"{self._ringed} ({anomalous.sum()})"
            panel.plot(times[anomalous], shown[anomalous], "o", label=label, **style)

    def _within_reach(
        self, scores: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], float, float]:
        """Bring scores that are far from the others to the edges, and say where these are."""
        shown = np.clip(scores, -LARGEST, LARGEST)  # of larger ones no axis has the range
        low, high = float(shown.min()), float(shown.max())
        middle, upper = np.quantile(shown, [0.5, 0.9])
        edge = float(middle + _HIGHEST * (upper - middle))
        # A row above the threshold is drawn above it, also where nearly all rows are flagged.
        if upper > middle and (self.threshold is None or edge > self.threshold):
            high = min(high, edge)
        if self.threshold is not None and high > self.threshold:
            low = max(low, self.threshold - _FARTHEST * (high - self.threshold))
        return np.clip(shown, low, high), low, high


def _plain_stamps(stamps: NDArray[Any], who: str) -> tuple[NDArray[Any], tzinfo | None]:
    """Turn objects into NumPy's stamps, which have no zone: those with one into UTC."""
    if any(stamp != stamp for stamp in stamps.flat):  # NaT, which has no zone either
        return np.full(stamps.shape, "NaT", "datetime64[us]"), None
    n_zoned = sum(stamp.tzinfo is not None for stamp in stamps.flat)
    if n_zoned == 0:
        return stamps.astype("datetime64[us]"), None
    if n_zoned < stamps.size:
        raise ValueError(
            f"{who} got {n_zoned} times with a time zone and {stamps.size - n_zoned} without one. "
            "Give all of them a zone (pandas: Series.dt.tz_localize), or take it off all of them."
        )
    plain = [stamp.astimezone(UTC).replace(tzinfo=None) for stamp in stamps.flat]
    return np.array(plain, "datetime64[us]").reshape(stamps.shape), stamps.flat[0].tzinfo


def _in_zone(zone: tzinfo | None) -> str:
    """Name a zone behind "time"; some classes of zones say nothing of theirs that can be read."""
    name = str(zone)
    return "" if zone is None or "(" in name else f" ({name})"
