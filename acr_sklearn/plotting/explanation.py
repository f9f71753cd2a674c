"""What made rows anomalous: rows by features, the bars of one row, or an image of its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acr_sklearn._input.numbers import read_numbers
from acr_sklearn._input.parameters import are_counts, read_count
from acr_sklearn.model_selection.normality import final_detector
from acr_sklearn.plotting.canvas import ANOMALY, NORMAL, open_axes

__all__ = ["ExplanationDisplay"]

#: Features that bars are drawn of, and rows that a table shows, unless told otherwise.
_BARS, _ROWS = 10, 20


class ExplanationDisplay:
    """Contributions of features to the anomaly scores of rows.

    Use `from_estimator` or `from_predictions`; the parameters are stored as attributes. Several
    rows are a table of colours, the most anomalous on top where the scores of their counterparts
    are known (`base`), else those of the largest sums; one row is bars, the strongest reason on
    top, or with an `image_shape` an image of its pixels. Orange is what made a row anomalous, blue
    what made it normal.

    Parameters
    ----------
    contributions : array-like of shape (n_samples, n_features)
        Of `explain`.
    feature_names : sequence of str or None, default=None
        Names of the features; None numbers them.
    image_shape : (int, int) or None, default=None
        Height and width of rows that are images of one channel.
    base : array-like of shape (n_samples,) or None, default=None
        Anomaly scores of the counterparts, of ``explain(X, return_base=True)``.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        What was drawn on.
    figure_ : matplotlib.figure.Figure
        Its figure.
    rows_ : ndarray of int64
        Rows that were drawn, in the order of the picture.
    features_ : ndarray of int64
        Features that were drawn, in the order of the picture.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from acr_sklearn.plotting import ExplanationDisplay
    >>> display = ExplanationDisplay([[0.1, 2.0], [3.0, 0.2]], ["heat", "load"]).plot(row=1)
    >>> display.features_.tolist()
    [0, 1]
    """

    ax_: Any
    features_: NDArray[np.int64]
    figure_: Any
    rows_: NDArray[np.int64]

    def __init__(
        self,
        contributions: ArrayLike,
        feature_names: Sequence[Any] | None = None,
        image_shape: tuple[int, int] | None = None,
        base: ArrayLike | None = None,
    ) -> None:
        self.contributions = contributions
        self.feature_names = feature_names
        self.image_shape = image_shape
        self.base = base

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        domains: ArrayLike | None = None,
        row: int | None = None,
        n_rows: int = _ROWS,
        n_features: int = _BARS,
        image_shape: tuple[int, int] | None = None,
        ax: Any = None,
    ) -> Self:
        """Explain rows and draw.

        Parameters
        ----------
        estimator : estimator
            A fitted `ZeroShotACRDetector`, `ResADDetector` or `OutlierSynthesisDetector`.
        X : array-like of shape (n_samples, n_features) or list of such
            Rows of one or more domains; each domain is one batch. A domain column is not drawn.
        domains : array-like of shape (n_samples,), default=None
            Label of each row's domain.
        row : int or None, default=None
            The row to draw bars or an image of; None draws a table of rows.
        n_rows : int, default=20
            Rows of the table: the most anomalous.
        n_features : int, default=10
            Bars, of the largest contributions.
        image_shape : (int, int) or None, default=None
            Height and width of rows that are images of one channel.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        ExplanationDisplay
            With the picture drawn.

        Raises
        ------
        TypeError
            For an estimator without `explain`.
        """
        detector = final_detector(estimator)
        if detector is not estimator or not hasattr(detector, "explain"):
            raise TypeError(
                f"{cls.__name__}.from_estimator got a {type(estimator).__name__}, which has no "
                "explain. Pass a fitted ZeroShotACRDetector, ResADDetector or "
                "OutlierSynthesisDetector, and rows as it was fitted on: of a Pipeline the last "
                "step, and rows transformed by the others."
            )
        contributions, base = detector.explain(X, domains=domains, return_base=True)
        names = getattr(detector, "feature_names_in_", None)
        # A domain column is no feature: 0 in all rows, and no pixel of an image.
        place = getattr(detector, "_domain_place", None)
        if place is not None:
            contributions = np.delete(contributions, place, axis=1)
            names = [str(i) for i in range(detector.n_features_in_)] if names is None else names
            names = np.delete(names, place)
        display = cls(contributions, names, image_shape, base)
        return display.plot(row=row, n_rows=n_rows, n_features=n_features, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        contributions: ArrayLike,
        *,
        base: ArrayLike | None = None,
        feature_names: Sequence[Any] | None = None,
        row: int | None = None,
        n_rows: int = _ROWS,
        n_features: int = _BARS,
        image_shape: tuple[int, int] | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw contributions that are at hand.

        Parameters
        ----------
        contributions : array-like of shape (n_samples, n_features)
            Of `explain`.
        base : array-like of shape (n_samples,) or None, default=None
            Anomaly scores of the counterparts, of ``explain(X, return_base=True)``. None: a table
            is ordered by the sums of contributions.
        feature_names : sequence of str or None, default=None
            Names of the features; None numbers them.
        row : int or None, default=None
            As in `from_estimator`.
        n_rows : int, default=20
            As in `from_estimator`.
        n_features : int, default=10
            As in `from_estimator`.
        image_shape : (int, int) or None, default=None
            As in `from_estimator`.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        ExplanationDisplay
            With the picture drawn.
        """
        display = cls(contributions, feature_names, image_shape, base)
        return display.plot(row=row, n_rows=n_rows, n_features=n_features, ax=ax)

    def plot(
        self,
        *,
        row: int | None = None,
        n_rows: int = _ROWS,
        n_features: int = _BARS,
        ax: Any = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        row : int or None, default=None
            As in `from_estimator`.
        n_rows : int, default=20
            As in `from_estimator`.
        n_features : int, default=10
            As in `from_estimator`.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        ExplanationDisplay
            Itself.

        Raises
        ------
        ValueError
            For what is no table of numbers, names, scores or a shape that do not fit, and rows that
            are not there.
        """
        who = type(self).__name__
        values = read_numbers(self.contributions, 2, who=who, what="contributions")
        n_rows = read_count(n_rows, who=who, name="n_rows")
        n_features = read_count(n_features, who=who, name="n_features")
        names = self._names(values.shape[1], who)
        shape = self._shape(values.shape[1], who)
        base = self._base(len(values), who)
        if row is not None and (
            isinstance(row, bool | np.bool_)
            or not isinstance(row, int | np.integer)
            or not 0 <= row < len(values)
        ):
            raise ValueError(
                f"{who} got row={row!r}. It needs the position of a row, 0 to {len(values) - 1}, "
                "or None for a table of rows."
            )
        self.ax_, self.figure_ = open_axes(ax, who=f"{who}.plot")
        if row is None:
            self._draw_table(values, base, names, n_rows)
        elif shape is None:
            self._draw_bars(values, int(row), names, n_features)
        else:
            self._draw_image(values, int(row), shape)
        return self

    def _names(self, width: int, who: str) -> list[str]:
        if self.feature_names is None:
            return [str(i) for i in range(width)]
        given = self.feature_names
        if isinstance(given, str | bytes) or not hasattr(given, "__len__") or len(given) != width:
            raise ValueError(
                f"{who} got feature_names that are no row of {width} names. It needs one for each "
                "column of contributions."
            )
        # Matplotlib would take what stands between two dollars for a formula.
        return [str(name).replace("$", r"\$") for name in given]

    def _shape(self, width: int, who: str) -> tuple[int, int] | None:
        if self.image_shape is None:
            return None
        given = self.image_shape
        if not are_counts(given) or len(given) != 2 or given[0] * given[1] != width:
            raise ValueError(
                f"{who} got image_shape={given!r} for rows of {width} features. It needs a height "
                "and a width whose product they are."
            )
        return int(given[0]), int(given[1])

    def _base(self, n_rows: int, who: str) -> NDArray[np.float64] | None:
        if self.base is None:
            return None
        base = read_numbers(self.base, 1, who=who, what="base")
        if len(base) != n_rows:
            raise ValueError(
                f"{who} got a base of {len(base)} scores for {n_rows} rows of contributions. Pass "
                "both as explain(X, return_base=True) gives them."
            )
        return base

    def _draw_table(
        self,
        values: NDArray[np.float64],
        base: NDArray[np.float64] | None,
        names: list[str],
        n_rows: int,
    ) -> None:
        scores = values.sum(axis=1) + (0.0 if base is None else base)
        self.rows_ = np.argsort(-scores, kind="stable")[:n_rows]
        self.features_ = np.arange(values.shape[1])
        shown = values[self.rows_]
        image = self.ax_.imshow(shown, aspect="auto", **_colours(shown))
        self.figure_.colorbar(image, ax=self.ax_, label="contribution to the anomaly score")
        self.ax_.set_yticks(range(len(shown)), [str(i) for i in self.rows_])
        if len(names) <= 2 * _ROWS:
            self.ax_.set_xticks(range(len(names)), names, rotation=90)
        first = "the largest sum" if base is None else "the most anomalous"
        self.ax_.set(xlabel="feature", ylabel=f"row, {first} on top")

    def _draw_bars(
        self, values: NDArray[np.float64], row: int, names: list[str], n_features: int
    ) -> None:
        own = values[row]
        self.rows_ = np.array([row])
        largest = np.argsort(-np.abs(own), kind="stable")[:n_features]
        self.features_ = largest[np.argsort(-own[largest], kind="stable")]
        shown = own[self.features_]
        places = np.arange(len(shown))
        self.ax_.barh(places, shown, color=[ANOMALY if x > 0 else NORMAL for x in shown])
        self.ax_.set_yticks(places, [names[i] for i in self.features_])
        self.ax_.invert_yaxis()
        self.ax_.axvline(0, color="black", linewidth=0.8)
        left = own.sum() - shown.sum()
        self.ax_.set_xlabel(f"contribution to the anomaly score (all others: {left:.2g})")
        self.ax_.set_title(f"row {row}", fontsize="medium")

    def _draw_image(self, values: NDArray[np.float64], row: int, shape: tuple[int, int]) -> None:
        self.rows_, self.features_ = np.array([row]), np.arange(values.shape[1])
        image = self.ax_.imshow(values[row].reshape(shape), **_colours(values[row]))
        self.figure_.colorbar(image, ax=self.ax_, label="contribution to the anomaly score")
        self.ax_.set_xticks([])
        self.ax_.set_yticks([])
        self.ax_.set_title(f"row {row}", fontsize="medium")


def _colours(values: NDArray[np.float64]) -> dict[str, Any]:
    """White at zero, and as deep on either side."""
    most = float(np.abs(values).max()) or 1.0
    return {"cmap": "PuOr_r", "vmin": -most, "vmax": most}
