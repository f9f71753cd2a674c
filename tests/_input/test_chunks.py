import numpy as np
import pytest
import torch

from acr_sklearn._compute import rows_at_once
from acr_sklearn._input.chunks import Chunks

ROWS = np.arange(22.0).reshape(11, 2)


class Anew:
    """Yields the rows in pieces of unequal size, each time it is asked."""

    def __iter__(self):
        return iter(np.split(ROWS, [1, 4, 9]))


def test_an_array_is_cut_and_put_together_again():
    chunks = Chunks(ROWS, 4)
    assert [len(chunk) for chunk in chunks] == [4, 4, 3]
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate(list(chunks)), ROWS)
    assert (len(chunks), chunks.n_features, chunks.dtype) == (11, 2, np.float64)


def test_positions_choose_the_rows_of_a_batch():
    chosen = np.array([10, 0, 5])
    chunks = Chunks(ROWS, 2, chosen)
    assert len(chunks) == 3
    np.testing.assert_array_equal(np.concatenate(list(chunks)), ROWS[chosen])
    np.testing.assert_array_equal(chunks.take(np.array([0, 2])), ROWS[[10, 5]])


@pytest.mark.parametrize("rows", [ROWS, Anew()], ids=["array", "iterable"])
def test_rows_are_taken_by_place(rows):
    chunks = Chunks(rows, 4)
    for places in ([0], [3, 4, 8], [0, 1, 9, 10]):
        np.testing.assert_array_equal(chunks.take(np.array(places)), ROWS[places])


def test_an_iterable_comes_in_its_own_pieces_as_often_as_asked_for():
    chunks = Chunks(Anew(), 4)
    assert len(chunks) == 11
    for _ in range(2):
        assert [len(chunk) for chunk in chunks] == [1, 3, 5, 2]


def test_torch_takes_every_chunk(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for source in (ROWS, mapped, Anew(), np.asfortranarray(ROWS)):
        seen = torch.cat([torch.from_numpy(chunk) for chunk in Chunks(source, 5)])
        np.testing.assert_array_equal(seen.numpy(), ROWS)


def test_rows_in_memory_are_not_copied():
    (chunk,) = Chunks(ROWS, 50)
    assert np.shares_memory(chunk, ROWS)


def test_more_threads_get_more_rows_at_once():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = rows_at_once(torch.device("cpu"))
        torch.set_num_threads(3)
        assert rows_at_once(torch.device("cpu")) == 3 * one
    finally:
        torch.set_num_threads(before)
