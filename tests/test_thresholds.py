import numpy as np
import pytest

from acr_sklearn.thresholds import (
    batch_offsets,
    calibration_batches,
    compact_scores,
    contamination_offset,
    estimate_contamination,
    mad_offset,
    normal_scores,
)

NORMAL = np.sort(np.random.default_rng(7).normal(size=2000))


def test_offset_flags_the_share_asked_for():
    scores = np.random.default_rng(0).normal(size=1000)
    assert (scores < contamination_offset(scores, 0.1)).mean() == pytest.approx(0.1)


def test_batches_are_disjoint_and_stay_in_their_domain():
    domains = [np.arange(600), np.arange(600, 700), np.arange(700, 702)]
    batches = calibration_batches(domains, np.random.default_rng(0))
    assert [len(batch) for batch in batches] == [256, 256, 100, 2]
    assert len(np.unique(np.concatenate(batches))) == 614
    for batch, domain in zip(batches, [0, 0, 1, 2], strict=True):
        assert np.isin(batch, domains[domain]).all()


# ------------------------------------------------------------------ one offset per batch


def flagged(scores, contamination, calibration=NORMAL):
    scores = np.asarray(scores, dtype=float)
    return scores < batch_offsets(scores, [np.arange(len(scores))], contamination, calibration)


def test_each_batch_is_cut_at_its_own_percentile():
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(size=200), 100 + rng.normal(size=100)])
    order = rng.permutation(300)
    batches = [np.flatnonzero(order < 200), np.flatnonzero(order >= 200)]
    offsets = batch_offsets(scores[order], batches, 0.1, NORMAL)
    for rows in batches:
        own = scores[order][rows]
        assert set(offsets[rows]) == {np.percentile(own, 10)}
        assert (own < offsets[rows]).mean() == pytest.approx(0.1)


@pytest.mark.parametrize("n", [2, 3, 7, 10, 15, 100])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.29, 0.3, 0.5])
def test_at_most_the_share_is_cut_off_when_scores_tie(n, share):
    rng = np.random.default_rng(n)
    assert flagged(rng.permutation(n), share).sum() == np.ceil(share * (n - 1))
    for _ in range(20):
        tied = rng.integers(0, 3, n)
        assert flagged(tied, share).sum() <= np.ceil(share * (n - 1))


@pytest.mark.parametrize("contamination", [0.1, 0.5, "auto"])
def test_equal_scores_are_all_normal(contamination):
    for value in (-1e9, 0.0, 0.1, 1e9):
        assert not flagged(np.full(30, value), contamination).any()


def test_the_lowest_rows_are_cut_off_as_many_as_estimated():
    rng = np.random.default_rng(1)
    scores = np.concatenate([rng.normal(size=180), rng.normal(-20, 1, 20)])
    share = estimate_contamination(scores, NORMAL)
    assert 0.09 < share < 0.12
    cut = flagged(scores, "auto")
    assert cut[180:].all()
    assert cut.mean() == pytest.approx(share, abs=1 / 200)


def test_an_estimate_of_zero_flags_no_row():
    scores = np.quantile(NORMAL, np.linspace(0.2, 0.9, 50))
    assert estimate_contamination(scores, NORMAL) == 0
    assert not flagged(scores, "auto").any()


# ------------------------------------------------------------------ the estimated share


def slow_share(scores, calibration):
    """The formula, for every cut between two p-values, by counting."""
    n, m = len(scores), len(calibration)
    p = [(1 + sum(c <= s for c in calibration)) / (m + 1) for s in scores]
    best = 0.0
    for t in p:
        if t <= 0.1:
            below = sum(q <= t for q in p) / n
            off = 0.25 * (t * (1 - t)) ** 0.5 * (1 / n + 1 / m) ** 0.5
            best = max(best, (below - t - off) / (1 - t))
    return min(best, 0.5)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n", [2, 9, 60])
