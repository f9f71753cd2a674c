"""Attribution: what each feature of a row adds to its score, against its usual counterpart.

The counterpart of a row is the mean of the rows of its batch that are most like it. What is a sum
over the features is taken apart exactly; what a network makes of them by integrated gradients
(Sundararajan, Taly, Yan, "Axiomatic Attribution for Deep Networks", ICML 2017, arXiv:1703.01365);
how the score is made of both, by integrated gradients again and the chain rule for differences
(Shrikumar, Greenside, Kundaje, "Learning Important Features Through Propagating Activation
Differences", ICML 2017, arXiv:1704.02685). The choice of the counterpart is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acr_sklearn.scoring.batch_units import BatchUnits
from acr_sklearn.scoring.fixed_batch import FixedBatch

__all__ = [
    "SCORE_POINTS",
    "BatchAttribution",
    "Counterparts",
    "RowAttribution",
    "completed",
    "integrated_gradients",
    "mean_gradients",
    "usual_rows",
]

#: Rows of a batch among which counterparts are looked for, and how many make up one.
_USUAL_ROWS, _ALIKE = 512, 5
#: Part of the batch, of the least anomalous rows, that counterparts are made of: a fault that some
#: rows share must not be what is usual. With half of them planted faults were named first less
#: often, on network connections .87 instead of .97: the counterparts are farther off.
_USUAL = 0.9
#: Units of the batch beyond which a feature counts no further in the choice: rows that agree in all
#: else are alike, however far one value is.
_CLIP = 3.0
#: Points on the path between rows on which gradients are taken, and on that between the few numbers
#: that a score is made of, which has more kinks and costs next to nothing.
_POINTS, SCORE_POINTS = 8, 32
#: Rows that are explained at a time, and how few where a network makes many of each: the numbers
#: that slopes need stay nearer to the core, and 500 rows of 64 features under "ntl" take .7 of the
#: time that they take together.
_ROWS, _FEWEST = 512, 64


def usual_rows(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Choose the rows of a batch that counterparts are made of.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Anomaly scores of the batch, high for abnormal rows.

    Returns
    -------
    ndarray of int64
        Positions, ascending: the least anomalous 90 % of the rows, or 512 of these evenly spaced.
    """
    n_usual = max(min(len(scores), 2 * _ALIKE), int(np.ceil(_USUAL * len(scores))))
    usual = np.sort(np.argsort(scores, kind="stable")[:n_usual])
    n_taken = min(n_usual, _USUAL_ROWS)
    return usual[np.arange(n_taken) * n_usual // n_taken]


@dataclass(frozen=True)
class Counterparts:
    """What rows would be if they were usual in their batch: the mean of the rows most like them.

    Attributes
    ----------
    rows : Tensor of shape (n_usual, n_features)
        Usual rows of the batch, in the units in which counterparts are wanted.
    units : Tensor of shape (n_usual, n_features)
        The same in units that make the features comparable.
    """

    rows: Tensor
    units: Tensor

    def of(self, x: Tensor, units: Tensor) -> Tensor:
        """Find the counterparts.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_features)
            Rows, in the units of `rows`.
        units : Tensor of shape (n_samples, n_features)
            The same in those of `units`.

        Returns
        -------
        Tensor of the shape of `x`
            Of each row the mean of the five usual rows nearest to it, itself left out, by sums of
            absolute differences; no feature counts more than its 3 units.
        """
        limit = (-_CLIP, _CLIP)
        apart = torch.cdist(units.clamp(*limit), self.units.clamp(*limit), p=1.0)
        n_taken = min(_ALIKE + 1, len(self.rows))
        where = apart.topk(n_taken, dim=1, largest=False, sorted=True).indices
        itself = (self.rows[where[:, 0]] == x).all(dim=1, keepdim=True)
        if n_taken > 1:
            where = torch.where(itself, where[:, 1:], where[:, :-1])
        return self.rows[where].mean(dim=1)


def integrated_gradients(
    function: Callable[[Tensor], Tensor], x: Tensor, base: Tensor, n_points: int = _POINTS
) -> Tensor:
    """Average the gradient of a function over the straight line to each row, times its length.

    Parameters
    ----------
    function : callable
        Maps rows to one number each, every row by itself, with gradient.
    x, base : Tensor of shape (n_samples, n_features)
        Ends and starts of the lines.
    n_points : int, default=8
        Points of Gauss and Legendre's rule.

    Returns
    -------
    Tensor of the shape of `x`
        Summed over the features ``function(x) - function(base)``, but for the error of the rule.
    """
    return mean_gradients(function, x, base, n_points) * (x - base)


def mean_gradients(
    function: Callable[[Tensor], Tensor], x: Tensor, base: Tensor, n_points: int
) -> Tensor:
    """Average the gradient of a function over a straight line.

    Parameters
    ----------
    function : callable
        Maps a tensor of the shape of `x` to numbers, with gradient.
    x, base : Tensor of any shape
        End and start of the line.
    n_points : int
        Points of Gauss and Legendre's rule.

    Returns
    -------
    Tensor of the shape of `x`
        Of the sum of the numbers.
    """
    places, weights = np.polynomial.legendre.leggauss(n_points)
    total = torch.zeros_like(x)
    with torch.enable_grad():
        for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
            at = torch.lerp(base, x, float(place)).requires_grad_()
            (slopes,) = torch.autograd.grad(function(at).sum(), at)
            total += weight * slopes
    return total


def completed(contributions: Tensor, wanted: Tensor) -> Tensor:
    """Make contributions add up.

    Parameters
    ----------
    contributions : Tensor of shape (n_samples, n_features)
        Of any sums.
    wanted : Tensor of shape (n_samples,)
        What they should sum to.

    Returns
    -------
    Tensor of the shape of `contributions`
        What is missing shared out in proportion to the sizes of the contributions.
    """
    sizes = contributions.abs()
    total = sizes.sum(dim=1, keepdim=True)
    shares = torch.where(total > 0, sizes / torch.where(total > 0, total, 1.0), 1 / sizes.shape[1])
    missing = wanted - contributions.sum(dim=1)
    return contributions + missing[:, None] * shares


@dataclass(frozen=True)
class BatchAttribution:
    """Attribution of scores under fixed batch statistics.

    Attributes
    ----------
    fixed : FixedBatch
        The batch.
    usual : ndarray of shape (n_usual, n_features)
        Rows of it that counterparts are made of, of `usual_rows`, in the users' units.
    of_the_batch : bool
        Whether the rows that make up the batch itself are among those explained, as in
        `score_rows`.
    """

    fixed: FixedBatch
    usual: NDArray[Any]
    of_the_batch: bool

    def __call__(self, rows: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Explain the scores of rows.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            Rows of the batch or others, in its precision.

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features), float64
            High for what makes a row anomalous; summed over the features the anomaly score of the
            row less that of its counterpart.
        base : ndarray of shape (n_samples,), float64
            Anomaly score of the counterpart.
        """
        like = self.fixed.standardizer.divisor
        usual = self._within(torch.from_numpy(self.usual).to(like))
        units = BatchUnits(usual)
        counterparts = Counterparts(usual, units(usual))
        contributions, base = np.empty(rows.shape), np.empty(len(rows))
        step = max(_FEWEST, _ROWS // self.fixed.n_views)
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            x = self._within(torch.from_numpy(some).to(like))
            found, score = self._explained(x, counterparts.of(x, units(x)), self._own(x))
            contributions[start : start + len(some)] = found.double().cpu().numpy()
            base[start : start + len(some)] = score.double().cpu().numpy()
        return contributions, base

    def _within(self, x: Tensor) -> Tensor:
        return x if self.fixed.bounds is None else x.clamp(*self.fixed.bounds.to(x))

    def _own(self, x: Tensor) -> Tensor | None:
        """Which fixed row each is, all along the way from its counterpart."""
        known = self.fixed.known
        if known is None or not self.of_the_batch:
            with torch.no_grad():
                return self.fixed.itself(x)
        return torch.from_numpy(known.positions(x.cpu().numpy())).to(x.device)

    def _explained(self, x: Tensor, base: Tensor, own: Tensor | None) -> tuple[Tensor, Tensor]:
        fixed = self.fixed
        with torch.no_grad():
            values, before = fixed.distances(x, own), fixed.distances(base, own)
            factors = mean_gradients(fixed.combined, values, before, SCORE_POINTS)
            score, other = fixed.combined(values), fixed.combined(before)
            sums, usual = fixed.sums(x, own), fixed.sums(base, own)
            total, n_sums = torch.zeros_like(x), 0
            if sums is not None and usual is not None:
                n_sums = len(sums)
                total += torch.einsum("kn,knd->nd", factors[:n_sums], sums - usual)
        rest = factors[n_sums:]

        def weighed(at: Tensor) -> Tensor:
            return (rest * fixed.differentiable(at, own)).sum(dim=0)

        total += integrated_gradients(weighed, x, base)
        return completed(total, score - other), other


@dataclass(frozen=True)
class RowAttribution:
    """Attribution of scores that are a function of single rows.

    Attributes
    ----------
    function : callable
        Maps rows in its own units to anomaly scores, with gradient.
    units : callable
        Brings rows from the users' units to those of `function`, each feature by itself.
    usual : Tensor of shape (n_usual, n_features)
        Normal rows that counterparts are made of, in the units of `function`.
    """

    function: Callable[[Tensor], Tensor]
    units: Callable[[NDArray[Any]], NDArray[Any]]
    usual: Tensor

    def __call__(self, rows: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Explain the scores of rows.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            Rows in the users' units.

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features), float64
            As of `BatchAttribution`.
        base : ndarray of shape (n_samples,), float64
            Anomaly score of the counterpart.
        """
        counterparts = Counterparts(self.usual, self.usual)
        found, before = [], []
        for start in range(0, len(rows), _ROWS):
            x = torch.from_numpy(self.units(rows[start : start + _ROWS])).to(self.usual)
            base = counterparts.of(x, x)
            with torch.no_grad():
                rise = self.function(x) - (other := self.function(base))
            found.append(completed(integrated_gradients(self.function, x, base), rise))
            before.append(other)
        return torch.cat(found).double().numpy(), torch.cat(before).double().numpy()
