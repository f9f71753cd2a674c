import pytest

from acr_sklearn.tasks.settings import OutlierMix, TaskSettings


@pytest.mark.parametrize(
    ("mix", "n", "expected"),
    [
        (OutlierMix(), 5, (5, 0, 0)),
        (OutlierMix(synthetic=1.0), 5, (0, 0, 5)),
        (OutlierMix(mixed=1.0), 5, (0, 5, 0)),
        (OutlierMix(0.25, 0.5), 8, (2, 2, 4)),
        (OutlierMix(0.25, 0.5), 26, (7, 6, 13)),
        (OutlierMix(0.25, 0.5), 1, (1, 0, 0)),
        (OutlierMix(0.5, 0.5), 3, (0, 1, 2)),
    ],
)
def test_outliers_are_shared_out(mix, n, expected):
    assert mix.counts(n) == expected


@pytest.mark.parametrize("n", range(30))
def test_shares_are_whole_and_sum_up(n):
    for tenths in range(11):
        for others in range(11 - tenths):
            counts = OutlierMix(tenths / 10, others / 10).counts(n)
            assert sum(counts) == n
            assert min(counts) >= 0
            assert abs(counts[2] - n * others / 10) <= 0.5 + 1e-9
            assert abs(counts[1] - n * tenths / 10) <= 1


@pytest.mark.parametrize(
    ("size", "fraction", "n_normal"), [(128, 0.2, 102), (4, 0.01, 3), (4, 0.99, 2), (30, 0.5, 15)]
)
def test_share_of_normals(size, fraction, n_normal):
    assert TaskSettings(1, size, fraction, False).n_normal == n_normal


@pytest.mark.parametrize(("n_rows", "size"), [(1000, 128), (40, 50), (3, 16)])
def test_tasks_are_no_larger_than_a_domain_can_fill(n_rows, size):
    assert TaskSettings(4, 128, 0.2, False).capped(n_rows).task_size == size
    assert TaskSettings(4, 10, 0.2, False).capped(n_rows).task_size == 10
