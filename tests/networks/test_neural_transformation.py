import numpy as np
import pytest
import torch

from acr_sklearn.networks.neural_transformation import (
    TRANSFORMATIONS,
    NeuralTransformationLearning,
    NeuralTransformations,
    standardized_by_batch,
)

N_FEATURES, M, DIM = 5, 4, 3
each_kind = pytest.mark.parametrize("kind", TRANSFORMATIONS)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def build(kind="feedforward", m=M):
    objective = NeuralTransformationLearning(
        N_FEATURES, DIM, n_features=N_FEATURES, n_transformations=m, transformation=kind
    )
    return objective.double()


def stack(n_tasks=2, n_rows=6):
    shift = 5 * torch.randn(n_tasks, 1, N_FEATURES, dtype=torch.float64)
    return torch.randn(n_tasks, n_rows, N_FEATURES, dtype=torch.float64) + shift


def masks(n_tasks=2, n_rows=6):
    kept = torch.rand(n_tasks, n_rows) < 0.5
    kept[:, :2] = True
    return kept


def slow_transformation(module, k, row):
    """One transformation of one row, in NumPy."""
    hidden = row
    for depth, (weight, bias) in enumerate(zip(module.weights, module.biases, strict=True)):
        hidden = np.maximum(hidden, 0) if depth else hidden
        hidden = hidden @ weight[k].detach().numpy() + bias[k, 0].detach().numpy()
    if module.kind == "residual":
        return row + hidden
    if module.kind == "multiplicative":
        return row / (1 + np.exp(-hidden))
    return hidden


def slow_p(z):
    """p_1..p_M of one row from its embeddings z_0..z_M, by the definition."""
    m = len(z) - 1

    def h(a, b):
        return np.exp(a @ b / np.linalg.norm(a) / np.linalg.norm(b) / 0.1)

    out = []
    for k in range(1, m + 1):
        others = sum(h(z[k], z[j]) for j in range(1, m + 1) if j != k)
        out.append(h(z[k], z[0]) / (h(z[k], z[0]) + others))
    return np.array(out)


# ------------------------------------------------------------------ transformations


@each_kind
def test_transformations_are_those_of_single_small_networks(kind):
    module = NeuralTransformations(N_FEATURES, M, kind).double()
    x = stack()
    views = module(x)
    assert views.shape == (M, *x.shape)
    for k in range(M):
        for task, row in np.ndindex(2, 6):
            expected = slow_transformation(module, k, x[task, row].numpy())
            np.testing.assert_allclose(views[k, task, row].detach().numpy(), expected)
    torch.testing.assert_close(module(x, slice(1, 3)), views[1:3])


@pytest.mark.parametrize(("n_features", "hidden"), [(7, 7), (64, 64), (200, 64)])
def test_three_linear_layers_of_the_width_of_the_rows_but_no_wider_than_64(n_features, hidden):
    module = NeuralTransformations(n_features, 19)
    shapes = [tuple(weight.shape) for weight in module.weights]
    assert shapes == [
        (19, n_features, hidden),
        (19, hidden, hidden),
        (19, hidden, n_features),
    ]
    # As torch.nn.Linear draws them: uniform, with this standard deviation.
    assert module.weights[0].std().item() == pytest.approx((3 * n_features) ** -0.5, rel=0.1)


# ------------------------------------------------------------------ before the backbone


def test_rows_are_standardized_by_the_rows_of_the_mask():
    x, kept = stack(3, 9), masks(3, 9)
    standardized = standardized_by_batch(x.transpose(0, 1), kept.T)
    for task in range(3):
        own = x[task][kept[task]].numpy()
        overall = np.sqrt(own.var(axis=0).mean())
        expected = (x[task].numpy() - own.mean(axis=0)) / overall
        np.testing.assert_allclose(standardized[:, task].numpy(), expected)
    alike = torch.ones(4, N_FEATURES)
    assert torch.equal(standardized_by_batch(alike), torch.zeros(4, N_FEATURES))


@each_kind
def test_views_lie_below_the_rows_and_the_mask_holds_the_rows(kind):
    objective, x, kept = build(kind), stack(), masks()
    rows, mask = objective.expand(x)
    assert rows.shape == (2, (1 + M) * 6, N_FEATURES)
    assert mask == 6
    standardized = standardized_by_batch(x.transpose(0, 1))
    torch.testing.assert_close(rows[:, :6], standardized.transpose(0, 1))
    views = objective.transformations(standardized)
    for k in range(M):
        below = rows[:, (1 + k) * 6 : (2 + k) * 6]
        torch.testing.assert_close(below, views[k].transpose(0, 1))
    rows, mask = objective.expand(x, kept)
    assert torch.equal(mask[:, :6], kept)
    assert not mask[:, 6:].any()
    alone, own_mask = objective.expand(x[1], kept[1])
    torch.testing.assert_close(alone, rows[1])
    assert torch.equal(own_mask, mask[1])


