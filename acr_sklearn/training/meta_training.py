"""Meta-training: from rows and a plan to a network trained over tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from joblib import Memory
from numpy.typing import NDArray
from torch import nn

from acr_sklearn._compute import resolve_device
from acr_sklearn.domains.covariance import WithinDomainCovariance, fit_within_domain_covariance
from acr_sklearn.domains.discriminability import domain_discriminability
from acr_sklearn.domains.feature_scale import FeatureScale
from acr_sklearn.tasks.outliers import MIXED, OutlierSource
from acr_sklearn.tasks.sampler import TaskPool, TaskSampler, TaskStream
from acr_sklearn.tasks.settings import OutlierMix, TaskSettings
from acr_sklearn.training.acr_net import ACRTrainingSettings, train_acr
from acr_sklearn.training.cache import cache_key
from acr_sklearn.training.net_template import template_backbone
from acr_sklearn.training.settings import TrainedNet, TrainingCallback

__all__ = ["MetaTrained", "MetaTrainingPlan", "meta_train"]

#: Evaluations per training run, and steps whose tasks each one measures.
_EVALUATIONS = 50
_HELD_OUT_STEPS = 2
#: Domain discriminability from which their rows serve as outliers of one another.
_APART = 0.95
#: Ridge of the whitening: a weaker one lets directions without variance drown the rest.
_RIDGE = 0.1
#: Steps are numbered; those of held-out tasks start here, so that none is drawn twice.
_FIRST_HELD_OUT_STEP = 2**40


@dataclass(frozen=True)
class MetaTrainingPlan:
    """Plan of a meta-training.

    Attributes
    ----------
    max_iter : int
        Optimiser steps.
    tasks : TaskSettings
        Shape of a step.
    held_out : ndarray of int
        Positions of the domains that only decide when to stop; may be empty.
    mix : OutlierMix or None
        Of what outliers are; None decides by whether the domains can be told apart.
    source : OutlierSource or None
        Makes those that are no rows of other domains.
    whiten : bool
        Whether "mlp" also sees whitened features.
    """

    max_iter: int
    tasks: TaskSettings
    held_out: NDArray[np.int64]
    mix: OutlierMix | None
    source: OutlierSource | None
    whiten: bool


@dataclass
class MetaTrained:
    """Result of meta-training.

    Attributes
    ----------
    fitted : TrainedNet
        The fitted net.
    scale : FeatureScale or None
        Standardization of its input; None passes rows on as they are.
    shape : WithinDomainCovariance
        Of the rows that were trained on.
    """

    fitted: TrainedNet
    scale: FeatureScale | None
    shape: WithinDomainCovariance


def meta_train(
    rows: NDArray[Any],
    index: NDArray[np.int64],
    plan: MetaTrainingPlan,
    settings: ACRTrainingSettings,
    *,
    template: Any = None,
    previous: MetaTrained | None = None,
    memory: Memory,
) -> MetaTrained:
    """Meta-train a network, or fetch an equal training from the cache.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        Normal rows in the users' units.
    index : ndarray of shape (n_rows,)
        Domain of each row.
    plan : MetaTrainingPlan
        What to train on.
    settings : ACRTrainingSettings
        How to train.
    template : skorch.NeuralNet or None
        Its settings win.
    previous : MetaTrained or None
        To go on from.
    memory : joblib.Memory
        Keyed on the rows, the plan, the settings and the template.

    Returns
    -------
    MetaTrained
        The fitted net.
    """
    if memory.store_backend is None or settings.callback is not None:
        return _meta_train(rows, index, plan, settings, template, settings, previous)
    key = replace(
        settings,
        network=cache_key(settings.network, plan.source),
        verbose=0,
        # What the user changed is in the settings; that list only serves error messages.
        explicit=frozenset(),
    )
    cached = memory.cache(_meta_train, ignore=["settings", "previous"])
    return cached(rows, index, plan, key, template, settings=settings, previous=previous)


def _meta_train(
    rows: NDArray[Any],
    index: NDArray[np.int64],
    plan: MetaTrainingPlan,
    _key: ACRTrainingSettings,
    template: Any,
    settings: ACRTrainingSettings,
    previous: MetaTrained | None,
) -> MetaTrained:
    n_domains = int(index.max()) + 1
    trained = np.setdiff1d(np.arange(n_domains), plan.held_out)
    # Held-out domains stay out, or early stopping and the offset would see rows seen before.
    kept = np.flatnonzero(np.isin(index, trained)) if len(plan.held_out) else slice(None)
    own_rows, own_index = rows[kept], np.searchsorted(trained, index[kept])
    shape = fit_within_domain_covariance(own_rows, own_index, len(trained), settings.seed)
    backbone = template_backbone(template) or settings.network["backbone"]
    if previous is not None:
        shape = previous.shape
    built_in = not isinstance(backbone, nn.Module)
    scale = shape.scale if built_in else None  # a user's network sees the rows as they are
    if backbone == "conv" and scale is not None:
        scale = scale.uniform()
    whitening = None
    if backbone == "mlp" and plan.whiten and not shape.is_diagonal:
        whitening = torch.from_numpy(shape.whitening(_RIDGE)).float()
    settings = replace(settings, network=settings.network | {"whitening": whitening})
    mix = plan.mix
    if mix is None:
        apart = domain_discriminability(own_rows, own_index, settings.seed)
        mix = MIXED if apart >= _APART else OutlierMix(synthetic=1.0)
    plan = replace(plan, mix=mix)
    pool = TaskPool(rows, index, scale, torch.device(resolve_device(settings.device)))
    # A fit that goes on draws new tasks.
    first = 0 if previous is None else previous.fitted.next_step
    stream = TaskStream(
        _sampler(pool, plan, settings.seed, normal=trained, outlier=trained),
        max(1, plan.max_iter // _EVALUATIONS),
        first_step=first,
        limit=first + plan.max_iter,
    )
    held_out = None
    if len(plan.held_out):
        # Two held-out domains are outliers of each other, both unseen as in use.
        outlier = plan.held_out if len(plan.held_out) > 1 else trained
        held_out = TaskStream(
            _sampler(pool, plan, settings.seed, normal=plan.held_out, outlier=outlier),
            _HELD_OUT_STEPS,
            first_step=_FIRST_HELD_OUT_STEP,
            advance=False,
        )
    if settings.callback is not None:
        settings = replace(settings, callback=_WholeStage(settings.callback, scale, shape))
    net = None if previous is None else previous.fitted.net
    fitted = train_acr(stream, held_out, settings, template, net)
    return MetaTrained(fitted, scale, shape)


@dataclass
class _WholeStage:
    """Callback that passes evaluations on, with the parts that belong to the net."""

    callback: TrainingCallback
    scale: FeatureScale | None
    shape: WithinDomainCovariance

    def begin(self) -> None:
        self.callback.begin()

    def end(self, trained: TrainedNet) -> bool:
        return self.callback.end(MetaTrained(trained, self.scale, self.shape))


def _sampler(
    pool: TaskPool,
    plan: MetaTrainingPlan,
    seed: int,
    *,
    normal: NDArray[np.int64],
    outlier: NDArray[np.int64],
) -> TaskSampler:
    assert plan.mix is not None
    return TaskSampler(
        pool,
        plan.tasks,
        normal_domains=normal,
        outlier_domains=outlier,
        mix=plan.mix,
        source=plan.source,
        seed=seed,
    )
