import pytest
import torch
from torch.distributions import Normal, kl_divergence

from acr_sklearn.networks.autoencoder import Autoencoder
from acr_sklearn.networks.variational import VariationalAutoencoder, VariationalLoss, divergence


@pytest.fixture
def network():
    torch.manual_seed(0)
    return VariationalAutoencoder(Autoencoder(5, (6, 3)), n_latent=2)


def test_the_divergence_is_that_of_gaussians():
    mean, deviation = torch.randn(9, 3), torch.rand(9, 3) + 0.1
    exact = kl_divergence(Normal(mean, deviation), Normal(0.0, 1.0)).sum(dim=1)
    torch.testing.assert_close(divergence(mean, deviation), exact)


def test_the_loss_is_the_negative_bound_up_to_a_constant():
    mean, deviation, rows = torch.randn(9, 3), torch.rand(9, 3) + 0.1, torch.randn(9, 4)
    decoded, noise = torch.randn(9, 4), torch.rand(4) + 0.1
    log_density = Normal(decoded, noise).log_prob(rows).sum(dim=1)
    bound = (log_density - divergence(mean, deviation)).mean() / 4
    loss = VariationalLoss()((mean, deviation, decoded, noise), rows)
    constant = 0.5 * torch.log(torch.tensor(2 * torch.pi))
    torch.testing.assert_close(loss, -bound - constant)


def test_the_first_level_is_not_trained_further(network):
    mean, deviation, decoded, noise = network(torch.randn(7, 5))
    VariationalLoss()((mean, deviation, decoded, noise), torch.randn(7, 5)).backward()
    assert all(parameter.grad is None for parameter in network.level.parameters())
    assert all(parameter.grad is not None for parameter in network.encoder.parameters())
    assert network.log_noise.grad is not None


def test_descriptors_at_hand_are_not_computed_anew(network):
    rows = torch.randn(7, 5)
    expected = network.posterior(rows)
    given = network.posterior(rows, network.level.descriptors(rows))
    assert all(map(torch.equal, expected, given))
    assert (expected[1] > 0).all()
