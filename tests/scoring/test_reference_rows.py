import numpy as np
import pytest

from acr_sklearn.scoring.reference_rows import (
    ReferenceIndex,
    evenly_spaced,
    hash_weights,
    row_hashes,
)

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(200, 7))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_key_is_the_same_bit_for_bit_whatever_rows_it_comes_with(dtype):
    rows, weights = ROWS.astype(dtype), hash_weights(None, 7)
    keys = row_hashes(rows, weights)
    assert len(np.unique(keys)) == 200
    for size in (1, 3, 64):
        parts = [row_hashes(rows[i : i + size], weights) for i in range(0, 200, size)]
        np.testing.assert_array_equal(np.concatenate(parts), keys)
    np.testing.assert_array_equal(row_hashes(np.asfortranarray(rows), weights), keys)
    order = RNG.permutation(200)
    np.testing.assert_array_equal(row_hashes(rows[order], weights), keys[order])


def test_units_do_not_decide_the_key():
    scale = np.array([1e-9, 1.0, 1e9, 2.0, 4.0, 8.0, 16.0])
    spread = np.std(ROWS * hash_weights(None, 7), axis=0)
    in_units = np.std(ROWS * scale * hash_weights(scale, 7), axis=0)
    np.testing.assert_allclose(in_units, spread)


def test_rows_are_chosen_by_content():
    keys = row_hashes(ROWS, hash_weights(None, 7))
    chosen = evenly_spaced(keys, 50)
    assert len(np.unique(chosen)) == 50
    ranks = np.argsort(np.argsort(keys))[chosen]
    assert sorted(ranks) == list(range(0, 200, 4))
    order = RNG.permutation(200)
    again = order[evenly_spaced(keys[order], 50)]
    assert set(again) == set(chosen)


def test_equal_rows_are_the_same_known_row():
    fixed = np.concatenate([ROWS[:20], ROWS[3:5]])
    known = ReferenceIndex.of(fixed, hash_weights(None, 7))
    positions = known.positions(np.concatenate([ROWS[:30], ROWS[3:4]]))
    np.testing.assert_array_equal(fixed[positions[:20]], ROWS[:20])
    np.testing.assert_array_equal(positions[20:30], -1)
    assert positions[30] == positions[3]


def test_rows_too_large_to_project_are_known_to_none():
    known = ReferenceIndex.of(ROWS[:5], hash_weights(None, 7))
    assert known.positions(np.full((1, 7), 1e308)).tolist() == [-1]
