"""Missing values, filled from the batch that a row belongs to."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import StrOptions

from acr_sklearn._input.domain_rows import DomainRows
from acr_sklearn.preprocessing._within_batches import WithinBatches, by_column

__all__ = ["DomainImputer"]

_STATISTICS = {
    "median": lambda rows: np.nanmedian(rows, axis=0),
    "mean": lambda rows: np.nanmean(rows, axis=0),
}


class DomainImputer(WithinBatches):
    """Fill missing values with the median or mean of the row's own domain.

    A value that was filled from other domains stands out in a domain that lies elsewhere, so that
    a detector calls the row an anomaly. This transformer takes nothing from the training domains
    but what fills a column of which a batch has no value at all.

    Parameters
    ----------
    strategy : {"median", "mean"}, default="median"
        What a missing value is replaced by: this statistic of the values that its column has in
        the batch. Anomalies move a mean.

    Attributes
    ----------
    fallback_ : ndarray of shape (n_features_in_,)
        The same statistic over all rows of fit, for a column of which a batch has no value. NaN
        where fit saw none either.
    n_features_in_ : int
        Columns of `X`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `X` had any that are strings.

    See Also
    --------
    DomainScaler : Centre and scale each domain by itself.

    Notes
    -----
    Rows are filled from the batch they come in, as the detectors score them: the same row in
    another batch is filled differently.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn import DomainImputer
    >>> X = np.array([[1.0], [np.nan], [3.0], [100.0], [np.nan]])
    >>> DomainImputer().fit_transform(X, domains=["a", "a", "a", "b", "b"]).ravel()
    array([  1.,   2.,   3., 100., 100.])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "strategy": [StrOptions(set(_STATISTICS))]
    }

    def __init__(self, strategy: str = "median") -> None:
        self.strategy = strategy

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
        return np.where(missing, filling.astype(rows.dtype), rows)
