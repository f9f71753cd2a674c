"""ROC and precision-recall curves of each domain, with anomalies as what is looked for."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from acr_sklearn._input.labels import read_is_normal, read_y
from acr_sklearn._input.numbers import read_numbers
from acr_sklearn.metrics.detection import anomaly_average_precision, anomaly_roc_auc
from acr_sklearn.model_selection.normality import domain_parts, scored_rows
from acr_sklearn.plotting.canvas import GREY, add_legend, domain_lines, open_axes

__all__ = ["DomainPrecisionRecallDisplay", "DomainRocDisplay"]


class _DomainCurves:
    """What the two displays fraction: a curve and its area for each domain."""

    areas_: dict[Any, Any]
    ax_: Any
    curves_: dict[Any, Any]
    figure_: Any
    lines_: list[Any]

    _axes: ClassVar[tuple[str, str]]
    _area: ClassVar[str]

    def __init__(self, y: ArrayLike, scores: ArrayLike, domains: ArrayLike | None = None) -> None:
        self.y = y
        self.scores = scores
        self.domains = domains

    @staticmethod
    def _curve(is_anomaly: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[Any, Any]:
        raise NotImplementedError

    @staticmethod
    def _measure(y: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
        raise NotImplementedError

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        domains: ArrayLike | None = None,
        ax: Any = None,
    ) -> Self:
        """Score rows and draw.

        Parameters
        ----------
        estimator : estimator
            A fitted detector, or a Pipeline that ends with one; PyOD's too.
        X : array-like of shape (n_samples, n_features) or list of such
            Rows of one or more domains; each domain is one batch.
        y : array-like of shape (n_samples,)
            1 for a normal row, -1 for an anomalous one.
        domains : array-like of shape (n_samples,), default=None
            Label of each row's domain.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        display
            With the picture drawn.
        """
        who = f"{cls.__name__}.from_estimator"
        scores, domains = scored_rows(estimator, X, domains, "score_samples", who=who)
        return cls(y, scores, domains).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls, y: ArrayLike, scores: ArrayLike, *, domains: ArrayLike | None = None, ax: Any = None
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
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        display
            With the picture drawn.
        """
        return cls(y, scores, domains).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        display
            Itself.

        Raises
        ------
        ValueError
            For labels other than 1 and -1, and when no domain has both.
        """
        who = type(self).__name__
        scores = read_numbers(self.scores, 1, who=who, what="scores")
        normal = read_is_normal(read_y(self.y, len(scores), who=who), len(scores), who=who)
        found, fractions = {}, []
        for label, rows in domain_parts(len(scores), self.domains, who=who):
            if normal[rows].any() and not normal[rows].all():
                found[label] = rows
                fractions.append(float((~normal[rows]).mean()))
        if not found:
            raise ValueError(
                f"{who} needs at least one domain with both normal rows (1) and anomalies (-1); "
                "each domain given has only one of them."
            )
        self.ax_, self.figure_ = open_axes(ax, who=f"{who}.plot")
        self.curves_, self.areas_, self.lines_ = {}, {}, []
        for label, style in domain_lines(list(found)):
            rows = found[label]
            labels = np.where(normal[rows], 1, -1)
            self.areas_[label] = self._measure(labels, scores[rows])
            self.curves_[label] = self._curve(~normal[rows], -scores[rows])
            if "label" in style:
                style["label"] += f"  {self.areas_[label]:.3f}"
            self.lines_ += self.ax_.plot(*self.curves_[label], **style)
        self._finish(fractions)
        return self

    def _finish(self, fractions: list[float]) -> None:
        self._draw_chance(fractions)
        areas = np.array(list(self.areas_.values()))
        shown = f"{self._area} {areas[0]:.3f}"
        if len(areas) > 1:
            shown = f"{self._area}: mean of {len(areas)} domains {areas.mean():.3f}"
            shown += f", lowest {areas.min():.3f}"
        self.ax_.set_title(shown, fontsize="medium")
        self.ax_.set(xlabel=self._axes[0], ylabel=self._axes[1])
        self.ax_.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), aspect="equal")
        if any(not line.get_label().startswith("_") for line in self.lines_):
            # Below the curve of a detector that works there is room.
            add_legend(self.ax_)

    def _draw_chance(self, fractions: list[float]) -> None:
        raise NotImplementedError


class DomainRocDisplay(_DomainCurves):
    """ROC curve of each domain: anomalies found against false alarms.

    Use `from_estimator` or `from_predictions`; the parameters are stored as attributes. Domains
    with one kind of label have no curve.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        1 for a normal row, -1 for an anomalous one.
    scores : array-like of shape (n_samples,)
        High for normal rows.
    domains : array-like of shape (n_samples,), default=None
        Label of each row's domain.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        What was drawn on.
    figure_ : matplotlib.figure.Figure
        Its figure.
    curves_ : dict of label to pair of ndarray
        False alarm rate and fraction of anomalies found.
    areas_ : dict of label to float
        Area under the curve.
    lines_ : list of matplotlib.lines.Line2D
        One per domain.

    Examples
    --------
    >>> from acr_sklearn.plotting import DomainRocDisplay
    >>> display = DomainRocDisplay.from_predictions([1, 1, -1], [2.0, 1.0, 0.5])
    >>> display.areas_
    {None: 1.0}
    """

    _axes = ("false alarms (fraction of normal rows)", "found (fraction of anomalies)")
    _area = "AUROC"

    @staticmethod
    def _curve(is_anomaly: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[Any, Any]:
        return roc_curve(is_anomaly, scores)[:2]

    @staticmethod
    def _measure(y: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
        return anomaly_roc_auc(y, scores)

    def _draw_chance(self, fractions: list[float]) -> None:
        self.ax_.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")


class DomainPrecisionRecallDisplay(_DomainCurves):
    """Precision-recall curve of each domain, with anomalies as the positive class.

    Use `from_estimator` or `from_predictions`; the parameters are stored as attributes. The
    dotted line is what guessing gives: the mean fraction of anomalies.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        1 for a normal row, -1 for an anomalous one.
    scores : array-like of shape (n_samples,)
        High for normal rows.
    domains : array-like of shape (n_samples,), default=None
        Label of each row's domain.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        What was drawn on.
    figure_ : matplotlib.figure.Figure
        Its figure.
    curves_ : dict of label to pair of ndarray
        Recall and precision.
    areas_ : dict of label to float
        Average precision.
    lines_ : list of matplotlib.lines.Line2D
        One per domain.

    Examples
    --------
    >>> from acr_sklearn.plotting import DomainPrecisionRecallDisplay
    >>> display = DomainPrecisionRecallDisplay.from_predictions([1, 1, -1], [2.0, 1.0, 0.5])
    >>> display.areas_
    {None: 1.0}
    """

    _axes = (
        "recall (fraction of anomalies found)",
        "precision (fraction of alarms that are right)",
    )
    _area = "Average precision"

    @staticmethod
    def _curve(is_anomaly: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[Any, Any]:
        precision, recall, _ = precision_recall_curve(is_anomaly, scores)
        # The last point, precision 1 at recall 0, belongs to no threshold.
        return recall[:-1], precision[:-1]

    @staticmethod
    def _measure(y: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
        return anomaly_average_precision(y, scores)

    def _draw_chance(self, fractions: list[float]) -> None:
        self.ax_.axhline(float(np.mean(fractions)), color=GREY, linewidth=0.8, linestyle=":")
