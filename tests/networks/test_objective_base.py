import pytest
import torch

from acr_sklearn.networks.objective_base import Objective


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_an_objective_sees_the_rows_themselves_once_unless_it_says_otherwise():
    objective, x = Objective(5, 3), torch.randn(2, 7, 5)
    kept = torch.rand(2, 7) < 0.5
    rows, mask = objective.expand(x, kept)
    assert rows is x
    assert mask is kept
    assert objective.alone(x, kept) is x
    assert objective.n_views == 1
    assert objective.portions(10**9) == [None]


def test_the_embedding_is_a_linear_layer_under_the_statistics_of_the_rows_that_count():
    objective = Objective(5, 3).double()
    objective.norm.weight.data += torch.rand(3)
    objective.norm.bias.data += torch.rand(3)
    hidden = torch.randn(2, 7, 5, dtype=torch.float64)
    kept = torch.tensor([True, True, False, True, True, False, True]).expand(2, 7)
    for mask, own in ((None, slice(None)), (kept, kept[0]), (4, slice(4))):
        z = objective.embed(hidden, mask)
        for task in range(2):
            slow = hidden[task] @ objective.linear.weight.T
            mean, variance = slow[own].mean(0), slow[own].var(0, unbiased=False)
            slow = (slow - mean) / (variance + 1e-5).sqrt()
            slow = slow * objective.norm.weight + objective.norm.bias
            torch.testing.assert_close(z[task], slow)
            alone = mask if isinstance(mask, int | None) else mask[task]
            torch.testing.assert_close(objective.embed(hidden[task], alone), slow)


def test_without_a_batch_norm_rows_are_embedded_each_by_itself():
    objective, hidden = Objective(5, 3, normalised=False), torch.randn(7, 5)
    torch.testing.assert_close(objective.embed(hidden)[2:3], objective.embed(hidden[2:3]))


def test_what_an_objective_must_say_is_not_guessed():
    with pytest.raises(NotImplementedError):
        Objective.losses(torch.zeros(3))
