"""Fixed batch statistics of a reference, and what a pickle holds of them.

Its rows once, and nothing that elementwise arithmetic repeats. Sums and products of matrices are
kept: their last bits may depend on the number of threads, and a loaded detector scores as it did.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from acr_sklearn._input.chunks import Chunks
from acr_sklearn.scoring.attribution import BatchAttribution
from acr_sklearn.scoring.consensus_batch import ConsensusBatch
from acr_sklearn.scoring.fixed_batch import FixedBatch
from acr_sklearn.scoring.fused_mlp import FusedMLP, FusedNeighbors
from acr_sklearn.scoring.neighborhoods import Neighborhoods
from acr_sklearn.scoring.neighbors import Neighbors
from acr_sklearn.scoring.scorer import score_rows

__all__ = ["Reference", "SavedReference", "load_reference", "save_reference"]

Part = TypeVar("Part", bound=nn.Module)
Searched = TypeVar("Searched", Neighbors, Neighborhoods)


class Reference:
    """Fixed batch statistics, in both precisions, so that scoring never converts it.

    Parameters
    ----------
    fixed : FixedBatch
        In float64.
    in_double : bool, default=False
        Whether float32 rows too are computed in float64.
    usual : ndarray of shape (n_usual, n_features)
        Rows of the batch that others are explained beside, see `usual_rows`.
    """

    def __init__(self, fixed: FixedBatch, usual: NDArray[Any], *, in_double: bool = False):
        self.usual = usual
        single = fixed if in_double else fixed.single()
        self.fixed = {np.dtype(np.float64): fixed, np.dtype(np.float32): single}
        self.in_double = in_double

    def score(self, chunks: Chunks) -> NDArray[np.float64]:
        """Anomaly score of every row by itself.

        Parameters
        ----------
        chunks : Chunks
            The rows.

        Returns
        -------
        ndarray of shape (n_samples,), float64
            High for abnormal rows.
        """
        return score_rows(self.fixed[chunks.dtype], chunks)

    def explain(self, rows: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Explain the scores of rows.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        contributions, base : ndarray
            Of `BatchAttribution`.
        """
        return BatchAttribution(self.fixed[rows.dtype], self.usual, of_the_batch=False)(rows)


@dataclass(frozen=True)
class SavedReference:
    """Reference without what can be made again.

    Attributes
    ----------
    fixed : FixedBatch
        In double precision; its neighbours, and those of its chain, lack their derived buffers.
    ones : Tensor of shape (n_references,) or None
        Of a chain of layers and neighbours: the row of its ranking that a sum went into.
    in_double : bool
        Whether float32 rows too are computed in float64.
    usual : ndarray of shape (n_usual, n_features)
        Rows that others are explained beside.
    """

    fixed: FixedBatch
    ones: Tensor | None
    in_double: bool
    usual: NDArray[Any]


def save_reference(reference: Reference) -> SavedReference:
    """Leave out what `load_reference` makes again.

    Parameters
    ----------
    reference : Reference
        Stays as it is; what is returned shares its tensors.

    Returns
    -------
    SavedReference
        To be pickled.
    """
    fixed = _copied(reference.fixed[np.dtype(np.float64)])
    ones = None
    if isinstance(fixed, ConsensusBatch):
        fixed.neighborhoods = _without(fixed.neighborhoods, "twice")
        if fixed.fused is not None:
            fixed.fused = _without(fixed.fused, "twice", "rows")
    if fixed.neighbors is not None:
        fixed.neighbors = _without(fixed.neighbors, "twice")
        if isinstance(fixed.chain, FusedNeighbors):
            ones = fixed.chain.ranking[_place_of_ones(fixed.chain)].clone()
            chain = _without(fixed.chain, "ranking")
            chain.neighbors = _without(chain.neighbors, "twice", "rows")
            fixed.chain = chain
    return SavedReference(fixed, ones, reference.in_double, reference.usual)


def load_reference(saved: SavedReference) -> Reference:
    """Make a reference whole again.

    Parameters
    ----------
    saved : SavedReference
        Of `save_reference`.

    Returns
    -------
    Reference
        Scores as the one that was saved, to the last bit.
    """
    fixed = _copied(saved.fixed)
    if isinstance(fixed, ConsensusBatch):
        rows = fixed.neighborhoods.rows
        fixed.neighborhoods = _with_rows(fixed.neighborhoods, rows)
        if fixed.fused is not None and isinstance(fixed.chain, FusedMLP):
            fixed.fused = _with_rows(fixed.fused, fixed.chain.as_layers(rows))
    if fixed.neighbors is not None:
        fixed.neighbors = _with_rows(fixed.neighbors, fixed.neighbors.rows)
        if isinstance(fixed.chain, FusedNeighbors):
            chain = _copied(fixed.chain)
            layers = chain.chain.as_layers(fixed.neighbors.rows)
            chain.neighbors = _with_rows(chain.neighbors, layers)
            ranking = chain.neighbors.twice.clone()
            assert saved.ones is not None
            ranking[_place_of_ones(chain)] = saved.ones
            chain.ranking = ranking
            fixed.chain = chain
    return Reference(fixed, saved.usual, in_double=saved.in_double)


def _with_rows(neighbors: Searched, rows: Tensor) -> Searched:
    whole = _copied(neighbors)
    whole.rows = rows
    # As `Products.of` does; center and squares, which are sums, are there.
    whole.twice = (-2 * (rows - whole.center).mT).contiguous()
    return whole


def _without(part: Part, *names: str) -> Part:
    left = _copied(part)
    for name in names:
        setattr(left, name, None)
    return left


def _copied(part: Part) -> Part:
    """Copy a module but not its parts: PyTorch's own copy would share the tables of these."""
    copied = copy.copy(part)
    for table in ("_buffers", "_modules", "_parameters"):
        inner: dict[str, Any] = part.__dict__[table]
        copied.__dict__[table] = inner.copy()
    return copied


def _place_of_ones(chain: FusedNeighbors) -> int:
    """Column of ones behind the first layer, on which the constant of `ranking` rides."""
    place: int = chain.chain.starts[1] - 1
    return place
