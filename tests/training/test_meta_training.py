import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from joblib import Memory
from skorch import NeuralNet
from torch import nn

import acr_sklearn.training.meta_training as stage
from acr_sklearn.tasks.outliers import MIXED, SyntheticOutliers
from acr_sklearn.tasks.settings import OutlierMix, TaskSettings
from acr_sklearn.training.acr_net import ACRTrainingSettings as TrainingSettings
from acr_sklearn.training.meta_training import MetaTrainingPlan, meta_train

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(120, 4)) + np.repeat(RNG.normal(0, 9, (6, 4)), 20, axis=0)
INDEX = np.repeat(np.arange(6), 20)
NETWORK = {
    "n_features": 4,
    "backbone": "mlp",
    "hidden_layer_sizes": (6,),
    "embedding_dim": 3,
    "objective": "dsvdd",
}
SETTINGS = TrainingSettings(
    network=NETWORK,
    n_estimators=1,
    learning_rate=1e-3,
    lr_schedule="cosine",
    weight_decay=0.0,
    n_iter_no_change=5,
    device="cpu",
    callbacks=None,
    verbose=0,
    seed=0,
)
PLAN = MetaTrainingPlan(
    max_iter=6,
    tasks=TaskSettings(4, 16, 0.25, False),
    held_out=np.array([1, 4]),
    mix=OutlierMix(),
    source=None,
    whiten=True,
)


def module():
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


def run(plan=PLAN, settings=SETTINGS, memory=None, rows=ROWS, **kwargs):
    return meta_train(rows, INDEX, plan, settings, memory=memory or Memory(None), **kwargs)


def parameters(trained):
    return torch.cat([p.detach().flatten() for p in trained.fitted.net.module_.parameters()])


@pytest.fixture
def samplers(monkeypatch):
    """Record which domains each sampler of a training draws from."""
    made = []
    plain = stage.TaskSampler

    def record(*args, normal_domains, outlier_domains, **kwargs):
        made.append((normal_domains.tolist(), outlier_domains.tolist()))
        return plain(
            *args, normal_domains=normal_domains, outlier_domains=outlier_domains, **kwargs
        )

    monkeypatch.setattr(stage, "TaskSampler", record)
    return made


def test_held_out_domains_are_not_trained_on(samplers):
    run()
    assert samplers == [([0, 2, 3, 5], [0, 2, 3, 5]), ([1, 4], [1, 4])]


def test_one_held_out_domain_is_set_against_the_training_domains(samplers):
    run(replace(PLAN, held_out=np.array([2])))
    assert samplers[1] == ([2], [0, 1, 3, 4, 5])


def test_without_held_out_domains_all_are_trained_on(samplers):
    trained = run(replace(PLAN, held_out=np.array([], np.int64)))
    assert samplers == [([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5])]
    assert "valid_auc" not in trained.fitted.history[0]


def test_training_is_grouped_in_at_most_fifty_odd_evaluations():
    plan = replace(PLAN, max_iter=120, held_out=np.array([], np.int64))
    history = run(plan).fitted.history
    assert [row["n_steps"] for row in history] == list(range(2, 121, 2))


@pytest.fixture
def drawn(monkeypatch):
    """Numbers of the steps drawn, in order."""
    steps = []
    plain = stage.TaskSampler.draw

    def draw(self, step):
        steps.append(step)
        return plain(self, step)

    monkeypatch.setattr(stage.TaskSampler, "draw", draw)
    return steps


def whitening(trained):
    return trained.fitted.net.module_.backbone.linears[0].whitening


def test_held_out_domains_set_neither_units_nor_whitening():
    strange = ROWS.copy()
    strange[np.isin(INDEX, PLAN.held_out)] *= 50
    one, other = run(rows=strange), run()
    np.testing.assert_array_equal(one.scale.scale, other.scale.scale)
    assert torch.equal(whitening(one), whitening(other))
    assert (run(rows=50 * ROWS).scale.scale > 40 * other.scale.scale).all()


def test_held_out_tasks_are_the_same_in_every_evaluation(drawn):
    run(replace(PLAN, max_iter=3))
    first = 2**40
    assert drawn == [0, first, first + 1, 1, first, first + 1, 2, first, first + 1]


def test_going_on_draws_new_tasks_in_the_units_of_before(drawn):
    plan = replace(PLAN, max_iter=3, held_out=np.array([], np.int64))
    before = run(plan)
    drawn.clear()
    after = run(plan, rows=100 * ROWS, previous=before)
    assert drawn == [3, 4, 5]
    assert after.scale is before.scale
    assert torch.equal(whitening(after), whitening(before))
    assert after.shape is before.shape
    assert after.fitted.next_step == 6


def test_a_users_module_sees_the_rows_as_they_are():
    own = replace(SETTINGS, network=NETWORK | {"backbone": module()})
    assert run(settings=own).scale is None
    template = NeuralNet(None, None, module__backbone=module())
    assert run(template=template).scale is None
    assert run().scale is not None


def test_whitened_features_double_the_first_layers_weights():
    for whiten, width in ((True, 8), (False, 4)):
        trained = run(replace(PLAN, whiten=whiten))
        assert trained.fitted.net.module_.backbone.linears[0].in_features == width


# ------------------------------------------------------------------ what outliers are


@pytest.fixture
def mixes(monkeypatch):
    """The mixes that the samplers of a training get."""
    made = []
    plain = stage.TaskSampler

    def record(*args, mix, **kwargs):
        made.append(mix)
        return plain(*args, mix=mix, **kwargs)

    monkeypatch.setattr(stage, "TaskSampler", record)
    return made


