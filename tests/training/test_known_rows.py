import numpy as np
import pytest
import torch

from acr_sklearn.training.distillation import distil
from acr_sklearn.training.known_rows import fit_signs, whitening_of
from acr_sklearn.training.settings import TrainingSettings


@pytest.fixture(scope="module")
def rows():
    rows = np.random.default_rng(0).normal(size=(60, 3))
    rows[50:] = rows[0]
    return rows


@pytest.fixture(scope="module")
def distilled(rows):
    return distil(rows, None, 2, 3, TrainingSettings(seed=0))


def test_known_rows_are_distinct_and_it_is_known_which_stand_alone(rows, distilled):
    seen = distilled.units.standardized(rows)
    signs = fit_signs(seen, distilled, 1000, np.random.default_rng(0))
    assert len(signs.known) == 50
    (repeated,) = torch.nonzero(~signs.alone).squeeze(1)
    np.testing.assert_array_equal(signs.known[repeated], seen[0])
    few = fit_signs(seen, distilled, 20, np.random.default_rng(0))
    assert len(few.known) == 20
    assert not few.known.requires_grad


def test_whitened_rows_are_uncorrelated_and_flat_directions_stay_flat():
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.normal(size=(500, 2)) @ rng.normal(size=(2, 3)))
    covariance = torch.cov((rows @ whitening_of(rows)).T)
    torch.testing.assert_close(covariance, torch.diag(covariance.diag()), atol=1e-9, rtol=0)
    assert covariance[0, 0] < 1e-9
    assert 0.5 < covariance[2, 2] < 1


def test_one_feature_is_whitened_and_wide_rows_are_thinned():
    assert whitening_of(torch.randn(20, 1).double()).shape == (1, 1)
    assert whitening_of(torch.randn(20, 300).double()).shape == (300, 256)
