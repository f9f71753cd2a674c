"""Rows of feature maps: regions, order, whitening."""

import numpy as np
import pytest
import torch

from acr_sklearn.patch_rows import (
    fit_whitening,
    in_parts,
    read_maps,
    read_products,
    region_rows,
    regions_of,
)


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(5, 5))
    rows = rng.normal(size=(40, 6, 4, 5)) @ mixing + rng.normal(0, 9, (6, 4, 5))
    return rows.transpose(0, 3, 1, 2).astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "size", "sizes"),
    [
        ("position", 2, [1] * 24),
        ("neighborhood", 2, [4] * 6),
        ("neighborhood", 4, [16, 8]),
        ("neighborhood", 1, [1] * 24),
        ("pooled", 2, [24]),
    ],
)
def test_regions_share_out_every_position(kind, size, sizes):
    regions = regions_of(6, 4, kind, size)
    assert [len(region) for region in regions] == sizes
    assert sorted(np.concatenate(regions)) == list(range(24))


def test_neighbourhoods_are_blocks():
    first, second, *_ = regions_of(6, 4, "neighborhood", 2)
    assert first.tolist() == [0, 1, 4, 5]
    assert second.tolist() == [2, 3, 6, 7]


def test_parts_fit_into_memory_and_hold_everything_once():
    regions = regions_of(5, 4, "position", 1)
    assert [len(part) for part in in_parts(regions, 40, 90)] == [2] * 10
    assert len(in_parts(regions, 40, 10_000)) == 1
    assert len(in_parts(regions, 40, 1)) == 20, "one position at the least"
    (pooled,) = regions_of(5, 4, "pooled", 1)
    parts = in_parts([pooled], 40, 300)
    assert [len(cut) for part in parts for cut in part] == [7, 7, 6]
    assert sorted(np.concatenate([cut for part in parts for cut in part])) == list(range(20))
    # Dealt out in turn: no piece is one corner of the map.
    assert parts[0][0].tolist() == [0, 3, 6, 9, 12, 15, 18]


def test_products_must_agree(maps):
    assert len(read_products([maps, maps[:7]], who="Somebody")) == 2
    with pytest.raises(ValueError, match="Somebody got 1; it needs a list"):
        read_products([maps], who="Somebody")
    with pytest.raises(ValueError, match="product 0 has 5, product 1 has 4"):
        read_products([maps, maps[:, :4]], who="Somebody")


def test_rows_are_the_vectors_at_their_positions(maps, tmp_path):
    rows = region_rows(maps, np.array([5, 0]))
    assert rows.shape == (2, 40, 5)
    assert np.array_equal(rows[0], maps[:, :, 1, 1])
    assert np.array_equal(rows[1], maps[:, :, 0, 0])
    np.save(tmp_path / "maps.npy", maps)
    on_disk = np.load(tmp_path / "maps.npy", mmap_mode="r")
    assert torch.equal(region_rows(on_disk, np.array([5, 0])), rows)


def test_whitened_rows_have_the_lengths_of_mahalanobis(maps):
    whitening = fit_whitening(maps, 1e-9)  # next to nothing but the region's own covariance
    rows = region_rows(maps, np.array([3]))
    white = whitening.whiten(rows)[0].double().numpy()
    own = rows[0].double().numpy()
    centred = own - own.mean(axis=0)
    inverse = np.linalg.inv(centred.T @ centred / len(own))
    expected = np.einsum("ij,jk,ik->i", centred, inverse, centred)
    assert np.allclose((white**2).sum(axis=1), expected, rtol=1e-2)
    assert np.allclose(white.T @ white / len(own), np.eye(5), atol=1e-2)


def test_the_common_covariance_is_pooled_over_positions(maps):
    whitening = fit_whitening(maps, 1.0)
    centred = (maps - maps.mean(axis=0)).transpose(0, 2, 3, 1).reshape(-1, 5)
    covariance = centred.T @ centred / len(centred)
    spread = np.sqrt(np.diag(covariance))
    assert np.allclose(whitening.spread, spread, rtol=1e-4)
    correlation = covariance / np.outer(spread, spread) + 1e-3 * np.eye(5)
    assert np.allclose(whitening.correlation, correlation, atol=1e-4)
    white = whitening.whiten(region_rows(maps, np.arange(24))).flatten(0, 1).numpy()
    assert np.allclose(white.T @ white / len(white), np.eye(5), atol=2e-2)


def test_others_are_whitened_by_the_rows(maps):
    whitening = fit_whitening(maps, 0.3)
    rows = region_rows(maps, np.array([2, 7]))
    same = whitening.whiten(rows, rows[:, :3])
    assert torch.allclose(same, whitening.whiten(rows)[:, :3], atol=1e-5)


def test_units_and_offsets_of_channels_do_not_matter(maps):
    scale = np.array([1e-3, 1, 50, 0.1, 7], np.float32)[:, None, None]
    rows = [region_rows(m, np.array([2])) for m in (maps, maps * scale + 3 * scale)]
    white = [fit_whitening(maps, 0.3).whiten(rows[0]).norm(dim=2)]
    white.append(fit_whitening(maps * scale + 3 * scale, 0.3).whiten(rows[1]).norm(dim=2))
    assert torch.allclose(*white, rtol=1e-2)


def test_constant_channels_do_no_harm(maps):
    maps[:, 2] = 4.0
    rows = fit_whitening(maps, 0.3).whiten(region_rows(maps, np.arange(24)))
    assert torch.isfinite(rows).all()
    assert rows[..., 2].abs().max() < 1e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m[:1], "1 image.s.*at least 2"),
        (lambda m: m[0], r"shape \(5, 6, 4\); feature maps"),
        (lambda m: (m * 10).astype(int), "int64 values"),
        (lambda m: m[:, :, :0], "shape"),
        (lambda m: np.where(np.arange(40)[:, None, None, None] == 33, np.nan, m), "in image 33"),
    ],
)
def test_bad_maps_are_refused(maps, change, message):
    with pytest.raises(ValueError, match=f"Somebody.*{message}"):
        read_maps(change(maps), who="Somebody")
