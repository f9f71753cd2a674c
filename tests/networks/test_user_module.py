import copy
import threading

import pytest
import torch
from torch import nn

from acr_sklearn.networks.user_module import StackedModule, with_batch_statistics

N_FEATURES = 6


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def users_module():
    return nn.Sequential(nn.Linear(N_FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def image_module():
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)),
        nn.Conv2d(1, 4, 2, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(48, 5),
        nn.BatchNorm1d(5, affine=False),
    )


class Tokens(nn.Module):
    """Puts the two halves of every row below one another, as patches are."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        return self.norm(x.reshape(-1, 3)).reshape(len(x), 6)


MODULES = {"rows": users_module, "images": image_module, "tokens": Tokens}


def build(kind):
    module = StackedModule(MODULES[kind](), N_FEATURES).double()
    for parameter in module.parameters():  # affine weights of 1 and 0 would hide a mix-up
        parameter.data += 0.1 * torch.randn_like(parameter)
    return module


def stack(n_tasks=4, n_rows=10):
    shift = 5 * torch.randn(n_tasks, 1, N_FEATURES, dtype=torch.float64)
    return torch.randn(n_tasks, n_rows, N_FEATURES, dtype=torch.float64) + shift


def masks(n_tasks=4, n_rows=10):
    kept = torch.rand(n_tasks, n_rows) < 0.6
    kept[:, :2] = True
    return kept


def by_running_statistics(module, x, kept):
    """All rows under statistics that PyTorch itself gathered on the kept rows."""
    slow = copy.deepcopy(module)
    norms = [m for m in slow.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    for layer in norms:
        layer._forward_hooks.clear()
    seen = x
    # Layer after layer: what comes before one must already be as it will be in the end.
    for layer in norms:
        inputs = []
        hook = layer.register_forward_pre_hook(
            lambda _, given, kept_in=inputs: kept_in.append(given)
        )
        slow(seen)
        hook.remove()
        (given,) = inputs[0]
        own = given[kept.repeat_interleave(len(given) // len(kept))]
        axes = [0, *range(2, own.dim())]
        layer.running_mean = own.mean(dim=axes).detach()
        layer.running_var = own.var(dim=axes, unbiased=False).detach()
        layer.eval()
    return slow(seen)


@pytest.mark.parametrize("kind", MODULES)
def test_kept_rows_alone_make_the_statistics(kind):
    module, x, kept = build(kind), stack(), masks()
    expected = torch.stack(
        [by_running_statistics(module.module, *task) for task in zip(x, kept, strict=True)]
    )
    (stacked,) = module.layers(x, kept)
    torch.testing.assert_close(stacked, expected)
    alone = torch.stack([module.layers(*task)[0] for task in zip(x, kept, strict=True)])
    torch.testing.assert_close(alone, expected)


@pytest.mark.parametrize("kind", MODULES)
def test_keeping_all_rows_is_the_plain_call_and_nothing_is_remembered(kind):
    module, x = build(kind), stack()
    plain = module(x)
    (everything,) = module.layers(x, torch.ones(4, 10, dtype=torch.bool))
    torch.testing.assert_close(everything, plain)
    module.layers(x, masks())
    assert torch.equal(module(x), plain)


def test_a_call_that_fails_leaves_no_rows_marked():
    module, x = build("rows"), stack()
    plain = module(x[0])
    with pytest.raises(RuntimeError):
        module.layers(x[0, :, :4], masks()[0])
    assert torch.equal(module(x[0]), plain)


def test_threads_with_masks_of_their_own_do_not_meet():
    module, x, kept = build("rows"), stack(2, 40), masks(16, 40).view(8, 2, 40)
    with torch.no_grad():
        expected = [module.layers(x, own)[0] for own in kept]
        plain = module(x)
    wrong = []

    def run(i):
        for _ in range(50):
            with torch.no_grad():
                if not torch.equal(module.layers(x, kept[i])[0], expected[i]):
                    wrong.append(i)
                if not torch.equal(module(x), plain):
                    wrong.append(-i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_users_module_is_copied_and_loses_its_running_statistics():
    module = users_module()
    module[1].running_mean += 3
    before = copy.deepcopy(module.state_dict())
    converted = StackedModule(module, N_FEATURES)
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert not list(converted.buffers())
    assert not module[1]._forward_hooks
    x = stack()[0].float()
    torch.testing.assert_close(converted.eval()(x), module.train()(x))
    torch.testing.assert_close(converted.train()(x), converted.eval()(x))
    assert converted.out_features == 3


def test_learnt_batch_norm_weights_are_kept():
    module = users_module()
    nn.init.constant_(module[1].weight, 2.5)
    assert torch.equal(with_batch_statistics(module)[1].weight, module[1].weight)


class ByParts(Tokens):
    """Puts all first halves above all second ones: marked rows are then parts of other rows."""

    def forward(self, x):
        halves = self.norm(torch.cat([x[:, :3], x[:, 3:]]))
        return torch.cat(halves.split(len(x)), dim=1)


class ByHand(nn.Module):
    """Calls batch norm as a function."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, x):
        return nn.functional.batch_norm(self.norm(x), None, None, training=True)


