"""What transformers share that compute their statistics within the batch at hand."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import check_is_fitted

from acr_sklearn._input.domain_rows import DomainRows, as_domain_list, read_rows
from acr_sklearn._input.keywords import known_keywords
from acr_sklearn._input.labels import shown_label
from acr_sklearn.persistence.estimators import FileStorage

__all__ = ["WithinBatches", "by_column", "column_means", "column_spreads", "root_mean_square"]

#: Below this part of the centre a spread is rounding.
_ROUNDING = 32 * np.finfo(np.float64).eps


class WithinBatches(
    FileStorage, OneToOneFeatureMixin, TransformerMixin, BaseEstimator, metaclass=ABCMeta
):
    """Fit and transform of what changes each batch by the batch's own statistics.

    A child implements two hooks: `_learn_fallbacks` sets what stands in where a batch has no
    statistic of its own, `_transform_batch` changes the rows of one batch.
    """

    # Class-level, so that routing works without set_fit_request and set_transform_request.
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"domains": True}
    __metadata_request__transform: ClassVar[dict[str, bool]] = {"domains": True}

    #: Rows that a batch needs.
    _least_rows: ClassVar[int] = 1

    @abstractmethod
    def _learn_fallbacks(self, data: DomainRows) -> None:
        """Set the fitted attributes."""

    @abstractmethod
    def _transform_batch(self, rows: NDArray[Any], place: str) -> NDArray[Any]:
        """Change the rows of one batch, which may not be written to; `place` names the batch."""

    @_fit_context(prefer_skip_nested_validation=True)
    @known_keywords
    def fit(self, X: Any, y: Any = None, *, domains: ArrayLike | None = None) -> Self:
        """Learn what stands in for a column of which a batch has no statistic of its own.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list or mapping of such
            Rows, NaN where a value is missing: one 2-D array or DataFrame, or one per domain in a
            list or under the domain's name.
        y : Ignored
            Not used, present for API consistency by convention.
        domains : array-like of shape (n_samples,), default=None
            Label of the domain each row comes from: any hashable values. Without it all rows of
            a 2-D `X` are one batch.

        Returns
        -------
        self : object
            Fitted transformer. When anything fails, it stays as it was before.

        Raises
        ------
        ValueError
            For input that cannot be used; the message says why and what to do.
        """
        before = dict(self.__dict__)
        try:
            self._learn_fallbacks(self._read(X, domains, reset=True, method="fit"))
        except BaseException:
            self.__dict__ = before
            raise
        return self

    @known_keywords
    def transform(self, X: Any, *, domains: ArrayLike | None = None) -> Any:
        """Change the rows of each batch by the batch's own statistics.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list or mapping of such
            Rows, NaN where a value is missing: one batch, or one per array of the list or mapping,
            or one per value of `domains`.
        domains : array-like of shape (n_samples,), default=None
            Label of the domain each row comes from; the labels need not have been seen in fit.
            Without it all rows of a 2-D `X` are one batch.

        Returns
        -------
        ndarray of shape (n_samples, n_features), list or dict of such
            As many arrays as `X` holds; float32 if all of `X` is, else float64.

        Raises
        ------
        ValueError
            For input that cannot be used; the message says why and what to do.
        """
        check_is_fitted(self)
        several = as_domain_list(X)
        if several is not None and _get_output_config("transform", self)["dense"] != "default":
            raise ValueError(
                f"{type(self).__name__}.transform got several data sets, which set_output cannot "
                "make one frame of. Pass one frame with domains= (concat_domains makes both), or "
                "set_output(transform='default')."
            )
        data = self._read(X, domains, reset=False, method="transform")
        out = np.empty_like(data.rows)
        for number, batch in enumerate(data.batches()):
            place = f"domain {shown_label(data.labels[number])}" if data.named else "X"
            out[batch] = self._transform_batch(data.rows[batch], place)
        if several is None:
            return out
        parts, names = several
        pieces = np.split(out, np.cumsum([len(part) for part in parts])[:-1])
        return pieces if names is None else dict(zip(names, pieces, strict=True))

    # TransformerMixin's own does not hand `domains` to transform.
    @known_keywords
    def fit_transform(self, X: Any, y: Any = None, *, domains: ArrayLike | None = None) -> Any:
        """Fit, then change the same rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), list or mapping of such
            As in `fit`.
        y : Ignored
            Not used, present for API consistency by convention.
        domains : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_features), list or dict of such
            As in `transform`.
        """
        return self.fit(X, y, domains=domains).transform(X, domains=domains)

    def _read(self, X: Any, domains: ArrayLike | None, *, reset: bool, method: str) -> DomainRows:
        data = read_rows(self, X, domains, reset=reset, method=method, allow_nan=True)
        small = np.flatnonzero(data.sizes < self._least_rows)
        if len(small):
            named = f" (domain {shown_label(data.labels[small[0]])})" if data.named else ""
            raise ValueError(
                f"{type(self).__name__}.{method} got a batch of 1 sample{named}. A single row is "
                "its own centre, so that nothing of it would be left; a batch needs at least 2. "
                "Pass the rows of a domain together."
            )
        return data

    def _column(self, position: int) -> str:
        """Words for a column."""
        names = getattr(self, "feature_names_in_", None)
        return f"column {position}" if names is None else f"column {names[position]!r}"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def by_column(rows: NDArray[Any], statistic: Any) -> NDArray[np.float64]:
    """Take a statistic of what each column holds.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        NaN where a value is missing.
    statistic : callable
        From rows in double precision, none of whose columns is without a value, to one number per
        column.

    Returns
    -------
    ndarray of shape (n_features,), float64
        NaN for a column without values: NumPy would warn of it.
    """
    found = np.full(rows.shape[1], np.nan)
    has_values = ~np.isnan(rows).all(axis=0)
    found[has_values] = statistic(rows[:, has_values].astype(np.float64))
    return found


def column_means(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average each column.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        NaN where a value is missing.

    Returns
    -------
    ndarray of shape (n_features,)
        The value itself for a column of equal values.
    """
    # Twice, for the rounding of a sum grows with its length.
    near = np.nanmean(rows, axis=0)
    found: NDArray[np.float64] = near + np.nanmean(rows - near, axis=0)
    return found


def root_mean_square(away: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the root of the mean square of each column.

    Parameters
    ----------
    away : ndarray of shape (n_rows, n_features)
        Not negative, NaN where a value is missing.

    Returns
    -------
    ndarray of shape (n_features,)
        Finite for the largest floats too, whose squares are infinite.
    """
    farthest = np.nanmax(away, axis=0)
    relative = away / np.where(farthest > 0, farthest, 1.0)
    found: NDArray[np.float64] = farthest * np.sqrt(np.nanmean(relative**2, axis=0))
    return found


def column_spreads(
    rows: NDArray[np.float64], center: Any = column_means, spread: Any = root_mean_square
) -> NDArray[np.float64]:
    """Measure how far each column spreads, by default its standard deviation.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        NaN where a value is missing.
    center : callable
        From rows to the centre of each column.
    spread : callable
        From distances to the centre to one number per column.

    Returns
    -------
    ndarray of shape (n_features,)
        0 for a column that varies by rounding only.
    """
    middle = center(rows)
    scale = spread(np.abs(rows - middle))
    return np.where(scale > _ROUNDING * np.abs(middle), scale, 0.0)
