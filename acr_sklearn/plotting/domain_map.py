"""Training domains and new batches as points, to see whether a batch is like any of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acr_sklearn._input.domain_rows import DomainRows, is_domain_list, read_rows
from acr_sklearn._input.numbers import read_numbers
from acr_sklearn.domains.domain_shift import UNFAMILIAR
from acr_sklearn.model_selection.normality import final_detector
from acr_sklearn.plotting.canvas import ANOMALY, NORMAL, open_axes

__all__ = ["DomainMapDisplay"]

_STATISTICS = ("spread", "center")
#: What to write, where, and in which colour.
_Text = tuple[str, NDArray[np.float64], str]
#: Above this many points the training domains are not named, unless they are asked for.
_MOST_NAMED = 15


class DomainMapDisplay:
    """Map of batch statistics: one point per training domain, one per new batch.

    Use `from_estimator` or `from_values`; the parameters are stored as attributes. With
    ``statistic="spread"`` a point stands for how the rows of a data set vary around their mean,
    which is what scores respond to; with "center" for where they lie, which scoring cancels. The
    two axes are the directions in which all points differ most (their principal axes), so a batch
    unlike the training domains lies away from them. Beside each batch stands its distance to the
    nearest training domain, over all directions, as a multiple of what 19 in 20 new domains of the
    training's kind would keep; from 1 on scoring warns (`UnfamiliarBatchWarning`).

    Parameters
    ----------
    training : ndarray of shape (n_training, n_statistics)
        Statistics of the training domains.
    batches : ndarray of shape (n_batches, n_statistics)
        Those of the new batches.
    training_labels : sequence of n_training labels
        Names of the training domains.
    batch_labels : sequence of n_batches labels
        Names of the batches.
    distances : ndarray of shape (n_batches,)
        Distance of each batch to the nearest training domain, relative to the reach.
    statistic : {"spread", "center"}, default="spread"
        What the statistics are.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        What was drawn on.
    figure_ : matplotlib.figure.Figure
        Its figure.
    training_points_ : ndarray of shape (n_training, 2)
        Where the training domains were drawn.
    batch_points_ : ndarray of shape (n_batches, 2)
        Where the batches were drawn.
    explained_ : ndarray of shape (2,)
        Fraction of the variance among all points along each axis.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn import ZeroShotACRDetector
    >>> from acr_sklearn.plotting import DomainMapDisplay
    >>> sites = [np.random.default_rng(i).normal(size=(60, 4)) for i in range(4)]
    >>> detector = ZeroShotACRDetector(max_iter=1, random_state=0).fit(sites)
    >>> DomainMapDisplay.from_estimator(detector, [sites[0] * [1, 9, 1, 1]]).batch_points_.shape
    (1, 2)
    """

    ax_: Any
    batch_points_: NDArray[Any]
    figure_: Any
    training_points_: NDArray[Any]

    def __init__(
        self,
        training: NDArray[np.float64],
        batches: NDArray[np.float64],
        training_labels: Sequence[Any],
        batch_labels: Sequence[Any],
        distances: NDArray[np.float64],
        statistic: str = "spread",
    ) -> None:
        self.training = training
        self.batches = batches
        self.training_labels = training_labels
        self.batch_labels = batch_labels
        self.distances = distances
        self.statistic = statistic

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        domains: ArrayLike | None = None,
        statistic: str = "spread",
        ax: Any = None,
    ) -> Self:
        """Measure new batches and draw them among the training domains.

        Parameters
        ----------
        estimator : estimator
            A fitted detector of this package, or a Pipeline or frozen estimator around one.
        X : array-like of shape (n_samples, n_features) or list of such
            Rows of one or more new batches, as for the estimator's `predict`.
        domains : array-like of shape (n_samples,), default=None
            Label of each row's batch.
        statistic : {"spread", "center"}, default="spread"
            What to compare.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        DomainMapDisplay
            With the picture drawn. Domains that were held out for early stopping are not shown.

        Raises
        ------
        ValueError
            With fewer than 3 training domains, which span no map, and for another `statistic`.
        """
        who = f"{cls.__name__}.from_estimator"
        if not isinstance(statistic, str) or statistic not in _STATISTICS:
            raise ValueError(f"{who} got statistic={statistic!r}. It can be one of {_STATISTICS}.")
        detector = final_detector(estimator)
        known = getattr(detector, "_domain_shift", None)
        if known is None:
            raise ValueError(
                f"{who} found no measurements of training domains on {type(detector).__name__}. It "
                "needs a fitted detector of this package with at least 3 training domains besides "
                "those held out for early stopping."
            )
        data = _read(estimator, detector, X, domains, who)
        parts = [data.rows[rows] for rows in data.batches()]
        place, among = known.spread_of, known.spreads
        if statistic == "center":
            place, among = known.center_of, known.centers
        return cls(
            among,
            np.stack([place(part) for part in parts]),
            [str(label) for label in detector.domains_[known.domains]],
            [str(label) for label in data.labels] if data.named else ["new batch"],
            np.array([known.distance(part) for part in parts]),
            statistic,
        ).plot(ax=ax)

    @classmethod
    def from_values(
        cls,
        training: ArrayLike,
        batches: ArrayLike,
        distances: ArrayLike,
        *,
        training_labels: Sequence[Any] | None = None,
        batch_labels: Sequence[Any] | None = None,
        statistic: str = "spread",
        ax: Any = None,
    ) -> Self:
        """Draw statistics that are at hand.

        Parameters
        ----------
        training : array-like of shape (n_training, n_statistics)
            Statistics of the training domains.
        batches : array-like of shape (n_batches, n_statistics)
            Those of the new batches.
        distances : array-like of shape (n_batches,)
            Distance of each batch to the nearest training domain; 1 and above is unfamiliar.
        training_labels, batch_labels : sequence of labels, default=None
            Names of the domains and of the batches; None numbers them.
        statistic : str, default="spread"
            What the statistics are, for the axes.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        DomainMapDisplay
            With the picture drawn.

        Raises
        ------
        ValueError
            For shapes or numbers of labels that do not fit one another, and values that are not
            finite.
        """
        who = f"{cls.__name__}.from_values"
        known = read_numbers(training, 2, who=who, what="training", axes="(n_training, n)")
        new = read_numbers(batches, 2, who=who, what="batches", axes="(n_batches, n)")
        far = read_numbers(distances, 1, who=who, what="distances")
        if known.shape[1] != new.shape[1]:
            raise ValueError(
                f"{who} got {known.shape[1]} statistics of each training domain and "
                f"{new.shape[1]} of each batch. It needs the same for both."
            )
        names: list[list[str]] = []
        for what, labels, n in (
            ("training_labels", training_labels, len(known)),
            ("batch_labels", batch_labels, len(new)),
        ):
            named = list(range(n)) if labels is None else list(labels)
            if len(named) != n:
                raise ValueError(f"{who} got {len(named)} {what}. It needs {n}.")
            names.append([str(name) for name in named])
        if len(far) != len(new):
            raise ValueError(f"{who} got {len(far)} distances. It needs {len(new)}.")
        return cls(known, new, names[0], names[1], far, statistic).plot(ax=ax)

    def plot(self, ax: Any = None, *, names: bool | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.
        names : bool, default=None
            Whether to name the training domains; None names up to 15.

        Returns
        -------
        DomainMapDisplay
            Itself.
        """
        self.ax_, self.figure_ = open_axes(ax, who=f"{type(self).__name__}.plot")
        everything = np.vstack([self.training, self.batches])
        everything = everything - everything.mean(axis=0)
        _, values, axes = np.linalg.svd(everything, full_matrices=False)
        axes = np.vstack([axes, np.zeros((2, axes.shape[1]))])[:2]
        # A sign is arbitrary: fix it, or the same data would make mirrored pictures.
        signs = np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])
        points = everything @ (axes * np.where(signs == 0, 1, signs)[:, None]).T
        fractions = np.append(np.square(values), [0.0, 0.0])[:2]
        self.explained_: Any = fractions / max(np.square(values).sum(), np.finfo(np.float64).tiny)
        self.training_points_, self.batch_points_ = np.split(points, [len(self.training)])
        named = len(self.training) <= _MOST_NAMED if names is None else names
        texts = self._draw_training(named) + self._draw_batches()
        for axis, fraction in zip((self.ax_.xaxis, self.ax_.yaxis), self.explained_, strict=True):
            number = 1 if axis is self.ax_.xaxis else 2
            axis.set_label_text(
                f"{self.statistic}, direction {number} ({fraction:.0%} of variance)"
            )
        self.ax_.margins(0.12)
        self._write(texts)
        self.ax_.legend(
            frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3
        )
        return self

    def _draw_training(self, names: bool) -> list[_Text]:
        x, y = self.training_points_.T
        self.ax_.scatter(x, y, s=28, color=NORMAL, label="training domain", zorder=2)
        labels = self.training_labels if names else []
        return [(str(labels[i]), self.training_points_[i], "#666666") for i in range(len(labels))]

    def _draw_batches(self) -> list[_Text]:
        far = self.distances >= UNFAMILIAR
        kinds = (
            (~far, "#007A59", "D", "familiar batch"),
            (far, ANOMALY, "X", f"unfamiliar batch (≥ {UNFAMILIAR:g})"),
        )
        texts = []
        for chosen, color, marker, label in kinds:
            if chosen.any():
                x, y = self.batch_points_[chosen].T
                self.ax_.scatter(x, y, s=60, color=color, marker=marker, label=label, zorder=3)
            for i in np.flatnonzero(chosen).tolist():
                text = f"{self.batch_labels[i]} ({self.distances[i]:.1f})"
                texts.append((text, self.batch_points_[i], color))
        return texts

    def _write(self, texts: list[_Text]) -> None:
        """Write beside each point, towards the middle of the picture, one text above another."""
        low, high = np.array([self.ax_.get_xlim(), self.ax_.get_ylim()]).T
        places = [(at - low) / (high - low) for _, at, _ in texts]
        taken: list[NDArray[np.float64]] = []
        for i in sorted(range(len(texts)), key=lambda i: tuple(places[i][::-1])):
            spot = np.add(places[i], (0, 0.01))
            while any(abs(spot[0] - x) < 0.35 and abs(spot[1] - y) < 0.045 for x, y in taken):
                spot = np.add(spot, (0, 0.01))
            taken.append(spot)
            text, at, color = texts[i]
            right = places[i][0] > 0.6
            moved = spot[1] - places[i][1] > 0.04
            self.ax_.annotate(
                text,
                at,
                xytext=(spot[0] + (-0.015 if right else 0.015), spot[1]),
                textcoords="axes fraction",
                ha="right" if right else "left",
                fontsize="small",
                color=color,
                arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": color} if moved else None,
            )


def _read(estimator: Any, detector: Any, X: Any, domains: Any, who: str) -> DomainRows:
    """Bring rows to what the detector at the end of a pipeline is given."""
    steps = getattr(getattr(estimator, "estimator", estimator), "steps", None)
    if steps is not None and not is_domain_list(X):
        pipeline = getattr(estimator, "estimator", estimator)
        X = pipeline[:-1].transform(X)
    elif steps is not None:
        raise ValueError(
            f"{who} got a list of data sets for a Pipeline, whose steps take one 2-D X. "
            "Use concat_domains and pass domains=."
        )
    return read_rows(detector, X, domains, reset=False, method=who.rpartition(".")[2])
