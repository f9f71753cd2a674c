"""How a call becomes scores: precision, copies of a reference, one batch against several."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from acr_sklearn._input.chunks import Chunks
from acr_sklearn.detectors._reference_state import Reference


@pytest.fixture
def fresh(make_domain):
    return make_domain(77, n_rows=90)


@pytest.mark.parametrize("head", ["combined", "objective", "neighbors", "mahalanobis"])
def test_a_reference_scores_in_the_precision_of_the_rows(quick, domains, fresh, head):
    detector = quick(score_head=head).fit(domains)
    fixed = detector.freeze(fresh)
    reference = Reference(fixed, fresh[:5])
    exact = reference.score(Chunks(fresh, 20))
    single = reference.score(Chunks(fresh.astype(np.float32), 20))
    np.testing.assert_allclose(exact, -detector.score_samples(fresh), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(single, exact, rtol=2e-3, atol=2e-3)
    assert np.abs(single - exact).max() > 1e-12
    assert all(p.dtype.is_floating_point is False or p.itemsize == 8 for p in fixed.buffers())


@pytest.mark.parametrize("limits", [{"chunk_size": 16}, {"chunk_size": 1000}])
def test_chunks_change_no_score(quick, domains, fresh, limits):
    plain, cut = quick().fit(domains), quick(**limits).fit(domains)
    np.testing.assert_allclose(
        cut.score_samples(fresh), plain.score_samples(fresh), rtol=1e-9, atol=1e-9
    )
    X, site = np.concatenate([fresh, fresh[:40] + 9]), np.repeat([0, 1], [90, 40])
    expected = plain.score_samples(X, domains=site)
    np.testing.assert_allclose(cut.score_samples(X, domains=site), expected, rtol=1e-9, atol=1e-9)


def test_statistics_of_a_sample_rank_as_those_of_all_rows(quick, domains, make_domain):
    X = make_domain(77, n_rows=4000)
    X[:100] += 6 * X.std(axis=0)
    whole = quick(max_iter=40).fit(domains)
    sampled = quick(max_iter=40, max_reference_rows=1000).fit(domains)
    a, b = whole.score_samples(X), sampled.score_samples(X)
    assert not np.array_equal(a, b)
    assert np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1] > 0.9
    y = np.arange(4000) < 100
    assert abs(roc_auc_score(y, -a) - roc_auc_score(y, -b)) < 0.01
    # A sample as large as the batch is the batch.
    same = quick(max_iter=40, max_reference_rows=4000).fit(domains)
    np.testing.assert_allclose(same.score_samples(X), a, rtol=1e-9)


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")
def test_no_score_is_a_negative_zero(fitted):
    scores = fitted.score_samples(np.full((30, 5), 3.0))
    assert not np.signbit(scores[scores == 0]).any()
