"""Rows that are equal, as those of an idle machine: scores stay on one scale however many."""

import numpy as np
import pytest

from acr_sklearn import ZeroShotACRDetector

pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")
N_ROWS, N_ANOMALIES = 200, 5
FITTED = {}


def site(idle, seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 3, 5) + rng.normal(size=(N_ROWS, 5))
    rows[: round(idle * N_ROWS)] = rows.mean(axis=0) - 2
    return rows


def fitted(idle):
    if idle not in FITTED:
        sites = [site(idle, seed) for seed in range(8)]
        FITTED[idle] = ZeroShotACRDetector(max_iter=20, random_state=0).fit(sites)
    return FITTED[idle]


def new_site(idle):
    rows = site(idle, 99)
    rows[-N_ANOMALIES:, 0] += 6
    return rows, np.arange(N_ROWS) < round(idle * N_ROWS)


@pytest.mark.parametrize("idle", [0.0, 0.2, 0.4, 0.49, 0.51, 0.6, 0.8, 0.9, 0.95])
def test_scores_stay_on_one_scale(idle):
    rows, still = new_site(idle)
    scores = fitted(0.0).score_samples(rows)
    moving = ~still[:-N_ANOMALIES]
    normal, anomalous = scores[:-N_ANOMALIES][moving], scores[-N_ANOMALIES:]
    assert abs(np.median(normal)) < 0.5
    assert np.abs(scores).max() < 5
    assert np.median(anomalous) < np.median(normal) - 0.4
    if still.any():
        assert scores[still].min() > np.median(normal)


@pytest.mark.parametrize(
    ("trained", "new"), [(0.0, 0.6), (0.4, 0.4), (0.4, 0.6), (0.4, 0.8), (0.6, 0.4), (0.6, 0.0)]
)
def test_the_threshold_of_fit_serves_with_other_shares(trained, new):
    rows, still = new_site(new)
    flagged = fitted(trained).predict(rows) == -1
    # A tenth of the training rows, none of them idle, lie below the threshold.
    expected = 0.1 * np.mean(~still) / (1 - trained)
    assert flagged[-N_ANOMALIES:].all()
    assert not flagged[still].any()
    assert flagged[:-N_ANOMALIES].mean() < expected + 0.06
