"""Centre and unit of each column, taken from the batch that a row belongs to."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import StrOptions

from acr_sklearn._input.domain_rows import DomainRows
from acr_sklearn._input.validation import LARGEST
from acr_sklearn.preprocessing._within_batches import (
    WithinBatches,
    by_column,
    column_means,
    column_spreads,
    root_mean_square,
)

__all__ = ["DomainScaler"]

#: Standard deviations of a normal distribution in one MAD and in one interquartile range.
_SD_PER_MAD, _SD_PER_IQR = 1.482602218505602, 0.7413011092528010


class DomainScaler(WithinBatches):
    """Centre and scale each domain by its own statistics.

    Parameters
    ----------
    unit : {"std", "mad", "iqr"}, default="std"
        What a column is divided by: its standard deviation, its median absolute deviation, or its
        interquartile range, within the batch. The latter two are multiplied by 1.483 and .741, so
        that all three are the standard deviation of normally distributed values; anomalies hardly
        move them.
    with_centering : bool, default=True
        Subtract the batch's mean, or with ``unit="mad"`` and ``"iqr"`` its median.
    with_scaling : bool, default=True
        Divide by the unit.

    Attributes
    ----------
    fallback_scale_ : ndarray of shape (n_features_in_,)
        Median of the units that the domains of fit have, for a column whose unit is 0 in a batch;
        1 where it was 0 in all of them.
    n_features_in_ : int
        Columns of `X`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `X` had any that are strings.

    See Also
    --------
    DomainImputer : Fill missing values within each domain.

    Notes
    -----
    Missing values stay missing and are left out of the statistics. Batches need two rows.

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn import DomainScaler
    >>> X = np.array([[1.0], [3.0], [100.0], [300.0]])
    >>> DomainScaler().fit_transform(X, domains=["a", "a", "b", "b"]).ravel()
    array([-1.,  1., -1.,  1.])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "unit": [StrOptions({"std", "mad", "iqr"})],
        "with_centering": ["boolean"],
        "with_scaling": ["boolean"],
    }

    _least_rows = 2

    def __init__(
        self, unit: str = "std", *, with_centering: bool = True, with_scaling: bool = True
    ) -> None:
        self.unit = unit
        self.with_centering = with_centering
        self.with_scaling = with_scaling

    def _learn_fallbacks(self, data: DomainRows) -> None:
        scales = np.stack([by_column(data.rows[batch], self._scale) for batch in data.batches()])
        scales[scales == 0] = np.nan
        typical = by_column(scales, lambda known: np.nanmedian(known, axis=0))
        self.fallback_scale_: NDArray[Any] = np.where(np.isnan(typical), 1.0, typical)

    def _transform_batch(self, rows: NDArray[Any], place: str) -> NDArray[Any]:
        out = rows.astype(np.float64)
        if self.with_centering:
            out -= by_column(rows, self._center)
        if self.with_scaling:
            own = by_column(rows, self._scale)
            # A value far from a batch that hardly varies may be none of the floats.
            with np.errstate(over="ignore"):
                out /= np.where(own > 0, own, self.fallback_scale_)
        bound = min(LARGEST, float(np.finfo(rows.dtype).max))
        return np.clip(out, -bound, bound).astype(rows.dtype)

    def _center(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.unit != "std":
            return np.nanmedian(rows, axis=0)
        return column_means(rows)

    def _scale(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Measure the unit of each column; 0 for one that varies by rounding only."""
        return column_spreads(rows, self._center, lambda away: self._spread(rows, away))

    def _spread(self, rows: NDArray[np.float64], away: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.unit == "iqr":
            low, high = np.nanpercentile(rows, [25, 75], axis=0)
            return _SD_PER_IQR * (high - low)
        if self.unit == "mad":
            return _SD_PER_MAD * np.nanmedian(away, axis=0)
        return root_mean_square(away)
