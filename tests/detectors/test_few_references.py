"""What holds references holds no more than it says: thresholds by their number, copies apart."""

import numpy as np
import pytest

from acr_sklearn import ResADDetector

RNG = np.random.default_rng(0)
SITES = [RNG.normal(RNG.normal(0, 4, 3), 1.0, (80, 3)) for _ in range(5)]


@pytest.fixture(scope="module")
def fitted():
    return ResADDetector(max_iter=20, n_blocks=1, random_state=0).fit(SITES)


def test_the_threshold_is_that_of_the_nearest_number(fitted):
    offsets = [fitted.adapt(SITES[0][:n]).offset_ for n in (1, 4, 5, 64)]
    assert offsets[1] == offsets[2]
    assert offsets[0] < offsets[1] < offsets[3]  # the fewer references, the further off normal rows


def test_it_follows_the_contamination(fitted):
    live = fitted.adapt(SITES[0][:4])
    before = live.offset_
    live.set_params(contamination=0.02)
    assert live.offset_ < before


def test_references_of_two_domains_are_refused():
    labelled = np.column_stack([np.concatenate(SITES), np.repeat(np.arange(5), 80)])
    detector = ResADDetector(max_iter=2, n_blocks=1, domain_column=3, random_state=0).fit(labelled)
    live = detector.adapt(labelled[:4])
    assert live.score_samples(labelled[:2]).shape == (2,)
    with pytest.raises(ValueError, match="rows of 2 domains"):
        detector.adapt(labelled[78:82])


def test_rows_given_twice_set_the_same_threshold(fitted):
    reference = np.random.default_rng(1).normal(2.0, 1.0, (200, 3))
    once, twice = fitted.adapt(reference), fitted.adapt(np.repeat(reference, 2, axis=0))
    assert once.offset_ == twice.offset_
    assert np.mean(twice.predict(reference + 0.01) == -1) < 0.3


def test_many_references_of_small_training_domains_set_their_own_threshold():
    small = ResADDetector(max_iter=10, n_blocks=1, random_state=0).fit([s[:16] for s in SITES])
    reference = np.random.default_rng(1).normal(2.0, 1.0, (40, 3))
    live = small.adapt(reference)
    # None of the training domains had more than 8 rows to be references.
    expected = np.quantile(-small._scorer.batch(reference), 0.1)
    assert live.offset_ == pytest.approx(expected, rel=0.05)
    assert live.offset_ != small.adapt(reference[:5]).offset_
