"""From the parameters of `ZeroShotACRDetector` to the settings of its one training stage."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from acr_sklearn._input.validation import DomainRows, are_counts, changed_parameters
from acr_sklearn.exceptions import EarlyStoppingWarning, SingleDomainWarning
from acr_sklearn.tasks.outliers import choose_outliers
from acr_sklearn.tasks.sampling import hold_out_domains
from acr_sklearn.tasks.settings import TaskSettings
from acr_sklearn.training.acr_net import ACRTrainingSettings
from acr_sklearn.training.meta_training import MetaTrainingPlan
from acr_sklearn.training.net_template import template_backbone

__all__ = ["held_out_domains", "training_plan", "training_settings"]

_MIN_DOMAINS_TO_HOLD_OUT = 4


def training_settings(
    detector: Any, n_features: int, seed: int, callback: Any = None
) -> ACRTrainingSettings:
    """Say how to train.

    Parameters
    ----------
    detector : ZeroShotACRDetector
        With valid parameters, each for itself.
    n_features : int
        Width of the training rows.
    seed : int
        Decides all that is random.
    callback : object or None, default=None
        Told of every evaluation.

    Returns
    -------
    ACRTrainingSettings
        For the training stage.

    Raises
    ------
    ValueError
        For parameters that do not go together.
    """
    return ACRTrainingSettings(
        network=_network(detector, n_features),
        n_estimators=detector.n_estimators,
        learning_rate=detector.learning_rate,
        lr_schedule=detector.lr_schedule,
        weight_decay=detector.weight_decay,
        n_iter_no_change=detector.n_iter_no_change,
        device=detector.device,
        callbacks=None if detector.callbacks is None else list(detector.callbacks),
        verbose=int(detector.verbose),
        seed=seed,
        explicit=changed_parameters(detector),
        callback=callback,
    )


def training_plan(detector: Any, data: DomainRows, held_out: NDArray[np.int64]) -> MetaTrainingPlan:
    """Say what to train on.

    Parameters
    ----------
    detector : ZeroShotACRDetector
        With valid parameters.
    data : DomainRows
        The training rows.
    held_out : ndarray of int
        Positions of the domains that only decide when to stop.

    Returns
    -------
    MetaTrainingPlan
        For the training stage.

    Raises
    ------
    ValueError
        When outliers are to come from other domains and there is none.
    """
    tasks = TaskSettings(
        detector.n_tasks,
        detector.task_size,
        detector.outlier_fraction,
        detector.permute_features,
    )
    who = f"{type(detector).__name__}.fit"
    mix, source = choose_outliers(detector.outlier_source, len(data.labels), who=who)
    return MetaTrainingPlan(
        detector.max_iter,
        tasks.capped(np.delete(data.sizes, held_out).max()),
        held_out,
        mix,
        source,
        detector.whiten_features and not detector.permute_features,
    )


def held_out_domains(detector: Any, n_domains: int, seed: int) -> NDArray[np.int64]:
    """Choose the domains that only decide when to stop.

    Parameters
    ----------
    detector : ZeroShotACRDetector
        With valid parameters.
    n_domains : int
        Training domains.
    seed : int
        Chooses.

    Returns
    -------
    ndarray of int
        Positions; empty without early stopping, and below 4 domains.

    Warns
    -----
    SingleDomainWarning
        For one domain.
    EarlyStoppingWarning
        When there are too few domains to hold any out.
    """
    who = f"{type(detector).__name__}.fit"
    if n_domains == 1:
        warnings.warn(
            f"{who} got a single data set: there is no other domain to draw outliers from, and "
            "nothing to learn how normals differ between domains. Pass a list of data sets, "
            "or domains=, if the rows come from several.",
            SingleDomainWarning,
            stacklevel=7,
        )
    elif detector.early_stopping and n_domains < _MIN_DOMAINS_TO_HOLD_OUT:
        warnings.warn(
            f"{who} got {n_domains} domains; early stopping holds some out and needs at least "
            f"{_MIN_DOMAINS_TO_HOLD_OUT}, so it is off and all max_iter={detector.max_iter} steps "
            "are run. Pass more domains, or set early_stopping=False.",
            EarlyStoppingWarning,
            stacklevel=7,
        )
    if not detector.early_stopping or n_domains < _MIN_DOMAINS_TO_HOLD_OUT:
        return np.empty(0, np.int64)
    rng = np.random.default_rng((seed, 0))
    return hold_out_domains(n_domains, detector.validation_fraction, rng)[1]


def _network(detector: Any, n_features: int) -> dict[str, Any]:
    """Name what the network is made of, under the names of `ACRNetwork`."""
    who = type(detector).__name__
    for name, unit in (("hidden_layer_sizes", "units"), ("conv_channels", "channels")):
        if not are_counts(widths := getattr(detector, name)):
            raise ValueError(
                f"{who} got {name}={widths!r}. It needs a sequence of layers, each a positive "
                f"whole number of {unit}."
            )
    _check_images(detector)
    shape = detector.input_shape
    return {
        "n_features": n_features,
        "backbone": detector.backbone,
        "hidden_layer_sizes": tuple(int(width) for width in detector.hidden_layer_sizes),
        "embedding_dim": detector.embedding_dim,
        "objective": detector.objective,
        "n_transformations": detector.n_transformations,
        "transformation": detector.transformation,
        "input_shape": None if shape is None else tuple(shape),
        "conv_channels": tuple(int(width) for width in detector.conv_channels),
        "conv_downsampling": detector.conv_downsampling,
    }


def _check_images(detector: Any) -> None:
    """Refuse what only makes sense for images, or only without them."""
    who = type(detector).__name__
    backbone = template_backbone(detector.net) or detector.backbone
    kind = type(backbone).__name__ if isinstance(backbone, nn.Module) else repr(backbone)
    if backbone != "conv":
        if detector.input_shape is not None:
            raise ValueError(
                f"{who} got input_shape={detector.input_shape!r} with backbone={kind}, which does "
                "not know of images. Set backbone='conv', or reshape the rows inside your module "
                "and leave input_shape at None."
            )
    elif detector.permute_features:
        raise ValueError(
            f"{who} got permute_features=True with backbone='conv': in another order of its pixels "
            "an image has no neighbourhoods to convolve. Leave permute_features at False, or use "
            "backbone='mlp'."
        )
