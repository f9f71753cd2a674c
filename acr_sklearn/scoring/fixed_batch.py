"""Module that scores single rows under fixed batch statistics."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

from torch import Tensor, nn

from acr_sklearn.scoring.fused_mlp import FusedMLP, FusedNeighbors
from acr_sklearn.scoring.heads import (
    SCORE_HEADS,
    combined,
    mahalanobis_distances,
    network_distances,
)
from acr_sklearn.scoring.neighbors import Neighbors
from acr_sklearn.scoring.reference_rows import ReferenceIndex
from acr_sklearn.scoring.robust_scale import RobustLogScale
from acr_sklearn.scoring.standardize import Standardizer

__all__ = ["FixedBatch"]


class FixedBatch(nn.Module):
    """Module that scores rows one by one under fixed batch statistics.

    Attributes
    ----------
    standardizer : Standardizer
        Standardization of a row for the network.
    network : nn.Module
        With fixed batch statistics; None for a score of the features alone.
    whitening : Tensor or None
        For the score of the features.
    neighbors : Neighbors or None
        In the network's layers.
    scales : Tensor of shape (3, 2, 1) or None
        Of the distances to neighbours and to the centre, where both are part of the score.
    bounds : Tensor of shape (2, n_features) or None
        Where a batch has gross values, what rows are brought to first, see `gross_bounds`.
    chain : FusedMLP or FusedNeighbors or None
        The same once more, for many rows without gradient, see `measure`.
    known : ReferenceIndex or None
        Finds the rows that are fixed ones.
    """

    whitening: Any
    scales: Any
    bounds: Any

    def __init__(self, kind: str, standardizer: Standardizer):
        super().__init__()
        self.kind = kind
        self.standardizer = standardizer
        self.register_buffer("whitening", None)
        self.network: Any = None
        self.neighbors: Neighbors | None = None
        self.register_buffer("scales", None)
        self.register_buffer("bounds", None)
        self.chain: FusedMLP | FusedNeighbors | None = None
        self.known: ReferenceIndex | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Score rows.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units.

        Returns
        -------
        Tensor of shape (n_rows,)
            High for abnormal rows.

        Raises
        ------
        ValueError
            For rows of another width.
        """
        if x.shape[-1] != len(self.standardizer.divisor):
            raise ValueError(
                f"FixedBatch got rows of {x.shape[-1]} features, but holds the statistics of "
                f"{len(self.standardizer.divisor)}. Pass the features that the detector was "
                "fitted on."
            )
        if self.bounds is not None:
            x = x.clamp(*self.bounds.to(x))
        return self.combined(self.distances(x))

    @property
    def n_views(self) -> int:
        """Rows that the network makes of each row to score it, transformed ones included."""
        sees_views = self.kind == "objective" or SCORE_HEADS.get(self.kind) is not None
        return int(self.network.objective.n_views) if sees_views else 1

    def distances(self, x: Tensor, own: Tensor | None = None) -> Tensor:
        """Measure the distances that make up the score.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units.
        own : Tensor of shape (n_rows,), int64, or None
            Of `Neighbors`.

        Returns
        -------
        Tensor of shape (n_parts, n_rows)
            One distance, or two that `combined` compares.
        """
        inputs = self.standardizer(x)
        if self.kind == "mahalanobis":
            return mahalanobis_distances(inputs, self.whitening)[None]

        def nearest(layers: Tensor) -> Tensor:
            assert self.neighbors is not None
            found: Tensor = self.neighbors(layers, own)
            return found

        return network_distances(self.kind, self.network, inputs, nearest)

    def measure(self, x: Tensor, own: Tensor | None = None) -> Tensor:
        """Measure many rows without gradient, faster than `distances`.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units, at least one row.
        own : Tensor of shape (n_rows,), int64, or None
            Of `Neighbors`.

        Returns
        -------
        Tensor of shape (n_parts, n_rows)
            What `distances` returns.
        """
        if self.chain is None:
            return self.distances(x, own)
        if isinstance(self.chain, FusedMLP):
            return self.chain(x)[None]
        seen: Tensor = self.chain(x, own)
        return seen[:1] if self.kind == "neighbors" else seen

    def itself(self, x: Tensor) -> Tensor | None:
        """Find the fixed row that each row is.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units.

        Returns
        -------
        Tensor of shape (n_rows,), int64, or None
            -1 for none; None where no rows are fixed.
        """
        if self.neighbors is None:
            return None
        return self.neighbors.itself(self.network.layers(self.standardizer(x)))

    def sums(self, x: Tensor, own: Tensor | None) -> Tensor | None:
        """Take apart by feature what of `distances` is a sum over the features.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units.
        own : Tensor of shape (n_rows,), int64, or None
            As in `distances`.

        Returns
        -------
        Tensor of shape (n_sums, n_rows, n_features) or None
            Of the first n_sums parts of `distances`; None where there are no such parts.
        """
        return None

    def differentiable(self, x: Tensor, own: Tensor | None) -> Tensor:
        """Measure with gradient what `sums` does not take apart.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units.
        own : Tensor of shape (n_rows,), int64, or None
            As in `distances`.

        Returns
        -------
        Tensor of shape (n_parts - n_sums, n_rows)
            The other parts of `distances`.
        """
        if self.neighbors is None:
            return self.distances(x, own)
        # Slopes of exact differences take ten times as long.
        nearest = partial(self.neighbors, own=own, exact=False)
        return network_distances(self.kind, self.network, self.standardizer(x), nearest)

    def single(self) -> FixedBatch:
        """Give a copy for rows in single precision."""
        single = copy.deepcopy(self).float()
        single.standardizer = self.standardizer.single()
        if single.neighbors is not None:
            single.neighbors.exact = False
        if single.chain is not None:
            chain = single.chain
            (
                chain if isinstance(chain, FusedMLP) else chain.chain
            ).standardizer = single.standardizer
        return single

    def combined(self, distances: Tensor) -> Tensor:
        """Turn distances into scores.

        Parameters
        ----------
        distances : Tensor of shape (n_parts, n_rows)
            Of `distances`.

        Returns
        -------
        Tensor of shape (n_rows,)
            High for abnormal rows.
        """
        scales = None if self.scales is None else RobustLogScale(*self.scales)
        return combined(distances, scales, SCORE_HEADS[self.kind])
