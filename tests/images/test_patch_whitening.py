"""Whitening of patches: lengths are Mahalanobis distances by the other rows."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from acr_sklearn.images.patch_whitening import fit_whitening, log_lengths
from acr_sklearn.images.patches import region_rows


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(5, 5))
    rows = rng.normal(size=(40, 6, 4, 5)) @ mixing + rng.normal(0, 9, (6, 4, 5))
    return rows.transpose(0, 3, 1, 2).astype(np.float32)


def test_whitened_rows_have_the_lengths_of_mahalanobis(maps):
    whitening = fit_whitening(maps, 1e-9)  # next to nothing but the region's own covariance
    rows = region_rows(maps, np.array([3]))
    white = whitening.whiten(rows)[0].double().numpy()
    own = rows[0].double().numpy()
    centred = own - own.mean(axis=0)
    inverse = np.linalg.inv(centred.T @ centred / len(own))
    lengths = (white**2).sum(axis=1)
    with_own_part = np.einsum("ij,jk,ik->i", centred, inverse, centred)
    assert (lengths > with_own_part).all()
    for row, length in zip(centred, lengths, strict=True):
        others = (centred.T @ centred - np.outer(row, row)) / len(own)
        assert length == pytest.approx(row @ np.linalg.inv(others) @ row, rel=2e-2)


def test_a_row_far_off_does_not_hide_itself(maps):
    maps[3] += 1000 * np.random.default_rng(1).normal(size=(5, 1, 1)).astype(np.float32)
    white = fit_whitening(maps, 0.3).whiten(region_rows(maps, np.array([3])))[0].norm(dim=1)
    # With its own part in the covariance no row is longer than the root of their number.
    assert white[3] > 40**0.5
    assert white[3] == white.max()


def test_regions_are_whitened_one_by_one(maps):
    whitening = fit_whitening(maps, 0.3)
    rows = region_rows(maps, np.arange(3))
    alone = [whitening.whiten(own[None])[0] for own in rows]
    for together in (
        whitening.whiten_each(list(rows)),
        whitening.whiten_each([*rows, rows[0, :9]]),
    ):
        for a, b in zip(alone, together, strict=False):
            assert torch.allclose(a, b, atol=1e-5)


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
    own = whitening.whiten(rows)[:, :3]
    assert torch.allclose(F.normalize(same, dim=2), F.normalize(own, dim=2), atol=1e-5)
    assert (same.norm(dim=2) < own.norm(dim=2)).all(), "as rows that have a part in it"


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


def test_lengths_are_of_every_row_by_its_region(maps):
    whitening = fit_whitening(maps, 0.3)
    regions = [np.array([0, 1, 4]), np.array([2]), np.setdiff1d(np.arange(24), [0, 1, 2, 4])]
    found = log_lengths(maps, [regions[:2], regions[2:]], 0.3)
    assert found.shape == (24, 40)
    for positions in regions:
        rows = region_rows(maps, positions)
        white = whitening.whiten(rows.flatten(0, 1)[None])[0]
        assert np.allclose(np.exp(found[positions]).ravel(), white.norm(dim=1), rtol=1e-4)


def test_rows_without_length_have_a_lowest_logarithm(maps):
    maps[:, :, 0, 0] = 0
    found = log_lengths(maps, [[np.array([i]) for i in range(24)]], 0.3)
    assert np.isfinite(found).all()
    assert (found[0] < found[1:].min()).all()
