import numpy as np
import pytest
import torch

from acr_sklearn.domains.feature_scale import fit_scale
from acr_sklearn.tasks.outliers import MIXED, SyntheticOutliers
from acr_sklearn.tasks.sampler import TaskPool, TaskSampler, TaskStream
from acr_sklearn.tasks.settings import OutlierMix, TaskSettings

SIZES = [30, 7, 50, 13]
INDEX = np.repeat(np.arange(4), SIZES)
# A row says where it comes from: its domain, and its own number.
ROWS = np.column_stack([INDEX, np.arange(100)]).astype(np.float64)


AS_IT_IS = None
SCALED = fit_scale(ROWS, INDEX, 4)


def pool(rows=ROWS, index=INDEX, scale=AS_IT_IS):
    return TaskPool(rows, index, scale, torch.device("cpu"))


def sampler(
    *,
    normal=range(4),
    outlier=range(4),
    mix=None,
    source=None,
    seed=0,
    scale=AS_IT_IS,
    **changes,
):
    shape = {"n_tasks": 8, "task_size": 20, "outlier_fraction": 0.2, "permute_features": False}
    return TaskSampler(
        pool(scale=scale),
        TaskSettings(**(shape | changes)),
        normal_domains=np.array(normal),
        outlier_domains=np.array(outlier),
        mix=mix or OutlierMix(synthetic=0.0 if source is None else 1.0),
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


def test_a_source_cannot_write_to_the_users_rows():
    class Vandal:
        def sample(self, X, domain_index, n, rng):
            X[:] = 0
            return X[:n]

    with pytest.raises(ValueError, match="read-only"):
        sampler(source=Vandal()).draw(0)


# ------------------------------------------------------------------ mixed outliers


class Marker:
    """Rows that no domain holds."""

    def sample(self, X, domain_index, n, rng):
        return np.full((n, 2), -1.0 - domain_index) - rng.random((n, 1))


def test_outliers_are_shared_out_by_kind():
    drawn = sampler(mix=OutlierMix(0.25, 0.5), source=Marker(), outlier_fraction=0.4)
    for step in range(20):
        x, is_outlier = drawn.draw(step)
        assert is_outlier.sum(dim=1).tolist() == [8] * 8
        for task, outlier in zip(x, is_outlier, strict=True):
            (own,) = task[~outlier][:, 0].unique().tolist()
            plain, mixed, synthetic = task[outlier].split([2, 2, 4])
            # A plain row is another domain's as it is: its number lies in that domain.
            assert own not in plain[:, 0].tolist()
            assert (INDEX[plain[:, 1].long()] == plain[:, 0].numpy()).all()
            assert (mixed >= 0).all()
            assert (-2 - own < synthetic).all()
            assert (synthetic <= -1 - own).all()


def test_blended_rows_hold_features_of_the_own_and_of_other_domains():
    blend = {"mix": OutlierMix(mixed=1.0), "outlier_fraction": 0.5}
    drawn = sampler(normal=[0, 2, 3], outlier=[0, 2, 3], **blend)
    origins = {"own": 0, "foreign": 0, "between": 0}
    for step in range(40):
        x, is_outlier = drawn.draw(step)
        own = x[:, 0, 0]
        made = x[is_outlier].view(8, 10, 2)
        named, number = made[..., 0], made[..., 1]
        from_numbers = torch.from_numpy(INDEX)[number.long()]
        assert not (named == 1).any()  # held out
        assert not (from_numbers == 1).any()
        mine = (named == own[:, None]).int() + (from_numbers == own[:, None]).int()
        # Two foreign features come from one foreign row, so they agree.
        foreign = mine == 0
        assert torch.equal(named[foreign].long(), from_numbers[foreign])
        for key, n in (("own", 2), ("between", 1), ("foreign", 0)):
            origins[key] += int((mine == n).sum())
    total = sum(origins.values())
    assert origins["own"] == 0  # it would be a normal row
    # One feature is foreign in any case, the other one with the mean share of 0.5.
    assert origins["between"] / total == pytest.approx(0.5, abs=0.05)


def test_blended_rows_of_one_held_out_domain_take_from_the_training_domains():
    blend = {"mix": OutlierMix(mixed=1.0), "outlier_fraction": 0.5}
    x, is_outlier = sampler(normal=[1], outlier=[0, 2, 3], **blend).draw(0)
    assert set(x[~is_outlier][:, 0].tolist()) == {1.0}
    assert set(x[is_outlier][:, 0].tolist()) == {0.0, 1.0, 2.0, 3.0}


@pytest.mark.parametrize("scale", [AS_IT_IS, SCALED], ids=["rows", "scaled"])
@pytest.mark.parametrize("permute", [False, True])
def test_mixed_steps_are_reproducible_one_by_one(scale, permute):
    def build(seed=0):
        return sampler(
            mix=MIXED,
            source=SyntheticOutliers(),
            scale=scale,
            permute_features=permute,
            outlier_fraction=0.4,
            seed=seed,
        )

    one, other = build(), build()
    for step in (0, 3):
        other.draw(step)
    first = one.draw(5)[0].clone()
    assert torch.equal(first, other.draw(5)[0])
    assert torch.equal(first, one.draw(5)[0])
    for different in (one.draw(6)[0], build(seed=1).draw(5)[0]):
        assert not (first == different).flatten(2).all(dim=2).all(dim=1).any()


def test_every_kind_of_outlier_is_scaled_as_the_rows_are():
    mixed = {"mix": MIXED, "source": SyntheticOutliers(), "outlier_fraction": 0.4}
    x, _ = sampler(scale=SCALED, **mixed).draw(0)
    plain, _ = sampler(**mixed).draw(0)
    expected = SCALED.training_rows(plain.double().numpy())
    np.testing.assert_allclose(x.numpy(), expected, atol=1e-3)


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
