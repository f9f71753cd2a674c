"""Sampler of training tasks: one stacked tensor per step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from acr_sklearn.domains.feature_scale import FeatureScale
from acr_sklearn.tasks.outliers import OutlierSource
from acr_sklearn.tasks.sampling import draw_distinct
from acr_sklearn.tasks.settings import OutlierMix, TaskSettings

__all__ = ["TaskPool", "TaskSampler", "TaskStream"]

#: Fraction of a mixed row's features that are another domain's.
_MIXED_FEATURES = (0.1, 0.9)


class TaskPool:
    """Training rows, ordered by domain, held once.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Rows in the users' units.
    index : ndarray of shape (n_rows,)
        Domain of each row, 0..n_domains-1.
    scale : FeatureScale or None
        Standardizes rows for the network; None leaves them as they are.
    device : torch.device
        Where the tensor lives; tasks are gathered there.
    """

    def __init__(
        self,
        rows: NDArray[Any],
        index: NDArray[np.int64],
        scale: FeatureScale | None,
        device: torch.device,
    ):
        self.sizes: NDArray[np.int64] = np.bincount(index)
        self.starts: NDArray[Any] = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        # Lists arrive sorted: only labelled rows in mixed order are moved.
        is_sorted = bool(np.all(index[1:] >= index[:-1]))
        self.rows: NDArray[Any] = rows if is_sorted else rows[np.argsort(index, kind="stable")]
        self.scale = scale
        self.tensor: Tensor = torch.from_numpy(self.standardized(self.rows)).to(device)

    def standardized(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Rows as the network sees them in training, float32, a copy."""
        if self.scale is None:
            largest = np.finfo(np.float32).max
            return np.clip(rows, -largest, largest).astype(np.float32)
        return self.scale.training_rows(rows)

    def domain(self, domain: int) -> NDArray[Any]:
        """Rows of one domain in the users' units, a view of shape (n_domain_rows, n_features)."""
        start = self.starts[domain]
        view = self.rows[start : start + self.sizes[domain]]
        view.flags.writeable = False  # these may be the user's own rows
        return view


