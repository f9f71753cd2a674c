"""Rows of feature maps: regions, order, neighbours, what scores are held against."""

import numpy as np
import pytest
import torch

from acr_sklearn.images.patches import (
    centred_by_region,
    compressed,
    in_parts,
    pool_maps,
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


def test_pooling_averages_what_is_there(maps):
    pooled = pool_maps(maps, 3)
    assert pooled.shape == maps.shape
    assert pooled.dtype == maps.dtype
    assert np.allclose(pooled[7, :, 2, 2], maps[7, :, 1:4, 1:4].mean(axis=(1, 2)), rtol=1e-4)
    assert np.allclose(pooled[7, :, 0, 0], maps[7, :, :2, :2].mean(axis=(1, 2)), rtol=1e-4)
    assert pool_maps(maps, 1) is maps
    assert pool_maps(maps.astype(np.float16), 3).dtype == np.float16


def test_high_scores_count_by_their_logarithm():
    scores = np.linspace(-3, 9, 1201)
    found = compressed(scores)
    assert np.array_equal(found[scores <= 0], scores[scores <= 0])
    assert np.allclose(np.expm1(found[scores > 0]), scores[scores > 0])
    slopes = np.diff(found) / np.diff(scores)
    assert (slopes > 0).all()
    assert np.abs(np.diff(slopes)).max() < 0.011  # no kink


def test_scores_of_regions_are_brought_to_one_level():
    scores = np.random.default_rng(0).normal(size=(6, 200)) + 10 * np.arange(6)[:, None]
    regions = [np.array([0, 1]), np.array([2]), np.array([3, 4, 5])]
    centred = centred_by_region(scores, regions)
    for positions in regions:
        assert np.median(centred[positions]) == pytest.approx(0, abs=1e-9)
    # One unit for all regions: differences within a region keep their proportions everywhere.
    within = [
        np.diff(part[0]) / np.diff(level[0])
        for part, level in ((centred[:2], scores[:2]), (centred[3:], scores[3:]))
    ]
    assert np.allclose(within[0], within[1][0])
    assert np.median(np.abs(centred)) == pytest.approx(1 / 1.4826)
    assert np.array_equal(centred_by_region(np.ones((2, 3)), [np.arange(2)]), np.zeros((2, 3)))


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
