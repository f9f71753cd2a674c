"""How many rows a batch needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import _safe_indexing, check_random_state

from acr_sklearn._input.batch_checks import SMALL_BATCH
from acr_sklearn._input.domain_rows import is_domain_list
from acr_sklearn._input.labels import read_is_normal, read_y
from acr_sklearn._input.numbers import count_rows, read_numbers
from acr_sklearn._input.parameters import are_counts, read_count
from acr_sklearn._input.validation import FOREIGN_ERRORS, plain_array
from acr_sklearn.metrics.detection import anomaly_roc_auc
from acr_sklearn.model_selection.domain_lists import concat_domains
from acr_sklearn.model_selection.normality import (
    column_of,
    domain_parts,
    normality_response,
    read_polarity,
)
from acr_sklearn.plotting.canvas import MEAN, add_legend, domain_lines, open_axes

__all__ = ["BatchSizeCurveDisplay"]

_SIZES = (16, 32, 64, 128, 256, 512)


class BatchSizeCurveDisplay:
    """Detection against the number of rows that are scored together.

    Use `from_estimator` or `from_values`; the parameters are stored as attributes. From each
    labelled domain batches of several sizes are drawn at random, with the domain's own fraction of
    anomalies (at least one), and each is scored by itself.

    Parameters
    ----------
    sizes : sequence of n_sizes int
        Rows per batch.
    values : dict of label to ndarray of shape (n_sizes, n_batches)
        The measure on each batch; nan where a domain has fewer rows.
    metric_name : str, default="AUROC"
        Label of the vertical axis.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        What was drawn on.
    figure_ : matplotlib.figure.Figure
        Its figure.
    means_ : dict of label to ndarray of shape (n_sizes,)
        Mean over the batches of each domain.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn.plotting import BatchSizeCurveDisplay
    >>> values = {"north": np.array([[0.6, 0.8], [0.9, 0.9]])}
    >>> BatchSizeCurveDisplay.from_values([16, 64], values).means_["north"].tolist()
    [0.7, 0.9]
    """

    ax_: Any
    figure_: Any

    def __init__(
        self,
        sizes: Sequence[int],
        values: dict[Any, NDArray[np.float64]],
        metric_name: str = "AUROC",
    ) -> None:
        self.sizes = sizes
        self.values = values
        self.metric_name = metric_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        domains: ArrayLike | None = None,
        sizes: Sequence[int] = _SIZES,
        n_batches: int = 10,
        metric: Callable[..., float] | None = None,
        random_state: Any = None,
        ax: Any = None,
    ) -> Self:
        """Draw batches, score them, and draw the curve.

        Parameters
        ----------
        estimator : estimator
            A fitted detector, or a Pipeline that ends with one; PyOD's too.
        X : array-like of shape (n_samples, n_features) or list of such
            Rows of one or more domains.
        y : array-like of shape (n_samples,)
            1 for a normal row, -1 for an anomalous one.
        domains : array-like of shape (n_samples,), default=None
            Label of each row's domain.
        sizes : sequence of int, default=(16, 32, 64, 128, 256, 512)
            Rows per batch, 16 or more; a domain with fewer rows is left out there.
        n_batches : int, default=10
            Batches per domain and size.
        metric : callable, default=None
            Function of labels and scores, high for normal rows; None is the area under the ROC
            curve.
        random_state : int, RandomState or None, default=None
            Decides which rows are drawn.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        BatchSizeCurveDisplay
            With the picture drawn.

        Raises
        ------
        ValueError
            For a size below 16, labels other than 1 and -1, or when no domain has both labels and
            enough rows for the smallest size.
        """
        who = f"{cls.__name__}.from_estimator"
        n_batches = read_count(n_batches, who=who, name="n_batches")
        if not are_counts(sizes):
            raise ValueError(f"{who} got sizes={sizes!r}. It needs whole numbers of rows.")
        sizes = sorted(int(size) for size in sizes)
        if sizes[0] < SMALL_BATCH:
            raise ValueError(
                f"{who} got sizes={sizes}. It needs batches of at least {SMALL_BATCH} rows: fewer "
                "say little about what is normal."
            )
        if is_domain_list(X):
            X, domains = concat_domains(X)
        column = getattr(estimator, "domain_column", None)
        if column is not None:
            domains = column_of(X, column, who=who)
        n_rows = count_rows(X, who=who)
        normal = read_is_normal(read_y(y, n_rows, who=who), n_rows, who=who)
        polarity = read_polarity(estimator, "auto", who=who)
        rng = check_random_state(random_state)

        def measure(rows: NDArray[np.int64]) -> float:
            part = _safe_indexing(X, rows)
            scores = normality_response(estimator, part, "score_samples", polarity=polarity)
            return (metric or anomaly_roc_auc)(np.where(normal[rows], 1, -1), scores)

        values = {}
        for label, rows in domain_parts(n_rows, domains, who=who):
            if normal[rows].any() and not normal[rows].all() and len(rows) >= sizes[0]:
                values[label] = np.full((len(sizes), n_batches), np.nan)
                for i, size in enumerate(s for s in sizes if s <= len(rows)):
                    batches = [_draw(rows, normal, size, rng) for _ in range(n_batches)]
                    values[label][i] = [measure(batch) for batch in batches]
        if not values:
            raise ValueError(
                f"{who} found no domain with both labels and at least {sizes[0]} rows. Pass such a "
                "domain, or smaller sizes."
            )
        name = "AUROC" if metric is None else getattr(metric, "__name__", "measure")
        return cls(sizes, values, name).plot(ax=ax)

    @classmethod
    def from_values(
        cls,
        sizes: Sequence[int],
        values: Mapping[Any, ArrayLike],
        *,
        metric_name: str = "AUROC",
        ax: Any = None,
    ) -> Self:
        """Draw figures that are at hand.

        Parameters
        ----------
        sizes : sequence of n_sizes int
            Rows per batch, ascending.
        values : mapping of label to array-like of shape (n_sizes, n_batches) or (n_sizes,)
            The measure on each batch of each domain; nan where a domain has fewer rows.
        metric_name : str, default="AUROC"
            Label of the vertical axis.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        BatchSizeCurveDisplay
            With the picture drawn.

        Raises
        ------
        ValueError
            For sizes that are no ascending whole numbers, and values that do not fit them, are
            infinite, or are all nan.
        """
        who = f"{cls.__name__}.from_values"
        if not are_counts(sizes) or list(sizes) != sorted(set(sizes)):
            raise ValueError(
                f"{who} got sizes={sizes!r}. It needs ascending whole numbers of rows."
            )
        if not isinstance(values, Mapping) or not values:
            raise ValueError(
                f"{who} got values of type {type(values).__name__}. It needs a mapping of the "
                "label of each domain to an array of shape (n_sizes, n_batches)."
            )
        counts = [int(size) for size in sizes]
        read = {label: _read_values(one, len(counts), label, who) for label, one in values.items()}
        if all(np.isnan(one).all() for one in read.values()):
            raise ValueError(f"{who} got values that are all nan: there is nothing to draw.")
        return cls(counts, read, metric_name).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None opens a figure.

        Returns
        -------
        BatchSizeCurveDisplay
            Itself. The band holds the middle 80 % of all batches.
        """
        self.ax_, self.figure_ = open_axes(ax, who=f"{type(self).__name__}.plot")
        sizes = np.asarray(self.sizes)
        self.means_: dict[Any, Any] = {
            label: values.mean(axis=1) for label, values in self.values.items()
        }
        for label, style in domain_lines(list(self.means_)):
            self.ax_.plot(sizes, self.means_[label], **(style | {"marker": ".", "markersize": 5}))
        whole = np.concatenate(list(self.values.values()), axis=1)
        some = ~np.isnan(whole).all(axis=1)
        low, high = np.nanpercentile(whole[some], [10, 90], axis=1)
        self.ax_.fill_between(
            sizes[some],
            low,
            high,
            color=MEAN,
            alpha=0.1,
            linewidth=0,
            label="middle 80 % of batches",
        )
        if len(self.means_) > 1:
            # Over the domains that reach the size, which are fewer at the right.
            mean = np.nanmean(whole[some], axis=1)
            self.ax_.plot(sizes[some], mean, color=MEAN, linewidth=2.5, label="mean of the domains")
        self.ax_.set_xscale("log", base=2)
        self.ax_.set_xticks(sizes, [str(size) for size in sizes])
        self.ax_.set_xticks([], minor=True)
        self.ax_.set(xlabel="rows scored together (log scale)", ylabel=self.metric_name)
        add_legend(self.ax_)
        return self


