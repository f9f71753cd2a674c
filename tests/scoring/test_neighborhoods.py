import numpy as np
import pytest
import torch

from acr_sklearn.scoring.neighborhoods import Neighborhoods

WIDTH = 6
WIDTHS = (3, 0.1, 0.3)
each_metric = pytest.mark.parametrize("manhattan", [False, True])
NONE = -1


def batch(n_rows=80, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n_rows, WIDTH)))


def everywhere(n_rows):
    return torch.arange(n_rows)


def by_brute_force(rows, x, own, counts, manhattan, kept=None):
    out = []
    for row, itself in zip(x.numpy(), own.tolist(), strict=True):
        barred = {itself} | (set() if kept is None else set(np.flatnonzero(~kept.numpy())))
        others = np.delete(rows.numpy(), sorted(barred - {NONE}), axis=0)
        distances = np.sort(np.linalg.norm(others - row, ord=1 if manhattan else 2, axis=1))
        out.append([distances[:count].mean() for count in counts])
    return np.array(out).T


def check(neighborhoods, x, own, expected, rtol=1e-9):
    """Both ways to measure, the differentiable and the fast one."""
    with torch.no_grad():
        for way in (neighborhoods, neighborhoods.measure):
            np.testing.assert_allclose(way(x, own), expected, rtol=rtol, atol=1e-12)


@each_metric
def test_a_batch_is_measured_as_by_brute_force_without_the_rows_themselves(manhattan):
    rows, own = batch(), everywhere(80)
    # A tenth and three tenths of the 79 others.
    expected = by_brute_force(rows, rows, own, (3, 8, 24), manhattan)
    check(Neighborhoods(rows, WIDTHS, manhattan=manhattan), rows, own, expected)


@each_metric
def test_other_rows_have_all_fixed_rows_for_neighbours(manhattan):
    rows, x = batch(), batch(9, seed=1)
    own = torch.full((9,), NONE)
    own[4] = 17
    expected = by_brute_force(rows, x, own, (3, 8, 24), manhattan)
    check(Neighborhoods(rows, WIDTHS, manhattan=manhattan), x, own, expected)


@each_metric
def test_barred_rows_are_no_neighbours_and_do_not_count(manhattan):
    rows, own, kept = batch(), everywhere(80), torch.arange(80) % 4 > 0
    expected = by_brute_force(rows, rows, own, (3, 6, 18), manhattan, kept)
    check(Neighborhoods(rows, WIDTHS, manhattan=manhattan, kept=kept), rows, own, expected)


def test_a_gross_barred_row_costs_the_others_no_digit():
    rows, own, kept = batch(), everywhere(80), torch.arange(80) > 0
    expected = by_brute_force(rows, rows, own, (3, 8, 23), False, kept)[:, 1:]
    rows[0] = 1e20
    neighborhoods = Neighborhoods(rows, WIDTHS, kept=kept)
    check(neighborhoods, rows[1:], own[1:], expected)


@each_metric
@pytest.mark.parametrize(("n_rows", "counts"), [(1, (1, 1, 1)), (2, (1, 1, 1)), (6, (3, 5, 5))])
def test_few_rows_are_enough(n_rows, counts, manhattan):
    rows, x = batch(n_rows), batch(9, seed=1)
    own = torch.full((9,), NONE)
    expected = by_brute_force(rows, x, own, counts, manhattan)
    check(Neighborhoods(rows, WIDTHS, manhattan=manhattan), x, own, expected)
    if n_rows > 1:
        own = everywhere(n_rows)
        expected = by_brute_force(rows, rows, own, counts, manhattan)
        check(Neighborhoods(rows, WIDTHS, manhattan=manhattan), rows, own, expected)


