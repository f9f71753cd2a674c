import numpy as np
import pytest
import torch
from torch import nn

import acr_sklearn.scoring.fused_mlp as module
from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.networks.ensemble import ACREnsemble
from acr_sklearn.networks.objectives import OBJECTIVES, DeepSVDD
from acr_sklearn.scoring.fixed_norms import fix_norms
from acr_sklearn.scoring.fused_mlp import FusedMLP
from acr_sklearn.scoring.standardize import Standardizer

LOCATION, DIVISOR = torch.tensor([5.0, -3.0, 0.0]).double(), torch.tensor([1.0, 4.0, 0.2]).double()


UNITS = Standardizer(LOCATION, DIVISOR, torch.float64)


def fixed(hidden=(7, 6), **options):
    torch.manual_seed(0)
    network = ACRNetwork(3, hidden_layer_sizes=hidden, embedding_dim=4, **options).double().eval()
    x = torch.randn(50, 3, dtype=torch.float64)
    return fix_norms(network, lambda: [x])


@pytest.mark.parametrize("hidden", [(7,), (7, 6), (3, 4, 5)])
@pytest.mark.parametrize("n_rows", [1, 9, 10, 25])
def test_it_is_the_network_on_scaled_rows(hidden, n_rows, monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 10)
    network = fixed(hidden)
    x = 5 + 3 * torch.randn(n_rows, 3, dtype=torch.float64)
    chain = FusedMLP.of(UNITS, network)
    expected = network.anomaly_score((x - LOCATION) / DIVISOR)
    torch.testing.assert_close(chain(x), expected, rtol=1e-11, atol=0)


def test_a_large_offset_costs_no_precision():
    network = fixed()
    x = torch.randn(20, 3, dtype=torch.float64)
    chain = FusedMLP.of(Standardizer(LOCATION + 2.0**30, DIVISOR, torch.float64), network)
    expected = network.anomaly_score((x - LOCATION) / DIVISOR)
    torch.testing.assert_close(chain(x + 2.0**30), expected, rtol=1e-6, atol=0)


def test_only_a_chain_of_layers_becomes_one():
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    assert FusedMLP.of(UNITS, fixed(backbone=other)) is None
    ensemble = ACREnsemble(2, n_features=3).double().eval()
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(9, 3)))
    assert (
        FusedMLP.of(
            Standardizer(LOCATION, DIVISOR, torch.float64), fix_norms(ensemble, lambda: [rows])
        )
        is None
    )


class OtherDistance(DeepSVDD):
    """Inherits the centre, but measures otherwise."""

    def forward(self, embedding):
        return (embedding - self.center).abs().sum(-1)


def test_a_subclass_with_a_forward_of_its_own_is_not_fused(monkeypatch):
    monkeypatch.setitem(OBJECTIVES, "other", OtherDistance)
    assert FusedMLP.of(UNITS, fixed(objective="other")) is None
