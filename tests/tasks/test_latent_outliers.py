import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from acr_sklearn.networks.autoencoder import Autoencoder
from acr_sklearn.networks.variational import VariationalAutoencoder
from acr_sklearn.tasks.latent_outliers import (
    OUTSKIRTS,
    BottleneckOutliers,
    LatentOutliers,
    coverage,
    mahalanobis,
)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return VariationalAutoencoder(Autoencoder(5, (6, 3)), n_latent=2).double().eval()


@pytest.fixture
def rows():
    return torch.from_numpy(rng(1).normal(size=(300, 5)))


def test_coverage_is_the_density_of_all_other_gaussians():
    torch.manual_seed(1)
    mean, deviation = torch.randn(12, 3).double(), torch.rand(12, 3).double() + 0.2
    expected = []
    for i in range(12):
        others = [j for j in range(12) if j != i]
        log_densities = Normal(mean[others], deviation[others]).log_prob(mean[i]).sum(dim=1)
        expected.append(-torch.logsumexp(log_densities, dim=0))
    shift = 1.5 * np.log(2 * np.pi)
    torch.testing.assert_close(coverage(mean, deviation), torch.stack(expected) - shift)


def test_mahalanobis_is_by_the_covariance_of_draws():
    mean, deviation = torch.randn(4000, 2).double() * torch.tensor([1.0, 3.0]), torch.ones(1, 2)
    found = mahalanobis(mean, deviation.double().expand(4000, 2))
    law = MultivariateNormal(mean.mean(dim=0), torch.cov(mean.T) + torch.eye(2).double())
    expected = -2 * (law.log_prob(mean) - law.log_prob(law.mean))
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("criterion", sorted(OUTSKIRTS))
def test_outliers_are_new_rows_and_the_generator_decides(network, rows, criterion):
    source = LatentOutliers(network, rows, criterion, 0.3, rng())
    assert len(source.mean) == 90
    made = source.sample(40, rng(2))
    assert made.shape == (40, 5)
    assert made.isfinite().all()
    assert torch.equal(made, source.sample(40, rng(2)))
    assert not torch.equal(made, source.sample(40, rng(3)))


@pytest.mark.parametrize("criterion", ["coverage", "mahalanobis"])
def test_the_outskirts_lie_further_out_than_any_rows(network, rows, criterion):
    def reach(source):
        return (source.mean - source.center).square().sum(dim=1).mean()

    any_rows = LatentOutliers(network, rows, "random", 0.3, rng())
    assert reach(LatentOutliers(network, rows, criterion, 0.3, rng())) > 1.2 * reach(any_rows)


def test_at_least_one_row_is_on_the_outskirts(network, rows):
    source = LatentOutliers(network, rows[:2], "coverage", 1e-9, rng())
    assert len(source.mean) == 1
    assert source.sample(3, rng()).isfinite().all()


def test_many_rows_are_thinned(network):
    rows = torch.from_numpy(rng(1).normal(size=(3000, 5)))
    assert len(LatentOutliers(network, rows, "coverage", 1.0, rng()).mean) == 1024


def test_without_a_second_level_noise_goes_to_the_bottleneck(network, rows):
    source = BottleneckOutliers(network.level, rows)
    made = source.sample(40, rng(2))
    assert made.shape == (40, 5)
    assert torch.equal(made, source.sample(40, rng(2)))
