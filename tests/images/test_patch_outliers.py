"""Outliers of patches: what each kind changes, and how far."""

import numpy as np
import pytest
import torch

from acr_sklearn.images.patch_training import PATCH_OUTLIERS, OutlierBank, make_patch_outliers
from acr_sklearn.tasks.outliers import OutlierSource


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    centres = 100.0 * np.arange(1, 5)[:, None, None]
    return torch.from_numpy((centres + rng.normal(size=(4, 50, 6))).astype(np.float32))


FOREIGN = torch.full((30, 6), -1000.0)


def make(rows, kind, seed=0):
    return make_patch_outliers(rows, FOREIGN, kind, np.random.default_rng(seed))


def test_noise_has_the_size_of_the_spread(rows):
    change = (make(rows, "noise") - rows) / rows.std(dim=1, keepdim=True)
    assert 0.1 < change.std() < 0.6
    assert abs(change.mean()) < 0.05


def test_positions_pull_towards_rows_of_the_product(rows):
    change = make(rows, "positions") - rows
    # Along a straight line: all features move together, never beyond 0.6 of 300.
    assert change.abs().max() < 0.6 * 310
    # A quarter stay at their own position, the rest go far.
    far = change.abs().mean(dim=2) > 3
    assert 0.6 < far.double().mean() < 0.9
    assert (change[0] > -3).all()
    assert (change[3] < 3).all()


def test_surfaces_pull_towards_foreign_rows(rows):
    part = (make(rows, "surfaces") - rows) / (-1000 - rows)
    assert torch.allclose(part, part[..., :1].expand_as(part), atol=1e-3)
    assert part.min() >= 0.049
    assert part.max() <= 0.601
    assert 0.25 < part.mean() < 0.4


def test_a_mixture_has_all_three(rows):
    mixed = make(rows, "mixed")
    by_foreign = (mixed < rows - 40).all(dim=2) & (mixed[..., :1] < 90).squeeze(2)
    assert 0.15 < by_foreign[0].double().mean() < 0.5
    near = (mixed - rows).abs().amax(dim=2) < 4
    assert 0.25 < near.double().mean() < 0.6


@pytest.mark.parametrize("kind", PATCH_OUTLIERS)
def test_one_seed_gives_one_result(rows, kind):
    assert torch.equal(make(rows, kind), make(rows, kind))
    assert not torch.equal(make(rows, kind), make(rows, kind, seed=1))


def test_a_bank_gives_what_belongs_to_the_domain():
    bank = OutlierBank([np.zeros((3, 2), np.float32), np.ones((5, 2), np.float32)])
    assert isinstance(bank, OutlierSource)
    drawn = bank.sample(np.empty((9, 2)), 1, 20, np.random.default_rng(0))
    assert drawn.shape == (20, 2)
    assert (drawn == 1).all()