class TaskSampler:
    """Sampler of steps: stacks of tasks, reproducible one by one.

    Parameters
    ----------
    pool : TaskPool
        The rows.
    settings : TaskSettings
        Shape of a step.
    normal_domains : ndarray of int
        Domains whose rows are the normals of a task, each about equally often.
    outlier_domains : ndarray of int
        Domains whose rows are drawn as outliers (never a task's own).
    mix : OutlierMix
        Of what the outliers are.
    source : OutlierSource or None
        Makes those of `mix.synthetic`.
    seed : int
        With the number of the step it alone decides what is drawn.
    """

    def __init__(
        self,
        pool: TaskPool,
        settings: TaskSettings,
        *,
        normal_domains: NDArray[np.int64],
        outlier_domains: NDArray[np.int64],
        mix: OutlierMix,
        source: OutlierSource | None,
        seed: int,
    ):
        self.pool = pool
        self.mix = mix
        self.settings = settings
        self.normal_domains = normal_domains
        self.source = source
        self.seed = seed
        sizes = np.zeros(len(pool.sizes), np.int64)
        sizes[outlier_domains] = pool.sizes[outlier_domains]
        # Position p among the outlier rows lies in the domain where the running total passes p.
        self._outlier_sizes, self._outlier_ends = sizes, np.cumsum(sizes)
        shape = (settings.task_size * settings.n_tasks, pool.tensor.shape[1])
        # One buffer for all steps: a fresh one costs more in page faults than the gathering.
        self._buffer = torch.empty(shape, dtype=torch.float32, device=pool.tensor.device)

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Draw the tasks of one step.

        Parameters
        ----------
        step : int
            Number of the step.

        Returns
        -------
        x : Tensor of shape (n_tasks, task_size, n_features)
            Normal rows first, then outliers; a buffer that the next call writes over. Its rows
            lie first in memory, as `TaskBatchNorm` wants them.
        is_outlier : Tensor of shape (n_tasks, task_size), bool
            True for the outliers.
        """
        rng = np.random.default_rng((self.seed, step))
        n_tasks, n_rows = self.settings.n_tasks, self.settings.task_size
        n_normal = self.settings.n_normal
        n_plain, n_mixed, n_synthetic = self.mix.counts(n_rows - n_normal)
        domains = self._draw_domains(rng)
        chosen = [self._draw_normals(domains, n_normal, rng)]
        if n_plain:
            chosen.append(self._draw_outliers(domains, n_plain, rng))
        index = torch.from_numpy(np.concatenate(chosen, axis=1).T.reshape(-1).copy())
        filled = self._buffer[: len(index)]
        torch.index_select(self.pool.tensor, 0, index.to(filled.device), out=filled)
        x = self._buffer.view(n_rows, n_tasks, -1)
        if n_mixed:
            x[n_normal + n_plain : n_rows - n_synthetic] = self._mix_rows(domains, n_mixed, rng)
        if n_synthetic:
            x[n_rows - n_synthetic :] = self._make_outliers(domains, n_synthetic, rng)
        x = x.transpose(0, 1)
        if self.settings.permute_features:
            order = rng.permuted(np.tile(np.arange(x.shape[2]), (n_tasks, 1)), axis=1)
            x = x.take_along_dim(torch.from_numpy(order)[:, None].to(x.device), dim=2)
        is_outlier = torch.zeros(n_tasks, n_rows, dtype=torch.bool, device=x.device)
        is_outlier[:, n_normal:] = True
        return x, is_outlier

    def _draw_domains(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Domain of each task, shape (n_tasks,): shuffled rounds, so that none is left out."""
        rounds = -(-self.settings.n_tasks // len(self.normal_domains))
        order = rng.permuted(np.tile(self.normal_domains, (rounds, 1)), axis=1)
        return order.reshape(-1)[: self.settings.n_tasks]

    def _draw_normals(
        self, domains: NDArray[np.int64], n: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Positions in the pool of rows of the tasks' own domains, shape (n_tasks, n)."""
        own = draw_distinct(self.pool.sizes[domains], n, rng)
        return own + self.pool.starts[domains][:, None]

    def _draw_outliers(
        self, domains: NDArray[np.int64], n: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Positions in the pool of rows of the complement, shape (n_tasks, n)."""
        own = self._outlier_sizes[domains]
        position = draw_distinct(self._outlier_ends[-1] - own, n, rng)
        # Skip the task's own domain, then find the domain each position falls into.
        own_start = (self._outlier_ends - self._outlier_sizes)[domains]
        position += np.where(position >= own_start[:, None], own[:, None], 0)
        domain = np.searchsorted(self._outlier_ends, position, side="right")
        first = self._outlier_ends - self._outlier_sizes
        return self.pool.starts[domain] + position - first[domain]

    def _mix_rows(self, domains: NDArray[np.int64], n: int, rng: np.random.Generator) -> Tensor:
        """Own rows with some features of other domains' rows, shape (n, n_tasks, n_features)."""
        own = self.pool.rows[self._draw_normals(domains, n, rng)]
        other = self.pool.rows[self._draw_outliers(domains, n, rng)]
        fraction = rng.uniform(*_MIXED_FEATURES, own.shape[:2])[..., None]
        taken = rng.random(own.shape, np.float32) < fraction
        # At least one feature is another domain's, or the row would be a normal one.
        one = rng.integers(own.shape[2], size=own.shape[:2])[..., None]
        np.put_along_axis(taken, one, True, axis=2)
        mixed = np.where(taken, other, own)
        seen = self.pool.standardized(mixed.transpose(1, 0, 2))
        return torch.from_numpy(seen).to(self.pool.tensor.device)

    def _make_outliers(
        self, domains: NDArray[np.int64], n: int, rng: np.random.Generator
    ) -> Tensor:
        """Rows from the source as the network sees them, shape (n, n_tasks, n_features)."""
        assert self.source is not None
        wanted = (n, self.pool.rows.shape[1])
        synthetic = np.empty((n, len(domains), wanted[1]))
        for task, domain in enumerate(domains):
            rows = self.source.sample(self.pool.domain(domain), int(domain), n, rng)
            synthetic[:, task] = self._check_synthetic(rows, wanted)
        seen = self.pool.standardized(synthetic)
        return torch.from_numpy(seen).to(self.pool.tensor.device)

    def _check_synthetic(self, rows: Any, wanted: tuple[int, int]) -> NDArray[np.float64]:
        try:
            synthetic = np.asarray(rows, dtype=np.float64)
            fault = " with NaN or infinity" if not np.isfinite(synthetic).all() else ""
            got = f"an array of shape {synthetic.shape}{fault}"
        except (TypeError, ValueError):
            synthetic, fault, got = (
                np.empty(0),
                "not numeric",
                f"a {type(rows).__name__} of no numbers",
            )
        if synthetic.shape != wanted or fault:
            raise ValueError(
                f"outlier_source {type(self.source).__name__}.sample returned {got} for "
                f"n={wanted[0]}. It must return {wanted[0]} finite rows of {wanted[1]} features."
            )
        return synthetic


class TaskStream(IterableDataset[tuple[Tensor, Tensor]]):
    """Sized iterable of the steps of one evaluation.

    Parameters
    ----------
    sampler : TaskSampler
        Draws the steps.
    n_steps : int
        Steps per pass.
    first_step : int, default=0
        Number of the first step.
    advance : bool, default=True
        Whether a further pass goes on where the last one ended (training), or draws the same
        tasks again (validation).
    limit : int or None, default=None
        Number of the step before which passes end.
    """

    def __init__(
        self,
        sampler: TaskSampler,
        n_steps: int,
        *,
        first_step: int = 0,
        advance: bool = True,
        limit: int | None = None,
    ):
        super().__init__()
        self.sampler = sampler
        self.n_steps = n_steps
        self.next_step = first_step
        self.advance = advance
        self.limit = limit

    def __len__(self) -> int:
        """Count the steps of the coming pass."""
        left = self.n_steps if self.limit is None else self.limit - self.next_step
        return min(self.n_steps, left)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (x, is_outlier) of each step of the pass."""
        first = self.next_step
        for step in range(first, first + len(self)):
            if self.advance:
                self.next_step = step + 1
            yield self.sampler.draw(step)
