"""Fused MLP: a built-in network under fixed batch statistics, in reused memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any, cast

import torch
from torch import Tensor, nn

from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.networks.mlp import MLPNetwork
from acr_sklearn.networks.objectives import DeepSVDD
from acr_sklearn.scoring.neighbors import Neighbors
from acr_sklearn.scoring.standardize import Standardizer

__all__ = ["FusedMLP", "FusedNeighbors"]

#: Rows per thread at a time: what they become stays in a core's cache. With 64 features and 512
#: units blocks of 512 ran at 0.7 to 0.8 of the rate of a large matrix product, whether on one
#: thread or as 1024 on two, and 4096 rows in fresh memory at 0.3.
_ROWS = 512


class FusedMLP(nn.Module):
    """Squared distance to the centre, layer by layer into a buffer that all blocks of rows share.

    Statistics, scale and centre are folded into the matrices, and additions into a column of ones
    behind every layer, so that a layer is one matrix product and one pass for the ReLU.

    Parameters
    ----------
    standardizer : Standardizer
        Standardization of a row for the network.
    weights, biases : list of Tensor
        Of the linear layers.
    center : Tensor of shape (embedding_dim,)
        Subtracted from the last layer.
    """

    center: Tensor

    def __init__(
        self,
        standardizer: Standardizer,
        weights: list[Tensor],
        biases: list[Tensor],
        center: Tensor,
    ):
        super().__init__()
        self.standardizer = standardizer
        self.register_buffer("center", center)
        # W ((x - m) / s) = (W / s) (x - m). The location m is subtracted from the rows, not folded
        # into the bias: beside a large offset W x and W m would cancel, and their digits with them.
        weights = [weights[0] / standardizer.divisor, *weights[1:]]
        biases = [*biases[:-1], biases[-1] - center]
        self.widths: list[int] = [len(bias) for bias in biases]
        #: First column of each layer; behind each but the last stands a one.
        self.starts: list[int] = [0, *accumulate(width + 1 for width in self.widths[:-1])]
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            # [x, 1] [W^T; b] = W x + b: the bias needs no pass of its own.
            self.register_buffer(f"matrix_{i}", torch.cat([weight.T, bias[None]]).contiguous())

    @classmethod
    def of(cls, standardizer: Standardizer, network: Any) -> FusedMLP | None:
        """Make the chain of a network.

        Parameters
        ----------
        standardizer : Standardizer
            Standardization of a row for the network.
        network : nn.Module
            With its norms folded into linear layers, see `acr_sklearn.scoring.fixed_norms`.

        Returns
        -------
        FusedMLP or None
            None for a network that is no such chain: an ensemble, a user's module, another
            objective.
        """
        if not isinstance(network, ACRNetwork) or type(network.backbone) is not MLPNetwork:
            return None
        # A subclass may have a forward of its own.
        if type(network.objective) is not DeepSVDD:
            return None
        layers = [*network.backbone.linears, network.objective.linear]
        linears = [cast(nn.Linear, layer) for layer in layers]
        weights = [layer.weight.detach() for layer in linears]
        biases = [layer.bias.detach() for layer in linears]
        return cls(standardizer, weights, biases, network.objective.center.detach())

    def forward(self, x: Tensor) -> Tensor:
        """Score rows.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units. Without gradient: buffers are written over.

        Returns
        -------
        Tensor of shape (n_rows,)
            Squared distances to the centre.
        """
        out = x.new_empty(len(x))
        for start, layers in self.blocks(x):
            torch.sum(self.last(layers).square_(), dim=1, out=out[start : start + len(layers)])
        return out

    def last(self, layers: Tensor) -> Tensor:
        """Cut out the last layer.

        Parameters
        ----------
        layers : Tensor of shape (n_rows, width)
            Of `blocks`.

        Returns
        -------
        Tensor of shape (n_rows, embedding_dim)
            A view: embeddings, the centre subtracted.
        """
        return layers[:, self.starts[-1] :]

    def blocks(self, x: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Run rows through all layers, some at a time.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units.

        Yields
        ------
        start : int
            Position of the first row.
        layers : Tensor of shape (n_block_rows, width)
            Side by side what every layer made of the rows, ones behind all but the last; to be
            used before the next block overwrites it.
        """
        matrices = [cast(Tensor, getattr(self, f"matrix_{i}")) for i in range(len(self.widths))]
        within = self.standardizer.reaches(x)
        # Buffers belong to the call, so that threads never share one.
        size = min(_ROWS * torch.get_num_threads(), len(x))
        inputs = x.new_ones(size, len(matrices[0]))
        layers = x.new_ones(size, self.starts[-1] + self.widths[-1])
        for start in range(0, len(x), size):
            rows = x[start : start + size]
            n = len(rows)
            self.standardizer.centre(rows, out=inputs[:n, :-1], within=within)
            before = inputs[:n]
            for begin, width, matrix in zip(self.starts, self.widths, matrices, strict=True):
                layer = layers[:n, begin : begin + width]
                torch.mm(before, matrix, out=layer)
                if begin < self.starts[-1]:
                    layer.relu_()
                before = layers[:n, begin : begin + width + 1]
            yield start, layers[:n]

    def as_layers(self, representation: Tensor) -> Tensor:
        """Bring what `ACRNetwork.layers_and_score` returns into the form of `blocks`.

        Parameters
        ----------
        representation : Tensor of shape (n_rows, n_columns)
            All hidden layers and the embedding.

        Returns
        -------
        Tensor of shape (n_rows, width)
            With ones, and the centre subtracted: differences between rows are the same.
        """
        *hidden, embedding = representation.split(self.widths, dim=1)
        ones = torch.ones_like(representation[:, :1])
        parts = [part for layer in hidden for part in (layer, ones)]
        return torch.cat([*parts, embedding - self.center], dim=1)


class FusedNeighbors(nn.Module):
    """Distances to neighbours and to the centre from a chain of matrix products.

    The same as `Neighbors` finds in the layers of the network, in reused memory: for large batches.

    Parameters
    ----------
    chain : FusedMLP
        Makes the layers.
    neighbors : Neighbors
        With fixed rows in what `ACRNetwork.layers_and_score` returns.
    """

    ranking: Tensor

    def __init__(self, chain: FusedMLP, neighbors: Neighbors):
        super().__init__()
        self.chain = chain
        rows = chain.as_layers(neighbors.rows)
        self.neighbors: Neighbors = Neighbors(rows, neighbors.n_neighbors, False)
        # For rows r and centre c: |x - r|^2 = |x - c|^2 - 2 (x - c).(r - c) + |r - c|^2. The first
        # term ranks nothing; with `twice` = -2 (r - c) the others are x.twice + (|r - c|^2 -
        # c.twice), and the constant rides on a column of ones, where r - c, so `twice`, is 0.
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
            # The term left out: |x - c|^2 = |x|^2 - 2 x.c + |c|^2, without a pass that writes.
            own_square = torch.linalg.vector_norm(layers, dim=1).square_()
            own_square.addmv_(layers, center, alpha=-2).add_(center @ center)
            nearest = (nearest + own_square[:, None]).clamp_min_(0).sqrt_()
            if x.dtype == torch.float32:
                self.neighbors.measure_anew(nearest, own_square, layers, here)
            torch.mean(nearest, dim=1, out=out[0, start : start + n])
            torch.sum(self.chain.last(layers).square_(), dim=1, out=out[1, start : start + n])
        out[1].sqrt_()
        return out
