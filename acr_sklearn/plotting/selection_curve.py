"""What labelled domains left out said of known anomalies."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acr_sklearn._input.labels import distinct_labels
from acr_sklearn._input.numbers import read_numbers
from acr_sklearn._input.parameters import is_real
from acr_sklearn.model_selection.normality import final_detector
from acr_sklearn.plotting.canvas import GREY, MEAN, add_legend, domain_lines, open_axes

__all__ = ["SelectionCurveDisplay"]


class SelectionCurveDisplay:
    """Held-out AUROC against the weight of what was learnt from known anomalies.

    Use `from_estimator` or `from_values`; the parameters are stored as attributes. Every labelled
    domain is judged by what was learnt from others alone. The chosen weight is the one whose gain
    over weight 0, less a standard error over the domains, is largest: it need not have the highest
    mean.

    Parameters
    ----------
    weights : array-like of shape (n_weights,)
        Weights that were tried, ascending, in [0, 1].
    auroc : array-like of shape (n_domains, n_weights)
        Area under the ROC curve of each labelled domain under each weight.
    domains : array-like of shape (n_domains,), default=None
        Labels of the domains; None numbers them.
    chosen : float, default=None
        The weight in use, to be marked; one of `weights`.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        What was drawn on.
    figure_ : matplotlib.figure.Figure
        Its figure.
    lines_ : dict of label to matplotlib.lines.Line2D
        One per labelled domain.
    values_ : dict of label to ndarray of shape (n_weights,)
        The AUROC of each labelled domain.
    mean_ : ndarray of shape (n_weights,)
        Mean over the labelled domains.

    Examples
    --------
    >>> from acr_sklearn.plotting import SelectionCurveDisplay
    >>> auroc = [[0.5, 0.75, 0.75], [0.75, 0.75, 0.5]]
    >>> SelectionCurveDisplay.from_values([0.0, 0.25, 0.5], auroc, chosen=0.25).mean_.tolist()
    [0.625, 0.75, 0.625]
    """

    ax_: Any
    figure_: Any

    def __init__(
        self,
        weights: ArrayLike,
        auroc: ArrayLike,
        domains: ArrayLike | None = None,
        chosen: float | None = None,
    ) -> None:
        self.weights = weights
        self.auroc = auroc
        self.domains = domains
        self.chosen = chosen

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the `selection_` of a detector fitted with known anomalies.

        Parameters
        ----------
        estimator : estimator
            A fitted detector of this package, or a Pipeline, a search, a frozen estimator, a
            FitOnNormals or a LabelThreshold around one.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        SelectionCurveDisplay
            With the picture drawn.

        Raises
        ------
        ValueError
            Without a `selection_`, and where only one domain had known anomalies.
        """
        who, detector = f"{cls.__name__}.from_estimator", final_detector(estimator)
        told = getattr(detector, "selection_", None)
        if told is None:
            raise ValueError(
                f"{who} found no selection_ on {type(detector).__name__}: it is not fitted, or "
                "fitted without known anomalies. Call fit with known_anomalies= or outliers=."
            )
        if not len(told["domain_auroc"]):
            raise ValueError(
                f"{who} got a {type(detector).__name__} with known anomalies in one domain, "
                f"{told['domains'][0]!s}: none was left to be held out, and the weight is 0. "
                "Mark anomalies of a second domain."
            )
        weights, chosen = list(told["auroc"]), told["weight"]
        return cls(weights, told["domain_auroc"], told["domains"], chosen).plot(ax=ax)

    @classmethod
    def from_values(
        cls,
        weights: ArrayLike,
        auroc: ArrayLike,
        *,
        domains: ArrayLike | None = None,
        chosen: float | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw figures that are at hand.

        Parameters
        ----------
        weights : array-like of shape (n_weights,)
            Weights that were tried, ascending, in [0, 1].
        auroc : array-like of shape (n_domains, n_weights)
            Area under the ROC curve of each labelled domain under each weight.
        domains : array-like of shape (n_domains,), default=None
            Labels of the domains; None numbers them.
        chosen : float, default=None
            The weight in use, to be marked; one of `weights`.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        SelectionCurveDisplay
            With the picture drawn.
        """
        return cls(weights, auroc, domains, chosen).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        SelectionCurveDisplay
            Itself.

        Raises
        ------
        ValueError
            For numbers outside [0, 1], weights that do not ascend, shapes that do not fit, labels
            that are not distinct, and a chosen weight that was not tried.
        """
        who = type(self).__name__
        weights, auroc = self._read(who)
        names = _distinct_names(self.domains, len(auroc), who)
        place = _place_of(self.chosen, weights, who)
        self.values_: dict[Any, Any] = dict(zip(names, auroc, strict=True))
        self.mean_: Any = auroc.mean(axis=0)
        self.ax_, self.figure_ = open_axes(ax, who=f"{who}.plot")
        self.lines_: dict[Any, Any] = {}
        for label, style in domain_lines(names):
            (self.lines_[label],) = self.ax_.plot(weights, self.values_[label], **style)
        if len(names) > 1:
            text = f"mean of {len(names)} domains"
            self.ax_.plot(weights, self.mean_, color=MEAN, linewidth=2.5, label=text)
        if place is not None:
            at, value = weights[place], self.mean_[place]
            text = f"chosen: {value:.3f} at {at:g}" + ("" if at else ", the consensus alone")
            self.ax_.axvline(at, color=GREY, linewidth=0.8, linestyle=":")
            self.ax_.plot(at, value, "o", color=MEAN, label=text)
        self.ax_.set_xticks(weights, [f"{weight:g}" for weight in weights])
        self.ax_.set(xlabel="weight of what was learnt from known anomalies")
        self.ax_.set_ylabel("AUROC of labelled domains left out")
        if self.ax_.get_legend_handles_labels()[0]:
            add_legend(self.ax_)
        return self

    def _read(self, who: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        weights = read_numbers(self.weights, 1, who=who, what="weights")
        auroc = read_numbers(self.auroc, 2, who=who, what="auroc")
        for what, values in (("weights", weights), ("auroc", auroc)):
            if values.min() < 0 or values.max() > 1:
                raise ValueError(
                    f"{who} got {what} from {values.min():g} to {values.max():g}. They lie between "
                    "0 and 1."
                )
        if not (np.diff(weights) > 0).all():
            raise ValueError(
                f"{who} got weights that do not ascend. Sort them, and the columns of auroc alike."
            )
        if auroc.shape[1] != len(weights):
            raise ValueError(
                f"{who} got auroc of shape {auroc.shape} for {len(weights)} weights. It needs a "
                "row for each labelled domain, with a column for each weight."
            )
        return weights, auroc


def _distinct_names(domains: Any, n_domains: int, who: str) -> list[Any]:
    if domains is None:
        return list(range(n_domains))
    is_row = hasattr(domains, "__len__") and getattr(domains, "ndim", 1) == 1
    if isinstance(domains, str | bytes) or not is_row or len(domains) != n_domains:
        raise ValueError(
            f"{who} got domains that are no row of {n_domains} labels. It needs one for each row "
            "of auroc."
        )
    labels, index = distinct_labels(domains, who=who, what="domains")
    if len(labels) < n_domains:
        raise ValueError(
            f"{who} got a label twice in domains. It needs a distinct one for each row of auroc."
        )
    return list(labels[index])


def _place_of(chosen: Any, weights: NDArray[np.float64], who: str) -> int | None:
    if chosen is None:
        return None
    found = np.isclose(weights, float(chosen) if is_real(chosen) else np.nan)
    if not found.any():
        raise ValueError(
            f"{who} got a chosen weight of type {type(chosen).__name__} that is none of the "
            f"weights {weights.tolist()}. Pass one of them, or None to mark none."
        )
    return int(np.argmax(found))
