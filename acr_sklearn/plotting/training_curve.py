"""How training went, and what it did for domains that it did not see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from acr_sklearn._input.parameters import is_real
from acr_sklearn.model_selection.normality import final_detector
from acr_sklearn.plotting.canvas import ANOMALY, GREY, NORMAL, open_axes

__all__ = ["TrainingCurveDisplay"]

#: What of a row is drawn, where the first has it.
_DRAWN = ("train_loss", "valid_loss", "valid_auc")


class TrainingCurveDisplay:
    """Loss and AUROC over the steps of training, on training and on held-out domains.

    Use `from_estimator` or `from_history`; the parameters are stored as attributes.

    Parameters
    ----------
    history : list of dict
        A fitted detector's `history_`: one row per evaluation.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes of the losses.
    auc_ax_ : matplotlib.axes.Axes or None
        Those of the held-out AUROC, with the scale at the right; None with no domain held out.
    figure_ : matplotlib.figure.Figure
        The figure.
    lines_ : dict of str to matplotlib.lines.Line2D
        The lines by their names in the history.
    best_step_ : int or None
        Steps after which the held-out AUROC was highest: with early stopping these weights stay.

    Examples
    --------
    >>> from acr_sklearn.plotting import TrainingCurveDisplay
    >>> rows = [{"n_steps": s, "train_loss": 1 / s, "valid_auc": s / 5} for s in (1, 2, 4)]
    >>> TrainingCurveDisplay.from_history(rows).best_step_
    4
    """

    ax_: Any
    figure_: Any

    def __init__(self, history: Sequence[dict[str, float]]) -> None:
        self.history = history

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the history of a fitted detector.

        Parameters
        ----------
        estimator : estimator
            A fitted detector of this package, or a Pipeline, a search, a frozen estimator or a
            ContaminationThreshold around one.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        TrainingCurveDisplay
            With the picture drawn.

        Raises
        ------
        ValueError
            When there is no `history_`.
        """
        detector = final_detector(estimator)
        history = getattr(detector, "history_", None)
        if history is None:
            raise ValueError(
                f"{cls.__name__}.from_estimator found no history_ on {type(detector).__name__}. "
                "It needs a fitted detector of this package: call fit first."
            )
        return cls(history).plot(ax=ax)

    @classmethod
    def from_history(cls, history: Sequence[dict[str, float]], *, ax: Any = None) -> Self:
        """Draw a history.

        Parameters
        ----------
        history : list of dict
            A fitted detector's `history_`.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        TrainingCurveDisplay
            With the picture drawn.
        """
        return cls(history).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        TrainingCurveDisplay
            Itself.

        Raises
        ------
        ValueError
            When the history is empty.
        """
        who = type(self).__name__
        _check_history(self.history, who)
        if not self.history:
            raise ValueError(f"{who} got an empty history: no evaluation was finished.")
        steps = [row["n_steps"] for row in self.history]
        self.ax_, self.figure_ = open_axes(ax, who=f"{who}.plot")
        self.lines_: dict[str, Any] = {}
        self.auc_ax_: Any = None
        self.best_step_: int | None = None
        named = {"train_loss": ("loss, training domains", NORMAL)}
        named["valid_loss"] = ("loss, held-out domains", "#56B4E9")
        for key, (label, color) in named.items():
            if key in self.history[0]:
                values = [row[key] for row in self.history]
                (self.lines_[key],) = self.ax_.plot(steps, values, color=color, label=label)
        self.ax_.set(xlabel="optimiser steps", ylabel="loss")
        if "valid_auc" in self.history[0]:
            self._draw_auc(steps)
        self.ax_.legend(
            handles=list(self.lines_.values()),
            frameon=False,
            fontsize="small",
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=2,
        )
        return self

    def _draw_auc(self, steps: list[float]) -> None:
        values = [row["valid_auc"] for row in self.history]
        self.auc_ax_ = self.ax_.twinx()
        self.auc_ax_.spines["top"].set_visible(False)
        (self.lines_["valid_auc"],) = self.auc_ax_.plot(
            steps, values, color=ANOMALY, label="AUROC, held-out domains"
        )
        self.auc_ax_.set_ylabel("AUROC of held-out domains", color=ANOMALY)
        self.auc_ax_.tick_params(axis="y", colors=ANOMALY)
        self.auc_ax_.margins(y=0.12)
        best = int(np.argmax(values))
        self.best_step_ = int(steps[best])
        self.auc_ax_.plot(steps[best], values[best], "o", color=ANOMALY, markersize=5)
        self.ax_.axvline(steps[best], color=GREY, linewidth=0.8, linestyle=":")
        self.auc_ax_.annotate(
            f"best: {values[best]:.3f} at {self.best_step_}",
            (steps[best], values[best]),
            xytext=(-4 if best > len(steps) / 2 else 4, 7),
            textcoords="offset points",
            ha="right" if best > len(steps) / 2 else "left",
            fontsize="small",
            color=ANOMALY,
        )


def _check_history(history: Any, who: str) -> None:
    """Refuse what is no list of rows with numbers under the names that are drawn."""
    is_list = isinstance(history, list | tuple) and all(isinstance(row, dict) for row in history)
    names = {"n_steps"} | ({*history[0]} & {*_DRAWN} if is_list and history else set())
    if not is_list or not all(is_real(row.get(name)) for row in history for name in names):
        raise TypeError(
            f"{who} got a history of type {type(history).__name__} that is none. Pass the "
            "history_ of a fitted detector: a list of dicts with n_steps and train_loss in each."
        )
