import numpy as np
import pytest
import torch
from torch import nn

from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.networks.ensemble import ACREnsemble
from acr_sklearn.scoring.fixed_norms import FixedNorm, Moments, fix_norms

RNG = np.random.default_rng(0)
KINDS = ["mlp", "whitened", "ensemble", "module", "conv", "bce", "ntl", "ntl on a module"]


def rows(n=90, width=4):
    return torch.from_numpy(3 + 2 * RNG.normal(size=(n, width)))


class Image(nn.Module):
    """Rows as images, tokens and rows again: every kind of batch norm."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3)
        self.tokens, self.last = nn.BatchNorm1d(3), nn.BatchNorm1d(3, affine=False)
        self.unused = nn.BatchNorm1d(7)

    def forward(self, x):
        hidden = torch.relu(self.norm(self.conv(x.view(len(x), 1, 2, -1))))
        return self.last(self.tokens(hidden.flatten(2)).mean(dim=2))


def make(kind):
    torch.manual_seed(0)
    options = {"n_features": 4, "hidden_layer_sizes": (8, 6), "embedding_dim": 3}
    if kind == "ensemble":
        network = ACREnsemble(2, **options)
    elif kind == "whitened":
        network = ACRNetwork(**options, whitening=torch.randn(4, 4))
    elif kind == "conv":
        options |= {"backbone": "conv", "input_shape": (1, 2, 2), "conv_channels": (3,)}
        network = ACRNetwork(**options)
    elif kind in ("bce", "ntl"):
        network = ACRNetwork(**options, objective=kind, n_transformations=3)
    elif kind == "ntl on a module":
        network = ACRNetwork(**options, objective="ntl", n_transformations=3, backbone=Image())
    else:
        network = ACRNetwork(**options, backbone=Image() if kind == "module" else "mlp")
    network = network.double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cuts", [[], [1, 2, 50], list(range(1, 90))])
def test_a_fixed_network_scores_the_rows_as_the_whole_batch_did(kind, cuts):
    network, x = make(kind), rows()
    expected = network.layers_and_score(x)
    fixed = fix_norms(network, lambda: torch.tensor_split(x, cuts))
    for got, wanted in zip(fixed.layers_and_score(x), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-11)
    alone = torch.cat([fixed.anomaly_score(row[None]) for row in x])
    torch.testing.assert_close(alone, expected[1], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ensemble"])
def test_other_rows_are_scored_under_the_statistics_of_those_measured(kind):
    network, x, new = make(kind), rows(), 100 + rows(20)
    fixed = fix_norms(network, lambda: [x])
    kept = torch.cat([torch.ones(90), torch.zeros(20)]).bool()
    expected = network.anomaly_score(torch.cat([x, new]), kept)[90:]
    torch.testing.assert_close(fixed.anomaly_score(new), expected, rtol=1e-9, atol=0)


def test_the_network_itself_stays_as_it_is():
    network, x = make("mlp"), rows()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    fix_norms(network, lambda: [x])
    assert {type(m).__name__ for m in network.modules()} == {
        type(m).__name__ for m in make("mlp").modules()
    }
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_a_module_gets_norms_without_state_to_move():
    fixed = fix_norms(make("module"), lambda: [rows()])
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in fixed.modules())
    assert sum(isinstance(m, FixedNorm) for m in fixed.modules()) == 4
    assert not any(p.requires_grad for p in fixed.parameters())


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_moments_of_chunks_are_those_of_all_rows(offset):
    x = rows(101) + offset
    moments = Moments()
    for chunk in torch.tensor_split(x, [0, 1, 7, 60]):
        moments.add(chunk)
    assert moments.count == 101
    torch.testing.assert_close(moments.mean, x.mean(dim=0), rtol=1e-12, atol=0)
    expected = (x - offset).var(dim=0, correction=0)
    torch.testing.assert_close(moments.variance, expected, rtol=1e-6 if offset else 1e-12, atol=0)


def test_single_precision_is_merged_in_double():
    x = 1000 + rows(20_000).float()
    moments = Moments()
    for chunk in x.split(64):
        moments.add(chunk)
    assert moments.mean.dtype == torch.float64
    expected = x.double().var(dim=0, correction=0)
    torch.testing.assert_close(moments.variance, expected, rtol=1e-5, atol=0)
