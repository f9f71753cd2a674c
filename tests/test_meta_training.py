import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from joblib import Memory
from skorch import NeuralNet
from torch import nn

import acr_sklearn.meta_training as stage
from acr_sklearn.meta_training import MetaTrainingPlan, meta_train
from acr_sklearn.tasks import TaskSettings
from acr_sklearn.training import TrainingSettings

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
SETTINGS = TrainingSettings(NETWORK, 1e-3, 0.0, 5, "cpu", None, 0, seed=0)
PLAN = MetaTrainingPlan(6, TaskSettings(4, 16, 0.25, False), np.array([1, 4]), None)


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


def test_held_out_domains_do_not_set_the_units():
    strange = ROWS.copy()
    strange[np.isin(INDEX, PLAN.held_out)] *= 50
    np.testing.assert_array_equal(run(rows=strange).scale.scale, run().scale.scale)
    assert (run(rows=50 * ROWS).scale.scale > 40 * run().scale.scale).all()


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
    assert after.fitted.next_step == 6


def test_a_users_module_sees_the_rows_as_they_are():
    assert run(settings=replace(SETTINGS, network=NETWORK | {"backbone": module()})).scale is None
    assert run().scale is not None


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
    assert len(calls) == 9


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
