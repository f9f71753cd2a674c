import numpy as np
import pytest
import torch

from acr_sklearn.scoring.trimming import most_normal, round_down


def test_most_normal_keeps_the_share_that_scores_lowest():
    scores = torch.from_numpy(
        np.random.default_rng(0).permutation(100).reshape(2, 50).astype(float)
    )
    kept = most_normal(scores, 0.25)
    assert kept.sum(dim=1).tolist() == [38, 38]  # 12 of 50 rows left out
    for row, own in zip(scores, kept, strict=True):
        assert row[own].max() < row[~own].min()


def test_rows_that_score_alike_share_their_fate():
    scores = torch.tensor([[1.0, 2.0, 3.0, 3.0, 3.0, 3.0, 9.0, 9.0]])
    assert most_normal(scores, 0.5).tolist() == [[True] * 6 + [False] * 2]
    rounded = scores + torch.tensor([[0, 0, 0, 1e-7, 2e-7, 3e-7, 0, 0]])
    assert torch.equal(most_normal(rounded, 0.5), most_normal(scores, 0.5))
    assert most_normal(torch.ones(1, 8), 0.25).all()


@pytest.mark.parametrize(
    ("fraction", "n_rows", "expected"),
    [
        (0.25, 2, 0),
        (0.25, 3, 0),
        (0.25, 4, 1),
        (0.49, 3, 1),
        (0.29, 100, 29),  # 28.999999999999996 in floating point
        (0.9, 4, 2),
        (0.9, 2, 0),
        (0, 9, 0),
    ],
)
def test_whole_rows_are_left_out_and_two_always_stay(fraction, n_rows, expected):
    assert round_down(fraction, n_rows) == expected
