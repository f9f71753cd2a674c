"""Missing values, filled from the batch that a row belongs to."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.impute import KNNImputer
from sklearn.utils._param_validation import Interval, StrOptions

from acr_sklearn._input.domain_rows import DomainRows
from acr_sklearn.preprocessing._within_batches import (
    WithinBatches,
    by_column,
    column_means,
    column_spreads,
)

__all__ = ["DomainImputer"]

#: Of "neighbors" it is the statistic where no neighbours can be had.
_STATISTICS = {
    "median": lambda rows: np.nanmedian(rows, axis=0),
    "mean": lambda rows: np.nanmean(rows, axis=0),
    "neighbors": lambda rows: np.nanmedian(rows, axis=0),
}
#: Rows of a batch among which neighbours are looked for: each gap is held against all of them.
_MOST_DONORS = 2048


class DomainImputer(WithinBatches):
    """Fill missing values from the rows of the row's own domain.

    A value that was filled from other domains stands out in a domain that lies elsewhere, so that
    a detector calls the row an anomaly. This transformer takes nothing from the training domains
    but what fills a column of which a batch has no value at all.

    Parameters
    ----------
    strategy : {"median", "mean", "neighbors"}, default="median"
        What a missing value is replaced by. ``"median"`` and ``"mean"``: this statistic of the
        values that its column has in the batch; anomalies move a mean. ``"neighbors"``: the mean
        of its column among the `n_neighbors` nearest rows of the batch that have a value there,
        for columns that depend on one another.
    n_neighbors : int, default=5
        Rows that a value is averaged over. Only used when ``strategy="neighbors"``.

    Attributes
    ----------
    fallback_ : ndarray of shape (n_features_in_,)
        The statistic over all rows of fit, with ``strategy="neighbors"`` the median, for a column
        of which a batch has no value. NaN where fit saw none either.
    n_features_in_ : int
        Columns of `X`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `X` had any that are strings.

    See Also
    --------
    DomainScaler : Centre and scale each domain by itself.
    sklearn.impute.KNNImputer : Fill from the nearest rows of fit.

    Notes
    -----
    Rows are filled from the batch they come in, as the detectors score them: the same row in
    another batch is filled differently.

    With ``strategy="neighbors"`` each column is standardised by the mean and standard deviation
    that it has in the batch, and rows are compared by scikit-learn's
    :func:`~sklearn.metrics.pairwise.nan_euclidean_distances`, over the columns that both have.
    The order of rows makes no difference. In a batch of more than 2,048 rows neighbours are looked
    for among 2,048 of them, evenly spaced in the order of their values. A gap gets the median of
    its column in the batch where fewer than `n_neighbors` of these rows have the column, or none
    of those that have it shares a column with the row.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn import DomainImputer
    >>> X = np.array([[1.0], [np.nan], [3.0], [100.0], [np.nan]])
    >>> DomainImputer().fit_transform(X, domains=["a", "a", "a", "b", "b"]).ravel()
    array([  1.,   2.,   3., 100., 100.])

    Where the second column is ten times the first, neighbours know what a median does not:

    >>> X = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [8.0, 80.0], [9.0, np.nan]])
    >>> DomainImputer().fit_transform(X)[-1]
    array([ 9., 25.])
    >>> DomainImputer(strategy="neighbors", n_neighbors=1).fit_transform(X)[-1]
    array([ 9., 80.])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "strategy": [StrOptions(set(_STATISTICS))],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
    }

    #: For objects that were pickled before there was such a parameter.
    n_neighbors: int = 5

    def __init__(self, strategy: str = "median", *, n_neighbors: int = 5) -> None:
        self.strategy = strategy
        self.n_neighbors = n_neighbors

    def _learn_fallbacks(self, data: DomainRows) -> None:
        self.fallback_: NDArray[np.float64] = by_column(data.rows, _STATISTICS[self.strategy])

    def _transform_batch(self, rows: NDArray[Any], place: str) -> NDArray[Any]:
        missing = np.isnan(rows)
        if not missing.any():
            return rows
        own = by_column(rows, _STATISTICS[self.strategy])
        filling = np.where(np.isnan(own), self.fallback_, own)
        if (empty := np.flatnonzero(np.isnan(filling))).size:
            raise ValueError(
                f"{type(self).__name__}.transform found no value of {self._column(empty[0])} in "
                f"{place}, and fit had seen none either, so that nothing can fill it. Leave the "
                "column out."
            )
        filled = np.where(missing, filling, rows)
        if self.strategy == "neighbors":
            _fill_from_neighbors(filled, missing, self.n_neighbors)
        return filled.astype(rows.dtype)


def _fill_from_neighbors(filled: NDArray[Any], missing: NDArray[np.bool_], n: int) -> None:
    """Write means over neighbours into the gaps for which there are any; leave the others."""
    # In an order of their own: neither ties nor which rows are donors may depend on the given one.
    rows = np.where(missing, np.nan, filled)
    order = np.lexsort(rows.T)
    rows, missing = rows[order], missing[order]
    donors = np.arange(len(rows))
    if len(rows) > _MOST_DONORS:
        donors = np.linspace(0, len(rows) - 1, _MOST_DONORS).astype(np.intp)
    fillable = _has_neighbors(missing, missing[donors], n)
    receivers = np.flatnonzero(fillable.any(axis=1))
    if not len(receivers):
        return
    center, spread = by_column(rows, column_means), by_column(rows, column_spreads)
    scale = np.where(spread > 0, spread, 1.0)
    scaled = (rows - center) / scale
    # Whatever sklearn.set_config asks of transformers is asked of this one, not of its parts.
    imputer = KNNImputer(n_neighbors=n, keep_empty_features=True).set_output(transform="default")
    means = imputer.fit(scaled[donors]).transform(scaled[receivers]) * scale + center
    # Rounding must not carry a mean out of the values that it is of, least of all equal ones.
    means = np.clip(means, *(by_column(rows, pick) for pick in (_lowest, _highest)))
    row, column = np.nonzero(fillable[receivers])
    filled[order[receivers[row]], column] = means[row, column]


def _has_neighbors(
    missing: NDArray[np.bool_], donors_missing: NDArray[np.bool_], n: int
) -> NDArray[np.bool_]:
    """Mark the gaps whose column `n` donors have, one of them with a column that the row has."""
    has = (~donors_missing).astype(np.float64)
    together = has.T @ has
    comparable = (~missing).astype(np.float64) @ (together > 0) > 0
    found: NDArray[np.bool_] = missing & comparable & (np.diag(together) >= n)
    return found


def _lowest(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.nanmin(rows, axis=0))


def _highest(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.nanmax(rows, axis=0))
