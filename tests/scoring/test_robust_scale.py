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
