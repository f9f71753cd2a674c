import numpy as np
import pytest
import torch

from acr_sklearn.scoring.robust_scale import RobustLogScale, robust_z_scores

RNG = np.random.default_rng(0)


def test_robust_z_is_the_log_distance_over_median_and_mad():
    distances = torch.from_numpy(RNG.lognormal(size=(2, 101)))
    logs = np.log(distances.numpy())
    centred = logs - np.median(logs, axis=1, keepdims=True)
    mad = np.median(np.abs(centred), axis=1, keepdims=True)
    np.testing.assert_allclose(
        robust_z_scores(distances).numpy(), centred / (1.4826 * mad), atol=1e-4
    )
    np.testing.assert_allclose(
        robust_z_scores(50 * distances), robust_z_scores(distances), atol=1e-8
    )


@pytest.mark.parametrize("values", [[0.0] * 5, [3.0] * 5, [0, 0, 0, 0, 9.0], [0, 1, 1, 1, 1.0]])
def test_robust_z_stays_finite(values):
    z = robust_z_scores(torch.tensor([values], dtype=torch.float64))
    assert torch.isfinite(z).all()
    assert (z == 0).all() == (len(set(values)) == 1)


def test_many_equal_rows_make_the_others_stand_out_in_no_unit():
    distances = torch.zeros(1, 100, dtype=torch.float64)
    distances[0, 51:] = torch.linspace(0.5, 2.0, 49)
    torch.testing.assert_close(robust_z_scores(distances), robust_z_scores(1000 * distances))


def test_a_scale_measured_on_some_rows_serves_others():
    some, others = torch.from_numpy(RNG.lognormal(size=(2, 1, 50)))
    together = RobustLogScale.of(some).standardise(torch.cat([some, others], dim=1))
    torch.testing.assert_close(together[:, :50], robust_z_scores(some))


@pytest.mark.parametrize("share", [0.1, 0.4, 0.5, 0.6, 0.8, 0.95])
@pytest.mark.parametrize("idle", [0.0, 1.7])
def test_equal_rows_leave_the_scores_of_the_others_on_their_scale(share, idle):
    moving = torch.from_numpy(np.random.default_rng(1).lognormal(size=(1, 200)))
    n_idle = round(200 * share / (1 - share))
    batch = torch.cat([torch.full((1, n_idle), idle, dtype=torch.float64), moving], dim=1)
    z = robust_z_scores(batch)
    torch.testing.assert_close(z[:, n_idle:], robust_z_scores(moving), atol=0.1, rtol=0.05)
    assert (z[:, :n_idle] < 1).all()


def test_two_values_differ_by_no_more_than_a_unit_or_two():
    z = robust_z_scores(torch.tensor([[0.0] * 190 + [2.0] * 10], dtype=torch.float64))
    assert z.abs().max() < 2