@pytest.mark.parametrize(
    ("distance", "expected"), [(0, OutlierMix(synthetic=1.0)), (9, MIXED)], ids=["alike", "apart"]
)
def test_auto_asks_whether_the_domains_can_be_told_apart(mixes, distance, expected):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(120, 4)) + np.repeat(rng.normal(0, 1, (6, 4)), 20, axis=0) * distance
    run(replace(PLAN, mix=None, source=SyntheticOutliers()), rows=rows)
    assert mixes == [expected, expected]


def test_held_out_domains_have_no_say_in_that(mixes):
    rows = np.random.default_rng(0).normal(size=(120, 4))
    rows[INDEX == 3] += 1e3  # apart from domain 1, as which all held-out ones are
    plan = replace(PLAN, held_out=np.array([0, 2, 4, 5]))
    run(replace(plan, mix=None, source=SyntheticOutliers()), rows=rows)
    assert mixes[0] == MIXED


def test_a_mix_asked_for_is_the_mix_used(mixes):
    run(replace(PLAN, mix=OutlierMix(0.5, 0.25), source=SyntheticOutliers()))
    assert mixes == [OutlierMix(0.5, 0.25)] * 2


@pytest.mark.parametrize("distance", [0, 9])
def test_what_auto_decides_reaches_the_source(distance):
    class Recorder(SyntheticOutliers):
        def __init__(self):
            self.wanted = set()

        def sample(self, X, domain_index, n, rng):
            self.wanted.add(n)
            return super().sample(X, domain_index, n, rng)

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(120, 4)) + np.repeat(rng.normal(0, 1, (6, 4)), 20, axis=0) * distance
    recorder = Recorder()
    run(replace(PLAN, mix=None, source=recorder), rows=rows)
    assert recorder.wanted == ({2} if distance else {4})  # of 4 outliers in a task of 16


@pytest.fixture
def counted(trainings, tmp_path):
    """A cache, and the trainings that really ran."""
    return Memory(tmp_path, verbose=0), trainings


def test_the_cache_returns_the_same_training(counted):
    memory, calls = counted
    first, again = run(memory=memory), run(memory=memory)
    assert len(calls) == 1
    assert torch.equal(parameters(first), parameters(again))
    run(memory=memory, settings=replace(SETTINGS, verbose=1))
    assert len(calls) == 1


def test_the_cache_is_keyed_on_everything_that_matters(counted):
    memory, calls = counted
    run(memory=memory)
    run(memory=memory, rows=ROWS + 1e-3)
    run(memory=memory, plan=replace(PLAN, max_iter=7))
    run(memory=memory, plan=replace(PLAN, tasks=TaskSettings(4, 16, 0.5, False)))
    run(memory=memory, plan=replace(PLAN, held_out=np.array([0])))
    run(memory=memory, settings=replace(SETTINGS, seed=1))
    run(memory=memory, settings=replace(SETTINGS, learning_rate=1e-2))
    run(memory=memory, settings=replace(SETTINGS, network=NETWORK | {"embedding_dim": 4}))
    run(memory=memory, template=NeuralNet(None, None, optimizer=torch.optim.AdamW))
    run(memory=memory, settings=replace(SETTINGS, n_estimators=2))
    run(memory=memory, settings=replace(SETTINGS, lr_schedule="constant"))
    run(memory=memory, plan=replace(PLAN, whiten=False))
    run(memory=memory, plan=replace(PLAN, mix=OutlierMix(mixed=0.5)))
    run(
        memory=memory, plan=replace(PLAN, mix=OutlierMix(synthetic=0.5), source=SyntheticOutliers())
    )
    run(memory=memory, plan=replace(PLAN, mix=None, source=SyntheticOutliers()))
    assert len(calls) == 15
    for n_estimators in (1, 2):
        run(memory=memory, settings=replace(SETTINGS, n_estimators=n_estimators))
    assert len(calls) == 15


def test_equal_modules_share_a_training_and_unequal_ones_do_not(counted):
    memory, calls = counted
    torch.manual_seed(0)
    one, other = module(), module()
    twin = module()
    twin.load_state_dict(one.state_dict())
    for backbone in (one, twin, other):
        run(memory=memory, settings=replace(SETTINGS, network=NETWORK | {"backbone": backbone}))
    assert len(calls) == 2
    with_slope = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.LeakyReLU(0.1))
    steeper = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.LeakyReLU(0.2))
    steeper.load_state_dict(with_slope.state_dict())
    for backbone in (with_slope, steeper):
        run(memory=memory, settings=replace(SETTINGS, network=NETWORK | {"backbone": backbone}))
    assert len(calls) == 4


def test_a_module_without_a_cache_needs_no_key():
    half = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).bfloat16()
    assert run(settings=replace(SETTINGS, network=NETWORK | {"backbone": half})).fitted.n_iter == 6


def test_edited_code_is_another_module(counted, tmp_path, monkeypatch):
    memory, calls = counted
    monkeypatch.syspath_prepend(tmp_path)
    head = "from torch import nn\n\nclass Net(nn.Sequential):\n    def forward(self, x):\n"
    source = tmp_path / "net_under_edit.py"
    source.write_text(f"{head}        return super().forward(x)\n")
    module = importlib.import_module("net_under_edit")
    for edit in ("", ".tanh()"):
        source.write_text(f"{head}        return super().forward(x){edit}\n")
        importlib.reload(module)
        torch.manual_seed(0)
        backbone = module.Net(nn.Linear(4, 3), nn.BatchNorm1d(3))
        run(memory=memory, settings=replace(SETTINGS, network=NETWORK | {"backbone": backbone}))
    assert len(calls) == 2
