"""A batch that comes in chunks: what users may pass instead of one array, and how it is checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

__all__ = ["CheckedChunks", "is_chunked"]

_ARRAYS = ("shape", "__array__", "__dataframe__", "columns")


def is_chunked(X: object) -> bool:
    """Whether `X` yields chunks of rows, rather than being an array, a frame or a list.

    Parameters
    ----------
    X : object
        What a user passed.

    Returns
    -------
    bool
        True for generators too, which `CheckedChunks` refuses.
    """
    if isinstance(X, list | tuple | str | bytes | dict | set):
        return False
    return isinstance(X, Iterable) and not any(hasattr(X, name) for name in _ARRAYS)


class CheckedChunks:
    """Chunks of one batch, each checked as it comes.

    Parameters
    ----------
    estimator : BaseEstimator
        Whose features the chunks must have.
    X : iterable of array-like of shape (n_chunk_rows, n_features)
        Starts anew each time it is iterated.
    who : str
        For the messages.

    Raises
    ------
    ValueError
        For a generator, which ends after one round, and for chunks that are no rows.
    """

    def __init__(self, estimator: BaseEstimator, X: Iterable[Any], who: str):
        if iter(X) is X:
            raise ValueError(
                f"{who} got a {type(X).__name__}, which can be gone through only once. Batch "
                "statistics take several rounds: pass an object whose __iter__ starts anew, a "
                "memory map, or an array."
            )
        self.estimator, self.X, self.who = estimator, X, who
        self.dtype: np.dtype[Any] | None = None
        self.n_rows: int | None = None

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yield arrays of shape (n_chunk_rows, n_features), all of the first one's precision."""
        counted = 0
        for number, chunk in enumerate(self.X):
            try:
                rows = validate_data(
                    self.estimator, chunk, dtype=[np.float64, np.float32], reset=False
                )
            except (TypeError, ValueError) as error:
                raise ValueError(f"{self.who}, chunk {number}: {error}") from error
            if self.dtype is None:
                self.dtype = rows.dtype
            if rows.dtype != self.dtype:
                with np.errstate(over="ignore"):
                    rows = rows.astype(self.dtype)
                if not np.isfinite(rows).all():
                    raise ValueError(
                        f"{self.who}, chunk {number}: values too large for {self.dtype}, which the "
                        "first chunk has. Give all chunks in float64."
                    )
            counted += len(rows)
            yield rows
        if self.dtype is None:
            raise ValueError(f"{self.who} got no chunks. A batch needs at least 2 rows.")
        if self.n_rows not in (None, counted):
            raise ValueError(
                f"{self.who} got {counted} rows in one round over the chunks and {self.n_rows} in "
                "the first. An iterable of chunks must give the same rows each time."
            )
        self.n_rows = counted
