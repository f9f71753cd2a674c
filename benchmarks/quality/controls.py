"""What our figures are held against beside the rivals: the paper's recipe, and the controls.

A control is the default scoring head without what meta-training adds to it: on raw rows, on rows
standardised by their batch, and on the network before its first step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from skorch.callbacks import LRScheduler
from torch import Tensor

from acr_sklearn import MLPBackbone, ZeroShotACRDetector
from acr_sklearn.domains.covariance import fit_within_domain_covariance
from acr_sklearn.scoring.consensus_head import ConsensusHead
from acr_sklearn.scoring.dependence import fit_dependence

from .rivals import Method, standardised


def paper(seed: int) -> Method:
    """Return the recipe of Li et al. (2023) for tables: their network, steps, tasks and score.

    Their permutation of the features in every task is left out: it was meant for five domains,
    and these sets have more.
    """
    return ZeroShotACRDetector(
        hidden_layer_sizes=(128, 128, 128),
        max_iter=1000,
        n_tasks=32,
        task_size=512,
        learning_rate=4e-4,
        callbacks=[LRScheduler(torch.optim.lr_scheduler.ConstantLR, factor=1.0)],
        outlier_source="domains",
        backbone=MLPBackbone(whiten_features=False),
        early_stopping=False,
        score_head="objective",
        trim_fraction=0.0,
        random_state=seed,
    )


def untrained(seed: int) -> Method:
    """Return our detector at its defaults, but for the training: one step of no length."""
    return ZeroShotACRDetector(
        max_iter=1, learning_rate=1e-30, early_stopping=False, random_state=seed
    )


class _Rows(torch.nn.Module):
    """Stands in for a network: a view of a batch is its own representation."""

    def __init__(self, view: Callable[[np.ndarray], np.ndarray]):
        super().__init__()
        self.view = view

    def layers(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """Return the view of each batch."""
        return torch.stack([torch.from_numpy(np.asarray(self.view(b.numpy()))) for b in x])


@dataclass
class HeadControl:
    """The default head on a view of the batch.

    Parameters
    ----------
    view : callable
        What the head sees of a batch: ``np.asarray`` (raw rows) or ``standardised``.
    """

    view: Callable[[np.ndarray], np.ndarray]

    def fit(self, train: Sequence[np.ndarray]) -> HeadControl:
        """Take what the head needs of the training rows."""
        self._head = default_head(train)
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        """Score the view of the batch by the head, high = normal."""
        rows = torch.from_numpy(X.astype(np.float64))[None]
        return -self._head.score(_Rows(self.view), rows)[0].numpy()


def default_head(train: Sequence[np.ndarray]) -> ConsensusHead:
    """Return the head of a detector at its defaults that was trained on these domains."""
    default = ZeroShotACRDetector()
    rows = np.concatenate(train)
    index = np.repeat(np.arange(len(train)), [len(part) for part in train])
    shape = fit_within_domain_covariance(rows, index, len(train), seed=0)
    dependence = fit_dependence(rows, index, len(train))
    return ConsensusHead.of(default.n_neighbors, default.trim_fraction, shape, dependence)


CONTROLS: dict[str, Callable[[int], Method]] = {
    "untrained": untrained,
    "head_raw": lambda _seed: HeadControl(np.asarray),
    "head_batch": lambda _seed: HeadControl(standardised),
}
