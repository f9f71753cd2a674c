import math
from statistics import NormalDist

import numpy as np
import pytest
import torch

from acr_sklearn.scoring.value_grid import ValueGrid

N_POINTS = 42


def column(n_rows=300, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).gamma(2, size=(n_rows, 1)))


def linear_binning(values):
    """Points of the grid and the share of the rows at each, row by row."""
    low, high = np.quantile(values, [0.005, 0.995])
    step = (high - low) / 39
    points, shares = low + step * np.arange(-1, 41), np.zeros(N_POINTS)
    for value in values:
        place = min(max((value - points[0]) / step, 0), N_POINTS - 1)
        left = min(int(place), N_POINTS - 2)
        shares[left] += (1 - (place - left)) / len(values)
        shares[left + 1] += (place - left) / len(values)
    return points, shares


def test_densities_are_those_of_linear_binning():
    rows = column()
    points, shares = linear_binning(rows[:, 0].tolist())
    new = torch.linspace(-2, 9, 200).double()[:, None]
    for some in (rows, new):
        density = np.interp(some[:, 0], points, shares)
        expected = -np.log(np.maximum(density, 0.5 / len(rows)))
        np.testing.assert_allclose(ValueGrid(rows)(some)[0], expected, rtol=1e-9)


def test_normal_scores_are_those_of_the_share_of_rows_below():
    rows = column()
    points, shares = linear_binning(rows[:, 0].tolist())
    below = np.cumsum(shares) - shares / 2
    at_points = [NormalDist().inv_cdf(min(max(p, 1 / 600), 1 - 1 / 600)) for p in below]
    scores = ValueGrid(rows)(torch.from_numpy(points)[:, None])[1][:, 0]
    np.testing.assert_allclose(scores, at_points, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_rows", [2, 3, 17, 300])
def test_normal_scores_rise_with_the_value(n_rows):
    rows = column(n_rows)
    values = torch.linspace(-5, 20, 1001).double()[:, None]
    scores = ValueGrid(rows)(values)[1][:, 0]
    assert (scores.diff() >= -1e-12).all()
    assert scores[-1] > 0 > scores[0]


def test_of_normal_values_they_are_the_values():
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(20_000, 1)))
    inner = rows[rows.abs()[:, 0] < 2]
    torch.testing.assert_close(ValueGrid(rows)(inner)[1], inner, rtol=0, atol=0.06)


def test_rarity_is_the_mean_over_the_features():
    rows = torch.cat([column(seed=0), column(seed=1)], dim=1)
    both = (ValueGrid(rows[:, :1])(rows[:, :1])[0] + ValueGrid(rows[:, 1:])(rows[:, 1:])[0]) / 2
    rarity, scores = ValueGrid(rows)(rows)
    torch.testing.assert_close(rarity, both)
    torch.testing.assert_close(scores[:, 1:], ValueGrid(rows[:, 1:])(rows[:, 1:])[1])


def test_values_beyond_the_grid_lie_at_its_ends():
    rows = column()
    rarity, scores = ValueGrid(rows)(torch.tensor([[-1e3], [-1e300], [1e3], [1e300]]).double())
    assert rarity[0] == rarity[1]
    assert rarity[2] == rarity[3]
    # Half a row at most is expected where there is none.
    assert rarity.max() <= math.log(2 * 300) + 1e-12
    torch.testing.assert_close(scores[1::2], scores[::2])


@pytest.mark.parametrize("share", [0.5, 0.9, 0.995, 0.999])
def test_tied_values_are_common_and_the_others_rare(share):
    rows = torch.zeros(2000, 1).double()
    rows[round(share * 2000) :, 0] = 1 + column(2000 - round(share * 2000))[:, 0]
    rarity, scores = ValueGrid(rows)(rows)
    tied = rows[:, 0] == 0
    assert rarity[tied].unique().numel() == 1
    torch.testing.assert_close(rarity[tied][0].item(), -math.log(share), rtol=0, atol=0.1)
    assert rarity[~tied].min() > rarity[tied].max()
    assert scores[~tied].min() > scores[tied].max()


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_constant_feature_says_nothing(value):
    rows = torch.full((20, 1), value).double()
    rarity, scores = ValueGrid(rows)(torch.tensor([[value], [value + 1], [-9.0]]).double())
    assert rarity.abs().max() < 1e-15
    assert (scores == 0).all()


def test_rounding_moves_no_row_far():
    rows = column().mul(100).round() / 100  # values on the edges of cells
    exact = ValueGrid(rows)(rows)
    single = ValueGrid(rows.float())(rows.float())
    for got, wanted in zip(single, exact, strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_many_values_are_looked_up_alike(dtype):
    rows = torch.cat([column(seed=0), torch.full((300, 1), 2.0), column(seed=1) ** 3], dim=1)
    rows = rows.to(dtype)
    grid, new = ValueGrid(rows), 4 * rows[:50] - 1
    for x in (rows, new):
        for got, wanted in zip(grid.look_up(x), grid(x), strict=True):
            assert torch.equal(got, wanted)