def _read_values(given: Any, n_sizes: int, label: Any, who: str) -> NDArray[np.float64]:
    """Read the measures of a domain, nan among them, as (n_sizes, n_batches)."""
    what = f"values of {label!s}"
    given = plain_array(given, who=who, what=what)
    try:
        np.shape(given)
    except ValueError as error:
        raise ValueError(
            f"{who} got {what} whose rows differ in length. Fill the shorter ones with nan."
        ) from error
    try:
        absent = np.isnan(np.asarray(given, dtype=np.float64))
        given = np.where(absent, 0.0, given)
    except FOREIGN_ERRORS:  # no numbers: read_numbers says so
        absent = np.zeros(np.shape(given), dtype=bool)
    numbers = read_numbers(given, None, who=who, what=what)
    numbers[absent] = np.nan
    numbers = numbers[:, None] if numbers.ndim == 1 else numbers
    if numbers.ndim != 2 or len(numbers) != n_sizes:
        raise ValueError(
            f"{who} got {what} of shape {np.shape(given)}. It needs one row of measures for each "
            f"of the {n_sizes} sizes."
        )
    return numbers


def _draw(
    rows: NDArray[np.int64], normal: NDArray[np.bool_], size: int, rng: np.random.RandomState
) -> NDArray[np.int64]:
    """Draw a batch without replacement, with the fraction of anomalies of the whole domain."""
    ordinary, odd = rows[normal[rows]], rows[~normal[rows]]
    n_odd = int(np.clip(round(size * len(odd) / len(rows)), 1, len(odd)))
    n_odd = max(n_odd, size - len(ordinary))
    drawn = [
        rng.choice(part, n, replace=False) for part, n in ((ordinary, size - n_odd), (odd, n_odd))
    ]
    return np.sort(np.concatenate(drawn))