@each_metric
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_duplicates_are_neighbours_at_no_distance(manhattan, dtype):
    rows = (batch() + 3).to(dtype)
    rows[1] = rows[2] = rows[3] = rows[0]
    neighborhoods = Neighborhoods(rows, (3, 0.1), manhattan=manhattan)
    near, wide = neighborhoods.measure(rows, everywhere(80))
    assert near[:4].tolist() == [0.0] * 4
    assert near[4:].min() > 0
    assert wide[:4].min() > 0
    # In double precision and by differences the differentiable way sees so too.
    if manhattan or dtype == torch.float64:
        assert neighborhoods(rows, everywhere(80))[0, :4].tolist() == [0.0] * 4


def test_every_row_twice_in_single_precision_is_at_no_distance():
    rows = batch(40).float().repeat(2, 1)
    assert (Neighborhoods(rows, (1,)).measure(rows, everywhere(80)) == 0).all()


def test_what_is_measured_anew_leaves_out_own_and_barred_rows():
    rows, kept = batch().float(), torch.arange(80) != 2
    rows[1] = rows[2] = rows[0]
    own = everywhere(80)
    expected = by_brute_force(rows.double(), rows.double(), own, (2,), False, kept)
    got = Neighborhoods(rows, (2,), kept=kept).measure(rows, own)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_measuring_writes_over_nothing():
    rows = batch()
    kept, own = rows.clone(), everywhere(80)
    neighborhoods = Neighborhoods(rows, WIDTHS)
    first = neighborhoods.measure(rows, own)
    assert torch.equal(neighborhoods.measure(rows, own), first)
    assert torch.equal(rows, kept)
    assert torch.equal(own, everywhere(80))


@each_metric
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_is_finite_where_rows_coincide_and_right_elsewhere(manhattan, dtype):
    rows = batch().to(dtype)
    rows[1] = rows[0]
    neighborhoods = Neighborhoods(rows, WIDTHS, manhattan=manhattan)
    x = rows.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(neighborhoods(x, everywhere(80)).sum(), x)
    assert torch.isfinite(gradient).all()
    assert (gradient.abs().amax(dim=1) > 0).all()
    if dtype == torch.float64:
        new = batch(3, seed=1).requires_grad_()
        assert torch.autograd.gradcheck(lambda x: neighborhoods(x, torch.full((3,), NONE)), new)


@each_metric
def test_vmap_maps_it(manhattan):
    rows = batch()
    neighborhoods = Neighborhoods(rows, WIDTHS, manhattan=manhattan)
    expected = neighborhoods(rows, everywhere(80))
    mapped = torch.vmap(neighborhoods)(rows.view(4, 20, WIDTH), everywhere(80).view(4, 20))
    torch.testing.assert_close(torch.cat(list(mapped), dim=1), expected)


def test_moved_to_other_coordinates_the_same_rows_serve():
    rows, kept = batch(), torch.arange(80) % 4 > 0
    moved = Neighborhoods(rows, WIDTHS, kept=kept).moved(2 * rows)
    expected = by_brute_force(2 * rows, 2 * rows, everywhere(80), (3, 6, 18), False, kept)
    check(moved, 2 * rows, everywhere(80), expected)


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("central", [False, True])
def test_rows_around_the_origin_need_not_be_centred(central, dtype, rtol):
    rows, own, kept = (batch() + 0.5).to(dtype), everywhere(80), torch.arange(80) % 4 > 0
    rows[5] = rows[9]
    x, of_x = batch(9, seed=1).to(dtype), torch.full((9,), NONE)
    neighborhoods = Neighborhoods(rows, WIDTHS, kept=kept, central=central)
    assert (neighborhoods.constant is not None) == central
    check(neighborhoods, rows, own, by_brute_force(rows, rows, own, (3, 6, 18), False, kept), rtol)
    check(neighborhoods, x, of_x, by_brute_force(rows, x, of_x, (3, 6, 18), False, kept), rtol)


def test_far_from_the_origin_rows_are_centred_first():
    rows, own = (batch() + 1e4).float(), everywhere(80)
    expected = by_brute_force(rows, rows, own, (3, 8, 24), False)
    check(Neighborhoods(rows, WIDTHS), rows, own, expected, rtol=1e-5)
