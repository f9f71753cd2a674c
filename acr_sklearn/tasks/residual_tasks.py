"""Training tasks of ResAD: few references of a domain, rows of it, and anomalies beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from acr_sklearn.networks.residuals import LARGEST_NUMBER, Converter
from acr_sklearn.tasks.outliers import OutlierSource
from acr_sklearn.tasks.sampler import TaskPool
from acr_sklearn.tasks.settings import OutlierMix

__all__ = ["ResidualSampler", "ResidualTasks", "TaskContents"]

#: Rows of a task of each kind, tasks of a step, and the share of tasks whose anomalies are known.
_ROWS, _TASKS, _KNOWN_TASKS = 24, 8, 0.5


@dataclass(frozen=True)
class TaskContents:
    """What tasks are made of.

    Attributes
    ----------
    pool : TaskPool
        Normal rows.
    known : list of ndarray, each of shape (n_anomalies, n_features)
        Standardized anomalies known of each domain, none or more.
    converter : Converter
        Makes residuals of rows.
    mix : OutlierMix
        Which kinds of outliers tasks have, where no anomaly is known of their domain.
    source : OutlierSource or None
        Makes the synthetic ones.
    """

    pool: TaskPool
    known: list[NDArray[np.float32]]
    converter: Converter
    mix: OutlierMix
    source: OutlierSource | None


class ResidualSampler:
    """Sampler of steps, reproducible one by one.

    Parameters
    ----------
    contents : TaskContents
        What is drawn.
    domains : ndarray of int
        Domains whose rows are references and normal rows.
    others : ndarray of int
        Domains whose rows are drawn as outliers, never a task's own.
    seed : int
        With the number of the step it alone decides what is drawn.
    """

    contents: TaskContents
    domains: NDArray[np.int64]
    others: NDArray[np.int64]

    def __init__(
        self,
        contents: TaskContents,
        domains: NDArray[np.int64],
        others: NDArray[np.int64],
        seed: int,
    ):
        self.contents, self.domains, self.others = contents, domains, others
        self.seed = seed
        self._centers: dict[int, Tensor] = {}

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Draw the tasks of one step.

        Parameters
        ----------
        step : int
            Its number.

        Returns
        -------
        signs : Tensor of shape (n_tasks, n_rows, n_features, 5)
            Of every row, half of them abnormal.
        is_outlier : Tensor of shape (n_tasks, n_rows), bool
            Which.
        """
        rng = np.random.default_rng((self.seed, 3, step))
        signs = []
        for _ in range(_TASKS):
            domain = int(rng.choice(self.domains))
            references, normal = self.references_and_rows(domain, None, _ROWS, rng)
            rows = torch.cat([normal, self._outliers(domain, rng)])
            signs.append(self.contents.converter(rows, references))
        is_outlier = torch.arange(2 * _ROWS) >= _ROWS
        return torch.stack(signs), is_outlier.expand(_TASKS, -1)

    def references_and_rows(
        self, domain: int, number: int | None, n_rows: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draw references of a domain, and other rows of it.

        Parameters
        ----------
        domain : int
            Position of the domain.
        number : int or None
            References wanted; None draws 1 to 64, log-uniformly. Never more than half of the rows.
        n_rows : int
            Rows wanted, repeated where the domain has not as many.
        rng : numpy.random.Generator
            Source of all randomness.

        Returns
        -------
        references, rows : Tensor of shape (number, n_features), (n_rows, n_features)
            Without a row in common, unless the domain has a single one.
        """
        if number is None:
            number = round(float(np.exp(rng.uniform(0, np.log(LARGEST_NUMBER)))))
        own = self._rows(domain)
        order = torch.from_numpy(rng.permutation(len(own)))
        number = max(1, min(number, len(own) // 2))
        left = order[number:] if len(own) > 1 else order
        chosen = np.arange(n_rows) % len(left)
        return own[order[:number]], own[left[torch.from_numpy(chosen)]]

    def _rows(self, domain: int) -> Tensor:
        pool = self.contents.pool
        start = pool.starts[domain]
        return pool.tensor[start : start + pool.sizes[domain]]

    def _center(self, domain: int) -> Tensor:
        if domain not in self._centers:
            self._centers[domain] = self._rows(domain).mean(0)
        return self._centers[domain]

    def _outliers(self, domain: int, rng: np.random.Generator) -> Tensor:
        """Draw anomalies of one kind beside the rows of a domain."""
        known = self._known(domain, rng)
        if known is not None and rng.random() < _KNOWN_TASKS:
            return known
        others = self.others[self.others != domain]
        kind, mix = rng.random(), self.contents.mix
        if kind < mix.synthetic or len(others) == 0:
            return self._synthetic(domain, rng)
        rows = self._any(rng.choice(others, size=_ROWS), rng)
        if kind < mix.synthetic + mix.mixed:
            own = self._any(np.full(_ROWS, domain), rng)
            share = torch.from_numpy(rng.random((_ROWS, 1)).astype(np.float32))
            return torch.lerp(own, rows, share)
        return rows

    def _any(self, domains: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        """Draw a row of each of the domains."""
        pool = self.contents.pool
        places = pool.starts[domains] + rng.integers(pool.sizes[domains])
        return pool.tensor[torch.from_numpy(places)]

    def _known(self, domain: int, rng: np.random.Generator) -> Tensor | None:
        """Draw known anomalies: of the domain, or another's moved by the difference of centres."""
        known = self.contents.known
        holders = [i for i in {domain, *map(int, self.others)} if len(known[i])]
        if not holders:
            return None
        chosen = domain if domain in holders else int(rng.choice(sorted(holders)))
        rows = torch.from_numpy(known[chosen][rng.integers(len(known[chosen]), size=_ROWS)])
        return rows if chosen == domain else rows + self._center(domain) - self._center(chosen)

    def _synthetic(self, domain: int, rng: np.random.Generator) -> Tensor:
        pool, source = self.contents.pool, self.contents.source
        assert source is not None  # of `choose_outliers`, wherever these are drawn
        made = np.asarray(source.sample(pool.domain(domain), domain, _ROWS, rng))
        width = pool.tensor.shape[1]
        if made.shape != (_ROWS, width) or not np.isfinite(made).all():
            raise ValueError(
                f"outlier_source={source!r} returned an array of shape {made.shape}. Its sample "
                f"must return finite rows, here of shape {(_ROWS, width)}."
            )
        return torch.from_numpy(pool.standardized(made))


class ResidualTasks(IterableDataset[tuple[Tensor, Tensor]]):
    """Sized iterable of the steps of one evaluation.

    Parameters
    ----------
    sampler : ResidualSampler
        Draws the steps.
    n_steps : int
        Steps per pass.
    first_step : int, default=0
        Number of the first step.
    limit : int or None, default=None
        Number of the step before which passes end; None repeats the same steps in every pass.
    """

    limit: int | None
    n_steps: int
    next_step: int
    sampler: ResidualSampler

    def __init__(
        self, sampler: ResidualSampler, n_steps: int, first_step: int = 0, limit: int | None = None
    ):
        super().__init__()
        self.sampler, self.n_steps = sampler, n_steps
        self.next_step, self.limit = first_step, limit
        self._same: list[tuple[Tensor, Tensor]] = []

    def __len__(self) -> int:
        """Count the steps of the coming pass."""
        left = self.n_steps if self.limit is None else self.limit - self.next_step
        return min(self.n_steps, left)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (signs, is_outlier) of each step of the pass."""
        first = self.next_step
        if self.limit is None:
            self._same = self._same or [self.sampler.draw(first + i) for i in range(len(self))]
            yield from self._same
            return
        for step in range(first, first + len(self)):
            self.next_step = step + 1
            yield self.sampler.draw(step)
