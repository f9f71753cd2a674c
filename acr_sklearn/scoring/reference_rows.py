"""Row hashes, and an index of reference rows by these hashes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ReferenceIndex", "evenly_spaced", "hash_weights", "row_hashes"]

#: Features that most rows are told from the reference rows by.
_SOME = 8


def hash_weights(scale: NDArray[np.float64] | None, n_features: int) -> NDArray[np.float64]:
    """Choose the fixed direction that rows are projected on.

    Parameters
    ----------
    scale : ndarray of shape (n_features,) or None
        Standardization of the features; None for rows standardized already.
    n_features : int
        Width of the rows.

    Returns
    -------
    ndarray of shape (n_features,)
        Weights of which no few add up to zero.
    """
    # Irregular weights: features exchanged, or changes that cancel in a plain sum, alter the hash.
    weights = np.sin(12.9898 * np.arange(1, n_features + 1))
    return weights if scale is None else weights / np.maximum(scale, np.finfo(np.float64).tiny)


def row_hashes(rows: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Project rows, each by itself: its bits do not depend on the rows it comes with.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Any rows.
    weights : ndarray of shape (n_features,)
        Of `hash_weights`.

    Returns
    -------
    ndarray of shape (n_rows,), float64
        Equal for equal rows. A product of matrices would round by the shape of the block.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        products = np.multiply(rows, weights, dtype=np.float64, order="C")
        found: NDArray[np.float64] = products.sum(axis=1)
    return found


def evenly_spaced(keys: NDArray[np.float64], n_chosen: int) -> NDArray[np.int64]:
    """Choose evenly spaced rows by hash: their order does not matter.

    Parameters
    ----------
    keys : ndarray of shape (n_rows,)
        Of `row_hashes`.
    n_chosen : int
        How many, at most all.

    Returns
    -------
    ndarray of shape (n_chosen,), int64
        Positions of rows evenly spaced among the sorted keys, ascending.
    """
    ranks = np.arange(n_chosen) * len(keys) // n_chosen
    return np.sort(np.argsort(keys, kind="stable")[ranks])


@dataclass(frozen=True)
class ReferenceIndex:
    """Index that finds the rows equal to a reference row.

    Attributes
    ----------
    weights : ndarray of shape (n_features,)
        Of `hash_weights`.
    keys : ndarray of shape (n_fixed,)
        Sorted keys of the reference rows.
    order : ndarray of shape (n_fixed,), int64
        Which reference row each key is of.
    some : ndarray of int64
        A few features, by which most rows are told from the reference rows at little cost.
    some_keys : ndarray of shape (n_fixed,)
        Sorted keys of the reference rows by these alone.
    """

    weights: NDArray[np.float64]
    keys: NDArray[np.float64]
    order: NDArray[np.int64]
    some: NDArray[np.int64]
    some_keys: NDArray[np.float64]

    @classmethod
    def of(cls, rows: NDArray[Any], weights: NDArray[np.float64]) -> ReferenceIndex:
        """Index reference rows.

        Parameters
        ----------
        rows : ndarray of shape (n_fixed, n_features)
            At least one.
        weights : ndarray of shape (n_features,)
            Of `hash_weights`.

        Returns
        -------
        ReferenceIndex
            Ready to find them.
        """
        keys = row_hashes(rows, weights)
        order = np.argsort(keys, kind="stable")
        some = np.unique(np.linspace(0, len(weights) - 1, _SOME).astype(np.int64))
        some_keys = np.sort(row_hashes(rows[:, some], weights[some]))
        return cls(weights, keys[order], order, some, some_keys)

    def positions(self, rows: NDArray[Any]) -> NDArray[np.int64]:
        """Find rows among the reference rows.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)
            Any rows.

        Returns
        -------
        ndarray of shape (n_rows,), int64
            A reference row that each equals, the same for equal rows; -1 for none.
        """
        # Equal rows agree in some features: a hash of these rules most rows out at little cost, and
        # the hash of all features decides about the rest.
        found = np.full(len(rows), -1)
        at, equal = _among(row_hashes(rows[:, self.some], self.weights[self.some]), self.some_keys)
        maybe = np.flatnonzero(equal)
        at, equal = _among(row_hashes(rows[maybe], self.weights), self.keys)
        found[maybe] = np.where(equal, self.order[at], -1)
        return found


def _among(
    keys: NDArray[np.float64], known: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    at = np.searchsorted(known, keys).clip(max=len(known) - 1)
    return at, known[at] == keys
