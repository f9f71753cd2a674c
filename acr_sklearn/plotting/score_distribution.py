"""How the scores of a batch are spread, and where they are cut."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acr_sklearn._input.labels import read_is_normal, read_y
from acr_sklearn._input.numbers import read_numbers
from acr_sklearn._input.parameters import is_real, read_count
from acr_sklearn.model_selection.normality import domain_parts, scored_rows
from acr_sklearn.plotting.canvas import ANOMALY, NORMAL, add_legend, open_axes

__all__ = ["ScoreDistributionDisplay"]

#: Lower scores than this many times the distance from the threshold to the highest score are
#: gathered in the first bar: one gross anomaly would squash all others into one bar.
_FARTHEST = 3.0


class ScoreDistributionDisplay:
    """Histogram of the scores of each domain, with the threshold.

    Use `from_estimator` or `from_predictions`; the parameters are stored as attributes. Each
    domain has a row of its own, as scores compare rows of one batch only.

    Parameters
    ----------
    scores : array-like of shape (n_samples,)
        High for normal rows.
    y : array-like of shape (n_samples,), default=None
        1 for a normal row, -1 for an anomalous one; without them all bars have one colour.
    domains : array-like of shape (n_samples,), default=None
        Label of each row's domain.
    threshold : float, default=0.0
        Where scores are cut; None draws no line.
    score_name : str, default="score"
        Label of the horizontal axis.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        What was drawn on.
    figure_ : matplotlib.figure.Figure
        Its figure.
    bars_ : dict of label to list of matplotlib.container.BarContainer
        The bars of each domain: normal rows (or all), then anomalies.
    line_ : matplotlib.lines.Line2D or None
        The threshold.

    Examples
    --------
    >>> from acr_sklearn.plotting import ScoreDistributionDisplay
    >>> display = ScoreDistributionDisplay.from_predictions([0.2, 1.5, -3.0], [1, 1, -1])
    >>> display.ax_.get_xlabel()
    'score'
    """

    ax_: Any
    figure_: Any
    line_: Any

    def __init__(
        self,
        scores: ArrayLike,
        y: ArrayLike | None = None,
        domains: ArrayLike | None = None,
        threshold: float | None = 0.0,
        score_name: str = "score",
    ) -> None:
        self.scores = scores
        self.y = y
        self.domains = domains
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
        bins: int = 40,
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
        bins : int, default=40
            Bars from the lowest to the highest score.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        ScoreDistributionDisplay
            With the picture drawn. The scores are those of `decision_function`, so the threshold
            is at 0, also where each batch has one of its own.
        """
        who = f"{cls.__name__}.from_estimator"
        scores, domains = scored_rows(estimator, X, domains, "decision_function", who=who)
        name = "score - threshold   (below 0: anomaly)"
        return cls(scores, y, domains, 0.0, name).plot(ax=ax, bins=bins)

    @classmethod
    def from_predictions(
        cls,
        scores: ArrayLike,
        y: ArrayLike | None = None,
        *,
        domains: ArrayLike | None = None,
        threshold: float | None = 0.0,
        bins: int = 40,
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
        threshold : float, default=0.0
            Where scores are cut; None draws no line.
        bins : int, default=40
            Bars from the lowest to the highest score.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        ScoreDistributionDisplay
            With the picture drawn.
        """
        return cls(scores, y, domains, threshold).plot(ax=ax, bins=bins)

    def plot(self, ax: Any = None, *, bins: int = 40) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.
        bins : int, default=40
            Bars from the lowest to the highest score.

        Returns
        -------
        ScoreDistributionDisplay
            Itself.

        Raises
        ------
        ValueError
            For labels other than 1 and -1, and for scores that are not finite.
        """
        who = type(self).__name__
        scores = read_numbers(self.scores, 1, who=who, what="scores")
        bins = read_count(bins, who=who, name="bins")
        if self.threshold is not None and not is_real(self.threshold):
            raise ValueError(f"{who} got threshold={self.threshold!r}. It needs a number or None.")
        anomalous = np.zeros(len(scores), dtype=bool)
        if self.y is not None:
            y = read_y(self.y, len(scores), who=who)
            anomalous = ~read_is_normal(y, len(scores), who=who)
        parts = list(domain_parts(len(scores), self.domains, who=who))
        self.ax_, self.figure_ = open_axes(ax, who=f"{who}.plot")
        edges, shown = self._edges(scores, bins)
        self.bars_: dict[Any, Any] = {}
        for height, (label, rows) in enumerate(reversed(parts)):
            counts = [np.histogram(shown[rows[~anomalous[rows]]], edges)[0]]
            if self.y is not None:
                counts.append(np.histogram(shown[rows[anomalous[rows]]], edges)[0])
            self.bars_[label] = self._draw_row(counts, edges, 1.15 * height, len(parts) > 1)
        self.line_ = None
        if self.threshold is not None:
            self.line_: Any = self.ax_.axvline(
                self.threshold, color="black", linewidth=1, linestyle="--", label="threshold"
            )
        self._label(parts, int((scores < edges[0]).sum()), edges[0])
        return self

    def _edges(
        self, scores: NDArray[np.float64], bins: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        low, high = float(scores.min()), float(scores.max())
        if self.threshold is not None:
            low = max(low, self.threshold - _FARTHEST * max(high - self.threshold, 0.0))
        if low >= high:
            low, high = float(scores.min()), float(scores.max()) + 1e-9
        edges = np.linspace(low, high, bins + 1)
        return edges, np.clip(scores, low, high)

    def _draw_row(
        self, counts: list[NDArray[Any]], edges: NDArray[np.float64], base: float, scaled: bool
    ) -> list[Any]:
        # Bars of one row are stacked, and count rows; rows are brought to one height.
        unit = max(np.sum(counts, axis=0).max(), 1) if scaled else 1
        bottom = np.full(len(edges) - 1, base)
        drawn = []
        for number, count in enumerate(counts):
            bars = self.ax_.bar(
                edges[:-1],
                count / unit,
                np.diff(edges),
                bottom,
                align="edge",
                color=(NORMAL, ANOMALY)[number],
                label=("normal", "anomaly")[number] if base == 0 and len(counts) > 1 else None,
            )
            drawn.append(bars)
            bottom = bottom + count / unit
        return drawn

    def _label(self, parts: list[Any], n_lower: int, low: float) -> None:
        self.ax_.set_xlabel(self.score_name)
        if len(parts) > 1:
            ticks = 1.15 * np.arange(len(parts)) + 0.4
            self.ax_.set_yticks(ticks, [str(label) for label, _ in reversed(parts)])
            self.ax_.tick_params(axis="y", length=0)
            self.ax_.set_ylabel("domain (each row scaled to its highest bar)")
            self.ax_.set_ylim(0, 1.15 * len(parts))
        else:
            self.ax_.set_ylabel("rows")
        if n_lower:
            text = f"first bar: {n_lower} of the rows lie below {low:.3g}"
            self.ax_.set_title(text, fontsize="small", loc="left")
        if self.y is not None or self.line_ is not None:
            add_legend(self.ax_, "upper left")