def test_the_estimate_is_the_formula(seed, n):
    rng = np.random.default_rng(seed)
    calibration = np.sort(rng.normal(size=90)).round(1)
    scores = np.concatenate([rng.normal(size=n - n // 3), rng.normal(-2, 1, n // 3)]).round(1)
    assert estimate_contamination(scores, calibration) == pytest.approx(
        slow_share(scores, calibration)
    )


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.45])
def test_the_estimate_finds_anomalies_that_stand_out(share):
    rng = np.random.default_rng(0)
    n = round(share * 2000)
    scores = np.concatenate([rng.normal(size=2000 - n), rng.normal(-30, 1, n)])
    assert estimate_contamination(scores, NORMAL) == pytest.approx(share, abs=0.02)


def test_the_estimate_stays_within_its_bounds():
    assert estimate_contamination(np.full(40, -50.0), NORMAL) == 0.5
    assert estimate_contamination(np.full(40, 50.0), NORMAL) == 0
    assert estimate_contamination(np.array([-50.0, 0.0]), NORMAL) == pytest.approx(0.5, abs=0.01)
    assert estimate_contamination(np.full(40, -50.0), NORMAL[:8]) == 0


# ------------------------------------------------------------------ calibration scores


def test_auto_cuts_calibration_scores_at_the_modified_z_score():
    scores = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -30.0])
    offset = contamination_offset(scores, "auto")
    assert 0.6745 * (offset - 3.0) / 2.0 == pytest.approx(-3.5)
    assert (scores < offset).sum() == 1


def test_auto_flags_no_calibration_row_where_most_scores_are_equal():
    scores = np.array([-5.0, 1.0, 1.0, 1.0, 7.0])
    assert mad_offset(scores) == -5
    assert mad_offset(np.zeros(2)) == 0


def test_many_calibration_scores_are_kept_as_quantiles():
    scores = np.random.default_rng(0).normal(size=50_000).astype(np.float32)
    kept = compact_scores(scores)
    assert kept.shape == (4096,)
    assert kept.dtype == np.float64
    assert (np.diff(kept) >= 0).all()
    for share in (0.01, 0.1, 0.5):
        assert (scores <= np.quantile(kept, share)).mean() == pytest.approx(share, abs=1e-3)
    np.testing.assert_array_equal(compact_scores([3.0, 1.0, 2.0]), [1.0, 2.0, 3.0])


def test_the_outlier_rule_cuts_off_at_most_a_tenth():
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(0, 0.01, 700), rng.normal(-3, 1, 300)])
    assert 0 < (scores < mad_offset(scores)).mean() <= 0.1
    assert np.count_nonzero(mad_offset(NORMAL) > NORMAL) < 20


# ------------------------------------------------------------------ scores of a reference


@pytest.mark.parametrize("share", [0.1, 0.2, 0.4])
def test_evident_anomalies_are_left_out_of_a_reference(share):
    rng = np.random.default_rng(0)
    n = round(share * 200)
    normal = rng.normal(size=200 - n)
    kept = normal_scores(rng.permutation(np.r_[normal, rng.normal(-9, 0.1, n)]), NORMAL)
    assert kept.min() > -5
    assert len(kept) == pytest.approx(200 - n, abs=6)
    assert contamination_offset(kept, 0.1) == pytest.approx(np.percentile(normal, 10), abs=0.15)


def test_nearly_every_clean_reference_is_kept_whole():
    rng = np.random.default_rng(0)
    references = [rng.normal(size=200) for _ in range(50)]
    assert sum(normal_scores(scores, NORMAL) is scores for scores in references) >= 48


def test_a_clean_reference_somewhat_unlike_the_training_keeps_its_percentile():
    rng = np.random.default_rng(0)
    below = []
    for _ in range(50):
        scores = rng.normal(-0.1, 1.05, 200)
        below.append(np.mean(scores < contamination_offset(normal_scores(scores, NORMAL), 0.1)))
    assert np.mean(below) == pytest.approx(0.1, abs=0.01)


def test_at_least_half_of_a_reference_is_kept():
    assert len(normal_scores(np.full(40, -50.0), NORMAL)) == 20
    assert len(normal_scores(np.full(40, -50.0), NORMAL[:8])) == 40
