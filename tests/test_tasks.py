import numpy as np
import pytest
import torch

from acr_sklearn.outliers import SyntheticOutliers
from acr_sklearn.tasks import TaskPool, TaskSampler, TaskSettings, TaskStream

SIZES = [30, 7, 50, 13]
INDEX = np.repeat(np.arange(4), SIZES)
# A row says where it comes from: its domain, and its own number.
ROWS = np.column_stack([INDEX, np.arange(100)]).astype(np.float64)


def pool(rows=ROWS, index=INDEX):
    return TaskPool(rows, index, None, torch.device("cpu"))


def sampler(settings=None, *, normal=range(4), outlier=range(4), source=None, seed=0, **changes):
    shape = {"n_tasks": 8, "task_size": 20, "outlier_fraction": 0.2, "permute_features": False}
    return TaskSampler(
        pool(),
        settings or TaskSettings(**(shape | changes)),
        normal_domains=np.array(normal),
        outlier_domains=np.array(outlier),
        source=source,
        seed=seed,
    )


def test_a_task_is_one_domains_normals_and_rows_of_the_others():
    drawn = sampler()
    seen = set()
    for step in range(30):
        x, is_outlier = drawn.draw(step)
        assert x.shape == (8, 20, 2)
        assert is_outlier.sum(dim=1).tolist() == [4] * 8
        for task, outlier in zip(x, is_outlier, strict=True):
            (own,) = task[~outlier][:, 0].unique().tolist()
            assert own not in task[outlier][:, 0].tolist()
            numbers = task[~outlier][:, 1].unique()
            # Rows repeat only where a domain is short.
            assert len(numbers) == 16 if SIZES[int(own)] >= 16 else len(numbers) <= SIZES[int(own)]
            assert len(task[outlier][:, 1].unique()) == 4
            seen |= {(own, other) for other in task[outlier][:, 0].tolist()}
    assert len(seen) == 12


def test_rows_of_the_complement_are_equally_likely():
    drawn = sampler(n_tasks=32, task_size=40, outlier_fraction=0.5)
    counts = np.zeros(100)
    for step in range(150):
        x, is_outlier = drawn.draw(step)
        mine = (x[:, 0, 0] == 0).nonzero().flatten()
        np.add.at(counts, x[mine][is_outlier[mine]][:, 1].long().numpy(), 1)
    assert (counts[:30] == 0).all()
    assert counts[30:].min() > 0.8 * counts[30:].mean()
    assert counts[30:].max() < 1.2 * counts[30:].mean()


def test_every_domain_is_normal_about_equally_often():
    x, _ = sampler(n_tasks=16).draw(0)
    assert torch.bincount(x[:, 0, 0].long()).tolist() == [4, 4, 4, 4]


def test_held_out_domains_are_never_drawn():
    drawn = sampler(normal=[0, 2], outlier=[0, 2])
    for step in range(10):
        assert set(drawn.draw(step)[0][..., 0].unique().tolist()) == {0.0, 2.0}
    x, is_outlier = sampler(normal=[1], outlier=[0, 2, 3]).draw(0)
    assert set(x[~is_outlier][:, 0].tolist()) == {1.0}
    assert set(x[is_outlier][:, 0].tolist()) == {0.0, 2.0, 3.0}


def test_mixed_row_order_changes_nothing():
    order = np.random.default_rng(0).permutation(100)
    mixed = pool(ROWS[order], INDEX[order])
    for domain in range(4):
        assert set(mixed.domain(domain)[:, 0]) == {float(domain)}


def test_a_step_depends_on_its_number_and_the_seed_alone():
    one, other = sampler(), sampler()
    other.draw(0)
    assert torch.equal(one.draw(5)[0], other.draw(5)[0])
    first = one.draw(5)[0].clone()
    assert not torch.equal(first, one.draw(6)[0])
    assert not torch.equal(first, sampler(seed=1).draw(5)[0])


def test_stacking_copies_no_data_but_the_rows_drawn():
    drawn = sampler()
    assert drawn.draw(0)[0].data_ptr() == drawn.draw(1)[0].data_ptr()
    assert drawn.draw(0)[0].transpose(0, 1).is_contiguous()


def test_features_are_permuted_task_by_task():
    plain, permuted = sampler().draw(0)[0].clone(), sampler(permute_features=True).draw(0)[0]
    swapped = (plain.flip(-1) == permuted).flatten(1).all(dim=1)
    kept = (plain == permuted).flatten(1).all(dim=1)
    assert (swapped | kept).all()
    assert swapped.any()
    assert kept.any()


def test_a_source_makes_the_outliers_of_each_task_from_its_own_domain():
    class Recorder:
        def __init__(self):
            self.calls = []

        def sample(self, X, domain_index, n, rng):
            assert set(X[:, 0]) == {float(domain_index)}
            self.calls.append(len(X))
            return np.full((n, 2), -1.0 - domain_index)

    recorder = Recorder()
    x, is_outlier = sampler(source=recorder).draw(0)
    assert sorted(recorder.calls) == sorted(SIZES * 2)
    own = x[~is_outlier].view(8, 16, 2)[:, 0, 0]
    assert torch.equal(x[is_outlier].view(8, 4, 2)[..., 0], (-1 - own)[:, None].expand(8, 4))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (np.zeros((3, 2)), r"returned an array of shape \(3, 2\) for n=4. It must return 4"),
        ([["a", "b"]] * 4, "returned a list of no numbers for n=4"),
        (
            np.full((4, 2), np.nan),
            r"returned an array of shape \(4, 2\) with NaN or infinity for n=4",
        ),
    ],
)
def test_a_source_that_misbehaves_is_named(made, message):
    class Broken:
        def sample(self, X, domain_index, n, rng):
            return made

    with pytest.raises(ValueError, match=f"outlier_source Broken.sample {message}"):
        sampler(source=Broken()).draw(0)


@pytest.mark.parametrize(
    ("size", "fraction", "n_normal"), [(128, 0.2, 102), (4, 0.01, 3), (4, 0.99, 2), (30, 0.5, 15)]
)
def test_share_of_normals(size, fraction, n_normal):
    assert TaskSettings(1, size, fraction, False).n_normal == n_normal


def test_a_source_cannot_write_to_the_users_rows():
    class Vandal:
        def sample(self, X, domain_index, n, rng):
            X[:] = 0
            return X[:n]

    with pytest.raises(ValueError, match="read-only"):
        sampler(source=Vandal()).draw(0)


@pytest.mark.parametrize(("n_rows", "size"), [(1000, 128), (40, 50), (3, 16)])
def test_tasks_are_no_larger_than_a_domain_can_fill(n_rows, size):
    assert TaskSettings(4, 128, 0.2, False).capped(n_rows).task_size == size
    assert TaskSettings(4, 10, 0.2, False).capped(n_rows).task_size == 10


def test_a_training_stream_goes_on_and_ends_at_its_limit():
    stream = TaskStream(sampler(source=SyntheticOutliers()), 3, limit=7)
    lengths = [len(list(stream)) for _ in range(3)]
    assert lengths == [3, 3, 1]
    assert stream.next_step == 7
    assert len(stream) == 0


def test_a_validation_stream_repeats_its_tasks():
    stream = TaskStream(sampler(), 2, first_step=100, advance=False)
    first = [x.clone() for x, _ in stream]
    again = [x.clone() for x, _ in stream]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])
