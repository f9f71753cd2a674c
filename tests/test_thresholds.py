import numpy as np
import pytest

from acr_sklearn.thresholds import calibration_batches, contamination_offset


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