class AlwaysDrops(nn.Module):
    def __init__(self, share=0.5):
        super().__init__()
        self.norm, self.share = nn.BatchNorm1d(6), share

    def forward(self, x):
        return nn.functional.dropout(self.norm(x), self.share)


class NormAndMore(nn.BatchNorm1d):
    """What comes behind the batch norm inside it would be lost."""

    def forward(self, x):
        return torch.relu(super().forward(x))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.linear = nn.BatchNorm1d(6), nn.Linear(6, 6)

    def forward(self, x):
        return self.norm(self.linear(self.norm(x)))


class Aside(nn.Module):
    """Has a batch norm, and goes round it."""

    def __init__(self):
        super().__init__()
        self.norm, self.rows = nn.BatchNorm1d(6), nn.LayerNorm(6)

    def forward(self, x):
        return self.rows(x)


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.AlphaDropout(0.5)])
def test_dropout_layers_rest_while_scoring(layer):
    module = StackedModule(nn.Sequential(nn.BatchNorm1d(N_FEATURES), layer), N_FEATURES).double()
    x, kept = stack(), masks()
    for mask in (None, kept, 4):
        assert torch.equal(module(x, mask), module(x, mask))
        module.train()
        assert not torch.allclose(module(x, mask), module(x, mask))
        module.eval()


@pytest.mark.parametrize("kind", MODULES)
def test_the_first_rows_alone_may_count(kind):
    module, x = build(kind), stack()
    first = (torch.arange(10) < 6).expand(4, 10)
    torch.testing.assert_close(module(x, 6), module(x, first))
    torch.testing.assert_close(module(x[0], 6), module(x, first)[0])


def test_a_lazy_layer_that_has_seen_rows_is_a_layer_like_others():
    module = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d())
    module(torch.randn(8, N_FEATURES))
    assert StackedModule(module, N_FEATURES).out_features == 4


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Linear(6, 4), nn.GroupNorm(2, 4)), "GroupNorm normalises every row by"),
        (nn.Sequential(nn.Linear(6, 4), nn.InstanceNorm1d(4)), "InstanceNorm1d normalises every"),
        (nn.Sequential(nn.LazyBatchNorm1d()), "a LazyBatchNorm1d layer that has not seen a row"),
        (ByHand(nn.Identity()), "None is in sight; .*A call of F.batch_norm is not seen"),
        (ByHand(nn.BatchNorm1d(6)), "lets rows that are left out .* as in F.batch_norm"),
        (ByParts(), "stacks parts of rows for a batch norm in another order"),
        (AlwaysDrops(0.02), "gives one batch two outputs in eval mode"),
        (NormAndMore(6), "a NormAndMore layer, a batch norm with a forward of its own.*behind it"),
        (Twice(), "through one batch-norm layer several times.*a layer of its own"),
        (Aside(), "whatever rows they come with: none of its batch-norm layers is on their way"),
        (
            nn.Sequential(nn.BatchNorm1d(6), nn.InstanceNorm1d(6, track_running_stats=True)),
            "has a InstanceNorm1d layer with running statistics",
        ),
        (AlwaysDrops(), "gives one batch two outputs in eval mode.*use an nn.Dropout layer"),
        (nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4)), "no BatchNorm1d layer.*LayerNorm"),
        (nn.Linear(6, 4), "backbone Linear has no BatchNorm1d layer"),
        (nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4)), "failed on 2 stacked tasks of 4 rows"),
        (
            nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Unflatten(1, (2, 2))),
            r"turned rows of shape \(4, 6\) into \(4, 2, 2\)",
        ),
    ],
    ids=[
        "group norm",
        "instance norm",
        "lazy",
        "function",
        "function beside a layer",
        "parts out of order",
        "a little dropout",
        "norm and more",
        "norm twice",
        "norm aside",
        "running statistics",
        "dropout while scoring",
        "layer norm",
        "no norm",
        "wrong width",
        "two axes",
    ],
)
def test_unusable_modules_are_refused(module, message):
    with pytest.raises(ValueError, match=message):
        StackedModule(module, N_FEATURES)


def test_a_module_that_cannot_be_copied_is_refused():
    module = users_module()
    module.last = module(torch.randn(4, N_FEATURES))  # a result with its graph has no copy
    with pytest.raises(ValueError, match="backbone Sequential cannot be copied"):
        StackedModule(module, N_FEATURES)


def test_a_module_without_parameters_is_usable():
    norm = nn.BatchNorm1d(N_FEATURES, affine=False)
    assert StackedModule(norm, N_FEATURES).out_features == N_FEATURES
