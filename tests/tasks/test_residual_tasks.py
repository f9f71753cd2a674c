"""Tasks of residuals: what is drawn from where, again and again alike."""

import numpy as np
import pytest
import torch

from acr_sklearn.networks.residuals import Converter
from acr_sklearn.tasks.outliers import MIXED, SyntheticOutliers
from acr_sklearn.tasks.residual_tasks import ResidualSampler, ResidualTasks, TaskContents
from acr_sklearn.tasks.sampler import TaskPool
from acr_sklearn.tasks.settings import OutlierMix

SIZES = [30, 40, 3]


def sampler(mix=MIXED, known=None, source=None, domains=(0, 1, 2), others=(0, 1, 2)):
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(100.0 * i, 1.0, (n, 2)) for i, n in enumerate(SIZES)])
    index = np.repeat(np.arange(3), SIZES)
    pool = TaskPool(rows, index, None, torch.device("cpu"))
    known = known or [np.empty((0, 2), np.float32)] * 3
    contents = TaskContents(pool, known, Converter(), mix, source or SyntheticOutliers())
    return ResidualSampler(contents, np.array(domains), np.array(others), seed=0)


def test_a_step_is_a_stack_of_tasks_half_of_whose_rows_are_abnormal():
    signs, is_outlier = sampler().draw(0)
    assert signs.shape == (8, 48, 2, 5)
    assert torch.isfinite(signs).all()
    assert (is_outlier.sum(1) == 24).all()


def test_a_step_is_what_its_number_says():
    one, other = sampler(), sampler()
    one.draw(5)
    torch.testing.assert_close(one.draw(7)[0], other.draw(7)[0])
    assert not torch.equal(one.draw(7)[0], one.draw(8)[0])


def test_rows_of_other_domains_lie_far_off_and_none_is_the_tasks_own():
    signs, is_outlier = sampler(OutlierMix()).draw(0)
    far = signs[..., 0].sinh().amax(-1)
    assert far[is_outlier].min() > 50
    assert far[~is_outlier].max() < 10


def test_mixed_rows_lie_between():
    signs, is_outlier = sampler(OutlierMix(mixed=1.0)).draw(0)
    far = signs[..., 0].sinh().amax(-1)[is_outlier]
    assert far.min() < 30 < far.max()


def test_references_vary_in_number_and_none_is_a_row():
    own = sampler()
    rng = np.random.default_rng(0)
    numbers = set()
    for _ in range(50):
        references, rows = own.references_and_rows(1, None, 24, rng)
        numbers.add(len(references))
        assert not (references[:, None] == rows).all(-1).any()
    assert min(numbers) == 1
    assert max(numbers) == 20
    assert len(own.references_and_rows(2, 64, 24, rng)[0]) == 1
    assert len(own.references_and_rows(0, 4, 24, rng)[1]) == 24


def test_known_anomalies_are_drawn_and_moved_to_the_domain():
    known = [np.empty((0, 2), np.float32), np.full((2, 2), 107.0, np.float32), *[np.empty((0, 2))]]
    own = sampler(OutlierMix(synthetic=1.0), known)
    rng = np.random.default_rng(0)
    assert (own._known(1, rng) == 107.0).all()
    moved = own._known(0, rng)
    np.testing.assert_allclose(moved, 7.0, atol=1.0)
    signs, is_outlier = own.draw(0)
    assert signs[..., 0][is_outlier].median() > signs[..., 0][~is_outlier].median()


class Short:
    def sample(self, X, domain_index, n, rng):
        return X[:2]


def test_a_source_must_return_what_was_asked_for():
    own = sampler(OutlierMix(synthetic=1.0), source=Short())
    with pytest.raises(ValueError, match=r"returned an array of shape \(2, 2\).*\(24, 2\)"):
        own.draw(0)


def test_a_stream_goes_on_or_repeats():
    steps = ResidualTasks(sampler(), 2, limit=3)
    assert [len(list(steps)), len(list(steps)), len(steps)] == [2, 1, 0]
    judged = ResidualTasks(sampler(), 2, first_step=9)
    first, again = ([s[0] for s in judged] for _ in range(2))
    torch.testing.assert_close(first, again)
