"""A batch held fixed: what scores any row by itself under the statistics of the batch."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from acr_sklearn.scoring.fused_mlp import FusedMLP
from acr_sklearn.scoring.neighbors import Products, smallest
from acr_sklearn.scoring.reference_rows import ReferenceIndex
from acr_sklearn.scoring.robust_scale import RobustLogScale
from acr_sklearn.scoring.standardize import Standardizer

__all__ = ["FixedBatch", "Neighbors", "whitened"]

#: Share of a row within which it agrees with itself, computed twice, in single precision or read
#: back from a table of numbers with six digits.
_ROUNDING = 3e-5


class Neighbors(nn.Module):
    """Mean distance to the nearest of some fixed rows.

    Parameters
    ----------
    rows : Tensor of shape (n_references, width)
        The fixed rows.
    n_neighbors : int
        How many count.
    exact : bool
        Whether distances are computed as differences, see `differences_are_cheap`.
    """

    rows: Tensor
    center: Tensor
    twice: Tensor
    squares: Tensor

    def __init__(self, rows: Tensor, n_neighbors: int, exact: bool):
        super().__init__()
        self.register_buffer("rows", rows)
        # One of the rows that may serve is the row itself.
        self.n_neighbors = min(n_neighbors, max(len(rows) - 1, 1))
        self.exact = exact
        products = Products.of(rows)
        for name in ("center", "twice", "squares"):
            self.register_buffer(name, getattr(products, name))

    def forward(self, x: Tensor, own: Tensor | None = None) -> Tensor:
        """Measure the distances.

        Parameters
        ----------
        x : Tensor of shape (n_rows, width)
            Rows of the batch or others.
        own : Tensor of shape (n_rows,), int64, or None
            Which fixed row each is, -1 for none: a row is no neighbour of its own. None: not known,
            so one fixed row at no distance counts as the row itself.

        Returns
        -------
        Tensor of shape (n_rows,)
            High for isolated rows.
        """
        products = Products(self.center, self.twice, self.squares)
        if self.exact:
            distances = torch.cdist(x, self.rows, compute_mode="donot_use_mm_for_euclid_dist")
            return self.nearest(distances, x, own).sum(1) / self.n_neighbors
        nearest = self.nearest(products.lacking_own_square(x), x, own)
        # Chosen before the root, whose slope at no distance has no bound.
        return products.root(nearest, x).sum(1) / self.n_neighbors

    def nearest(self, distances: Tensor, x: Tensor, own: Tensor | None) -> Tensor:
        """Choose the distances that count.

        Parameters
        ----------
        distances : Tensor of shape (n_rows, n_references)
            Or what ranks as they do.
        x : Tensor of shape (n_rows, width)
            The rows.
        own : Tensor of shape (n_rows,), int64, or None
            As in `forward`.

        Returns
        -------
        Tensor of shape (n_rows, n_neighbors)
            The smallest but for the row's own.
        """
        k = self.n_neighbors
        if own is not None:
            (ours,) = torch.nonzero(own >= 0, as_tuple=True)
            distances[ours, own[ours]] = torch.inf
            return smallest(distances, k)
        nearest, where = distances.topk(min(k + 1, len(self.rows)), dim=1, largest=False)
        # A product of matrices leaves more than rounding of no distance; a difference does not.
        apart = (x - self.rows[where[:, 0]]).norm(dim=1, keepdim=True)
        itself = apart <= _ROUNDING * x.norm(dim=1, keepdim=True)
        return torch.where(itself, nearest[:, -k:], nearest[:, :k])


class FusedNeighbors(nn.Module):
    """Distances to neighbours and to the centre from a chain of matrix products.

    The same as `Neighbors` finds in the layers of the network, in reused memory: for large batches.

    Parameters
    ----------
    chain : FusedMLP
        Makes the layers.
    neighbors : Neighbors
        With fixed rows in what `ACRNetwork.views` returns.
    """

    ranking: Tensor

    def __init__(self, chain: FusedMLP, neighbors: Neighbors):
        super().__init__()
        self.chain = chain
        rows = chain.as_layers(neighbors.rows)
        self.neighbors = Neighbors(rows, neighbors.n_neighbors, False)
        # The squares of the fixed rows, and what centring takes off, ride on a column of ones.
        ranking = self.neighbors.twice.clone()
        center = self.neighbors.center
        ranking[chain.starts[1] - 1] = (self.neighbors.squares - center @ ranking)[0]
        self.register_buffer("ranking", ranking)

    def forward(self, x: Tensor, own: Tensor | None) -> Tensor:
        """Measure rows.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units. Without gradient: buffers are written over.
        own : Tensor of shape (n_rows,), int64, or None
            Of `Neighbors`.

        Returns
        -------
        Tensor of shape (2, n_rows)
            Mean distance to the nearest fixed rows, distance to the centre.
        """
        out = x.new_empty(2, len(x))
        products, center = x.new_empty(0), self.neighbors.center[0]
        for start, layers in self.chain.blocks(x):
            n = len(layers)
            if len(products) < n:
                products = x.new_empty(n, self.ranking.shape[1])
            ranks = torch.mm(layers, self.ranking, out=products[:n])
            here = None if own is None else own[start : start + n]
            nearest = self.neighbors.nearest(ranks, layers, here)
            # The squared distance from the centre without a pass that writes.
            own_square = torch.linalg.vector_norm(layers, dim=1).square_()
            own_square.addmv_(layers, center, alpha=-2).add_(center @ center)
            nearest += own_square[:, None]
            torch.mean(nearest.clamp_min_(0).sqrt_(), dim=1, out=out[0, start : start + n])
            torch.sum(self.chain.last(layers).square_(), dim=1, out=out[1, start : start + n])
        out[1].sqrt_()
        return out


class FixedBatch(nn.Module):
    """Scores rows one by one under the statistics of one batch.

    Attributes
    ----------
    units : Standardizer
        What brings a row to the units of the network.
    network : nn.Module
        With fixed batch statistics; None for a score of the features alone.
    whitening : Tensor or None
        For the score of the features.
    neighbors : Neighbors or None
        In the network's layers.
    scales : Tensor of shape (3, 2, 1) or None
        Of the distances to neighbours and to the centre, where both are looked at.
    chain : FusedMLP or FusedNeighbors or None
        The same once more, for many rows without gradient, see `measure`.
    known : ReferenceIndex or None
        Finds the rows that are fixed ones.
    """

    whitening: Any
    scales: Any

    def __init__(self, kind: str, units: Standardizer):
        super().__init__()
        self.kind = kind
        self.units = units
        self.register_buffer("whitening", None)
        self.network: Any = None
        self.neighbors: Neighbors | None = None
        self.register_buffer("scales", None)
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
        if x.shape[-1] != len(self.units.divisor):
            raise ValueError(
                f"A frozen batch got rows of {x.shape[-1]} features, but holds the statistics of "
                f"{len(self.units.divisor)}. Pass the features that the detector was fitted on."
            )
        return self.combined(self.distances(x))

    def distances(self, x: Tensor, own: Tensor | None = None) -> Tensor:
        """Measure what the score is made of.

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
        inputs = self.units(x)
        if self.kind == "mahalanobis":
            return whitened(inputs, self.whitening).norm(dim=1)[None]
        if self.kind == "objective":
            return self.network.anomaly_score(inputs)[None]
        representation, centre = self.network.views(inputs)
        assert self.neighbors is not None
        near = self.neighbors(representation, own)
        if self.kind == "neighbors":
            return near[None]
        return torch.stack([near, self.network.distance(centre)])

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
        return seen if self.kind == "combined" else seen[:1]

    def single(self) -> FixedBatch:
        """Give a copy for rows in single precision."""
        single = copy.deepcopy(self).float()
        single.units = self.units.single()
        if single.neighbors is not None:
            single.neighbors.exact = False
        if single.chain is not None:
            chain = single.chain
            (chain if isinstance(chain, FusedMLP) else chain.chain).units = single.units
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
        if self.scales is None:
            return distances[0]
        floor, center, spread = self.scales
        return RobustLogScale(floor, center, spread).standardise(distances).amax(dim=0)


def whitened(x: Tensor, whitening: Tensor) -> Tensor:
    """Whiten rows.

    Parameters
    ----------
    x : Tensor of shape (n_rows, n_features)
        In the units of the whitening.
    whitening : Tensor of shape (n_features, n_features) or (n_features,)
        Of `WithinDomainCovariance.whitening`.

    Returns
    -------
    Tensor of the shape of `x`
        Rows whose distances count dependence between features.
    """
    return x * whitening if whitening.dim() == 1 else x @ whitening
