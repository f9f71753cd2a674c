"""From the parameters of `ZeroShotACRDetector` to the settings of its one training stage."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from acr_sklearn._validation import DomainRows, are_counts, changed_parameters
from acr_sklearn.meta_training import MetaTrainingPlan
from acr_sklearn.net_template import template_backbone
from acr_sklearn.outliers import choose_outliers
from acr_sklearn.task_settings import TaskSettings
from acr_sklearn.training import TrainingSettings

__all__ = ["training_plan", "training_settings"]


def training_settings(detector: Any, n_features: int, seed: int) -> TrainingSettings:
    """Say how to train.

    Parameters
    ----------
    detector : ZeroShotACRDetector
        With valid parameters, each for itself.
    n_features : int
        Width of the training rows.
    seed : int
        Decides all that is random.

    Returns
    -------
    TrainingSettings
        For the training stage.

    Raises
    ------
    ValueError
        For parameters that do not go together.
    """
    return TrainingSettings(
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
