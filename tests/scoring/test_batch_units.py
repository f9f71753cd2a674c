import numpy as np
import pytest
import torch

from acr_sklearn.scoring.batch_units import BatchUnits

N_FEATURES = 4


def batch(n_rows=50, dtype=torch.float64):
    rows = np.random.default_rng(0).normal(size=(n_rows, N_FEATURES)) * [1, 5, 0.2, 3] + 2
    return torch.from_numpy(rows).to(dtype)


def own_units(rows):
    return BatchUnits(rows)(rows)


def test_every_feature_has_mean_zero_and_spread_one():
    units = own_units(batch())
    torch.testing.assert_close(
        units.mean(dim=0), torch.zeros(N_FEATURES).double(), rtol=0, atol=1e-14
    )
    torch.testing.assert_close(
        units.std(dim=0, correction=0), torch.ones(N_FEATURES).double(), rtol=1e-14, atol=0
    )


def test_other_rows_are_in_units_of_the_batch():
    rows, new = batch(), batch(7) + 100
    expected = (new - rows.mean(dim=0)) / rows.std(dim=0, correction=0)
    torch.testing.assert_close(BatchUnits(rows)(new), expected)


@pytest.mark.parametrize("factor", [1e-300, 1e-30, -7.0, 1e30, 1e300])
def test_the_unit_of_a_feature_does_not_matter(factor):
    rows, changed = batch(), batch()
    changed[:, 1] *= factor
    expected = own_units(rows)
    expected[:, 1] *= np.sign(factor)
    torch.testing.assert_close(own_units(changed), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("factor", [1e-37, 1e37])
def test_nor_in_single_precision(factor):
    rows = batch(dtype=torch.float32)
    torch.testing.assert_close(own_units(rows * factor), own_units(rows), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("offset", [1e9, -1e9])
def test_nor_does_an_offset(offset):
    rows = batch()
    torch.testing.assert_close(own_units(rows + offset), own_units(rows), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_around_a_million_lose_nothing_but_their_own_digits(dtype):
    rows = (10 * batch() + 2.0**20).float()
    exact = own_units(rows.double())
    single = BatchUnits(rows.to(dtype))
    single = single if dtype == torch.float32 else single.single()
    assert single(rows).dtype == torch.float32
    torch.testing.assert_close(single(rows).double(), exact, rtol=1e-6, atol=1e-6)


def test_a_copy_in_single_precision_leaves_the_original_as_it_is():
    units = BatchUnits(batch() * 1e-300)
    single = units.single()
    assert units.factor.dtype == units.standardizer.divisor.dtype == torch.float64
    # Such rows are nothing in single precision, but no infinity and not nan.
    assert torch.isfinite(single(torch.zeros(2, N_FEATURES))).all()


def test_what_varies_by_rounding_alone_is_constant():
    rows = batch()
    rows[:, 2] = 0.1
    rows[::2, 2] += 2.0**-56  # one unit in the last place
    assert own_units(rows)[:, 2].abs().max() < 1e-6


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 + 0.1, 1e-300, 1e300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_feature_is_zero_and_a_later_row_stands_out_in_it(value, dtype):
    rows = batch(dtype=dtype)
    rows[:, 2] = min(value, torch.finfo(dtype).max)
    units = BatchUnits(rows)
    assert units(rows)[:, 2].abs().max() <= 1e-6
    later = rows[:1].clone()
    later[0, 2] = 9.0 if value < 1e100 else -later[0, 2]
    assert units(later)[0, 2].abs() > 0.5
