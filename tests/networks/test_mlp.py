import numpy as np
import pytest
import torch
from torch import nn

from acr_sklearn.networks.conv import ConvNetwork
from acr_sklearn.networks.mlp import MLPNetwork, WhitenedLinear, make_backbone, run_stacked
from acr_sklearn.networks.user_module import StackedModule

N_FEATURES = 6


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def users_module():
    return nn.Sequential(nn.Linear(N_FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def build(kind):
    module = "mlp" if kind == "mlp" else users_module()
    backbone = make_backbone(module, N_FEATURES, (9, 7)).double()
    for parameter in backbone.parameters():  # affine weights of 1 and 0 would hide a mix-up
        parameter.data += 0.1 * torch.randn_like(parameter)
    return backbone


def stack(n_tasks=4, n_rows=10):
    shift = 5 * torch.randn(n_tasks, 1, N_FEATURES, dtype=torch.float64)
    return torch.randn(n_tasks, n_rows, N_FEATURES, dtype=torch.float64) + shift


@pytest.mark.parametrize("kind", ["mlp", "module"])
def test_stacked_tasks_equal_looped_ones_in_values_and_gradients(kind):
    backbone, x = build(kind), stack()
    together = backbone(x)
    looped = torch.stack([backbone(task) for task in x])
    torch.testing.assert_close(together, looped, rtol=1e-12, atol=1e-12)
    weight = torch.randn_like(together)
    one = torch.autograd.grad((together * weight).sum(), list(backbone.parameters()))
    other = torch.autograd.grad((looped * weight).sum(), list(backbone.parameters()))
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["mlp", "module"])
def test_nothing_leaks_between_tasks(kind):
    backbone, x = build(kind), stack()
    before = backbone(x)
    x[1] = 100 * torch.randn_like(x[1])
    after = backbone(x)
    others = [0, 2, 3]
    assert torch.equal(before[others], after[others])
    assert not torch.allclose(before[1], after[1])


@pytest.mark.parametrize("kind", ["mlp", "module"])
def test_the_rows_of_a_batch_are_compared_with_one_another(kind):
    backbone, x = build(kind), stack()[0]
    changed = x.clone()
    changed[0] += 50
    assert not torch.allclose(backbone(x)[1:], backbone(changed)[1:])


def test_the_mlp_ignores_a_shift_of_the_batch_and_follows_row_order():
    backbone, x = build("mlp"), stack()[0]
    torch.testing.assert_close(backbone(x + 17.0), backbone(x), rtol=1e-9, atol=1e-9)
    order = torch.randperm(len(x))
    torch.testing.assert_close(backbone(x[order]), backbone(x)[order])


def test_masked_layers_of_the_mlp_are_those_of_plain_batch_norm():
    backbone, x = build("mlp"), stack()
    kept = torch.rand(4, 10) < 0.6
    kept[:, :2] = True
    stacked = backbone.layers(x, kept)
    for task in range(4):
        hidden = x[task]
        for linear, norm, layer in zip(backbone.linears, backbone.norms, stacked, strict=True):
            hidden = linear(hidden)
            own = hidden[kept[task]]
            hidden = (hidden - own.mean(dim=0)) / (own.var(dim=0, unbiased=False) + 1e-5).sqrt()
            hidden = torch.relu(hidden * norm.weight + norm.bias)
            torch.testing.assert_close(layer[task], hidden)
        for layer, alone in zip(stacked, backbone.layers(x[task], kept[task]), strict=True):
            torch.testing.assert_close(layer[task], alone)


def test_a_module_is_stacked():
    assert isinstance(make_backbone(users_module(), N_FEATURES, ()), StackedModule)


def test_unknown_name_is_refused():
    with pytest.raises(ValueError, match="Unknown backbone 'transformer'. Use 'mlp', 'conv' or"):
        make_backbone("transformer", 3, (4,))


def test_images_get_convolutions():
    shapes = {"input_shape": (1, 2, 3), "conv_channels": (5, 4)}
    backbone = make_backbone("conv", N_FEATURES, (), **shapes, conv_downsampling="stride")
    assert isinstance(backbone, ConvNetwork)
    assert [conv.out_channels for conv in backbone.convs] == [5, 4]
    with pytest.raises(ValueError, match="images of 6 pixels and channels, but X has 7 features"):
        make_backbone("conv", 7, (), **shapes)


@pytest.mark.parametrize("kind", ["mlp", "module"])
def test_the_first_rows_alone_may_count(kind):
    backbone, x = build(kind), stack()
    first = (torch.arange(10) < 6).expand(4, 10)
    torch.testing.assert_close(backbone(x, 6), backbone(x, first))
    torch.testing.assert_close(backbone(x[0], 6), backbone(x, first)[0])


def test_the_mlp_has_the_layers_asked_for():
    assert [tuple(p.shape) for p in MLPNetwork(5, (4, 3)).linears.parameters()] == [(4, 5), (3, 4)]
    assert np.isfinite(MLPNetwork(5, (4,))(torch.zeros(3, 5)).detach().numpy()).all()


def test_folded_whitening_is_a_layer_on_features_beside_whitened_ones():
    x = torch.randn(7, 3, N_FEATURES, dtype=torch.float64)
    whitening = torch.randn(N_FEATURES, N_FEATURES, dtype=torch.float64)
    layer = WhitenedLinear(whitening, 5).double()
    beside = torch.cat([x, x @ whitening], dim=-1)
    torch.testing.assert_close(layer(x), torch.nn.functional.linear(beside, layer.weight))
    assert layer.weight.shape == (5, 2 * N_FEATURES)
    assert "whitening" in layer.state_dict()


@pytest.mark.parametrize("widths", [(9,), (9, 7, 5)])
@pytest.mark.parametrize("whiten", [False, True])
def test_stacked_backbones_equal_single_ones_in_values_and_gradients(widths, whiten):
    whitening = torch.randn(N_FEATURES, N_FEATURES) if whiten else None
    members = [MLPNetwork(N_FEATURES, widths, whitening).double() for _ in range(3)]
    for parameter in (p for member in members for p in member.parameters()):
        parameter.data += 0.1 * torch.randn_like(parameter)
    x = stack()
    together = run_stacked(members, x)
    alone = [member(x) for member in members]
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
    weight = torch.randn_like(alone[0])
    parameters = [p for member in members for p in member.parameters()]
    one, other = (
        torch.autograd.grad(sum((out * weight).sum() for out in outs), parameters)
        for outs in (together, alone)
    )
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
