import threading

import pytest
import torch
from torch import nn

from acr_sklearn.networks.normalization import (
    ImageBatchNorm,
    TaskBatchNorm,
    mask_first,
    normalise,
    rows_first,
    rows_first_mask,
)

N_FEATURES = 6


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def learnt(layer):
    """Affine weights of 1 and 0 would hide a mix-up."""
    for parameter in layer.parameters():
        parameter.data += torch.randn_like(parameter)
    return layer.double()


def plain(layer, x, kept):
    """Batch norm of the kept rows of one task, applied to all its rows, feature by feature."""
    out = torch.empty_like(x)
    for feature in range(x.shape[1]):
        column, own = x[:, feature], x[kept, feature]
        normal = (column - own.mean()) / (own.var(unbiased=False) + layer.eps).sqrt()
        out[:, feature] = normal * layer.weight[feature] + layer.bias[feature]
    return out


def stack(n_tasks=4, n_rows=10):
    shift = 5 * torch.randn(n_tasks, 1, N_FEATURES, dtype=torch.float64)
    return torch.randn(n_tasks, n_rows, N_FEATURES, dtype=torch.float64) + shift


def masks(n_tasks=4, n_rows=10):
    """Every task keeps other rows, and another number of them."""
    kept = torch.rand(n_tasks, n_rows) < 0.6
    kept[:, :2] = True
    return kept


def test_task_batch_norm_is_torchs_in_train_mode():
    ours, theirs = TaskBatchNorm(N_FEATURES).double(), nn.BatchNorm1d(N_FEATURES).double()
    x = stack()[0]
    torch.testing.assert_close(ours(x), theirs.train()(x))
    torch.testing.assert_close(ours.eval()(x), ours.train()(x))
    assert not list(ours.buffers())


def test_kept_rows_alone_make_the_statistics():
    layer, x, kept = learnt(TaskBatchNorm(N_FEATURES)), stack(), masks()
    expected = torch.stack([plain(layer, rows, own) for rows, own in zip(x, kept, strict=True)])
    stacked = layer(rows_first(x), kept.T)
    torch.testing.assert_close(rows_first(stacked), expected)
    alone = torch.stack([layer(rows, own) for rows, own in zip(x, kept, strict=True)])
    torch.testing.assert_close(alone, expected)
    torch.testing.assert_close(torch.vmap(layer)(x, kept), expected)


def test_keeping_all_rows_is_the_plain_layer():
    layer, x = learnt(TaskBatchNorm(N_FEATURES)), stack()
    everything = torch.ones(10, 4, dtype=torch.bool)
    torch.testing.assert_close(layer(rows_first(x), everything), layer(rows_first(x)))


def test_rows_left_out_change_no_other_row():
    layer, x, kept = learnt(TaskBatchNorm(N_FEATURES)), stack(), masks()
    changed = torch.where(kept[..., None], x, 1e3 * x)
    one, other = (rows_first(layer(rows_first(rows), kept.T)) for rows in (x, changed))
    assert torch.equal(one[kept], other[kept])
    assert not torch.allclose(one[~kept], other[~kept])


def test_channels_of_images_share_their_pixels_statistics():
    x, kept = torch.randn(9, 3, 4, 5, dtype=torch.float64), masks(1, 9)[0]
    own = x[kept]
    mean = own.mean(dim=(0, 2, 3), keepdim=True)
    spread = (own.var(dim=(0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(normalise(x, kept, (2, 3), 1e-5), (x - mean) / spread)


def test_threads_with_masks_of_their_own_do_not_meet():
    layer, x = learnt(TaskBatchNorm(N_FEATURES)), stack(1, 40)[0]
    kept = masks(8, 40)
    expected = [plain(layer, x, own).detach() for own in kept]
    wrong = []

    def run(i):
        for _ in range(50):
            with torch.no_grad():
                if not torch.allclose(layer(x, kept[i]), expected[i]):
                    wrong.append(i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_rows_first_swaps_a_stack_and_leaves_a_batch():
    x = stack()
    assert rows_first(x).shape == (10, 4, N_FEATURES)
    assert torch.equal(rows_first(rows_first(x)), x)
    assert torch.equal(rows_first(x[0]), x[0])


def test_the_first_rows_alone_may_count():
    layer, x = learnt(TaskBatchNorm(N_FEATURES)), rows_first(stack())
    first = torch.arange(10)[:, None].expand(10, 4) < 6
    torch.testing.assert_close(layer(x, 6), layer(x, first))
    torch.testing.assert_close(layer(x[:, 0], 6), layer(x, first)[:, 0])
    grown = x.clone()
    grown[6:] *= 100
    assert torch.equal(layer(grown, 6)[:6], layer(x, 6)[:6])


@pytest.mark.parametrize("mask", ["all", "first", "masked"])
def test_images_are_normalised_per_task_and_channel(mask):
    layer = learnt(ImageBatchNorm(3))
    x = torch.randn(9, 4, 3, 5, 6, dtype=torch.float64) + 3 * torch.randn(1, 4, 3, 1, 1)
    masked = masks(4, 9).T
    kept = {"all": None, "first": 6, "masked": masked}[mask]
    out = layer(x, kept)
    for task in range(4):
        own = {"all": slice(None), "first": slice(6), "masked": masked[:, task]}[mask]
        for channel in range(3):
            pixels = x[:, task, channel]
            normal = pixels - pixels[own].mean()
            normal = normal / (pixels[own].var(unbiased=False) + layer.eps).sqrt()
            expected = normal * layer.weight[channel] + layer.bias[channel]
            torch.testing.assert_close(out[:, task, channel], expected)


def test_masks_follow_the_rows_they_mark():
    kept = masks()
    assert torch.equal(rows_first_mask(kept), kept.T)
    assert torch.equal(rows_first_mask(kept[0]), kept[0])
    assert rows_first_mask(3) == 3
    assert rows_first_mask(None) is None
    first = mask_first(3, stack())
    assert first.shape == (4, 10)
    assert torch.equal(first.sum(1), torch.full((4,), 3))
    assert first[:, :3].all()
