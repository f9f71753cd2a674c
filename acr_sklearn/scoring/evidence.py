"""Evidence of a row in its batch, and the consensus that makes one score of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from acr_sklearn.scoring.batch_units import BatchUnits
from acr_sklearn.scoring.dependence import conditional_residuals, residual_contributions
from acr_sklearn.scoring.discriminant import Discriminant, mixed, projected, projected_values
from acr_sklearn.scoring.neighborhoods import Neighborhoods
from acr_sklearn.scoring.robust_scale import median, without_ties
from acr_sklearn.scoring.value_grid import ValueGrid

__all__ = [
    "BatchEvidence",
    "Combination",
    "EvidenceScale",
    "consensus",
    "n_evidence_rows",
]

#: Units beyond which a feature counts no further in distances: one gross value must not drown the
#: rest of its row. Without it average precision on the native sets fell by .03.
_CLIP = 3.0
#: Part of a row within which it agrees with itself, computed twice or in single precision.
_ROUNDING = 3e-5
#: Widths of the neighbourhoods.
_NEAR_AND_WIDE = (0.1, 0.3)
#: Up to so many rows of a batch all serve as neighbours, of a larger one so many, and of one whose
#: rows do not even all make up its statistics so few, by Euclidean distances. docs/scores.md says
#: what this costs; 400,000 rows of 64 features take .61 to .74 of the time.
_ALL_NEIGHBORS, _SOME_NEIGHBORS, _FEW_NEIGHBORS = 512, 256, 128
#: Up to so many rows of a batch all make up its statistics.
_ALL_ROWS = 2048
#: Fraction of the evidence, the most alarming, that the consensus is the mean of.
_MOST_ALARMING = 0.5
#: Spread below which a kind of evidence counts as having none: in its own units, which are standard
#: deviations and logarithms, and as a fraction of its median.
_LEAST_SPREAD = 1e-3


def n_evidence_rows(n_rows: int) -> tuple[int, int, bool]:
    """Say how much of a batch its statistics are of.

    Parameters
    ----------
    n_rows : int
        Rows of the batch.

    Returns
    -------
    n_statistics : int
        Rows that means, quantiles, norms and scales are computed on: all up to 2048.
    n_neighbors : int
        Rows among them that serve as neighbours: all up to 512, 256 up to 2048, else 128.
    manhattan : bool
        Whether distances in batch units are sums of absolute differences, up to 2048 rows, or
        Euclidean, one product of matrices.
    """
    if n_rows > _ALL_ROWS:
        return _ALL_ROWS, _FEW_NEIGHBORS, False
    return n_rows, n_rows if n_rows <= _ALL_NEIGHBORS else _SOME_NEIGHBORS, True


class BatchEvidence(nn.Module):
    """Evidence that needs no network: how unusual a row is by the statistics of its batch.

    Parameters
    ----------
    rows : Tensor of shape (n_samples, n_features)
        The batch in the users' units, or the rows of it that its statistics are of.
    serving : Tensor of int64
        Positions of the rows that serve as neighbours.
    dependence : Tensor of shape (n_features, n_features) or None
        Of `fit_dependence`.
    projection : Tensor of shape (2 * n_features,) or None, default=None
        Weights of the values in a `Discriminant`.
    manhattan : bool, default=True
        Whether distances are sums of absolute differences: see `n_evidence_rows`.
    """

    dependence: Tensor | None
    projection: Tensor | None
    known: Tensor

    #: What `forward` returns, in order; behind it, given a projection, what that makes of a row.
    names: tuple[str, ...] = (
        "near neighbours in batch units",
        "wide neighbours in batch units",
        "rarity of values",
        "conditional residuals",
    )

    def __init__(
        self,
        rows: Tensor,
        serving: Tensor,
        dependence: Tensor | None,
        projection: Tensor | None = None,
        *,
        manhattan: bool = True,
    ):
        super().__init__()
        self.units: BatchUnits = BatchUnits(rows)
        units = self.units(rows)
        self.grid: ValueGrid = ValueGrid(units)
        self.register_buffer("dependence", dependence)
        self.register_buffer("projection", projection)
        self.register_buffer("known", units[serving])
        fixed = self.known.clamp(-_CLIP, _CLIP)
        self.neighborhoods: Neighborhoods = Neighborhoods(
            fixed, _NEAR_AND_WIDE, manhattan=manhattan, central=True
        )

    def forward(self, x: Tensor, own: Tensor) -> Tensor:
        """Measure rows.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_features)
            Rows of the batch or others, in the users' units.
        own : Tensor of shape (n_samples,), int64
            Which of the serving rows each is, -1 for none.

        Returns
        -------
        Tensor of shape (4, n_samples) or, with a projection, (5, n_samples)
            In the order of `names`, high for unusual rows.
        """
        return self._with(self.neighborhoods, self.grid, x, own)

    def measure(self, x: Tensor, own: Tensor) -> Tensor:
        """Measure many rows without gradient, faster than `forward`.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_features)
            As in `forward`.
        own : Tensor of shape (n_samples,), int64
            As in `forward`.

        Returns
        -------
        Tensor of the shape that `forward` returns
            What it returns.
        """
        return self._with(self.neighborhoods.measure, self.grid.look_up, x, own)

    def _with(
        self,
        distances: Callable[[Tensor, Tensor], Tensor],
        look_up: Callable[[Tensor], tuple[Tensor, Tensor]],
        x: Tensor,
        own: Tensor,
    ) -> Tensor:
        units = self.units(x)
        rarity, scores = look_up(units)
        residuals = conditional_residuals(scores, self.dependence)
        near_and_wide = distances(units.clamp(-_CLIP, _CLIP), own)
        found = [near_and_wide, rarity[None], residuals[None]]
        if self.projection is not None:
            found.append(projected(scores, self.projection)[None])
        return torch.cat(found)

    def contributions(self, x: Tensor, own: Tensor) -> Tensor:
        """Take the evidence apart by feature.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_features)
            As in `forward`.
        own : Tensor of shape (n_samples,), int64
            As in `forward`.

        Returns
        -------
        Tensor of shape (4, n_samples, n_features) or, with a projection, (5, ...)
            Summed over the features what `forward` returns.
        """
        units = self.units(x)
        rarities, scores = self.grid.rarities(units)
        found = [
            self.neighborhoods.contributions(units.clamp(-_CLIP, _CLIP), own),
            rarities[None],
            residual_contributions(scores, self.dependence)[None],
        ]
        if self.projection is not None:
            found.append(projected_values(scores, self.projection)[None])
        return torch.cat(found)

    def normal_scores(self, x: Tensor) -> Tensor:
        """Place the values of rows in the batch.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_features)
            In the users' units.

        Returns
        -------
        Tensor of the shape of `x`
            Normal scores, of `ValueGrid`.
        """
        scores: Tensor = self.grid(self.units(x))[1]
        return scores

    def itself(self, x: Tensor) -> Tensor:
        """Find the serving row that each row is.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_features)
            Rows in the users' units.

        Returns
        -------
        Tensor of shape (n_samples,), int64
            The row that it equals but for rounding, -1 for none.
        """
        # Of gross rows nothing but their signs would be left of clipped units.
        units = self.units(x.detach())
        distances, where = torch.cdist(units, self.known, p=1.0).min(dim=1)
        return torch.where(distances <= _ROUNDING * units.abs().sum(dim=1), where, -1)


@dataclass(frozen=True)
class EvidenceScale:
    """Median and spread of each kind of evidence in a batch.

    Attributes
    ----------
    center, spread : Tensor of shape (n_evidence, 1)
        Subtracted, and divided by. The spread is the median absolute deviation, or the mean one
        where that is much larger (both in units of a normal standard deviation, the mean one
        halved). A value that many rows have counts once, see `without_ties`: rows of an idle
        machine must not shrink the unit of the others.
    """

    center: Tensor
    spread: Tensor

    @classmethod
    def of(cls, evidence: Tensor) -> EvidenceScale:
        """Measure a batch.

        Parameters
        ----------
        evidence : Tensor of shape (n_evidence, n_samples)
            Of its rows.

        Returns
        -------
        EvidenceScale
            Of the batch.
        """
        counted = without_ties(evidence)
        center = median(counted, ordered=not counted.isnan().any())
        deviations = (counted - center).abs_()
        mean = deviations.nanmean(dim=1, keepdim=True)
        spread = torch.maximum(1.4826 * median(deviations), 0.5 * 1.2533 * mean)
        # The two rows of a batch of two differ by rounding alone, as do rows that are all equal.
        least = _LEAST_SPREAD * center.abs().clamp_min(1.0)
        return cls(center, torch.maximum(spread, least))

    def standardise(self, evidence: Tensor) -> Tensor:
        """Bring evidence to one scale.

        Parameters
        ----------
        evidence : Tensor of shape (n_evidence, n_samples)
            Of rows of the batch or others.

        Returns
        -------
        Tensor of the shape of `evidence`
            With z the robust z-scores sign(z) log(1 + abs(z)): gross values of one kind of evidence
            count, but do not drown the others.
        """
        z = (evidence - self.center) / self.spread
        return z.sign() * z.abs().log1p()


def consensus(standardised: Tensor) -> Tensor:
    """Make one score of the evidence: the mean of the more alarming half.

    Parameters
    ----------
    standardised : Tensor of shape (n_evidence, n_samples)
        Of `EvidenceScale.standardise`.

    Returns
    -------
    Tensor of shape (n_samples,)
        High for abnormal rows.
    """
    # The mean of all is as good on real anomalies, but a fault that few kinds of evidence see is
    # lost in it; the largest alone is at the mercy of the worst of them.
    n_taken = math.ceil(_MOST_ALARMING * len(standardised))
    return standardised.topk(n_taken, dim=0, sorted=False).values.mean(dim=0)


class Combination(nn.Module):
    """From what was measured of rows to their scores: the consensus and, if any, a discriminant.

    Parameters
    ----------
    discriminant : Discriminant or None
        What is known of faults in other domains.
    like : Tensor
        Of the precision and on the device that are wanted.
    """

    evidence: Tensor | None

    def __init__(self, discriminant: Discriminant | None, like: Tensor):
        super().__init__()
        self.weight: float = 0.0 if discriminant is None else discriminant.weight
        found = None if discriminant is None else torch.as_tensor(discriminant.evidence).to(like)
        self.register_buffer("evidence", found)

    def scale(self, values: Tensor) -> EvidenceScale:
        """Measure the scale of each kind of evidence and, behind these, of the discriminant.

        Parameters
        ----------
        values : Tensor of shape (n_values, n_samples)
            What `BatchEvidence` and the neighbours in the network found in the rows of a batch.

        Returns
        -------
        EvidenceScale
            For `forward`.
        """
        evidence, projection = self._parts(values)
        scale = EvidenceScale.of(evidence)
        if projection is None:
            return scale
        own = EvidenceScale.of(self._discriminant(scale.standardise(evidence), projection))
        center = torch.cat([scale.center, own.center])
        return EvidenceScale(center, torch.cat([scale.spread, own.spread]))

    def forward(self, values: Tensor, scale: EvidenceScale) -> Tensor:
        """Make one score of the values of each row.

        Parameters
        ----------
        values : Tensor of shape (n_values, n_samples)
            As in `scale`, of rows of the batch or others.
        scale : EvidenceScale
            Of the batch.

        Returns
        -------
        Tensor of shape (n_samples,)
            High for abnormal rows.
        """
        evidence, projection = self._parts(values)
        n = len(evidence)
        standardised = EvidenceScale(scale.center[:n], scale.spread[:n]).standardise(evidence)
        agreed = consensus(standardised)
        if projection is None:
            return agreed
        found = self._discriminant(standardised, projection)
        own = EvidenceScale(scale.center[n:], scale.spread[n:]).standardise(found)[0]
        return mixed(agreed, own, self.weight)

    def _parts(self, values: Tensor) -> tuple[Tensor, Tensor | None]:
        """Part evidence from the projection of the values, which stands between."""
        if self.evidence is None:
            return values, None
        place = len(BatchEvidence.names)
        return torch.cat([values[:place], values[place + 1 :]]), values[place]

    def _discriminant(self, standardised: Tensor, projection: Tensor) -> Tensor:
        assert self.evidence is not None
        return (self.evidence[:, None] * standardised).sum(dim=0, keepdim=True) + projection
