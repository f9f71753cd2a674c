"""From the parameters of `ZeroShotACRDetector` to the settings of its one training stage."""

from __future__ import annotations

import itertools
import os
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from torch import nn

from acr_sklearn._input.batch_checks import gives_advice
from acr_sklearn._input.callers import (
    calling_fold,
    is_cross_validated,
    is_repeated_fit,
    ways_to_pass_domains,
)
from acr_sklearn._input.domain_rows import DomainRows, changed_parameters
from acr_sklearn._input.parameters import are_counts, check_numbers, plain_numbers
from acr_sklearn.detectors.parts import (
    FEWEST_TO_HOLD_OUT,
    ConvBackbone,
    HeldOutDomains,
    MLPBackbone,
    NeuralTransformation,
)
from acr_sklearn.exceptions import EarlyStoppingWarning, SingleDomainWarning
from acr_sklearn.tasks.outliers import choose_outliers
from acr_sklearn.tasks.sampling import hold_out_domains
from acr_sklearn.tasks.settings import TaskSettings
from acr_sklearn.training.acr_net import ACRTrainingSettings
from acr_sklearn.training.meta_training import MetaTrainingPlan
from acr_sklearn.training.net_template import template_backbone

__all__ = ["held_out_domains", "training_plan", "training_settings"]

