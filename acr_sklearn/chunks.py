"""A batch that is looked at in chunks: an array, a memory map, or what yields chunks anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Chunks"]


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
        """Yield arrays of shape (n_chunk_rows, n_features) that may be written to."""
        if not isinstance(self.rows, np.ndarray):
            yield from map(np.array, self.rows)
            return
        for start in range(0, self._n_rows, self.size):
            stop = start + self.size
            # A copy: a memory map may be read-only, which PyTorch does not take.
            if self.positions is None:
                yield np.array(self.rows[start:stop])
            else:
                yield self.rows[self.positions[start:stop]]

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
