"""Module that scores single rows by the consensus of evidence under fixed batch statistics."""

from __future__ import annotations

import torch
from torch import Tensor

from acr_sklearn.scoring.consensus_head import MeasuredBatch
from acr_sklearn.scoring.evidence import BatchEvidence, Combination, EvidenceScale
from acr_sklearn.scoring.fixed_batch import FixedBatch
from acr_sklearn.scoring.fused_mlp import FusedMLP
from acr_sklearn.scoring.neighborhoods import Neighborhoods
from acr_sklearn.scoring.standardize import Standardizer

__all__ = ["ConsensusBatch"]


class ConsensusBatch(FixedBatch):
    """`FixedBatch` of the consensus head.

    Parameters
    ----------
    standardizer : Standardizer
        Standardization of a row for the network.
    network : nn.Module
        With fixed batch statistics.
    batch : MeasuredBatch
        The batch before the network.
    neighborhoods : Neighborhoods
        Neighbours in the layers of the network.
    combination : Combination
        From measured values to scores.
    """

    def __init__(
        self,
        standardizer: Standardizer,
        network: torch.nn.Module,
        batch: MeasuredBatch,
        neighborhoods: Neighborhoods,
        combination: Combination,
    ):
        super().__init__("consensus", standardizer)
        self.network = network
        self.evidence: BatchEvidence = batch.evidence
        self.neighborhoods = neighborhoods
        self.combination = combination
        self.known = batch.known
        chain = FusedMLP.of(standardizer, network)
        self.chain = chain
        self.fused: Neighborhoods | None = None
        if chain is not None:
            self.fused = neighborhoods.moved(chain.as_layers(neighborhoods.rows), central=True)

    def fix_scale(self, values: Tensor) -> None:
        """Fix the scale of each kind of evidence.

        Parameters
        ----------
        values : Tensor of shape (n_values, n_samples)
            Of the rows that the statistics are of.
        """
        scale = self.combination.scale(values)
        self.scales = torch.stack([scale.center, scale.spread])

    def distances(self, x: Tensor, own: Tensor | None = None) -> Tensor:
        """Measure rows.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units.
        own : Tensor of shape (n_rows,), int64, or None
            Which of the serving rows each is, -1 for none; None: found by the distances.

        Returns
        -------
        Tensor of shape (n_values, n_rows)
            What `combined` makes one score of.
        """
        own = self.evidence.itself(x) if own is None else own
        layers = self.network.layers(self.standardizer(x))
        return torch.cat([self.evidence(x, own), self.neighborhoods(layers, own)])

    def measure(self, x: Tensor, own: Tensor | None = None) -> Tensor:
        """Measure many rows without gradient, faster than `distances`.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units, at least one row.
        own : Tensor of shape (n_rows,), int64, or None
            As in `distances`.

        Returns
        -------
        Tensor of shape (n_values, n_rows)
            What `distances` returns.
        """
        if not isinstance(self.chain, FusedMLP) or self.fused is None:
            own = self.evidence.itself(x) if own is None else own
            layers = self.network.layers(self.standardizer(x))
            return torch.cat(
                [self.evidence.measure(x, own), self.neighborhoods.measure(layers, own)]
            )
        parts = []
        for start, layers in self.chain.blocks(x):
            rows = x[start : start + len(layers)]
            here = self.evidence.itself(rows) if own is None else own[start : start + len(layers)]
            parts.append(
                torch.cat([self.evidence.measure(rows, here), self.fused.measure(layers, here)])
            )
        return torch.cat(parts, dim=1)

    def combined(self, distances: Tensor) -> Tensor:
        """Turn evidence into scores.

        Parameters
        ----------
        distances : Tensor of shape (n_values, n_rows)
            Of `distances`.

        Returns
        -------
        Tensor of shape (n_rows,)
            High for abnormal rows.
        """
        found: Tensor = self.combination(distances, EvidenceScale(*self.scales))
        return found

    def itself(self, x: Tensor) -> Tensor:
        """Find the fixed row that each row is.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units.

        Returns
        -------
        Tensor of shape (n_rows,), int64
            -1 for none.
        """
        return self.evidence.itself(x)

    def sums(self, x: Tensor, own: Tensor | None) -> Tensor:
        """Take the evidence that needs no network apart by feature.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units.
        own : Tensor of shape (n_rows,), int64, or None
            As in `distances`.

        Returns
        -------
        Tensor of shape (n_sums, n_rows, n_features)
            Of the first values of `distances`.
        """
        return self.evidence.contributions(x, self.evidence.itself(x) if own is None else own)

    def differentiable(self, x: Tensor, own: Tensor | None) -> Tensor:
        """Measure distances in the network's layers, with gradient.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            In the users' units.
        own : Tensor of shape (n_rows,), int64, or None
            As in `distances`.

        Returns
        -------
        Tensor of shape (n_widths, n_rows)
            The last values of `distances`.
        """
        own = self.evidence.itself(x) if own is None else own
        layers = self.network.layers(self.standardizer(x))
        found: Tensor = self.neighborhoods(layers, own)
        return found

    def single(self) -> ConsensusBatch:
        """Give a copy for rows in single precision.

        Returns
        -------
        ConsensusBatch
            A copy.
        """
        single = super().single()
        assert isinstance(single, ConsensusBatch)
        single.evidence.units = self.evidence.units.single()
        return single
