"""Residuals against plain NumPy, without the row itself, and whatever the order of references."""

import numpy as np
import pytest
import torch

from acr_sklearn.networks.residuals import Converter

RNG = np.random.default_rng(0)
ROWS, REFERENCES = RNG.normal(size=(7, 3)), RNG.normal(size=(5, 3))


def signs(rows, references, own=None, **how):
    own = None if own is None else torch.tensor(own)
    return Converter(**how)(torch.from_numpy(rows), torch.from_numpy(references), own).numpy()


def by_hand(row, references, *, squared=False, n_blended=1):
    near = np.argsort(np.linalg.norm(references - row, axis=1), kind="stable")[:n_blended]
    beyond = np.maximum(row - references.max(axis=0), 0) + np.maximum(
        references.min(axis=0) - row, 0
    )
    sizes = [row - references[near].mean(axis=0), row - references.mean(axis=0), beyond]
    sizes = [size**2 if squared else abs(size) for size in sizes]
    spread = references.std(axis=0, ddof=1) if len(references) > 1 else np.zeros(len(row))
    count = np.full(len(row), np.log(len(references)) / np.log(64))
    return np.stack([*np.arcsinh([*sizes, spread]), count], axis=-1)


@pytest.mark.parametrize("n_blended", [1, 3])
@pytest.mark.parametrize("residual", ["plain", "squared"])
def test_signs_are_those_of_plain_numpy(residual, n_blended):
    found = signs(ROWS, REFERENCES, residual=residual, n_blended=n_blended)
    how = {"squared": residual == "squared", "n_blended": n_blended}
    expected = [by_hand(row, REFERENCES, **how) for row in ROWS]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_row_of_the_reference_is_held_against_the_others(metric):
    found = signs(REFERENCES, REFERENCES, [0, 1, -1, 3, 4], metric=metric)
    for i in (0, 1, 3, 4):
        others = np.delete(REFERENCES, i, axis=0)
        expected = signs(REFERENCES[[i]], others, metric=metric)[0]
        np.testing.assert_allclose(found[i], expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(found[2][:, 0], 0)


def test_a_row_in_the_place_of_a_reference_is_held_against_the_others():
    for own in range(len(REFERENCES)):
        found = signs(ROWS, REFERENCES, [own] * len(ROWS))
        expected = signs(ROWS, np.delete(REFERENCES, own, axis=0))
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_cosine_looks_at_the_direction():
    rows, references = np.array([[10.0, 0.1]]), np.array([[1.0, 0.0], [9.0, 5.0]])
    by_direction = signs(rows, references, metric="cosine")[0, :, 0]
    np.testing.assert_allclose(by_direction, np.arcsinh([9.0, 0.1]))
    assert signs(rows, references)[0, 0, 0] == pytest.approx(np.arcsinh(1.0))


def test_rows_and_references_may_move_together():
    moved = signs(ROWS + 1e6, REFERENCES + 1e6)
    np.testing.assert_allclose(moved, signs(ROWS, REFERENCES), rtol=1e-7, atol=1e-7)


def test_without_residuals_no_reference_counts():
    found = signs(ROWS, REFERENCES, residual="none")
    np.testing.assert_array_equal(found, signs(ROWS, 100 * REFERENCES[:1], residual="none"))
    np.testing.assert_allclose(found[..., 0], np.arcsinh(np.abs(ROWS)))


def test_more_references_than_were_trained_on_count_as_the_most():
    many = RNG.normal(size=(500, 3))
    np.testing.assert_array_equal(signs(ROWS, many)[..., 4], 1.0)
