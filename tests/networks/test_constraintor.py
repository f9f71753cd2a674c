"""The constraintor: what its loss asks of normal and abnormal residuals."""

import pytest
import torch

from acr_sklearn.networks.constraintor import Constraintor, constraint_loss, radius_of

ABNORMAL = torch.tensor([False, True])


def rows(normal, abnormal, width=4):
    return torch.stack([torch.full((width,), float(normal)), torch.full((width,), float(abnormal))])


def test_it_begins_as_the_identity():
    given = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Constraintor(4)(given), given)


def test_the_size_is_the_pseudo_radius():
    assert float(radius_of(torch.full((9,), 3.0))) == pytest.approx(1.0)
    assert float(radius_of(torch.zeros(9))) == pytest.approx(0.0, abs=1e-6)


def test_a_normal_row_within_and_an_unchanged_anomaly_beyond_pay_nothing():
    given = rows(0.0, 5.0)
    assert float(constraint_loss(given, given, ABNORMAL, 1.0)) == pytest.approx(0.0, abs=1e-6)


def test_each_side_pays_for_its_fault():
    good, before = rows(0.0, 5.0), rows(0.0, 5.0)
    far = float(constraint_loss(before, rows(9.0, 5.0), ABNORMAL, 1.0))
    further = float(constraint_loss(before, rows(20.0, 5.0), ABNORMAL, 1.0))
    assert 0 < far < further
    moved = float(constraint_loss(before, rows(0.0, 4.0), ABNORMAL, 1.0))
    assert moved == pytest.approx(1.0, abs=1e-4)  # the squared error; the direction is kept
    assert float(constraint_loss(before, rows(0.0, 4.0), ABNORMAL, 0.0)) < 1e-6
    near = constraint_loss(good, rows(0.0, 0.1), ABNORMAL, 0.0)
    assert float(near) > 0


@pytest.mark.parametrize("kind", [True, False])
def test_steps_of_one_kind_only_have_a_loss(kind):
    given = rows(1.0, 2.0)
    assert torch.isfinite(constraint_loss(given, given, torch.tensor([kind, kind]), 1.0))