#: What skorch calls of a callback, or asks it for, before the first step.
_CALLBACK_METHODS = ("initialize", "get_params", "set_params", "on_train_begin", "on_batch_end")
#: A weight, its gradient and Adam's two moments; and what PyTorch's objects take of a network.
_BYTES_PER_WEIGHT, _NETWORK_BYTES = 16, 16_384
_MEMORY_WHERE_UNKNOWN = 2**40


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
    check_numbers(detector)
    detector = plain_numbers(detector)
    _check_callbacks(detector)
    return ACRTrainingSettings(
        network=_network(detector, n_features),
        n_estimators=detector.n_estimators,
        learning_rate=detector.learning_rate,
        lr_schedule="cosine",
        weight_decay=0.0,
        n_iter_no_change=_holding_out(detector).n_iter_no_change,
        device=detector.device,
        callbacks=None if detector.callbacks is None else list(detector.callbacks),
        verbose=int(detector.verbose),
        seed=seed,
        who=f"{type(detector).__name__}.fit",
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
        When outliers are to come from other domains and there is none, and for what fits into no
        memory.
    """
    detector = plain_numbers(detector)
    tasks = TaskSettings(
        detector.n_tasks,
        detector.task_size,
        detector.outlier_fraction,
        detector.permute_features,
    )
    who = f"{type(detector).__name__}.fit"
    tasks = tasks.capped(np.delete(data.sizes, held_out).max())
    _check_memory(detector, data.rows.shape[1], tasks.task_size)
    mix, source = choose_outliers(detector.outlier_source, len(data.labels), who=who)
    return MetaTrainingPlan(
        detector.max_iter,
        tasks,
        held_out,
        mix,
        source,
        _whitens(detector.backbone) and not detector.permute_features,
    )


def held_out_domains(detector: Any, n_domains: int, seed: int, *, named: bool) -> NDArray[np.int64]:
    """Choose the domains that only decide when to stop.

    Parameters
    ----------
    detector : ZeroShotACRDetector
        With valid parameters.
    n_domains : int
        Training domains.
    seed : int
        Chooses.
    named : bool
        Whether the caller said which domain a row belongs to.

    Returns
    -------
    ndarray of int
        Positions; empty without early stopping, and below 4 domains.

    Warns
    -----
    SingleDomainWarning
        For one domain; in a search or a cross-validation that passes no domains, for its first fit
        alone.
    EarlyStoppingWarning
        When there are too few domains to hold any out.
    """
    who = f"{type(detector).__name__}.fit"
    if n_domains == 1:
        # Without domains each fit of a search is on one, and one warning says so.
        if named or not is_repeated_fit(detector._repeats_a_fit):
            _warn_single_domain(who)
    elif detector.early_stopping and n_domains < FEWEST_TO_HOLD_OUT and gives_advice():
        warnings.warn(
            f"{who} got {n_domains} domains; early stopping holds some out and needs at least "
            f"{FEWEST_TO_HOLD_OUT}, so it is off and all max_iter={detector.max_iter} steps "
            "are run. Pass more domains, or set early_stopping=False.",
            EarlyStoppingWarning,
            stacklevel=7,
        )
    if not detector.early_stopping or n_domains < FEWEST_TO_HOLD_OUT:
        return np.empty(0, np.int64)
    rng = np.random.default_rng((seed, 0))
    return hold_out_domains(n_domains, _holding_out(detector).validation_fraction, rng)[1]


def _warn_single_domain(who: str) -> None:
    keyword = ways_to_pass_domains()
    remedy = f"Pass a list of data sets, or {keyword}, if the rows come from several."
    if calling_fold() is not None:
        remedy = (
            f"If the rows come from several, pass {keyword} to the fit of the search, also where "
            "it has groups=: these only choose its folds."
        )
    elif is_cross_validated():
        remedy = (
            "If the rows come from several, pass them on to fit: "
            f"cross_validate(..., params={{{keyword.rstrip('=')!r}: ...}}), also where it has "
            "groups=: these only choose its folds."
        )
    elif keyword != "domains=":
        remedy = f"If the rows come from several, pass {keyword} to the fit of the pipeline."
    warnings.warn(
        f"{who} got a single data set: there is no other domain to draw outliers from, and "
        f"nothing to learn how normals differ between domains. {remedy}",
        SingleDomainWarning,
        stacklevel=8,
    )


def _check_callbacks(detector: Any) -> None:
    """Refuse what skorch would stumble over in the middle of training, or leave uncalled."""
    who, seen = type(detector).__name__, set()
    for given in detector.callbacks or ():
        named = isinstance(given, tuple) and len(given) == 2
        one = given[1] if named else given
        if isinstance(one, type):
            raise ValueError(
                f"{who} got the class {one.__name__} in callbacks. It needs an instance: "
                f"{one.__name__}(...)."
            )
        if not all(hasattr(one, name) for name in _CALLBACK_METHODS):
            raise ValueError(
                f"{who} got {given!r} in callbacks. It needs skorch callbacks, such as "
                "skorch.callbacks.GradientNormClipping(1.0), or pairs of a name and one."
            )
        if not named:
            continue
        name = given[0]
        if not isinstance(name, str) or not name or "__" in name or name in seen:
            raise ValueError(
                f"{who} got a callback named {name!r} in callbacks. Names are strings, each used "
                "once, not empty and without '__'."
            )
        seen.add(name)


def _check_memory(detector: Any, n_features: int, n_task_rows: int) -> None:
    """Refuse networks and steps that fit into no memory, before they are begun.

    The bound is from below: what it lets pass may still be too large.
    """
    network = detector.n_estimators * (
        _NETWORK_BYTES + _BYTES_PER_WEIGHT * _n_weights(detector, n_features)
    )
    step = 4 * detector.n_tasks * n_task_rows * n_features
    there = _memory_bytes()
    if network + step <= there:
        return
    what = (
        f"n_tasks={detector.n_tasks}"
        if step > network
        else f"n_estimators={detector.n_estimators} of hidden_layer_sizes, channels or "
        "n_transformations as they are"
    )
    raise ValueError(
        f"{type(detector).__name__} got {what}: a training step takes at least "
        f"{(network + step) / 2**30:,.0f} GiB, and this machine has {there / 2**30:,.0f}. Choose "
        "a smaller number."
    )


def _n_weights(detector: Any, n_features: int) -> int:
    """Count weights of one network, from below."""
    backbone, objective = detector.backbone, detector.objective
    if isinstance(backbone, nn.Module):
        found = sum(weights.numel() for weights in backbone.parameters())
    elif isinstance(backbone, ConvBackbone):
        found = _products([1, *backbone.channels], 9)
    else:
        found = _products([n_features, *detector.hidden_layer_sizes], 1)
    if isinstance(objective, NeuralTransformation):
        found += int(objective.n_transformations) * n_features**2
    return found


def _products(widths: list[Any], per_pair: int) -> int:
    plain = [int(width) for width in widths]
    return sum(plain) + per_pair * sum(a * b for a, b in itertools.pairwise(plain))


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on Windows
        return _MEMORY_WHERE_UNKNOWN


def _holding_out(detector: Any) -> HeldOutDomains:
    given = detector.early_stopping
    if isinstance(given, HeldOutDomains):
        given._validate_params()
        check_numbers(given)
        return plain_numbers(given)
    return HeldOutDomains()


def _whitens(backbone: Any) -> bool:
    return not isinstance(backbone, MLPBackbone) or bool(backbone.whiten_features)


def _network(detector: Any, n_features: int) -> dict[str, Any]:
    """Name what the network is made of, under the names of `ACRNetwork`."""
    _check_widths(type(detector).__name__, "hidden_layer_sizes", detector.hidden_layer_sizes)
    backbone, objective = detector.backbone, detector.objective
    for part in (backbone, objective):
        if isinstance(part, BaseEstimator):
            part._validate_params()
            check_numbers(part)
    _check_images(detector)
    network = {
        "n_features": n_features,
        "backbone": "mlp" if isinstance(backbone, MLPBackbone) else backbone,
        "hidden_layer_sizes": tuple(int(width) for width in detector.hidden_layer_sizes),
        "objective": objective,
    }
    if isinstance(backbone, ConvBackbone):
        _check_widths("ConvBackbone", "channels", backbone.channels)
        shape = backbone.input_shape
        network |= {
            "backbone": "conv",
            # What is no shape the network refuses.
            "input_shape": tuple(shape) if are_counts(shape) else shape,
            "conv_channels": tuple(int(width) for width in backbone.channels),
            "conv_downsampling": backbone.downsampling,
        }
    if isinstance(objective, NeuralTransformation):
        network |= {
            "objective": "ntl",
            "n_transformations": int(objective.n_transformations),
            "transformation": objective.kind,
        }
    return network


def _check_widths(who: str, name: str, widths: Any) -> None:
    if not are_counts(widths):
        unit = "units" if name == "hidden_layer_sizes" else "channels"
        raise ValueError(
            f"{who} got {name}={widths!r}. It needs a sequence of layers, each a positive "
            f"whole number of {unit}."
        )


def _check_images(detector: Any) -> None:
    """Refuse to permute the pixels of an image."""
    backbone = template_backbone(detector.net) or detector.backbone
    convolves = isinstance(backbone, ConvBackbone) or backbone == "conv"
    if convolves and detector.permute_features:
        raise ValueError(
            f"{type(detector).__name__} got permute_features=True with a ConvBackbone: in another "
            "order of its pixels an image has no neighbourhoods to convolve. Leave "
            "permute_features at False, or use backbone='mlp'."
        )
