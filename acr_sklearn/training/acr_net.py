"""Training of ACR's networks: what is put through the door to skorch, and how it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from acr_sklearn.metrics.detection import task_auc
from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.networks.ensemble import ACREnsemble
from acr_sklearn.networks.mlp import MLPNetwork
from acr_sklearn.networks.objectives import ObjectiveLoss
from acr_sklearn.tasks.sampler import TaskStream
from acr_sklearn.training.net_template import merge_template
from acr_sklearn.training.settings import (
    HeldOutMeasure,
    NetParts,
    TrainedNet,
    TrainingSettings,
)
from acr_sklearn.training.skorch_net import train_net

__all__ = ["ACRTrainingSettings", "train_acr"]


@dataclass(frozen=True, kw_only=True)
class ACRTrainingSettings(TrainingSettings):
    """How to train, and the networks: arguments of `ACRNetwork`, and how many of them."""

    network: dict[str, Any]
    n_estimators: int


def train_acr(
    stream: TaskStream,
    held_out: TaskStream | None,
    settings: ACRTrainingSettings,
    template: Any = None,
    previous: Any = None,
) -> TrainedNet:
    """Meta-train a network, or several on the same tasks.

    Parameters
    ----------
    stream : TaskStream
        Training steps.
    held_out : TaskStream or None
        Tasks of held-out domains, whose mean AUROC decides when to stop.
    settings : ACRTrainingSettings
        The detector's.
    template : skorch.NeuralNet or None, default=None
        Its settings win.
    previous : skorch.NeuralNet or None, default=None
        To go on from.

    Returns
    -------
    TrainedNet
        See `train_net`.
    """
    options = {f"module__{name}": value for name, value in settings.network.items()}
    options["criterion__objective"] = settings.network["objective"]
    if settings.n_estimators > 1:
        options["module__n_estimators"] = settings.n_estimators
    parts = NetParts(
        module=ACRNetwork if settings.n_estimators == 1 else ACREnsemble,
        criterion=ObjectiveLoss,
        options=options,
        measure=HeldOutMeasure("auc", _mean_auroc),
        name="meta-training",
        shaped_by=(
            "the backbone or one of its options, its layers, n_estimators, permute_features, the "
            "objective, its transformations or module__embedding_dim"
        ),
        operations=lambda module: _operations_per_step(module, stream),
        merge=merge_template,
    )
    return train_net(
        stream, settings, parts, held_out=held_out, template=template, previous=previous
    )


def _mean_auroc(module: nn.Module, output: Tensor, is_outlier: Tensor) -> Tensor:
    """AUROC of each task of a step."""
    assert isinstance(module, ACRNetwork | ACREnsemble)  # of the parts above
    scores = module.output_scores(output)
    return task_auc(scores, is_outlier.to(scores.device))


def _operations_per_step(module: Any, stream: TaskStream) -> float:
    """Count a multiply and an add per weight and row, forward and twice backward."""
    if not isinstance(module.backbone, MLPNetwork):
        return float("inf")  # what a user's module does with a weight is not known
    tasks = stream.sampler.settings
    n_weights = sum(parameter.numel() for parameter in module.parameters())
    n_rows = tasks.n_tasks * tasks.task_size * module.objective.n_views
    return 6.0 * n_weights * n_rows
