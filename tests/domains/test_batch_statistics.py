"""Centring and overall spread by kept rows, at both ends of the numbers too."""

import numpy as np
import pytest
import torch

from acr_sklearn.domains.batch_statistics import (
    centre_by_mask,
    overall_spread,
    standardize_by_mask,
)

BATCHES = torch.randn(3, 40, 4, generator=torch.Generator().manual_seed(0)).double()
KEPT = torch.arange(40).expand(3, 40) >= torch.tensor([[4], [0], [9]])


def test_kept_rows_have_mean_zero_and_mean_square_one():
    unit = torch.tensor([1.0, 2.0, 4.0, 0.5]).double()
    standardized = standardize_by_mask(BATCHES + 7.0, KEPT, unit)
    for rows, kept, found in zip(BATCHES + 7.0, KEPT, standardized, strict=True):
        around = (rows - rows[kept].mean(0)) / unit
        torch.testing.assert_close(found, around / around[kept].square().mean().sqrt())
    torch.testing.assert_close(
        standardize_by_mask(BATCHES, torch.ones(3, 40).bool()), standardize_by_mask(BATCHES, None)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_squares_neither_overflow_nor_vanish(dtype):
    expected = standardize_by_mask(BATCHES.to(dtype), KEPT)
    tiny, huge = {torch.float32: (1e-30, 1e30), torch.float64: (1e-290, 1e290)}[dtype]
    for factor in (tiny, huge):
        torch.testing.assert_close(standardize_by_mask(BATCHES.to(dtype) * factor, KEPT), expected)


def test_a_row_that_is_not_kept_is_cut_off_and_changes_no_other():
    rows = BATCHES.float().clone()
    before = standardize_by_mask(rows, KEPT)
    rows[0, 0] = 1e30
    after = standardize_by_mask(rows, KEPT)
    torch.testing.assert_close(after[:, 1:], before[:, 1:])
    assert torch.isfinite(after.square().sum())


def test_rounding_of_a_huge_mean_is_taken_out():
    rows = (BATCHES + 1e6).float()
    means = centre_by_mask(rows, None).double().mean(1)
    assert means.abs().max() < 1e-5


def test_units_that_no_number_holds_leave_numbers():
    rows = BATCHES.float() * torch.tensor([1.0, 1.0, 1.0, 1e15])
    found = standardize_by_mask(rows, None, torch.tensor([1.0, 1.0, 1.0, 1e-37]))
    assert torch.isfinite(found).all()


def test_the_spread_is_in_the_units_of_each_feature():
    unit = torch.tensor([1.0, 1e200]).double()

    def variance(factor):
        return torch.tensor([4.0, 0.0]).double() / (1.0 if factor is None else factor**2)

    spread = overall_spread(variance, lambda: pytest.fail("no need"), unit)
    np.testing.assert_allclose(spread, [2 / np.sqrt(2)])


def test_equal_rows_have_spread_one():
    assert (standardize_by_mask(torch.full((2, 5, 3), 0.1), None) == 0).all()
