"""The flow: densities that integrate to one, classes a shift apart, what is pushed and pulled."""

import pytest
import torch

from acr_sklearn.networks.flow import TwoClassFlow, push_pull_loss


def flow():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TwoClassFlow(2, 1, 3).double().eval()


def test_both_classes_have_densities():
    side = torch.linspace(-12, 12, 241, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        found = flow()(grid, torch.full((len(grid), 1), 0.3, dtype=torch.float64))
    for log_density in found:
        mass = (2 * log_density).exp().sum() * 0.1**2
        assert float(mass) == pytest.approx(1.0, abs=1e-3)


def test_the_condition_counts():
    rows = torch.ones(1, 2, dtype=torch.float64)
    with torch.no_grad():
        conditions = (torch.full((1, 1), c, dtype=torch.float64) for c in (0.0, 1.0))
        one, other = (flow()(rows, condition)[0] for condition in conditions)
    assert float((one - other).abs()) > 1e-4


def test_push_and_pull():
    ours = torch.linspace(-1.0, 0.0, 21)
    is_anomaly = torch.cat([torch.zeros(21), torch.ones(21)]).bool()
    apart = push_pull_loss(torch.cat([ours, ours - 5]), is_anomaly)
    mixed = push_pull_loss(torch.cat([ours, ours]), is_anomaly)
    assert float(apart) < 0.01 < float(mixed)
    likely = torch.full((3,), 2.0, requires_grad=True)
    push_pull_loss(torch.cat([ours, likely]), is_anomaly[:24]).backward()
    assert (likely.grad > 0).all()  # descent makes anomalies less likely


def test_anomalies_alone_have_a_loss():
    assert torch.isfinite(push_pull_loss(torch.zeros(3), torch.ones(3).bool()))
