"""Small networks of every kind, with stacks of tasks and masks of their rows."""

import pytest
import torch
from torch import nn

from acr_sklearn.networks.ensemble import ACREnsemble

N_FEATURES = 5


def users_module():
    return nn.Sequential(nn.Linear(N_FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


BACKBONES = {"mlp": "mlp", "module": users_module(), "conv": "conv"}
#: Every backbone with an objective behind it and with the one that begins before it.
KINDS = ["mlp", "module", "conv", "mlp bce", "mlp ntl", "module ntl", "conv ntl"]
each_kind = pytest.mark.parametrize("kind", KINDS)


def spread_out(network):
    """Affine weights of 1 and 0, and members with equal modules, would hide a mix-up."""
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return network.double()


def ensemble(kind, n_estimators=3):
    backbone, objective = (*kind.split(), "dsvdd")[:2]
    parts = {
        "backbone": BACKBONES[backbone],
        "objective": objective,
        "hidden_layer_sizes": (8, 6),
        "embedding_dim": 4,
        "n_transformations": 3,
        "input_shape": (1, 1, N_FEATURES),
        "conv_channels": (8, 6),
    }
    return spread_out(ACREnsemble(n_estimators, n_features=N_FEATURES, **parts))


def stack(n_tasks=4, n_rows=10):
    return torch.randn(n_tasks, n_rows, N_FEATURES, dtype=torch.float64)


def masks(n_tasks=4, n_rows=10):
    kept = torch.rand(n_tasks, n_rows) < 0.6
    kept[:, :2] = True
    return kept
