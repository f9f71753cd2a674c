import numpy as np
import pytest
import torch

import acr_sklearn.scoring.dependence as module
from acr_sklearn.scoring.dependence import conditional_residuals, fit_dependence

RNG = np.random.default_rng(0)
#: Each feature follows from the next two: correlations of all pairs, but few partial ones.
PRECISION = np.array([[2.0, -0.9, 0.0, 0.3], [-0.9, 2, 0.8, 0], [0, 0.8, 2, -1], [0.3, 0, -1, 2]])


def normal_rows(n_rows, n_domains=1):
    """Domains of the same dependence, each with shifts and units of its own."""
    root = np.linalg.cholesky(np.linalg.inv(PRECISION))
    parts = []
    for i in range(n_domains):
        rows = RNG.normal(size=(n_rows, 4)) @ root.T
        parts.append(rows * np.exp(RNG.normal(size=4)) + 1e3 * i)
    return np.concatenate(parts), np.repeat(np.arange(n_domains), n_rows)


def test_a_known_precision_matrix_is_recovered(monkeypatch):
    monkeypatch.setattr(module, "_RIDGE", 0.0)
    rows, index = normal_rows(2000, n_domains=10)
    found = fit_dependence(rows, index, 10)
    # Of features of variance one: units do not matter. Column j is that of P over the root of P_jj.
    spread = np.sqrt(np.diag(np.linalg.inv(PRECISION)))
    expected = PRECISION * np.outer(spread, spread)
    expected /= np.sqrt(np.diag(expected))
    np.testing.assert_allclose(found, expected, atol=0.08)


def test_the_ridge_is_a_tenth_of_the_variance():
    # Two equal features: covariance v of ones, and as much as a tenth of v beside the diagonal.
    rows = RNG.normal(size=(500, 1)).repeat(2, axis=1)
    found = fit_dependence(rows, np.zeros(500, np.int64), 1)
    np.testing.assert_allclose(found[0, 1] / found[0, 0], -1 / 1.1, rtol=1e-9)


def test_residuals_of_dependent_features_show_a_row_that_breaks_with_the_dependence():
    rows = RNG.normal(size=(500, 1)).repeat(3, axis=1) * [1, -5, 1e6]
    found = torch.from_numpy(fit_dependence(rows, np.zeros(500, np.int64), 1))
    usual = torch.tensor([[1.0, -1, 1], [2.5, -2.5, 2.5]]).double()
    broken = torch.tensor([[1.0, 1, 1], [0.0, -1, 1]]).double()
    assert conditional_residuals(usual, found).max() < 1.5
    assert conditional_residuals(broken, found).min() > 3
    # One by one the values of both are as usual.
    alone = conditional_residuals(broken, None)
    torch.testing.assert_close(alone[0], conditional_residuals(usual, None)[0])


def test_residuals_are_sums_of_log_one_plus_squares():
    scores = torch.tensor([[1.0, 2.0], [0.0, 0.0]]).double()
    matrix = torch.tensor([[1.0, -1.0], [0.5, 2.0]]).double()
    expected = np.log1p(2.0**2) + np.log1p(3.0**2)
    np.testing.assert_allclose(conditional_residuals(scores, matrix), [expected, 0])
    np.testing.assert_allclose(conditional_residuals(scores, None), [np.log(2) + np.log(5), 0])


def test_units_shifts_and_domains_change_nothing():
    rows, index = normal_rows(200, n_domains=3)
    expected = fit_dependence(rows, index, 3)
    other = rows * [1e-9, 3.0, 1e12, 7.0] + 50 * index[:, None]
    np.testing.assert_allclose(fit_dependence(other, index, 3), expected, rtol=1e-5, atol=1e-5)
    order = RNG.permutation(len(rows))
    np.testing.assert_allclose(
        fit_dependence(rows[order], index[order], 3), expected, rtol=1e-9, atol=1e-9
    )


def test_constant_features_follow_from_none():
    rows, index = normal_rows(200)
    found = fit_dependence(np.hstack([rows, np.full((200, 1), 7.0)]), index, 1)
    assert np.isfinite(found).all()
    assert (found[4, :4] == 0).all()
    assert (found[:4, 4] == 0).all()
    constant = fit_dependence(np.full((9, 2), 3.0), np.zeros(9, np.int64), 1)
    assert np.isfinite(constant).all()


@pytest.mark.parametrize(("n_features", "known"), [(2048, True), (2049, False)])
def test_more_features_than_2048_are_taken_as_independent(n_features, known, monkeypatch):
    monkeypatch.setattr(np.linalg, "inv", lambda matrix: matrix)  # the cube of them takes seconds
    found = fit_dependence(np.zeros((2, n_features)), np.zeros(2, np.int64), 1)
    assert (found is not None) == known


def test_of_a_larger_domain_evenly_spaced_rows_serve(monkeypatch):
    rows, index = normal_rows(90)
    expected = fit_dependence(rows[::3], index[::3], 1)
    monkeypatch.setattr(module, "_ROWS_PER_DOMAIN", 30)
    np.testing.assert_array_equal(fit_dependence(rows, index, 1), expected)
