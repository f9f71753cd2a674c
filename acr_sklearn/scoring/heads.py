"""Scoring heads: from features and network layers to one score per row.

What a head is stands here once; whole, stacked, chunked and fixed batches call it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from acr_sklearn.domains.batch_statistics import centre_by_mask, standardize_by_mask
from acr_sklearn.domains.covariance import WithinDomainCovariance, whitened
from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.networks.ensemble import ACREnsemble
from acr_sklearn.scoring.neighbors import n_references, nearest_distance
from acr_sklearn.scoring.robust_scale import RobustLogScale
from acr_sklearn.scoring.trimming import most_normal, round_down

__all__ = [
    "SCORE_HEADS",
    "ScoreHead",
    "combined",
    "largest",
    "mahalanobis_distances",
    "make_head",
    "network_distances",
]

Network = ACRNetwork | ACREnsemble
#: Distance of each row to its nearest ones of the batch.
Nearest = Callable[[Tensor], Tensor]

#: Makes one score of the z-scores of several distances.
Join = Callable[[Tensor], Tensor]


def largest(z_scores: Tensor) -> Tensor:
    """Take the most alarming of several distances.

    Parameters
    ----------
    z_scores : Tensor of shape (n_parts, ..., n_samples)
        Robust z-scores of log distances.

    Returns
    -------
    Tensor of shape (..., n_samples)
        The largest of each row.
    """
    return z_scores.amax(dim=0)


#: Each head, and what joins its two distances in the network; None for a head of one distance.
SCORE_HEADS: dict[str, Join | None] = {
    "combined": largest,
    "objective": None,
    "neighbors": None,
    "mahalanobis": None,
}

#: Fraction of the batch in the wide neighbourhood, chosen with the ridges below.
_WIDE = 0.3


@dataclass(frozen=True)
class ScoreHead:
    """Scoring head: from features and network layers to one score per row.

    The steps are the same for whole, stacked, chunked and fixed batches: `initial_distances` and
    `combined` give the initial outlyingness, `most_normal` trims by it, `mahalanobis_distances` or
    `network_distances` measure under the statistics of the kept rows, and `combined` again makes
    one score of these.

    Attributes
    ----------
    kind : str
        Which head, a key of `SCORE_HEADS`.
    n_neighbors : int
        Number of nearest rows that a distance is the mean of.
    trim_fraction : float
        Fraction of the batch, of the highest initial outlyingness, that the statistics leave out.
    covariance : WithinDomainCovariance or None
        How the training normals vary around their centres; None for a head that needs none.
    """

    #: Ridges of the whitened distances: chosen on validation domains of digits, Fashion-MNIST, road
    #: accidents and glyphs, see docs/scores.md.
    ridge_norm: ClassVar[float] = 0.03
    ridge_neighbors: ClassVar[float] = 0.1

    kind: str
    n_neighbors: int
    trim_fraction: float
    covariance: WithinDomainCovariance | None

    @property
    def uses_neighbors(self) -> bool:
        """Whether distances to neighbours count."""
        return self.kind == "neighbors" or self.join is not None

    @property
    def join(self) -> Join | None:
        """What joins the two distances in the network; None for a head of one distance."""
        return SCORE_HEADS[self.kind]

    def score(
        self, network: Network, x: Tensor, features: Tensor | None, *, rescale: bool = False
    ) -> Tensor:
        """Score the rows of each batch.

        Parameters
        ----------
        network : ACRNetwork or ACREnsemble
            The trained network.
        x : Tensor of shape (n_batches, n_samples, n_inputs)
            Its input.
        features : Tensor of shape (n_batches, n_samples, n_features) or None
            The batches standardized like `covariance`; None where there is no covariance.
        rescale : bool, default=False
            Whether the network's input may be brought to the spread of the kept rows; not for a
            user's network, which sees rows as they are.

        Returns
        -------
        Tensor of shape (n_batches, n_samples)
            High for abnormal rows.
        """
        kept = None
        if round_down(self.trim_fraction, x.shape[1]):
            kept = most_normal(self.initial_outlyingness(features), self.trim_fraction)
            if rescale and self.kind != "mahalanobis":
                # A gross row must not press the others below the epsilon of the batch norm.
                x = standardize_by_mask(x, kept)
        return combined(self.distances(network, x, features, kept), join=self.join)

    def distances(
        self, network: Network, x: Tensor, features: Tensor | None, kept: Tensor | None
    ) -> Tensor:
        """Measure the rows of each batch under the statistics of its kept rows.

        Parameters
        ----------
        network : ACRNetwork or ACREnsemble
            Of `score`.
        x : Tensor of shape (n_batches, n_samples, n_inputs)
            Of `score`.
        features : Tensor of shape (n_batches, n_samples, n_features) or None
            Of `score`.
        kept : Tensor of shape (n_batches, n_samples), bool, or None
            Rows that the statistics are computed on; None: all.

        Returns
        -------
        Tensor of shape (n_parts, n_batches, n_samples)
            What `combined` makes a score of.
        """
        if self.kind == "mahalanobis":
            assert features is not None
            centred = centre_by_mask(features, kept)
            return mahalanobis_distances(centred, self.whitening(self.ridge_norm, features))[None]
        return network_distances(
            self.kind,
            network,
            x,
            lambda layers: nearest_distance(layers, self.n_neighbors, kept),
            kept,
        )

    def initial_outlyingness(self, features: Tensor | None) -> Tensor:
        """Score rows by the features alone, to trim the statistics of the network.

        Parameters
        ----------
        features : Tensor of shape (n_batches, n_samples, n_features) or None
            Of `score`.

        Returns
        -------
        Tensor of shape (n_batches, n_samples)
            High for abnormal rows.
        """
        assert features is not None
        wide = self.wide_neighbors(features.shape[1])
        distances = self.initial_distances(
            centre_by_mask(features, None),
            lambda rows: nearest_distance(rows, self.n_neighbors),
            lambda rows: nearest_distance(rows, wide),
        )
        return combined(distances)

    def initial_distances(
        self, features: Tensor, near: Nearest | None = None, wide: Nearest | None = None
    ) -> Tensor:
        """Measure the distances that make up the initial outlyingness.

        Parameters
        ----------
        features : Tensor of shape (..., n_samples, n_features)
            Batches, centred, standardized like `covariance`.
        near, wide : callable or None
            Take whitened and plain features, return the distance of each row to near ones of the
            batch, and to the wide neighbourhood of `wide_neighbors`. Only where neighbours count.

        Returns
        -------
        Tensor of shape (n_parts, ..., n_samples)
            Mahalanobis distance to the mean and, where neighbours count, these two.
        """
        far = mahalanobis_distances(features, self.whitening(self.ridge_norm, features))
        if not self.uses_neighbors:
            return far[None]
        assert near is not None
        assert wide is not None
        by_covariance = whitened(features, self.whitening(self.ridge_neighbors, features))
        return torch.stack([far, near(by_covariance), wide(features)])

    def wide_neighbors(self, n_rows: int) -> int:
        """Count the neighbours of the wide neighbourhood.

        Parameters
        ----------
        n_rows : int
            Rows of the batch.

        Returns
        -------
        int
            30 % of the rows that may serve as neighbours.
        """
        return max(self.n_neighbors, round(_WIDE * n_references(n_rows)))

    def whitening(self, ridge: float, like: Tensor) -> Tensor:
        """Give the whitening of the covariance as a tensor.

        Parameters
        ----------
        ridge : float
            Of `WithinDomainCovariance.whitening`.
        like : Tensor
            Of the precision and on the device that are wanted.

        Returns
        -------
        Tensor of shape (n_features, n_features) or (n_features,)
            For `whitened`.
        """
        assert self.covariance is not None
        return torch.as_tensor(self.covariance.whitening(ridge)).to(like)


def mahalanobis_distances(centred: Tensor, whitening: Tensor) -> Tensor:
    """Mahalanobis distance of each row to the mean.

    Parameters
    ----------
    centred : Tensor of shape (..., n_samples, n_features)
        Rows less the mean.
    whitening : Tensor of shape (n_features, n_features) or (n_features,)
        Of `ScoreHead.whitening`.

    Returns
    -------
    Tensor of shape (..., n_samples)
        Length of the whitened rows.
    """
    found: Tensor = whitened(centred, whitening).norm(dim=-1)
    return found


def network_distances(
    kind: str, network: Any, x: Tensor, nearest: Nearest, kept: Tensor | None = None
) -> Tensor:
    """Measure rows in the layers of a network.

    Parameters
    ----------
    kind : str
        Which head, "mahalanobis" excepted.
    network : ACRNetwork, ACREnsemble, or one of these at fixed batch statistics
        What makes the layers.
    x : Tensor of shape (..., n_samples, n_inputs)
        Its input.
    nearest : callable
        Takes all layers side by side, returns the distance of each row to its neighbours.
    kept : Tensor of shape (..., n_samples), bool, or None
        Rows that the statistics are computed on; None: all, or fixed ones.

    Returns
    -------
    Tensor of shape (n_parts, ..., n_samples)
        The objective's score, the distance to neighbours, or both as distances.
    """
    if kind == "objective":
        return torch.stack([network.anomaly_score(x, kept)])
    if kind == "neighbors":
        return nearest(network.layers(x, kept))[None]
    layers, score = network.layers_and_score(x, kept)
    return torch.stack([nearest(layers), network.distance(score)])


def combined(
    distances: Tensor, scales: RobustLogScale | None = None, join: Join | None = largest
) -> Tensor:
    """Make one score of distances: by default the largest robust z-score of their logarithms.

    Parameters
    ----------
    distances : Tensor of shape (n_parts, ..., n_samples)
        Of `network_distances`, `mahalanobis_distances` or `ScoreHead.initial_distances`.
    scales : RobustLogScale or None
        Fixed ones; None: those of the batch itself.
    join : callable or None, default=largest
        Makes one score of the z-scores; None for a single distance.

    Returns
    -------
    Tensor of shape (..., n_samples)
        A single distance as it is, for it has nothing to be compared with.
    """
    if join is None or len(distances) == 1:
        return distances[0]
    scales = RobustLogScale.of(distances) if scales is None else scales
    return join(scales.standardise(distances))


def make_head(
    kind: str, n_neighbors: int, trim_fraction: float, covariance: WithinDomainCovariance
) -> ScoreHead:
    """Build a head.

    Parameters
    ----------
    kind : str
        Which head, a key of `SCORE_HEADS`.
    n_neighbors : int
        Number of nearest rows that a distance is the mean of.
    trim_fraction : float
        Fraction of the batch that the statistics leave out.
    covariance : WithinDomainCovariance
        Of the training normals; kept only where the head needs it.

    Returns
    -------
    ScoreHead
        Ready to score.
    """
    needed = kind == "mahalanobis" or trim_fraction > 0
    return ScoreHead(kind, n_neighbors, trim_fraction, covariance if needed else None)
