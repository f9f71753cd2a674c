"""A plain ACR training step, tasks one after another: what the package's step is timed against.

It computes what the package computes for ``objective="dsvdd"`` and outliers from other domains,
in the order a first reading of Li et al. (2023) suggests: every task draws its normal rows, joins
all other domains into one array to draw its outliers from, and passes through the network on its
own, with torch's batch norm in training mode; one Adam update follows the sum of the task losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class LoopedACR:
    """Meta-training with one forward pass per task.

    Parameters
    ----------
    domains : list of ndarray of shape (n_rows_i, n_features), float32
        One normal data set per domain.
    hidden_layer_sizes, embedding_dim, n_tasks, task_size, outlier_fraction, learning_rate
        As in `ZeroShotACRDetector`.
    join_complement : bool, default=True
        False draws the outliers by position instead of joining the other domains first, to show
        how much of the time is copying.
    seed : int, default=0
        Seeds rows and weights.
    """

    def __init__(
        self,
        domains: Sequence[NDArray[np.float32]],
        *,
        hidden_layer_sizes: Sequence[int] = (128, 128, 128),
        embedding_dim: int = 32,
        n_tasks: int = 32,
        task_size: int = 512,
        outlier_fraction: float = 0.2,
        learning_rate: float = 4e-4,
        join_complement: bool = True,
        seed: int = 0,
    ):
        self.domains = list(domains)
        self.n_tasks = n_tasks
        self.n_normal = round((1 - outlier_fraction) * task_size)
        self.n_outlier = task_size - self.n_normal
        self.join_complement = join_complement
        self.rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        widths = [self.domains[0].shape[1], *hidden_layer_sizes]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
        layers += [nn.Linear(widths[-1], embedding_dim), nn.BatchNorm1d(embedding_dim)]
        self.network = nn.Sequential(*layers).train()
        self.center = nn.Parameter(torch.randn(embedding_dim))
        self.optimizer = torch.optim.Adam(
            [*self.network.parameters(), self.center], lr=learning_rate
        )

    def step(self) -> float:
        """One update over `n_tasks` tasks; returns the mean loss of a task."""
        self.optimizer.zero_grad()
        total = torch.zeros(())
        for task in range(self.n_tasks):
            total = total + self._task_loss(task % len(self.domains))
        total.backward()
        self.optimizer.step()
        return float(total.detach()) / self.n_tasks

    def _task_loss(self, domain: int) -> Tensor:
        own = self.domains[domain]
        normal = own[self.rng.choice(len(own), self.n_normal, replace=False)]
        rows = torch.from_numpy(np.concatenate([normal, self._draw_outliers(domain)]))
        distance = (self.network(rows) - self.center).square().sum(dim=1)
        losses = [distance[: self.n_normal], 1 / distance[self.n_normal :]]
        return torch.cat(losses).mean()

    def _draw_outliers(self, domain: int) -> NDArray[np.float32]:
        others = [rows for i, rows in enumerate(self.domains) if i != domain]
        if self.join_complement:
            complement = np.concatenate(others)
            return complement[self.rng.choice(len(complement), self.n_outlier, replace=False)]
        ends = np.cumsum([len(rows) for rows in others])
        chosen = self.rng.choice(ends[-1], self.n_outlier, replace=False)
        place = np.searchsorted(ends, chosen, side="right")
        starts = np.concatenate([[0], ends[:-1]])
        parts = [others[i][chosen[place == i] - starts[i]] for i in range(len(others))]
        return np.concatenate(parts)
