import copy

import numpy as np
import pytest
import torch
from torch import nn

from acr_sklearn.backbones import (
    MLPBackbone,
    StackedModule,
    TaskBatchNorm,
    make_backbone,
    with_batch_statistics,
)

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


def test_task_batch_norm_is_torchs_in_train_mode():
    ours, theirs = TaskBatchNorm(N_FEATURES).double(), nn.BatchNorm1d(N_FEATURES).double()
    x = stack()[0]
    torch.testing.assert_close(ours(x), theirs.train()(x))
    torch.testing.assert_close(ours.eval()(x), ours.train()(x))
    assert not list(ours.buffers())


def test_a_users_module_is_copied_and_loses_its_running_statistics():
    module = users_module()
    module[1].running_mean += 3
    before = copy.deepcopy(module.state_dict())
    converted = StackedModule(module, N_FEATURES)
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert not list(converted.buffers())
    x = stack()[0].float()
    torch.testing.assert_close(converted.eval()(x), module.train()(x))
    torch.testing.assert_close(converted.train()(x), converted.eval()(x))
    assert converted.out_features == 3


def test_learnt_batch_norm_weights_are_kept():
    module = users_module()
    nn.init.constant_(module[1].weight, 2.5)
    assert torch.equal(with_batch_statistics(module)[1].weight, module[1].weight)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4)), "no BatchNorm1d layer.*LayerNorm"),
        (nn.Linear(6, 4), "backbone Linear has no BatchNorm1d layer"),
        (nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4)), "failed on 2 stacked tasks of 4 rows"),
        (
            nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Unflatten(1, (2, 2))),
            r"turned rows of shape \(4, 6\) into \(4, 2, 2\)",
        ),
    ],
    ids=["layer norm", "no norm", "wrong width", "two axes"],
)
def test_unusable_modules_are_refused(module, message):
    with pytest.raises(ValueError, match=message):
        make_backbone(module, N_FEATURES, (4,))


def test_a_module_that_cannot_be_copied_is_refused():
    module = users_module()
    module.last = module(torch.randn(4, N_FEATURES))  # a result with its graph has no copy
    with pytest.raises(ValueError, match="backbone Sequential cannot be copied"):
        make_backbone(module, N_FEATURES, (4,))


def test_a_module_without_parameters_is_usable():
    norm = nn.BatchNorm1d(N_FEATURES, affine=False)
    assert make_backbone(norm, N_FEATURES, ()).out_features == N_FEATURES


def test_unknown_name_is_refused():
    with pytest.raises(ValueError, match="Unknown backbone 'transformer'"):
        make_backbone("transformer", 3, (4,))


def test_the_mlp_has_the_layers_asked_for():
    assert [tuple(p.shape) for p in MLPBackbone(5, (4, 3)).linears.parameters()] == [(4, 5), (3, 4)]
    assert np.isfinite(MLPBackbone(5, (4,))(torch.zeros(3, 5)).detach().numpy()).all()
