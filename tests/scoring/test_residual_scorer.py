"""Rows under references, and batches that are their own: order, chunks, precision, purity."""

import numpy as np
import pytest
import torch

from acr_sklearn._input.chunks import Chunks
from acr_sklearn.domains.feature_scale import FeatureScale
from acr_sklearn.networks.residual_network import ResidualNetwork
from acr_sklearn.networks.residuals import Converter
from acr_sklearn.scoring import residual_scorer
from acr_sklearn.scoring.residual_scorer import ResidualScorer

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(40, 3)).round(1)  # many equal distances


@pytest.fixture
def scorer():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ResidualNetwork(3).double().eval()
    scale = FeatureScale(np.array([1.0, 0.0, 0.0]), np.array([1.0, 2.0, 1.0]))
    return ResidualScorer(network, scale, Converter())


def test_a_batch_scores_alike_in_any_order(scorer):
    order = RNG.permutation(len(ROWS))
    np.testing.assert_allclose(scorer.batch(ROWS)[order], scorer.batch(ROWS[order]), rtol=1e-12)


def test_each_row_of_a_batch_is_held_against_the_others(scorer):
    scores = scorer.batch(ROWS)
    for i in (0, 17, 39):
        others = torch.from_numpy(scorer.standardized(np.delete(ROWS, i, axis=0)))
        alone = scorer.singly(Chunks(ROWS[[i]], 10), others)
        # Of equally near ones another may be taken.
        if len(np.unique(np.linalg.norm(np.delete(ROWS, i, 0) - ROWS[i], axis=1))) == 39:
            np.testing.assert_allclose(scores[i], alone[0], rtol=1e-9)
        assert np.isfinite(alone).all()


def test_chunks_change_nothing(scorer, monkeypatch):
    references = scorer.references(ROWS[:5])
    whole, batch = scorer.singly(Chunks(ROWS, 40), references), scorer.batch(ROWS)
    monkeypatch.setattr(residual_scorer, "_ROWS", 7)
    np.testing.assert_allclose(scorer.singly(Chunks(ROWS, 7), references), whole, rtol=1e-12)
    np.testing.assert_allclose(scorer.batch(ROWS), batch, rtol=1e-12)


def test_equal_references_count_once_and_their_order_not(scorer):
    one = scorer.references(ROWS[[3, 1, 3, 3]])
    torch.testing.assert_close(one, scorer.references(ROWS[[1, 3]]))
    assert len(one) == 2


def test_of_a_large_batch_a_part_is_the_reference(scorer, monkeypatch):
    rows = RNG.normal(size=(300, 3))
    rows[7] = 30.0
    monkeypatch.setattr(residual_scorer, "_MOST_REFERENCES", 50)
    scores = scorer.batch(rows)
    assert np.isfinite(scores).all()
    assert np.argmax(scorer.singly(Chunks(rows, 300), scorer.references(rows[8:60]))) == 7


def test_equal_rows_of_a_large_batch_score_alike(scorer, monkeypatch):
    rows = np.concatenate([ROWS[:20], RNG.normal(size=(100, 3)), ROWS[:20]])
    monkeypatch.setattr(residual_scorer, "_MOST_REFERENCES", 50)
    scores = scorer.batch(rows)
    np.testing.assert_allclose(scores[:20], scores[-20:], rtol=1e-12)


def test_standardized_rows_come_back(scorer):
    np.testing.assert_allclose(scorer.users(scorer.standardized(ROWS)), ROWS, atol=1e-12)


def test_scoring_leaves_no_trace(scorer):
    before = {name: value.clone() for name, value in scorer.network.state_dict().items()}
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    scorer.batch(ROWS)
    for name, value in scorer.network.state_dict().items():
        assert torch.equal(value, before[name])
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)


def test_far_values_score_as_numbers(scorer):
    rows = ROWS.copy()
    rows[0] = 1e300
    assert np.isfinite(scorer.batch(rows)).all()