def test_a_batch_elsewhere_and_in_other_units_looks_the_same():
    objective, x = build(), stack()
    torch.testing.assert_close(objective.expand(1e3 * x + 7)[0], objective.expand(x)[0])


def test_portions_are_all_transformations_and_bounded():
    objective = build(m=19)
    for n_rows in (2, 100, 5000, 65536, 10**6):
        portions = objective.portions(n_rows)
        chosen = [k for part in portions for k in range(19)[part]]
        assert chosen == list(range(19))
        assert all(part.stop - part.start == 1 or n_rows <= 65536 for part in portions)
        assert len(portions) == (1 if n_rows <= 3276 else -(-19 // max(1, 65536 // n_rows - 1)))


# ------------------------------------------------------------------ behind the backbone


def test_scores_and_losses_are_those_of_plain_loops():
    objective = build()
    z = torch.randn(2, (1 + M) * 6, DIM, dtype=torch.float64)
    output = objective(z)
    assert output.shape == (2, 6, M)
    normal_loss, outlier_loss = objective.losses(output)
    for task, row in np.ndindex(2, 6):
        p = slow_p(z[task, row::6].numpy())
        np.testing.assert_allclose(normal_loss[task, row].item(), -np.log(p).mean())
        # 1 - p of the plain loop loses digits where p is near 1.
        np.testing.assert_allclose(outlier_loss[task, row].item(), -np.log(1 - p).mean(), 1e-6)
        score = objective.anomaly_score(output)[task, row].item()
        assert score == pytest.approx(-np.log(p).mean())


def test_gradients_are_those_of_the_definition():
    objective = build()
    z = torch.randn((1 + M) * 6, DIM, dtype=torch.float64, requires_grad=True)
    apart = z.view(1 + M, 6, DIM)
    unit = apart / apart.norm(dim=-1, keepdim=True)
    h = torch.einsum("krd,lrd->rkl", unit, unit).div(0.1).exp()
    for which, loss in enumerate(objective.losses(objective(z))):
        total = torch.zeros(())
        for k in range(1, 1 + M):
            others = sum(h[:, k, j] for j in range(1, 1 + M) if j != k)
            p = h[:, k, 0] / (h[:, k, 0] + others)
            total = total - (p if which == 0 else 1 - p).log().sum() / M
        (ours,) = torch.autograd.grad(loss.sum(), z, retain_graph=True)
        (slow,) = torch.autograd.grad(total, z, retain_graph=True)
        torch.testing.assert_close(ours, slow, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("case", ["agree", "opposed", "zero", "huge", "tiny", "mixed"])
def test_no_embedding_makes_a_loss_or_a_gradient_infinite_in_float32(case, seed):
    torch.manual_seed(seed)
    objective = build(m=19).float()
    z = torch.randn(20, 8, DIM)
    if case == "agree":  # p_k near 1: every view is the row, no two views are alike
        z[:] = z[0] + 1e-7 * z
    elif case == "opposed":  # p_k near 1 and near 0
        z[1:] = z[1]
        z[0] = -z[1]
        z[2] = z[0]
    elif case == "zero":
        z[seed:] = 0
    elif case == "huge":
        z *= 1e15
    elif case == "tiny":
        z *= 1e-15
    else:
        z *= 10.0 ** torch.randint(-15, 15, (20, 8, 1))
    z = z.flatten(0, 1).requires_grad_()
    for loss in objective.losses(objective(z)):
        assert torch.isfinite(loss).all()
        assert (loss >= 0).all()
        (gradient,) = torch.autograd.grad(loss.sum(), z, retain_graph=True)
        assert torch.isfinite(gradient).all()


def test_the_outlier_loss_is_exact_where_the_agreement_is_all_but_complete():
    # One minus p_k is exp(-20) and less: log(1 - p_k) would be lost in float32.
    objective = build(m=2).float()
    z = torch.tensor([[1.0, 0, 0], [1.0, 0, 0], [-1.0, 0, 0]])
    got = objective.losses(objective(z))[1].item()
    p = slow_p(z.double().numpy())
    expected = -np.mean(np.log1p(-p))
    assert got == pytest.approx(expected, rel=1e-6)
