"""What the parameters of `ZeroShotACRDetector` may be."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import torch
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from torch import nn

from acr_sklearn.heads import SCORE_HEADS
from acr_sklearn.neural_transformation import TRANSFORMATIONS
from acr_sklearn.objectives import OBJECTIVES

__all__ = ["CONSTRAINTS"]

CONSTRAINTS: dict[str, list[Any]] = {
    "objective": [StrOptions(set(OBJECTIVES))],
    # One transformation has no other one to be told from.
    "n_transformations": [Interval(Integral, 2, None, closed="left")],
    "transformation": [StrOptions(set(TRANSFORMATIONS))],
    "backbone": [StrOptions({"mlp", "conv"}), nn.Module],
    "hidden_layer_sizes": ["array-like"],
    "input_shape": ["array-like", None],
    "conv_channels": ["array-like"],
    "conv_downsampling": [StrOptions({"stride", "maxpool"})],
    "embedding_dim": [Interval(Integral, 1, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "n_tasks": [Interval(Integral, 1, None, closed="left")],
    "task_size": [Interval(Integral, 4, None, closed="left")],
    "outlier_fraction": [Interval(Real, 0, 1, closed="neither")],
    "outlier_source": [
        StrOptions({"auto", "mixed", "domains", "synthetic"}),
        HasMethods("sample"),
    ],
    "permute_features": ["boolean"],
    "whiten_features": ["boolean"],
    "score_head": [StrOptions(set(SCORE_HEADS))],
    "n_neighbors": [Interval(Integral, 1, None, closed="left")],
    "trim_fraction": [Interval(Real, 0, 0.5, closed="left")],
    "n_estimators": [Interval(Integral, 1, None, closed="left")],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "lr_schedule": [StrOptions({"cosine", "constant"})],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "contamination": [Interval(Real, 0, 0.5, closed="right"), StrOptions({"auto"})],
    "threshold": [StrOptions({"train", "batch"})],
    "norm_mode": [StrOptions({"batch", "reference"})],
    "max_reference_rows": [Interval(Integral, 2, None, closed="left"), None],
    "chunk_size": [Interval(Integral, 1, None, closed="left"), None],
    "domain_column": [Integral, str, None],
    "device": [str, torch.device],
    "net": [HasMethods(["initialize", "fit_loop"]), None],
    "callbacks": [list, tuple, None],
    "memory": [str, HasMethods("cache"), None],
    "warm_start": ["boolean"],
    "verbose": ["verbose"],
    "random_state": ["random_state"],
}
