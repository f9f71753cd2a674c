"""The arithmetic of attributions, on functions whose answers are known."""

import numpy as np
import torch

from acr_sklearn.scoring.attribution import (
    Counterparts,
    RowAttribution,
    completed,
    integrated_gradients,
    usual_rows,
)

X = torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]], dtype=torch.float64)
BASE = torch.tensor([[0.0, 1.0, 1.0], [2.0, 0.0, 0.0]], dtype=torch.float64)


def test_terms_of_a_sum_and_a_product_are_shared_out_as_they_should():
    def function(x):
        return 2 * x[:, 0] + x[:, 1] * x[:, 2]

    found = integrated_gradients(function, X, BASE)
    first = 2 * (X[:, 0] - BASE[:, 0])
    # Of a product each factor gets its change times the mean of the other.
    second = (X[:, 1] - BASE[:, 1]) * (X[:, 2] + BASE[:, 2]) / 2
    third = (X[:, 2] - BASE[:, 2]) * (X[:, 1] + BASE[:, 1]) / 2
    assert torch.allclose(found, torch.stack([first, second, third], dim=1))
    assert torch.allclose(found.sum(dim=1), function(X) - function(BASE))


def test_what_is_missing_is_shared_out_by_size():
    found = completed(torch.tensor([[1.0, -3.0, 0.0], [0.0, 0.0, 0.0]]), torch.tensor([2.0, 6.0]))
    assert torch.allclose(found, torch.tensor([[2.0, 0.0, 0.0], [2.0, 2.0, 2.0]]))


def test_a_counterpart_is_the_mean_of_the_rows_most_alike_but_the_row_itself():
    rows = torch.tensor([[0.0, 0.0], *([1.0, float(i)] for i in range(5)), [9.0, 9.0]])
    found = Counterparts(rows, rows).of(rows[:1], rows[:1])
    assert torch.allclose(found, torch.tensor([[1.0, 2.0]]))
    other = torch.tensor([[0.1, 0.0]])
    assert torch.allclose(Counterparts(rows, rows).of(other, other), torch.tensor([[0.8, 1.2]]))


def test_one_gross_value_does_not_choose_the_counterpart():
    rows = torch.zeros(12, 4)
    rows[:6] += 1.0
    row = torch.tensor([[1.0, 1.0, 1.0, -1e6]])
    assert (Counterparts(rows, rows).of(row, row) == 1).all()


def test_usual_rows_are_the_less_anomalous_ones():
    scores = np.arange(100.0)[::-1]
    found = usual_rows(scores)
    assert scores[found].max() < 99
    assert (np.diff(found) > 0).all()
    assert len(usual_rows(np.arange(5000.0))) == 512
    assert len(usual_rows(np.zeros(3))) == 3


def test_rows_scored_by_themselves_keep_their_units():
    attribution = RowAttribution(
        lambda x: x.square().sum(dim=1), lambda rows: rows / 10, torch.zeros(8, 2).double()
    )
    found, base = attribution(np.array([[10.0, 30.0]]))
    np.testing.assert_allclose(found, [[1.0, 9.0]])
    np.testing.assert_allclose(base, [0.0])
