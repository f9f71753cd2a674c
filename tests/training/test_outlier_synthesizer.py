import copy

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.outliers import OutlierSource, OutlierSynthesizer
from acr_sklearn.training.outlier_synthesizer import draw_seed


def fitted(X, **changes):
    return OutlierSynthesizer(**({"max_iter": 60, "random_state": 0} | changes)).fit(X)


def test_outliers_lie_around_the_mean_of_the_domain_and_further_out(domains):
    source = fitted(domains)
    assert isinstance(source, OutlierSource)
    own = domains[2]
    made = source.sample(own, 2, 400, np.random.default_rng(0))
    assert made.shape == (400, 5)
    np.testing.assert_allclose(made.mean(axis=0), own.mean(axis=0), atol=own.std(axis=0).max())
    spread = np.abs(made - own.mean(axis=0)).mean(axis=0) / np.abs(own - own.mean(axis=0)).mean(
        axis=0
    )
    assert 1.1 < spread.mean() < 4


def test_a_seed_decides_all(domains):
    made = [
        fitted(domains, random_state=seed).sample(domains[0], 0, 9, np.random.default_rng(0))
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_it_is_a_source_of_the_zero_shot_detector_and_stays_fitted_in_clones(
    domains, make_domain, quick
):
    fresh = make_domain(50)
    source = fitted(domains)
    detector = quick(outlier_source=source)
    scores = detector.fit(domains).score_samples(fresh)
    np.testing.assert_allclose(clone(detector).fit(domains).score_samples(fresh), scores)
    other = quick(outlier_source="synthetic").fit(domains).score_samples(fresh)
    assert not np.allclose(scores, other)


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
def test_a_single_data_set_is_enough(domains):
    source = fitted(domains[0])
    detector = ZeroShotACRDetector(outlier_source=source, max_iter=5, random_state=0)
    assert np.isfinite(detector.fit(domains[0]).score_samples(domains[1])).all()


def test_what_cannot_be_used_is_refused_with_a_remedy(domains):
    with pytest.raises(NotFittedError, match=r"before fit\. Call fit with the normal rows"):
        OutlierSynthesizer().sample(domains[0], 0, 3, np.random.default_rng(0))
    with pytest.raises(ValueError, match="rows of 4 features, but was fitted on 5"):
        fitted(domains).sample(domains[0][:, :4], 0, 3, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"got 1 sample\. .* hundred normal rows"):
        fitted(domains[0][:1])
    with pytest.raises(ValueError, match="'n_latent' parameter"):
        fitted(domains, n_latent=0)


def test_training_rows_and_the_generators_of_others_stay(domains):
    before = copy.deepcopy(domains)
    state = np.random.get_state()[1].copy()
    source = fitted(domains)
    source.sample(domains[0], 0, 20, np.random.default_rng(0))
    assert all(map(np.array_equal, domains, before))
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    assert draw_seed(np.random.RandomState(3)) == draw_seed(np.random.RandomState(3))
    draw_seed(None)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
