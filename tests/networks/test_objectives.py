import numpy as np
import pytest
import torch

from acr_sklearn.networks.neural_transformation import NeuralTransformationLearning
from acr_sklearn.networks.objectives import (
    OBJECTIVES,
    BinaryCrossEntropy,
    DeepSVDD,
    ObjectiveLoss,
    make_objective,
)


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


# ------------------------------------------------------------------ every objective, by an oracle


def slow_losses(objective, output):
    """Both losses of one row in NumPy, float64, from the definitions."""
    if objective == "dsvdd":
        return output, 1 / (output + 1e-3)
    if objective == "bce":
        probability = 1 / (1 + np.exp(-output))
        return -np.log(1 - probability), -np.log(probability)
    p = 1 / (1 + np.exp(output))  # of d_k = log((1 - p_k) / p_k)
    return -np.mean(np.log(p)), -np.mean(np.log(1 - p))


def slow_step(objective, output, is_outlier):
    tasks = []
    for rows, outliers in zip(output, is_outlier, strict=True):
        pairs = zip(rows, outliers, strict=True)
        tasks.append(np.mean([slow_losses(objective, row)[int(bad)] for row, bad in pairs]))
    return np.mean(tasks)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_loss_of_a_step_and_its_gradient_are_those_of_plain_loops(objective):
    shape = (3, 6, 4) if objective == "ntl" else (3, 6)
    output = torch.randn(shape, dtype=torch.float64)
    output = (output.square() if objective == "dsvdd" else 3 * output).requires_grad_()
    is_outlier = torch.zeros(3, 6, dtype=torch.bool)
    is_outlier[0, 4:] = is_outlier[1, :2] = is_outlier[2, ::2] = True
    loss = ObjectiveLoss(objective)(output, is_outlier)
    plain, marks = output.detach().numpy(), is_outlier.numpy()
    assert loss.item() == pytest.approx(slow_step(objective, plain, marks), rel=1e-12)
    (gradient,) = torch.autograd.grad(loss, output)
    for place in np.ndindex(shape):
        up, down = plain.copy(), plain.copy()
        up[place] += 1e-6
        down[place] -= 1e-6
        slope = (slow_step(objective, up, marks) - slow_step(objective, down, marks)) / 2e-6
        assert gradient[place].item() == pytest.approx(slope, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_losses_stay_finite_whatever_the_network_returns(objective):
    numbers = torch.tensor([0.0, 1e-30, 1e-3, 1.0, 20.0, 100.0, 1e4])
    numbers = numbers if objective == "dsvdd" else torch.cat([-numbers, numbers])
    output = numbers[:, None].repeat(1, 3) if objective == "ntl" else numbers
    output.requires_grad_()
    for loss in OBJECTIVES[objective].losses(output):
        assert torch.isfinite(loss).all()
        (gradient,) = torch.autograd.grad(loss.sum(), output)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_distance_is_not_negative_and_keeps_the_order(objective):
    scores = torch.linspace(0 if objective == "dsvdd" else -15, 15, 50, dtype=torch.float64)
    scores = scores.abs().sort().values if objective == "ntl" else scores
    distance = OBJECTIVES[objective].distance(scores)
    assert (distance >= 0).all()
    assert (distance.diff()[scores.diff() > 0] > 0).all()


def test_the_logit_is_a_linear_function_of_what_is_positive_in_the_embedding():
    objective, z = BinaryCrossEntropy(5, 3).double(), torch.randn(2, 7, 3, dtype=torch.float64)
    weight, bias = (p.detach().numpy() for p in objective.logit.parameters())
    expected = np.maximum(z.numpy(), 0) @ weight[0] + bias
    np.testing.assert_allclose(objective(z).detach().numpy(), expected)
    assert torch.equal(objective.anomaly_score(objective(z)), objective(z))


def test_objectives_are_made_by_name():
    for name, kind in OBJECTIVES.items():
        objective = make_objective(name, 7, 3, 5, n_transformations=4, transformation="residual")
        assert type(objective) is kind
        assert objective.linear.weight.shape == (3, 7)
    assert isinstance(objective, NeuralTransformationLearning)
    assert objective.n_views == 5
    assert objective.transformations.kind == "residual"
