"""A batch that is looked at in chunks: an array, a memory map, or what yields chunks anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from acr_sklearn._input.validation import LARGEST_SINGLE, column_names, read_table, refuse_odd_cells

__all__ = ["CheckedChunks", "Chunks", "is_chunked", "taken_by_torch"]

Result = TypeVar("Result")


class Chunks:
    """Rows of one batch, chunk by chunk, as often as asked for.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), or iterable of such
        Numbers; an iterable must start anew each time it is asked for its iterator.
    size : int
        Rows of a chunk cut from an array; those of an iterable are taken as they come.
    positions : ndarray of int or None, default=None
        The rows of an array that make up the batch; None for all.
    """

    dtype: np.dtype[Any]
    n_features: int
    positions: NDArray[np.int64] | None
    rows: NDArray[Any] | Iterable[NDArray[Any]]
    size: int

    def __init__(
        self,
        rows: NDArray[Any] | Iterable[NDArray[Any]],
        size: int,
        positions: NDArray[np.int64] | None = None,
    ):
        self.rows, self.size, self.positions = rows, size, positions
        if isinstance(rows, np.ndarray):
            self.dtype, self.n_features = rows.dtype, int(rows.shape[1])
            self._n_rows = len(rows) if positions is None else len(positions)
        else:
            seen = [(chunk.dtype, chunk.shape) for chunk in rows]
            self.dtype, self.n_features = seen[0][0], int(seen[0][1][1])
            self._n_rows = sum(shape[0] for _, shape in seen)

    def __len__(self) -> int:
        """Count the rows."""
        return self._n_rows

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yield arrays of shape (n_chunk_rows, n_features), not to be written to."""
        if not isinstance(self.rows, np.ndarray):
            yield from map(taken_by_torch, self.rows)
            return
        for start in range(0, self._n_rows, self.size):
            stop = start + self.size
            if self.positions is None:
                yield taken_by_torch(self.rows[start:stop])
            else:
                yield self.rows[self.positions[start:stop]]

    def each(self, function: Callable[[NDArray[Any]], Result]) -> list[Result]:
        """Apply a function to every chunk, where the chunk is.

        Parameters
        ----------
        function : callable
            Of one chunk, without side effects.

        Returns
        -------
        list
            What it returned, in order.
        """
        return [function(rows) for rows in self]

    def __getitem__(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Gather rows: `take`."""
        return self.take(positions)

    def take(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Gather rows.

        Parameters
        ----------
        positions : ndarray of shape (n_taken,), int64
            Places in the batch, ascending.

        Returns
        -------
        ndarray of shape (n_taken, n_features)
            A copy.
        """
        if isinstance(self.rows, np.ndarray):
            chosen = positions if self.positions is None else self.positions[positions]
            return self.rows[chosen]
        parts, start = [], 0
        for chunk in self.rows:
            first, last = np.searchsorted(positions, (start, start + len(chunk)))
            parts.append(chunk[positions[first:last] - start])
            start += len(chunk)
        return np.concatenate(parts)


def taken_by_torch(rows: NDArray[Any]) -> NDArray[Any]:
    """Copy what PyTorch does not take: a read-only memory map, rows in another order.

    Parameters
    ----------
    rows : ndarray
        Any.

    Returns
    -------
    ndarray
        The same where it is plain, not to be written to.
    """
    plain = rows.flags.c_contiguous and rows.flags.writeable
    return rows if plain else np.array(rows, order="C")


# A nested tensor has no shape to be asked for, so that is asked last.
_ARRAYS = ("__array__", "__dataframe__", "columns", "shape")


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
    if isinstance(X, list | tuple | str | bytes | Mapping | set | frozenset):
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
            who = f"{self.who}, chunk {number}:"
            rows: NDArray[Any] = read_table(self.estimator, chunk, who=who, reset=False)
            refuse_odd_cells(rows, who=who, names=column_names(chunk))
            if self.dtype is None:
                self.dtype = rows.dtype
            if rows.dtype != self.dtype:
                if self.dtype == np.float32 and np.abs(rows).max() > LARGEST_SINGLE:
                    raise ValueError(
                        f"{who} got values too large for {self.dtype}, which the first chunk "
                        "has. Give all chunks in float64."
                    )
                rows = rows.astype(self.dtype)
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
