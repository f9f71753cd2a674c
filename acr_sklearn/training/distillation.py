"""Distillation of one normal data set: two levels of networks, then a classifier on their signs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from acr_sklearn.domains.row_units import RowUnits, fit_row_units
from acr_sklearn.networks.autoencoder import Autoencoder
from acr_sklearn.networks.monotone import MonotoneClassifier, MonotoneLoss
from acr_sklearn.networks.variational import VariationalAutoencoder, VariationalLoss
from acr_sklearn.training.settings import NetParts, TrainedNet, TrainingSettings
from acr_sklearn.training.skorch_net import train_net

__all__ = ["Distilled", "RowStream", "default_widths", "distil", "train_classifier"]

_BATCH_ROWS = 256
#: Steps of the classifier, each over all rows: its loss is convex but for the softplus.
_CLASSIFIER_STEPS, _CLASSIFIER_RATE = 100, 0.1
_EVALUATIONS = 50


class RowStream(IterableDataset[tuple[Tensor, Tensor]]):
    """Steps of random rows, which are input and target alike, or of all rows with their targets.

    Parameters
    ----------
    rows : Tensor of shape (n_samples, n_inputs)
        To be drawn from.
    limit : int
        Steps in all.
    seed : int
        Of the draws.
    targets : Tensor of shape (n_samples,) or None, default=None
        Given: a step is all rows with these.
    """

    next_step: int
    rows: Tensor
    seed: int
    targets: Tensor | None

    def __init__(self, rows: Tensor, limit: int, seed: int, targets: Tensor | None = None):
        super().__init__()
        self.rows, self.seed, self.targets = rows, seed, targets
        self.limit: int | None = limit
        self.n_steps: int = max(1, limit // _EVALUATIONS)
        self.next_step = 0

    def __len__(self) -> int:
        """Count the steps of the coming pass."""
        assert self.limit is not None
        return min(self.n_steps, self.limit - self.next_step)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (input, target) of each step of the pass."""
        for _ in range(len(self)):
            step, self.next_step = self.next_step, self.next_step + 1
            if self.targets is not None:
                yield self.rows, self.targets
                continue
            rng = np.random.default_rng((self.seed, step))
            drawn = self.rows[torch.from_numpy(rng.integers(len(self.rows), size=_BATCH_ROWS))]
            yield drawn, drawn


@dataclass(frozen=True)
class Distilled:
    """What is left of a normal data set.

    Attributes
    ----------
    units : RowUnits
        Of the networks' input.
    level : Autoencoder
        First level, in double precision.
    variational : VariationalAutoencoder or None
        Second level, in double precision.
    history : list of dict
        One row per evaluation: the stage, steps of it so far, its loss.
    """

    units: RowUnits
    level: Autoencoder
    variational: VariationalAutoencoder | None
    history: list[dict[str, object]]


def default_widths(n_features: int) -> tuple[int, int, int]:
    """Choose three depths of the first level by the width of the rows."""
    return (
        min(64, max(8, 2 * n_features)),
        min(32, max(4, n_features)),
        min(16, max(2, (n_features + 1) // 2)),
    )


def distil(
    rows: NDArray[np.floating],
    widths: tuple[int, ...] | None,
    n_latent: int,
    max_iter: int,
    settings: TrainingSettings,
) -> Distilled:
    """Train the two levels.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        Normal rows in the users' units.
    widths : tuple of int or None
        Of the depths of the first level; None chooses three by `default_widths`.
    n_latent : int
        Dimensions of the second level, at most half of the features, at least 2; 0 leaves the
        level out.
    max_iter : int
        Steps of each level.
    settings : TrainingSettings
        How to train them.

    Returns
    -------
    Distilled
        With networks in eval mode.
    """
    units = fit_row_units(rows)
    n_features = rows.shape[1]
    known = torch.from_numpy(units.standardized(rows)).float()
    first = train_net(
        RowStream(known, max_iter, settings.seed),
        settings,
        NetParts(
            Autoencoder,
            nn.MSELoss,
            {
                "module__n_features": n_features,
                "module__widths": widths or default_widths(n_features),
            },
            name="first level",
            operations=_operations,
        ),
    )
    level, history = first.net.module_, _stage("autoencoder", first)
    if not n_latent:
        return Distilled(units, level.double(), None, history)
    second = train_net(
        RowStream(known, max_iter, settings.seed + 1),
        replace(settings, seed=settings.seed + 1),
        NetParts(
            VariationalAutoencoder,
            VariationalLoss,
            {
                "module__level": level,
                "module__n_latent": min(n_latent, max(2, (n_features + 1) // 2)),
            },
            name="second level",
            operations=_operations,
        ),
    )
    variational = second.net.module_.double()
    history += _stage("variational", second)
    return Distilled(units, variational.level, variational, history)


def train_classifier(
    normal: Tensor, outliers: Tensor, settings: TrainingSettings
) -> tuple[MonotoneClassifier, list[dict[str, object]]]:
    """Train the classifier of signs.

    Parameters
    ----------
    normal : Tensor of shape (n_normal, n_signs)
        Signs of normal rows.
    outliers : Tensor of shape (n_outliers, n_signs)
        Those of synthetic outliers.
    settings : TrainingSettings
        The learning rate and the schedule are the classifier's own.

    Returns
    -------
    classifier : MonotoneClassifier
        In double precision.
    history : list of dict
        As of `Distilled`.
    """
    signs = torch.cat([normal, outliers]).float()
    is_outlier = torch.cat([torch.zeros(len(normal)), torch.ones(len(outliers))])
    trained = train_net(
        RowStream(signs, _CLASSIFIER_STEPS, settings.seed, is_outlier),
        replace(settings, learning_rate=_CLASSIFIER_RATE, lr_schedule="constant"),
        NetParts(
            MonotoneClassifier,
            MonotoneLoss,
            {"module__n_inputs": signs.shape[1]},
            name="classifier",
            operations=lambda _: 6.0 * signs.numel(),
        ),
    )
    return trained.net.module_.double(), _stage("classifier", trained)


def _stage(name: str, trained: TrainedNet) -> list[dict[str, object]]:
    return [{"stage": name, **row} for row in trained.history]


def _operations(module: nn.Module) -> float:
    return 6.0 * _BATCH_ROWS * sum(parameter.numel() for parameter in module.parameters())
