import pytest
import torch
from torch import nn
from torch.nn import functional as F

from acr_sklearn.networks.conv import ConvNetwork, check_images, sizes_by_layer

SHAPE = (2, 7, 6)
N_FEATURES = 84
each_kind = pytest.mark.parametrize("kind", ["stride", "maxpool"])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def build(kind, channels=(4, 3)):
    backbone = ConvNetwork(SHAPE, channels, kind).double()
    for parameter in backbone.parameters():  # affine weights of 1 and 0 would hide a mix-up
        parameter.data += 0.1 * torch.randn_like(parameter)
    return backbone


def stack(n_tasks=3, n_rows=8):
    shift = 5 * torch.randn(n_tasks, 1, N_FEATURES, dtype=torch.float64)
    return torch.randn(n_tasks, n_rows, N_FEATURES, dtype=torch.float64) + shift


def masks(n_tasks=3, n_rows=8):
    kept = torch.rand(n_tasks, n_rows) < 0.6
    kept[:, :2] = True
    return kept


def slow_layers(backbone, kind, rows, own):
    """One task with torch's own layers, under the statistics of the rows `own`."""
    image = (rows - rows[own].mean(0)).view(-1, *SHAPE)
    means = []
    for conv, norm in zip(backbone.convs, backbone.norms, strict=True):
        image = F.conv2d(image, conv.weight, stride=2 if kind == "stride" else 1, padding=1)
        layer = nn.BatchNorm2d(image.shape[1]).double().eval()
        layer.weight, layer.bias = norm.weight, norm.bias
        layer.running_mean = image[own].mean((0, 2, 3)).detach()
        layer.running_var = image[own].var((0, 2, 3), unbiased=False).detach()
        image = F.relu(layer(image))
        image = F.max_pool2d(image, 2) if kind == "maxpool" else image
        means.append(image.mean((2, 3)))
    return [*means[:-1], image.flatten(1) if kind == "maxpool" else means[-1]]


@each_kind
def test_layers_are_those_of_torchs_own_parts_task_by_task(kind):
    backbone, x, kept = build(kind), stack(), masks()
    first = torch.arange(8) < 5
    for mask, own in ((None, [first | ~first] * 3), (kept, kept), (5, [first] * 3)):
        stacked = backbone.layers(x, mask)
        torch.testing.assert_close(backbone(x, mask), stacked[-1])
        for task in range(3):
            expected = slow_layers(backbone, kind, x[task], own[task])
            torch.testing.assert_close([layer[task] for layer in stacked], expected)
            alone = mask[task] if isinstance(mask, torch.Tensor) else mask
            torch.testing.assert_close(backbone.layers(x[task], alone), expected)
            torch.testing.assert_close(backbone(x[task], alone), expected[-1])


@each_kind
def test_gradients_of_folded_tasks_are_those_of_single_ones(kind):
    backbone, x = build(kind), stack()
    together, looped = backbone(x), torch.stack([backbone(task) for task in x])
    weight = torch.randn_like(together)
    parameters = list(backbone.parameters())
    one = torch.autograd.grad((together * weight).sum(), parameters)
    other = torch.autograd.grad((looped * weight).sum(), parameters)
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@each_kind
def test_nothing_leaks_between_tasks_and_rows_left_out_move_no_other(kind):
    backbone, x, kept = build(kind), stack(), masks()
    before = backbone(x)
    changed = x.clone()
    changed[1] = 10 * torch.randn_like(x[1])
    torch.testing.assert_close(backbone(changed)[[0, 2]], before[[0, 2]])
    assert not torch.allclose(backbone(changed)[1], before[1])
    moved = torch.where(kept[..., None], x, 100 * x)
    torch.testing.assert_close(backbone(moved, kept)[kept], backbone(x, kept)[kept])


@each_kind
def test_a_shift_of_the_batch_changes_nothing_and_rows_keep_their_order(kind):
    backbone, x = build(kind), stack()[0]
    shift = 10 * torch.randn(N_FEATURES, dtype=torch.float64)
    torch.testing.assert_close(backbone(x + shift), backbone(x))
    order = torch.randperm(len(x))
    torch.testing.assert_close(backbone(x[order]), backbone(x)[order])


def test_nothing_is_remembered():
    backbone, x = build("stride"), stack()
    assert not list(backbone.buffers())
    train, scoring = backbone.train()(x), backbone.eval()(x)
    assert torch.equal(train, scoring)


@pytest.mark.parametrize(
    ("shape", "channels", "kind", "out", "largest"),
    [
        ((1, 28, 28), (64, 64, 64, 64), "stride", 64, 64 * 14 * 14),
        ((3, 32, 32), (128, 128, 128, 128), "maxpool", 128 * 2 * 2, 128 * 32 * 32),
        ((1, 28, 28), (8, 64), "maxpool", 64 * 7 * 7, 64 * 14 * 14),
        ((2, 1, 9), (4, 5, 6), "stride", 6, 5 * 4),
    ],
)
def test_sizes_are_those_that_torch_makes(shape, channels, kind, out, largest):
    backbone = ConvNetwork(shape, channels, kind)
    seen = []
    for norm in backbone.norms:
        norm.register_forward_hook(lambda _, __, image: seen.append(image[0, 0].numel()))
    x = torch.randn(3, shape[0] * shape[1] * shape[2])
    assert backbone(x).shape == (3, out)
    assert backbone.out_features == out
    assert backbone.largest == max(seen) == largest
    # What neighbours are looked for in does not grow with the image, but for the last layer.
    assert [layer.shape[1] for layer in backbone.layers(x)] == [*channels[:-1], out]


def test_strides_round_up_and_pooling_rounds_down():
    assert sizes_by_layer(28, 5, "stride") == [28, 14, 7, 4, 2, 1]
    assert sizes_by_layer(28, 5, "maxpool") == [28, 14, 7, 3, 1, 0]


@pytest.mark.parametrize(
    ("shape", "channels", "kind"),
    [
        ((1, 28, 28), (64,) * 5, "stride"),
        ((1, 28, 28), (64,) * 4, "maxpool"),
        ([3, 4, 2], (1, 1), "stride"),
    ],
)
def test_images_that_fit_are_let_through(shape, channels, kind):
    check_images(shape, shape[0] * shape[1] * shape[2], channels, kind)


@pytest.mark.parametrize(
    ("shape", "channels", "kind", "message"),
    [
        (None, (4,), "stride", r"input_shape=None. It needs .* 784 features is, \(channels"),
        ((28, 28), (4,), "stride", r"input_shape=\(28, 28\). It needs"),
        ((1, 28, 0), (4,), "stride", r"input_shape=\(1, 28, 0\). It needs"),
        ("abc", (4,), "stride", "input_shape='abc'. It needs"),
        ((3, 28, 28), (4,), "stride", "images of 2352 pixels and channels, but X has 784 features"),
        ((1, 28, 28), (), "stride", r"channels=\(\). It needs a sequence"),
        ((1, 28, 28), (4, 0), "stride", r"channels=\(4, 0\). It needs"),
        ((1, 28, 28), 4, "stride", "channels=4. It needs"),
        ((1, 28, 28), (4,) * 6, "stride", "got 6 layers .* one pixel behind 5. Give at most"),
        ((1, 28, 28), (4,) * 5, "maxpool", "got 5 layers .* one pixel behind 4. Give at most"),
    ],
)
def test_images_that_do_not_fit_are_refused(shape, channels, kind, message):
    with pytest.raises(ValueError, match=message):
        check_images(shape, 784, channels, kind)
