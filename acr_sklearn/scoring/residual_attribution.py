"""Attribution of scores by residuals: what each feature adds, against the row's usual counterpart.

All that the network of ResAD knows of a row are sums over its features: of weighted distances, and
of what is read off each feature. These are taken apart exactly, also where row and counterpart
have other nearest references. How a score is made of the few sums goes by integrated gradients and
the chain rule for differences, as in `scoring.attribution`; a logarithm of a sum counts by the
slope between its two ends, which no quadrature need find.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acr_sklearn._compute import in_order
from acr_sklearn._input.chunks import Chunks
from acr_sklearn.networks.residual_network import EPSILON, N_DISTANCES
from acr_sklearn.scoring.attribution import (
    SCORE_POINTS,
    Counterparts,
    completed,
    mean_gradients,
    usual_rows,
)
from acr_sklearn.scoring.residual_scorer import ResidualScorer, itself

__all__ = ["HeldReferences"]

#: References among which counterparts are looked for, evenly spaced among more.
_COUNTERPARTS = 512
#: Relative difference of two distances below which the slope of the logarithm is that at one.
_EQUAL = 1e-12


@dataclass(frozen=True)
class HeldReferences:
    """Scores of rows, and what each feature adds to them, under references that stay.

    Attributes
    ----------
    scorer : ResidualScorer
        What scores rows.
    references : Tensor of shape (n_references, n_features)
        Standardized.
    usual : Tensor of shape (n_usual, n_features)
        Standardized rows that counterparts are made of.
    of_the_batch : bool
        Whether a row that is a reference is held against the others only, as in a batch.
    """

    scorer: ResidualScorer
    references: Tensor
    usual: Tensor
    of_the_batch: bool

    @classmethod
    def of_batch(cls, scorer: ResidualScorer, rows: NDArray[Any]) -> Self:
        """Hold a batch that is its own reference.

        Parameters
        ----------
        scorer : ResidualScorer
            What scores rows.
        rows : ndarray of shape (n_samples, n_features)
            At least two, in the users' units.

        Returns
        -------
        HeldReferences
            Scores the rows of the batch as `ResidualScorer.batch` does.
        """
        moved = scorer.standardized(rows)
        references = scorer.own_references(moved[np.lexsort(moved.T[::-1])])
        usual = torch.from_numpy(moved[usual_rows(scorer.batch(rows))])
        return cls(scorer, references, usual, of_the_batch=True)

    @classmethod
    def of_references(cls, scorer: ResidualScorer, references: Tensor) -> Self:
        """Hold references of a domain.

        Parameters
        ----------
        scorer : ResidualScorer
            What scores rows.
        references : Tensor of shape (n_references, n_features)
            Of `ResidualScorer.references`.

        Returns
        -------
        HeldReferences
            Scores rows as `ResidualScorer.singly` does. Counterparts are made of references.
        """
        n_taken = min(len(references), _COUNTERPARTS)
        some = references[torch.arange(n_taken) * len(references) // n_taken]
        held = cls(scorer, some, some, of_the_batch=True)
        if n_taken > 1:
            size = scorer.rows_per_chunk
            parts = [some[start : start + size] for start in range(0, n_taken, size)]
            scores = np.concatenate([held._scored(part).numpy() for part in parts])
            some = some[torch.from_numpy(usual_rows(scores))]
        return replace(held, references=references, usual=some, of_the_batch=False)

    @property
    def usual_rows(self) -> NDArray[np.float64]:
        """Rows that counterparts are made of, in the users' units."""
        return self.scorer.users(self.usual.numpy())

    def score(self, chunks: Chunks) -> NDArray[np.float64]:
        """Score rows.

        Parameters
        ----------
        chunks : Chunks
            Any rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            High for abnormal rows.
        """
        chunks = Chunks(chunks.rows, self.scorer.rows_per_chunk, chunks.positions)

        def scored(rows: NDArray[Any]) -> Tensor:
            return self._scored(torch.from_numpy(self.scorer.standardized(rows)))

        parts = in_order(scored, chunks, torch.device("cpu"))
        return np.concatenate([part.numpy() for part in parts])

    def __call__(self, rows: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Explain the scores of rows.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            In the users' units.

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features), float64
            High for what makes a row anomalous; summed over the features the anomaly score of the
            row less that of its counterpart.
        base : ndarray of shape (n_samples,), float64
            Anomaly score of the counterpart, held against the same references as the row.
        """
        counterparts = Counterparts(self.usual, self.usual)
        contributions, base = np.empty(rows.shape), np.empty(len(rows))
        size = self.scorer.rows_per_chunk
        for start in range(0, len(rows), size):
            x = torch.from_numpy(self.scorer.standardized(rows[start : start + size]))
            found, other = self._explained(x, counterparts.of(x, x))
            contributions[start : start + len(x)] = found.numpy()
            base[start : start + len(x)] = other.numpy()
        return contributions, base

    def _own(self, x: Tensor) -> Tensor | None:
        return itself(self.references, x.numpy()) if self.of_the_batch else None

    @torch.no_grad()
    def _scored(self, x: Tensor) -> Tensor:
        return self.scorer.score(x, self.references, self._own(x))

    @torch.no_grad()
    def _explained(self, x: Tensor, base: Tensor) -> tuple[Tensor, Tensor]:
        network, own = self.scorer.network, self._own(x)
        signs, usual = (self.scorer.converter(rows, self.references, own) for rows in (x, base))
        number = signs[:, 0, -1:]
        terms, of_base = network.terms(signs), network.terms(usual)
        after, before = terms.sum(dim=1), of_base.sum(dim=1)
        slopes = torch.ones_like(after)
        slopes[:, -N_DISTANCES:] = _slopes_of_log(after, before)[:, -N_DISTANCES:]
        factors = mean_gradients(
            lambda sums: network.judged(sums, number),
            _with_logs(after),
            _with_logs(before),
            SCORE_POINTS,
        )
        found = torch.einsum("rk,rfk->rf", factors * slopes, terms - of_base)
        other = network.scores(usual)
        return completed(found, network.scores(signs) - other), other


def _with_logs(sums: Tensor) -> Tensor:
    """Put the logarithms of the distances in their place."""
    logs = torch.log(sums[:, -N_DISTANCES:] + EPSILON)
    return torch.cat([sums[:, :-N_DISTANCES], logs], dim=1)


def _slopes_of_log(after: Tensor, before: Tensor) -> Tensor:
    """Slope of the logarithm between two distances, or at one where they are equal."""
    rise, start = after - before, before + EPSILON
    apart = rise.abs() > _EQUAL * start
    return torch.where(apart, torch.log1p(rise / start) / torch.where(apart, rise, 1.0), 1 / start)
