"""Each statistic in a graph against the function of the package that it stands for."""

import numpy as np
import pytest
import torch
from graph_runs import computed

from acr_sklearn.domains.batch_statistics import standardize_by_mask
from acr_sklearn.export import statistics as ours
from acr_sklearn.scoring import reference_rows
from acr_sklearn.scoring.evidence import EvidenceScale
from acr_sklearn.scoring.gross_values import clip_gross
from acr_sklearn.scoring.neighborhoods import Neighborhoods
from acr_sklearn.scoring.robust_scale import RobustLogScale
from acr_sklearn.scoring.trimming import most_normal


def values(n, tied=0, seed=0):
    """Distances of three kinds, shape (n, 3)."""
    made = np.abs(np.random.default_rng(seed).normal(1, 0.4, (n, 3))) + 0.01
    made[:tied, 1] = 0.3
    return made


CASES = [(2, 0), (3, 3), (4, 0), (5, 5), (30, 4), (30, 20), (200, 30), (201, 201)]


@pytest.mark.parametrize(("n", "tied"), CASES)
def test_scales(n, tied):
    X = values(n, tied)
    given = torch.from_numpy(X.T.copy())
    for build, scale in (
        (ours.log_scale, RobustLogScale.of),
        (ours.evidence_scale, EvidenceScale.of),
    ):

        def standardised(g, build=build):
            kinds = g.rows.turned
            return build(kinds).standardise(kinds)

        expected = scale(given).standardise(given)
        np.testing.assert_allclose(computed(standardised, X), expected.ravel(), atol=1e-10)


@pytest.mark.parametrize("n", [2, 3, 4, 9, 100])
@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.49])
def test_kept_rows(n, fraction):
    X = values(n)
    found = computed(lambda g: ours.kept_rows(g.rows.turned, fraction, 100.0), X[:, :1])
    expected = most_normal(torch.from_numpy(X[:, :1].T.copy()), fraction)
    np.testing.assert_array_equal(found.astype(bool), expected[0])


def test_standardization_by_some_rows():
    X = values(40)
    X[0] = 1e6
    kept = X[:, 0] < 1.0
    unit = np.array([1.0, 0.5, 2.0])

    def build(g):
        mask = g.lift(kept[:, None], "bool")
        return ours.standardized(g.rows, ours.Batch(None, mask), unit)

    given, mask = torch.from_numpy(X)[None], torch.from_numpy(kept)[None]
    expected = standardize_by_mask(given, mask, torch.from_numpy(unit))
    np.testing.assert_allclose(computed(build, X), expected.ravel(), rtol=1e-10)


@pytest.mark.parametrize("n", [15, 16, 17, 256, 257, 2048, 2049])
def test_gross_values(n):
    X = values(n)
    X[1, 2], X[2, 0] = 1e5, -1e4
    found = computed(lambda g: ours.clipped_gross(g.rows, g.size(g.rows)), X)
    expected = X if n > 2048 else clip_gross(X[None])[0]  # larger batches are not looked at
    np.testing.assert_allclose(found, expected.ravel(), rtol=1e-13)
    assert (np.abs(found).max() == 1e5) == (n in (15, 2049))


@pytest.mark.parametrize("n_chosen", [1, 7, 50])
def test_rows_that_serve(n_chosen):
    X = values(50)
    X[10:14] = X[10]
    keys = X @ np.ones(3)
    expected = reference_rows.evenly_spaced(keys, n_chosen)

    def build(g):
        return ours.evenly_spaced(g.lift(keys, "double"), g.lift(n_chosen, "int"))

    np.testing.assert_array_equal(computed(build, X), expected)


def test_which_serving_row_a_row_is():
    X = values(6)
    names, serving = np.array([3.0, 1, 2, 1, 9, 2]), np.array([1.0, 2, 2])
    found = computed(lambda g: ours.own_rows(g.lift(names, "double"), g.lift(serving, "double")), X)
    expected = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0]]
    np.testing.assert_array_equal(found.reshape(6, 3), expected)


@pytest.mark.parametrize("manhattan", [True, False])
@pytest.mark.parametrize("n", [2, 7, 60])
def test_neighborhoods(n, manhattan):
    X = values(n)
    kept = torch.from_numpy(X[:, 0] < 1.3) | (torch.arange(n) < 2)
    given = torch.from_numpy(X)
    theirs = Neighborhoods(given, (4, 0.1, 0.3), manhattan=manhattan, kept=kept)

    def build(g):
        barred = np.eye(n, dtype=bool) | ~kept.numpy()
        counts = ours.neighborhood_counts(g.lift([int(kept.sum())], "int"), (4, 0.1, 0.3))
        distances = ours.distances_to(g.rows, g.rows, manhattan=manhattan)
        return ours.nearest_means(distances, g.lift(barred, "bool"), counts)

    expected = theirs.measure(given, torch.arange(n))
    np.testing.assert_allclose(computed(build, X), expected.ravel(), rtol=1e-7)
