"""One huge row leaves the differences between the others, and is itself beyond all."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from acr_sklearn.scoring.gross_values import clip_gross, gross_bounds

HUGE = [1e4, 1e6, 1e12, 1e30]


def batch(make_domain, n_rows, dtype):
    """A batch of an unseen domain: every tenth row is an anomaly, row 7 is to be the huge one."""
    X = make_domain(77, n_rows=n_rows)
    anomalous = np.arange(n_rows) % 10 == 3
    X[anomalous] += np.random.default_rng(0).choice([-1, 1], (anomalous.sum(), 5)) * 6.0
    return X.astype(dtype), anomalous


@pytest.mark.parametrize("value", [*HUGE, 1e300])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("columns", [[2], slice(None)], ids=["one column", "all"])
@pytest.mark.parametrize("n_rows", [40, 120, 600])
def test_a_huge_row_leaves_the_others_their_ranks(
    fitted, make_domain, value, dtype, columns, n_rows
):
    value = min(value, 1e36) if dtype == np.float32 else value
    X, anomalous = batch(make_domain, n_rows, dtype)
    others = np.arange(n_rows) != 7
    alone = -fitted.score_samples(X)
    X[7, columns] = value
    scores = -fitted.score_samples(X)
    assert scores.argmax() == 7
    quality = [roc_auc_score(anomalous[others], s[others]) for s in (alone, scores)]
    assert quality[1] > quality[0] - 0.03
    spread = [
        np.subtract(*np.percentile(s[~anomalous & others], [75, 25])) for s in (alone, scores)
    ]
    assert spread[1] > 0.05 * spread[0]


def test_every_way_to_score_the_batch_agrees(fitted, make_domain, quick):
    X, _ = batch(make_domain, 120, np.float64)
    X[7] = 1e12
    whole = fitted.score_samples(X)
    both = fitted.score_samples([X, make_domain(5)])
    np.testing.assert_allclose(both[:120], whole, rtol=1e-7)
    rows = X[::-1].copy()
    np.testing.assert_allclose(fitted.score_samples(rows)[::-1], whole, rtol=1e-7)
    module = fitted.freeze(X)
    np.testing.assert_allclose(-module(torch.from_numpy(X)).numpy(), whole, rtol=1e-6)
    live = fitted.adapt(X)
    np.testing.assert_allclose(live.score_samples(X[:3]), live.score_samples(X)[:3], rtol=1e-7)


def test_chunks_agree_with_the_whole(quick, domains, make_domain):
    X, _ = batch(make_domain, 120, np.float64)
    X[7] = 1e12
    whole, chunked = (
        quick(**chunks).fit(domains).score_samples(X) for chunks in ({}, {"chunk_size": 50})
    )
    np.testing.assert_allclose(chunked, whole, rtol=1e-5)


@pytest.mark.parametrize("n_rows", [2, 3, 30, 255, 257, 2048])
@pytest.mark.parametrize("kind", ["normal", "lognormal", "standard_exponential"])
def test_ordinary_batches_are_not_touched(n_rows, kind):
    X = getattr(np.random.default_rng(0), kind)(size=(3, n_rows, 6))
    assert clip_gross(X) is X
    idle = np.where(np.random.default_rng(1).random(X.shape) < 0.95, 0.0, X)
    assert clip_gross(idle) is idle


def test_only_gross_values_are_bounded_where_they_still_lead():
    X = np.random.default_rng(0).normal(size=(2, 300, 3))
    X[1, 5, 2], X[1, 6, 2] = 1e9, -1e9
    low, high = gross_bounds(X)
    assert np.isinf(low[0]).all()
    assert np.isinf(high[1, :2]).all()
    clipped = clip_gross(X)
    assert (clipped != X).sum() == 2
    assert clipped[1, 5, 2] == high[1, 2] == clipped[1, :, 2].max() > 50
    assert clipped[1, 6, 2] == low[1, 2] == clipped[1, :, 2].min() < -50
    again = clip_gross(X[:, ::-1])[:, ::-1]
    np.testing.assert_array_equal(again, clipped)
