"""A batch held fixed: what scores any row by itself under the statistics of the batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from acr_sklearn.distances import LogScale, Products
from acr_sklearn.matrix_chain import MatrixChain

__all__ = ["FrozenBatch", "Neighbors", "whitened"]

#: Share of a row within which it agrees with itself, computed twice, in single precision or read
#: back from a table of numbers with six digits.
_ROUNDING = 3e-5


class Neighbors(nn.Module):
    """Mean distance to the nearest of some fixed rows.

    Parameters
    ----------
    rows : Tensor of shape (n_references, width)
        The fixed rows.
    positions : Tensor of shape (n_references,), int64
        Where in their batch they stood.
    n_neighbors : int
        How many count.
    exact : bool
        Whether distances are computed as differences, see `differences_are_cheap`.
    """

    rows: Tensor
    positions: Tensor
    center: Tensor
    twice: Tensor
    squares: Tensor

    def __init__(self, rows: Tensor, positions: Tensor, n_neighbors: int, exact: bool):
        super().__init__()
        self.register_buffer("rows", rows)
        self.register_buffer("positions", positions)
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
            Where in the batch each stands, -1 for no place: a row is no neighbour of its own.
            None: not known, so one fixed row at no distance counts as the row itself.

        Returns
        -------
        Tensor of shape (n_rows,)
            High for isolated rows.
        """
        k = self.n_neighbors
        products = Products(self.center, self.twice, self.squares)
        if self.exact:
            distances = torch.cdist(x, self.rows, compute_mode="donot_use_mm_for_euclid_dist")
        else:
            distances = products.lacking_own_square(x)
        if own is not None:
            distances = distances.masked_fill(own[:, None] == self.positions, torch.inf)
            nearest = distances.topk(k, dim=1, largest=False).values
        else:
            nearest, where = distances.topk(min(k + 1, len(self.rows)), dim=1, largest=False)
            # A product of matrices leaves more than rounding of no distance; a difference does not.
            apart = (x - self.rows[where[:, 0]]).norm(dim=1, keepdim=True)
            itself = apart <= _ROUNDING * x.norm(dim=1, keepdim=True)
            # Chosen before the root, whose slope at no distance has no bound.
            nearest = torch.where(itself, nearest[:, -k:], nearest[:, :k])
        return (nearest if self.exact else products.root(nearest, x)).sum(1) / k


class FrozenBatch(nn.Module):
    """Scores rows one by one under the statistics of one batch.

    Attributes
    ----------
    location, divisor : Tensor of shape (n_features,)
        What is subtracted from a row and what it is divided by before the network.
    network : nn.Module
        With fixed batch statistics; None for a score of the features alone.
    whitening : Tensor or None
        For the score of the features.
    neighbors : Neighbors or None
        In the network's layers.
    scales : Tensor of shape (3, 2, 1) or None
        Of the distances to neighbours and to the centre, where both are looked at.
    chain : MatrixChain or None
        The network once more, for the objective's score of many rows.
    """

    location: Tensor
    divisor: Tensor
    whitening: Any
    scales: Any

    def __init__(self, kind: str, location: Tensor, divisor: Tensor):
        super().__init__()
        self.kind = kind
        self.register_buffer("location", location)
        self.register_buffer("divisor", divisor)
        self.register_buffer("whitening", None)
        self.network: Any = None
        self.neighbors: Neighbors | None = None
        self.register_buffer("scales", None)
        self.chain: MatrixChain | None = None

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
        """
        return self.combined(self.distances(x))

    def inputs(self, x: Tensor) -> Tensor:
        """Bring rows into the units of the network.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units.

        Returns
        -------
        Tensor of the shape of `x`
            Centred and divided.
        """
        return (x - self.location).div_(self.divisor)

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
        if self.chain is not None and not torch.is_grad_enabled():
            return self.chain(x)[None]
        inputs = self.inputs(x)
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
        return LogScale(floor, center, spread).standardise(distances).amax(dim=0)


def whitened(x: Tensor, whitening: Tensor) -> Tensor:
    """Whiten rows.

    Parameters
    ----------
    x : Tensor of shape (n_rows, n_features)
        In the units of the whitening.
    whitening : Tensor of shape (n_features, n_features) or (n_features,)
        Of `NormalShape.whitening`.

    Returns
    -------
    Tensor of the shape of `x`
        Rows whose distances count dependence between features.
    """
    return x * whitening if whitening.dim() == 1 else x @ whitening
