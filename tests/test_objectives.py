import numpy as np
import pytest
import torch

from acr_sklearn.objectives import DeepSVDD, ObjectiveLoss


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_loss_is_the_mean_over_tasks_of_the_mean_over_rows():
    scores = torch.rand(3, 10, dtype=torch.float64, requires_grad=True)
    is_outlier = torch.zeros(3, 10, dtype=torch.bool)
    is_outlier[:, 8:] = True
    loss = ObjectiveLoss("dsvdd")(scores, is_outlier)
    a = scores.detach().numpy()
    slow = [np.r_[task[:8], 1 / (task[8:] + 1e-3)].mean() for task in a]
    assert loss.item() == pytest.approx(np.mean(slow), rel=1e-12)
    (gradient,) = torch.autograd.grad(loss, scores)
    expected = np.ones((3, 10))
    expected[:, 8:] = -1 / (a[:, 8:] + 1e-3) ** 2
    np.testing.assert_allclose(gradient.numpy(), expected / 30, rtol=1e-10)


def test_the_outlier_loss_is_bounded_at_the_centre():
    assert DeepSVDD.losses(torch.zeros(1))[1].item() == pytest.approx(1000.0)


def test_the_centre_is_learnt_and_drawn_from_a_standard_normal():
    centers = torch.cat([DeepSVDD(2, 500).center for _ in range(4)])
    assert centers.requires_grad
    assert abs(centers.mean().item()) < 0.1
    assert centers.std().item() == pytest.approx(1.0, abs=0.1)


def test_members_learn_as_if_each_were_alone_whatever_their_number():
    scores = torch.rand(4, 3, 10, dtype=torch.float64, requires_grad=True)
    is_outlier = torch.arange(10) >= 8
    is_outlier = is_outlier.expand(3, 10)
    criterion = ObjectiveLoss("dsvdd")
    together = criterion(scores, is_outlier)
    (gradient,) = torch.autograd.grad(together, scores)
    alone = [criterion(member, is_outlier) for member in scores]
    assert together.item() == pytest.approx(np.mean([loss.item() for loss in alone]), rel=1e-12)
    for member, loss in enumerate(alone):
        (own,) = torch.autograd.grad(loss, scores)
        torch.testing.assert_close(gradient[member], own[member], rtol=1e-12, atol=0)
