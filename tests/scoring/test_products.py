import numpy as np
import pytest
import torch

from acr_sklearn.scoring.products import Products, rooted, smallest


def rows(n_rows, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(2, 1, (n_rows, 5)))


def test_products_are_distances_once_rooted():
    fixed, x = rows(30), rows(7, seed=1)
    products = Products.of(fixed)
    distances = products.root(products.lacking_own_square(x), x)
    torch.testing.assert_close(distances, torch.cdist(x, fixed))


def test_a_stack_of_batches_is_each_of_them():
    fixed, x = rows(60).view(2, 30, 5), rows(14, seed=1).view(2, 7, 5)
    products = Products.of(fixed)
    stacked = products.lacking_own_square(x)
    for i in range(2):
        torch.testing.assert_close(stacked[i], products[i].lacking_own_square(x[i]))


def test_what_rounding_leaves_of_equal_rows_is_no_distance():
    own = torch.tensor([[4.0]]).double()
    chosen = torch.tensor([[-4.0 + 1e-13, -4.0 - 1e-13, -3.0]]).double()
    assert rooted(chosen, own).tolist() == [[0.0, 0.0, 1.0]]


@pytest.mark.parametrize(("n_others", "n_chosen"), [(7, 7), (20, 3), (200, 3), (200, 60)])
@pytest.mark.parametrize("gradient", [False, True])
def test_the_smallest_are_chosen_with_and_without_gradient(n_others, n_chosen, gradient):
    numbers = torch.from_numpy(np.random.default_rng(2).normal(size=(4, 5, n_others)))
    numbers[0, 0, 1] = torch.inf
    expected = numbers.sort(dim=-1).values[..., :n_chosen]
    given = numbers.clone().requires_grad_(gradient)
    torch.testing.assert_close(smallest(given, n_chosen, in_order=True), expected)
    torch.testing.assert_close(smallest(given, n_chosen).sort(dim=-1).values, expected)
