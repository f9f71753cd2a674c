"""Training over residuals: held-out domains, levels by number, one seed, known anomalies."""

import numpy as np
import pytest
import torch

from acr_sklearn._input.known_anomalies import KnownAnomalies, TrainingRows
from acr_sklearn.networks.residuals import Converter
from acr_sklearn.tasks.outliers import SyntheticOutliers
from acr_sklearn.training.residual_training import (
    REFERENCE_NUMBERS,
    ResidualPlan,
    train_residuals,
)
from acr_sklearn.training.settings import TrainingSettings


def data(n_domains=5, known=None):
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(rng.normal(0, 5, 3), 1.0, (40, 3)) for _ in range(n_domains)])
    index = np.repeat(np.arange(n_domains), 40)
    return TrainingRows(rows, index, np.arange(n_domains), True, known)


def trained(rows, held_out=(), max_iter=6, seed=0):
    plan = ResidualPlan(Converter(), max_iter, 1, 0.0, True, 1.0, None, SyntheticOutliers())
    settings = TrainingSettings(seed=seed, learning_rate=4e-3)
    return train_residuals(rows, np.array(held_out, dtype=np.int64), plan, settings)


def weights(found):
    return torch.cat([p.detach().flatten() for p in found.fitted.net.module_.parameters()])


def test_one_seed_one_network():
    one, same, other = (trained(data(), seed=seed) for seed in (0, 0, 1))
    torch.testing.assert_close(weights(one), weights(same))
    assert not torch.equal(weights(one), weights(other))
    np.testing.assert_array_equal(one.levels[4], same.levels[4])


def test_held_out_domains_judge_every_evaluation():
    found = trained(data(), held_out=[4])
    assert all(0 <= row["valid_auc"] <= 1 for row in found.fitted.history)
    assert "valid_auc" not in trained(data()).fitted.history[0]


def test_weights_do_not_depend_on_held_out_rows_beyond_the_units():
    rows = data()
    other = rows.rows.copy()
    other[rows.index == 4] = rows.rows[rows.index == 4][::-1]
    changed = TrainingRows(other, rows.index, rows.labels, True)
    # Held out, their order decides nothing but which of them judge.
    one, two = (trained(part, [4], 1) for part in (rows, changed))
    torch.testing.assert_close(weights(one), weights(two), rtol=1e-4, atol=1e-5)


def test_levels_fall_with_the_number_of_references():
    levels = trained(data(), max_iter=30).levels
    assert tuple(levels) == REFERENCE_NUMBERS[:5]  # half of the 40 rows of a domain, at most
    assert all(np.isfinite(scores).all() for scores in levels.values())
    assert np.median(levels[1]) > np.median(levels[16])


def test_known_anomalies_change_what_is_learnt():
    known = KnownAnomalies(np.full((3, 3), 40.0), np.array([0, 0, 2]))
    assert not torch.equal(weights(trained(data())), weights(trained(data(known=known))))


def test_rates_too_high_are_an_error():
    plan = ResidualPlan(Converter(), 30, 1, 0.0, True, 1.0, None, SyntheticOutliers())
    settings = TrainingSettings(seed=0, learning_rate=1e25)
    with pytest.raises(ValueError, match="became nan"):
        train_residuals(data(), np.empty(0, np.int64), plan, settings)
