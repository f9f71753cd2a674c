import torch

from acr_sklearn.scoring.standardize import Standardizer


def test_an_offset_costs_no_precision():
    rows = torch.arange(12, dtype=torch.float64).view(4, 3) / 8 + 2.0**20
    location, divisor = rows.mean(0) + 0.001, torch.tensor([1.0, 2.0, 4.0]).double()
    expected = (rows - location) / divisor
    single = Standardizer(location, divisor, torch.float32)
    assert single.has_rest
    torch.testing.assert_close(single(rows.float()).double(), expected, rtol=1e-6, atol=0)
    double = Standardizer(location, divisor, torch.float64)
    assert not double.has_rest
    torch.testing.assert_close(double(rows), expected)
    torch.testing.assert_close(double.single()(rows.float()), single(rows.float()))


def test_rows_stay_as_they_are():
    rows = torch.ones(2, 3)
    units = Standardizer(torch.full((3,), 0.1).double(), torch.full((3,), 2.0), torch.float32)
    out = torch.empty(2, 3)
    units.centre(rows, out=out)
    torch.testing.assert_close(out / 2.0, units(rows))
    assert (rows == 1).all()


def test_what_is_out_of_reach_is_cut_off():
    units = Standardizer(torch.ones(2).double(), torch.tensor([1.0, 1e-3]).double(), torch.float32)
    near, far = torch.tensor([[5.0, -5.0]]), torch.tensor([[5.0, -1e30]])
    assert units.reaches(near)
    assert not units.reaches(far)
    out = torch.empty(1, 2)
    units.centre(far, out)
    assert torch.isfinite((out / units.divisor).square().sum() ** 1.5)
    torch.testing.assert_close(out / units.divisor, units(far))
    exact = torch.empty(1, 2)
    units.centre(near, exact, within=True)
    units.centre(near, out)
    assert torch.equal(out, exact)
