"""Training of ResAD: from rows and a plan to a network over residuals, and levels of its scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from acr_sklearn._input.known_anomalies import KnownAnomalies, TrainingRows
from acr_sklearn.domains.feature_scale import FeatureScale, fit_scale
from acr_sklearn.metrics.detection import task_auc
from acr_sklearn.networks.residual_network import ResidualLoss, ResidualNetwork
from acr_sklearn.networks.residuals import Converter
from acr_sklearn.tasks.outliers import MIXED, OutlierSource
from acr_sklearn.tasks.residual_tasks import ResidualSampler, ResidualTasks, TaskContents
from acr_sklearn.tasks.sampler import TaskPool
from acr_sklearn.tasks.settings import OutlierMix
from acr_sklearn.training.settings import HeldOutMeasure, NetParts, TrainedNet, TrainingSettings
from acr_sklearn.training.skorch_net import train_net

__all__ = ["REFERENCE_NUMBERS", "ResidualPlan", "ResidualTrained", "train_residuals"]

#: Numbers of references whose scores are calibrated; domains, draws and rows of each.
REFERENCE_NUMBERS = (1, 2, 4, 8, 16, 32, 64)
_DOMAINS, _DRAWS, _ROWS = 16, 4, 32
_EVALUATIONS, _HELD_OUT_STEPS, _FIRST_HELD_OUT_STEP = 20, 4, 2**40


@dataclass(frozen=True)
class ResidualPlan:
    """Plan of a training.

    Attributes
    ----------
    converter : Converter
        Makes residuals.
    max_iter, n_blocks : int
        Optimiser steps; coupling blocks of the flow.
    likelihood_weight : float
        Of the flow's likelihood in the score.
    constrained : bool
        Whether there is a constraintor.
    invariance : float
        Weight of its abnormal-invariant term.
    mix : OutlierMix or None
        Of what outliers are; None takes rows of other domains, mixed and synthetic ones.
    source : OutlierSource or None
        Makes the synthetic ones.
    """

    converter: Converter
    max_iter: int
    n_blocks: int
    likelihood_weight: float
    constrained: bool
    invariance: float
    mix: OutlierMix | None
    source: OutlierSource | None


@dataclass(frozen=True)
class ResidualTrained:
    """Result of a training.

    Attributes
    ----------
    fitted : TrainedNet
        The net, its network in double precision.
    scale, converter : FeatureScale, Converter
        Standardization of the rows, and what makes residuals of them.
    levels : dict of int to ndarray
        Scores of normal rows, high for abnormal ones, under so many references; of no more than
        half of the rows of the largest domain.
    """

    fitted: TrainedNet
    scale: FeatureScale
    converter: Converter
    levels: dict[int, NDArray[np.float64]]


def train_residuals(
    data: TrainingRows,
    held_out: NDArray[np.int64],
    plan: ResidualPlan,
    settings: TrainingSettings,
) -> ResidualTrained:
    """Train the network over tasks of residuals.

    Parameters
    ----------
    data : TrainingRows
        Normal rows and known anomalies, in the users' units.
    held_out : ndarray of int
        Positions of the domains that only decide which step was the best; may be empty.
    plan : ResidualPlan
        What to train.
    settings : TrainingSettings
        How to train it.

    Returns
    -------
    ResidualTrained
        The network, and what its scores of normal rows are like.
    """
    n_domains = len(data.labels)
    trained = np.setdiff1d(np.arange(n_domains), held_out)
    # Units are no weights: with few domains, those of the held-out ones are missed in them.
    scale = fit_scale(data.rows, data.index, n_domains)
    pool = TaskPool(data.rows, data.index, scale, torch.device("cpu"))
    known = _known_by_domain(data.known, scale, n_domains, data.rows.shape[1])
    mix = plan.mix or MIXED
    contents = TaskContents(pool, known, plan.converter, mix, plan.source)
    sampler = ResidualSampler(contents, trained, trained, settings.seed)
    steps = ResidualTasks(sampler, max(1, plan.max_iter // _EVALUATIONS), limit=plan.max_iter)
    judged = None
    if len(held_out):
        others = held_out if len(held_out) > 1 else np.arange(n_domains)
        of_others = ResidualSampler(contents, held_out, others, settings.seed)
        judged = ResidualTasks(of_others, _HELD_OUT_STEPS, _FIRST_HELD_OUT_STEP)
    fitted = train_net(steps, settings, _parts(plan, data.rows.shape[1]), held_out=judged)
    network = fitted.net.module_.double()
    shown = [*held_out, *trained]
    levels = {}
    for number in REFERENCE_NUMBERS:
        able = [domain for domain in shown if pool.sizes[domain] >= 2 * number]
        if able or number == 1:
            levels[number] = _level(network, sampler, (able or shown)[:_DOMAINS], number)
    return ResidualTrained(fitted, scale, plan.converter, levels)


def _known_by_domain(
    known: KnownAnomalies | None, scale: FeatureScale, n_domains: int, width: int
) -> list[NDArray[np.float32]]:
    if known is None:
        return [np.empty((0, width), np.float32)] * n_domains
    rows = scale.training_rows(known.rows)
    return [rows[known.index == domain] for domain in range(n_domains)]


def _parts(plan: ResidualPlan, n_features: int) -> NetParts:
    options: dict[str, Any] = {
        "module__n_features": n_features,
        "module__n_blocks": plan.n_blocks,
        "module__constrained": plan.constrained,
        "module__likelihood_weight": plan.likelihood_weight,
        "criterion__invariance": plan.invariance,
        "criterion__constrained": plan.constrained,
    }
    return NetParts(
        ResidualNetwork,
        ResidualLoss,
        options,
        measure=HeldOutMeasure("auc", _mean_auroc),
        name="residual training",
    )


def _mean_auroc(module: nn.Module, output: Any, is_outlier: Tensor) -> Tensor:
    assert isinstance(module, ResidualNetwork)  # of the parts above
    return task_auc(module.anomaly_score(output), is_outlier)


def _level(
    network: ResidualNetwork, sampler: ResidualSampler, domains: list[int], number: int
) -> NDArray[np.float64]:
    """Scores of normal rows of domains, each under references of its own domain."""
    rng = np.random.default_rng((sampler.seed, 4, number))
    found = []
    for domain in domains:
        for _ in range(_DRAWS):
            references, rows = sampler.references_and_rows(int(domain), number, _ROWS, rng)
            signs = sampler.contents.converter(rows.double(), references.double())
            with torch.no_grad():
                found.append(network.scores(signs))
    return torch.cat(found).numpy()
