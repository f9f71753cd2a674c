"""Consensus head: the network's neighbours and the statistics of the batch, as equals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acr_sklearn.domains.batch_statistics import standardize_by_mask
from acr_sklearn.domains.covariance import WithinDomainCovariance
from acr_sklearn.scoring.discriminant import Discriminant
from acr_sklearn.scoring.evidence import (
    BatchEvidence,
    Combination,
    EvidenceScale,
    consensus,
    n_evidence_rows,
)
from acr_sklearn.scoring.heads import ScoreHead, mahalanobis_distances
from acr_sklearn.scoring.neighborhoods import Neighborhoods
from acr_sklearn.scoring.reference_rows import (
    ReferenceIndex,
    evenly_spaced,
    hash_weights,
    row_hashes,
)
from acr_sklearn.scoring.trimming import most_normal, round_down

__all__ = ["ConsensusHead", "MeasuredBatch"]

#: Pieces of evidence, the most alarming, that say which rows the network's statistics leave out.
_TELLING = 1
#: Difference, as a fraction, of the evidence of rows that are all equal.
_ALIKE = 1e-5
#: Neighbourhoods in the layers of the network.
_NEAR_AND_WIDE = (0.1, 0.3)


class LayeredNetwork(Protocol):
    """What the head asks of a network, which `ACRNetwork` and `ACREnsemble` answer."""

    def layers(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """Give all layers side by side, under the statistics of the kept rows."""


@dataclass(frozen=True)
class MeasuredBatch:
    """Evidence of a batch before the network has seen it.

    Attributes
    ----------
    evidence : BatchEvidence
        Under the statistics of the batch.
    serving : Tensor of int64
        Positions of the rows that serve as neighbours.
    known : ReferenceIndex or None
        Finds these rows; None where all rows serve and nobody asks later.
    own : Tensor of shape (n_samples,), int64
        Which of the serving rows each is, -1 for none.
    values : Tensor of shape (n_values, n_samples)
        What `evidence` found, the projection of a discriminant last.
    far : Tensor of shape (n_samples,)
        Mahalanobis distance of each row to the mean of the batch.
    """

    evidence: BatchEvidence
    serving: Tensor
    known: ReferenceIndex | None
    own: Tensor
    values: Tensor
    far: Tensor


@dataclass(frozen=True)
class ConsensusHead:
    """Score of a batch by seven kinds of evidence that count alike.

    Four need no network, see `BatchEvidence`: distances to the near and the wide neighbourhood in
    batch units, rarity of values, conditional residuals. The most alarming of these and of the
    Mahalanobis distance says which rows the network's statistics leave out: that distance alone
    sees a fault that many rows share, who are neighbours of one another and whose values are not
    rare. Distances to the nearest, the near and the wide neighbourhood in the network's layers,
    among the rows that are kept, are the other three. A discriminant between normal rows and
    known anomalies of training domains may have a part in the score, see `Discriminant`.

    Attributes
    ----------
    n_neighbors : int
        Rows of the nearest neighbourhood in the network's layers.
    trim_fraction : float
        Fraction of the batch, the most alarming rows without the network, that the network's
        statistics and neighbours leave out.
    covariance : WithinDomainCovariance
        How the training normals vary around their centres.
    dependence : ndarray of shape (n_features, n_features) or None
        Of `fit_dependence`.
    weights : ndarray of shape (n_features,)
        Of `hash_weights`: what rows are chosen by, where not all serve.
    discriminant : Discriminant or None
        None for the consensus alone.
    """

    kind: ClassVar[str] = "consensus"

    n_neighbors: int
    trim_fraction: float
    covariance: WithinDomainCovariance
    dependence: NDArray[np.float64] | None
    weights: NDArray[np.float64]
    discriminant: Discriminant | None = None

    @classmethod
    def of(
        cls,
        n_neighbors: int,
        trim_fraction: float,
        covariance: WithinDomainCovariance,
        dependence: NDArray[np.float64] | None,
    ) -> ConsensusHead:
        """Build a head.

        Parameters
        ----------
        n_neighbors : int
            Of the head.
        trim_fraction : float
            Of the head.
        covariance : WithinDomainCovariance
            Of the head.
        dependence : ndarray of shape (n_features, n_features) or None
            Of the head.

        Returns
        -------
        ConsensusHead
            Ready to score.
        """
        scale = covariance.scale.scale
        weights = hash_weights(scale, len(scale))
        return cls(n_neighbors, trim_fraction, covariance, dependence, weights)

    def score(self, network: LayeredNetwork, rows: Tensor, unit: Tensor | None = None) -> Tensor:
        """Score the rows of each batch.

        Parameters
        ----------
        network : ACRNetwork or ACREnsemble
            The trained network.
        rows : Tensor of shape (n_batches, n_samples, n_features)
            Batches in the users' units.
        unit : Tensor of shape (n_features,) or None, default=None
            Of `FeatureScale.unit`: the network's input is brought to the mean and spread of the
            kept rows. None for a user's network, which sees rows as they are.

        Returns
        -------
        Tensor of shape (n_batches, n_samples)
            High for abnormal rows.
        """
        found = [values for _, values in self.measured(network, rows, unit, indexed=False)]
        if self.discriminant is None:
            # Medians and logarithms of all batches at once: of 50 rows each a fifth of the time.
            return consensus(_standardised(torch.stack(found)).transpose(0, 1))
        combination = self.combination(rows)
        return torch.stack([combination(values, combination.scale(values)) for values in found])

    def measured(
        self,
        network: LayeredNetwork,
        rows: Tensor,
        unit: Tensor | None,
        *,
        indexed: bool = True,
    ) -> Iterator[tuple[MeasuredBatch, Tensor]]:
        """Measure each batch, without the network and with it.

        Parameters
        ----------
        network : ACRNetwork or ACREnsemble
            As in `score`.
        rows : Tensor of shape (n_batches, n_samples, n_features)
            As in `score`.
        unit : Tensor of shape (n_features,) or None
            As in `score`.
        indexed : bool, default=True
            Whether the serving rows can be found later, of which no rows of a batch have need
            that all serve.

        Yields
        ------
        batch : MeasuredBatch
            Before the network.
        values : Tensor of shape (n_values, n_samples)
            All of what `combination` makes a score of.
        """
        far = self._far(rows)
        batches = [self.measure(batch, indexed=indexed, far=far[i]) for i, batch in enumerate(rows)]
        kept = self.kept(batches)
        # Not first by all rows: beside a gross one nothing would be left of the others' digits.
        x = rows if unit is None else standardize_by_mask(rows, kept, unit)
        layers = network.layers(x, kept)
        for i, batch in enumerate(batches):
            neighbors = self.neighbors(layers[i], batch, None if kept is None else kept[i])
            yield batch, torch.cat([batch.values, neighbors.measure(layers[i], batch.own)])

    def combination(self, like: Tensor) -> Combination:
        """Give what makes one score of the values of each row.

        Parameters
        ----------
        like : Tensor
            Of the precision and on the device that are wanted.

        Returns
        -------
        Combination
            Ready to score.
        """
        return Combination(self.discriminant, like)

    def measure(
        self,
        rows: Tensor,
        n_rows: int | None = None,
        *,
        indexed: bool = True,
        far: Tensor | None = None,
    ) -> MeasuredBatch:
        """Measure a batch without the network.

        Parameters
        ----------
        rows : Tensor of shape (n_samples, n_features)
            In the users' units; at most as many as all make up the statistics of a batch.
        n_rows : int or None, default=None
            Rows of the batch that these are taken from; None: they are the batch.
        indexed : bool, default=True
            As in `measured`.
        far : Tensor of shape (n_samples,) or None, default=None
            Mahalanobis distance of each row to the mean, if it is known.

        Returns
        -------
        MeasuredBatch
            With the evidence of every row.
        """
        _, n_serving, manhattan = n_evidence_rows(n_rows or len(rows))
        values = rows.detach().cpu().numpy()
        chosen = np.arange(len(rows))
        if n_serving < len(rows):
            chosen = evenly_spaced(row_hashes(values, self.weights), n_serving)
        known = None
        if indexed or n_serving < len(rows):
            known = ReferenceIndex.of(values[chosen], self.weights)
        # Where all rows serve each is itself; else equal rows are taken for one another, here as
        # in chunks.
        own = chosen
        if n_serving < len(rows):
            assert known is not None
            own = known.positions(values)
        serving = torch.from_numpy(chosen).to(rows.device)
        projection = None if self.discriminant is None else self.discriminant.values
        learnt = (self.dependence, projection)
        dependence, projected = (
            None if one is None else torch.from_numpy(one).to(rows) for one in learnt
        )
        evidence = BatchEvidence(rows, serving, dependence, projected, manhattan=manhattan)
        places = torch.from_numpy(own).to(rows.device)
        found = evidence.measure(rows, places)
        far = self._far(rows[None])[0] if far is None else far
        return MeasuredBatch(evidence, serving, known, places, found, far)

    def _far(self, rows: Tensor) -> Tensor:
        features = self.covariance.scale.batch(rows)
        whitening = self.covariance.whitening(ScoreHead.ridge_norm)
        return mahalanobis_distances(features, torch.as_tensor(whitening).to(features))

    def kept(self, batches: Sequence[MeasuredBatch]) -> Tensor | None:
        """Mark the rows that the statistics of the network are computed on.

        Parameters
        ----------
        batches : sequence of MeasuredBatch
            Of one size.

        Returns
        -------
        Tensor of shape (n_batches, n_samples), bool, or None
            None for all.
        """
        if not round_down(self.trim_fraction, len(batches[0].far)):
            return None
        # Equal rows have equal evidence to the last bit: no more need count as alike.
        # Which rows are trimmed is a question of the batches alone.
        n = len(BatchEvidence.names)
        seen = torch.stack([torch.cat([batch.values[:n], batch.far[None]]) for batch in batches])
        alarms = _standardised(seen)
        outlying = alarms.topk(_TELLING, dim=1, sorted=False).values.mean(dim=1)
        kept = most_normal(outlying, self.trim_fraction, n_roundings=4.0)
        # Where most rows are those of an idle machine, these alone would have no spread.
        highest = outlying.masked_fill(~kept, -torch.inf).amax(dim=1, keepdim=True)
        lowest = outlying.masked_fill(~kept, torch.inf).amin(dim=1, keepdim=True)
        return kept | (highest - lowest <= _ALIKE * (1 + highest.abs()))

    def neighbors(self, layers: Tensor, batch: MeasuredBatch, kept: Tensor | None) -> Neighborhoods:
        """Fix the neighbours in the layers of the network.

        Parameters
        ----------
        layers : Tensor of shape (n_samples, width)
            All layers of a batch side by side.
        batch : MeasuredBatch
            The batch.
        kept : Tensor of shape (n_samples,), bool, or None
            Rows that may serve as neighbours.

        Returns
        -------
        Neighborhoods
            Ready to measure.
        """
        serving = batch.serving
        widths = (self.n_neighbors, *_NEAR_AND_WIDE)
        return Neighborhoods(layers[serving], widths, kept=None if kept is None else kept[serving])


def _standardised(values: Tensor) -> Tensor:
    """Bring each kind of evidence of each batch, (n_batches, n_kinds, n_samples), to one scale."""
    rows = values.flatten(0, 1)
    return EvidenceScale.of(rows).standardise(rows).view_as(values)
