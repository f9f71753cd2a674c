"""What each value of contamination would give on labelled domains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import balanced_accuracy_score

from acr_sklearn._input.labels import read_is_normal, read_y
from acr_sklearn._input.numbers import read_numbers
from acr_sklearn.model_selection.normality import domain_parts, scored_rows, unwrapped
from acr_sklearn.plotting.canvas import GREY, MEAN, add_legend, domain_lines, open_axes

__all__ = ["ContaminationCurveDisplay"]

_SHARES = np.geomspace(0.01, 0.5, 25)


class ContaminationCurveDisplay:
    """A measure of predictions against `contamination`, for each domain and on average.

    Use `from_estimator` or `from_predictions`; the parameters are stored as attributes. Rows are
    scored once: `contamination` only moves the threshold.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        1 for a normal row, -1 for an anomalous one.
    scores : array-like of shape (n_samples,)
        High for normal rows.
    domains : array-like of shape (n_samples,), default=None
        Label of each row's domain.
    calibration_scores : array-like of shape (n_scores,), default=None
        Scores of normal rows, whose percentile is the threshold, as with ``threshold="train"``;
        None takes the percentile of each domain's own scores, as with ``threshold="batch"``.
    metric : callable, default=None
        Function of labels and predictions, both 1 and -1; None is
        `sklearn.metrics.balanced_accuracy_score`.
    current : float, default=None
        The contamination in use, to be marked.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        What was drawn on.
    figure_ : matplotlib.figure.Figure
        Its figure.
    contaminations_ : ndarray of shape (n_values,)
        From 0.01 to 0.5.
    values_ : dict of label to ndarray of shape (n_values,)
        The measure on each domain that has both labels.
    best_ : float
        The contamination with the highest mean over the domains.

    Examples
    --------
    >>> from acr_sklearn.plotting import ContaminationCurveDisplay
    >>> scores = [5, 4, 6, 5, 7, 8, 6, 5, 9, -1]
    >>> display = ContaminationCurveDisplay.from_predictions([1] * 9 + [-1], scores)
    >>> float(display.values_[None].max())
    1.0
    """

    ax_: Any
    contaminations_: NDArray[np.float64]
    figure_: Any
    values_: dict[Any, Any]

    def __init__(
        self,
        y: ArrayLike,
        scores: ArrayLike,
        domains: ArrayLike | None = None,
        calibration_scores: ArrayLike | None = None,
        metric: Callable[..., float] | None = None,
        current: float | None = None,
    ) -> None:
        self.y = y
        self.scores = scores
        self.domains = domains
        self.calibration_scores = calibration_scores
        self.metric = metric
        self.current = current

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        domains: ArrayLike | None = None,
        metric: Callable[..., float] | None = None,
        ax: Any = None,
    ) -> Self:
        """Score rows once and draw.

        Parameters
        ----------
        estimator : estimator
            A fitted detector, or a Pipeline that ends with one. A `ContaminationThreshold`, and a
            detector of this package with ``threshold="train"``, is cut as it would cut itself,
            every other at the percentiles of each domain.
        X : array-like of shape (n_samples, n_features) or list of such
            Rows of one or more domains; each domain is one batch.
        y : array-like of shape (n_samples,)
            1 for a normal row, -1 for an anomalous one.
        domains : array-like of shape (n_samples,), default=None
            Label of each row's domain.
        metric : callable, default=None
            Function of labels and predictions, both 1 and -1; None is
            `sklearn.metrics.balanced_accuracy_score`.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        ContaminationCurveDisplay
            With the picture drawn.
        """
        who = f"{cls.__name__}.from_estimator"
        scores, domains = scored_rows(estimator, X, domains, "score_samples", who=who)
        # The outermost part with a threshold of its own decides.
        cuts = next((part for part in unwrapped(estimator) if hasattr(part, "offset_")), None)
        known = getattr(cuts, "calibration_scores_", None)
        if getattr(cuts, "threshold", "train") != "train":
            known = None
        current = getattr(cuts, "contamination", None)
        current = float(current) if isinstance(current, float | int) else None
        return cls(y, scores, domains, known, metric, current).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        y: ArrayLike,
        scores: ArrayLike,
        *,
        domains: ArrayLike | None = None,
        calibration_scores: ArrayLike | None = None,
        metric: Callable[..., float] | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw scores that are at hand.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            1 for a normal row, -1 for an anomalous one.
        scores : array-like of shape (n_samples,)
            High for normal rows.
        domains : array-like of shape (n_samples,), default=None
            Label of each row's domain.
        calibration_scores : array-like of shape (n_scores,), default=None
            Scores of normal rows whose percentile is the threshold; None cuts each domain at its
            own percentile.
        metric : callable, default=None
            Function of labels and predictions, both 1 and -1; None is
            `sklearn.metrics.balanced_accuracy_score`.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        ContaminationCurveDisplay
            With the picture drawn.
        """
        return cls(y, scores, domains, calibration_scores, metric).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        ContaminationCurveDisplay
            Itself.

        Raises
        ------
        ValueError
            For labels other than 1 and -1, and when no domain has both.
        """
        who = type(self).__name__
        scores = read_numbers(self.scores, 1, who=who, what="scores")
        normal = read_is_normal(read_y(self.y, len(scores), who=who), len(scores), who=who)
        self.contaminations_, self.values_ = _SHARES.copy(), {}
        for label, rows in domain_parts(len(scores), self.domains, who=who):
            if normal[rows].any() and not normal[rows].all():
                self.values_[label] = self._measure(normal[rows], scores[rows])
        if not self.values_:
            raise ValueError(
                f"{who} needs at least one domain with both normal rows (1) and anomalies (-1); "
                "each domain given has only one of them."
            )
        self._draw(ax, who)
        return self

    def _measure(
        self, normal: NDArray[np.bool_], scores: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        metric = balanced_accuracy_score if self.metric is None else self.metric
        known = scores if self.calibration_scores is None else np.asarray(self.calibration_scores)
        labels = np.where(normal, 1, -1)
        offsets = np.percentile(known, 100 * _SHARES)
        return np.array([metric(labels, np.where(scores < cut, -1, 1)) for cut in offsets])

    def _draw(self, ax: Any, who: str) -> None:
        self.ax_, self.figure_ = open_axes(ax, who=f"{who}.plot")
        for label, style in domain_lines(list(self.values_)):
            self.ax_.plot(self.contaminations_, self.values_[label], **style)
        mean = np.mean(list(self.values_.values()), axis=0)
        best = int(np.argmax(mean))
        self.best_: float = float(self.contaminations_[best])
        if len(self.values_) > 1:
            text = f"mean of {len(self.values_)} domains"
            self.ax_.plot(self.contaminations_, mean, color=MEAN, linewidth=2.5, label=text)
        self.ax_.plot(
            self.best_,
            mean[best],
            "o",
            color=MEAN,
            label=f"best: {mean[best]:.3f} at {self.best_:.2f}",
        )
        if self.current is not None:
            text = f"contamination={self.current:g}, as it is"
            self.ax_.axvline(self.current, color=GREY, linestyle="--", linewidth=1, label=text)
        ticks = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
        self.ax_.set_xscale("log")
        self.ax_.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        self.ax_.set_xticks([], minor=True)
        name = getattr(self.metric, "__name__", None) or "balanced_accuracy_score"
        self.ax_.set(xlabel="contamination (log scale)")
        self.ax_.set_ylabel(name.removesuffix("_score").replace("_", " "))
        add_legend(self.ax_)
