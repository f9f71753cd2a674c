"""Drift of a batch within itself: robust trends, taken off column by column."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import StrOptions

from acr_sklearn._input.domain_rows import DomainRows
from acr_sklearn._input.parameters import RealInterval
from acr_sklearn._input.validation import LARGEST
from acr_sklearn.preprocessing._trends import trends_of
from acr_sklearn.preprocessing._within_batches import WithinBatches, by_column

__all__ = ["DomainDetrender"]

#: Below this part of its level the variation of a column is rounding.
_ROUNDING = 32 * np.finfo(np.float64).eps


class DomainDetrender(WithinBatches):
    """Take off the trend that a batch shows over its rows, which stand in the order of time.

    A machine that warms up or a sensor that drifts moves the rows of one batch apart, so that its
    first and last rows look anomalous and anomalies among the others do not. The trend of each
    column is found robustly, so that scattered anomalies, a burst of them or a late shift of
    level hardly bend it, and taken off; the median level of the column stays as it was.

    Do not use it where the drift is the fault that is looked for, or where rows are in no order
    of time.

    Parameters
    ----------
    trend : {"auto", "linear", "local"}, default="auto"
        What is taken off. "linear" is one line per column, "local" a curve made of lines through
        the rows nearby. "auto" decides for each column of each batch: nothing unless there is
        evidence of a trend, in every part of the rows, that chance gives a batch without trend in
        less than one case in 20; a line where that explains it; a curve only where it takes at
        least a quarter off the typical distance. A column that two levels, one after the other, fit
        better than a trend shows a shift and stays as it is.
    window : float, default=0.5
        Share of the rows that the curve at a row is drawn through. A burst of anomalies that
        fills half of a window can pass for a trend; a trend that swings faster than a window is
        not followed.

    Attributes
    ----------
    n_features_in_ : int
        Columns of `X`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `X` had any that are strings.

    See Also
    --------
    DomainScaler : Centre and scale each domain by itself.
    DomainImputer : Fill missing values within each domain.

    Notes
    -----
    The rows of a domain need not stand together, but must be in the order of time, about evenly
    spaced; sort them before. A column with less than 8 values in a batch stays as it is, and with
    "auto" one with less than 40 gets a line or nothing. Missing values stay missing. What was
    taken off is ``X - transform(X)``.

    The line starts from repeated medians [1]_, and line and curve are refined by local regression
    with bisquare weights [2]_ whose unit is the noise between neighbouring rows: a gradual
    trend is followed, an abrupt shift is left where it is. Evidence is the rank correlation of
    the values with time, or with what every other row foretells, least favourable over what is
    left when any quarter of the rows is left out, at a false discovery rate over the columns [3]_.

    References
    ----------
    .. [1] Siegel, A. F. (1982). Robust regression using repeated medians. Biometrika 69(1).
    .. [2] Cleveland, W. S. (1979). Robust locally weighted regression and smoothing scatterplots.
       Journal of the American Statistical Association 74(368).
    .. [3] Benjamini, Y. and Hochberg, Y. (1995). Controlling the false discovery rate. Journal of
       the Royal Statistical Society B 57(1).

    Examples
    --------
    >>> import numpy as np
    >>> from acr_sklearn import DomainDetrender
    >>> X = np.arange(40.0).reshape(-1, 1) + np.tile([[0.0], [1.0]], (20, 1))
    >>> X[7] += 50
    >>> DomainDetrender().fit_transform(X)[5:9].round().ravel()
    array([21., 20., 71., 20.])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "trend": [StrOptions({"auto", "linear", "local"})],
        "window": [RealInterval(0, 1, closed="right")],
    }

    def __init__(self, trend: str = "auto", *, window: float = 0.5) -> None:
        self.trend = trend
        self.window = window

    def _learn_fallbacks(self, data: DomainRows) -> None:
        """Learn nothing: whatever a batch shows, it shows by itself."""

    def _transform_batch(self, rows: NDArray[Any], place: str) -> NDArray[Any]:
        level = by_column(rows, _middle)
        # Values of both ends of the floats are farther apart than any of them.
        away = np.clip(rows.astype(np.float64) - level, -LARGEST, LARGEST)
        unit = by_column(away, _farthest)
        varies = np.flatnonzero(unit > _ROUNDING * np.abs(level))
        unit = unit[varies]
        trends = trends_of(away[:, varies] / unit, self.trend, self.window)
        shown = (trends != 0).any(axis=0)
        changed, trends, unit = varies[shown], trends[:, shown], unit[shown]
        trends[np.isnan(away[:, changed])] = np.nan
        trends -= by_column(trends, _middle)
        bound = min(LARGEST, float(np.finfo(rows.dtype).max))
        # A column without a trend stays as it is to the last bit.
        out = rows.copy()
        kept = np.clip(away[:, changed] - trends * unit + level[changed], -bound, bound)
        out[:, changed] = kept.astype(rows.dtype)
        return out


def _middle(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.nanmedian(values, axis=0))


def _farthest(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.nanmax(np.abs(values), axis=0))
