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

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yield arrays of shape (n_chunk_rows, n_features), all of the first one's precision."""
        for number, chunk in enumerate(self.X):
            try:
                rows = validate_data(
                    self.estimator, chunk, dtype=[np.float64, np.float32], reset=False
                )
            except (TypeError, ValueError) as error:
                raise ValueError(f"{self.who}, chunk {number}: {error}") from error
            if self.dtype is None:
                self.dtype = rows.dtype
            yield rows.astype(self.dtype, copy=False)
        if self.dtype is None:
            raise ValueError(f"{self.who} got no chunks. A batch needs at least 2 rows.")
