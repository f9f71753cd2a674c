import pickle

import numpy as np
import pytest
import torch
from skorch import NeuralNet, NeuralNetClassifier
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from acr_sklearn.tasks import TaskPool, TaskSampler, TaskSettings, TaskStream
from acr_sklearn.training import TrainingSettings, train


def make_stream(seed=0, n_steps=2, limit=10, **kwargs):
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(3 * i, 1, (60, 4)) for i in range(4)])
    pool = TaskPool(rows, np.repeat(np.arange(4), 60), None, torch.device("cpu"))
    everything = np.arange(4)
    sampler = TaskSampler(
        pool,
        TaskSettings(4, 32, 0.25, False),
        normal_domains=everything,
        outlier_domains=everything,
        source=None,
        seed=seed,
    )
    return TaskStream(sampler, n_steps, limit=limit, **kwargs)


def settings(**changes):
    network = {
        "n_features": 4,
        "backbone": "mlp",
        "hidden_layer_sizes": (8,),
        "embedding_dim": 4,
        "objective": "dsvdd",
    }
    given = {
        "network": network | changes.pop("network", {}),
        "learning_rate": 1e-2,
        "weight_decay": 0.0,
        "n_iter_no_change": 3,
        "device": "cpu",
        "callbacks": None,
        "verbose": 0,
        "seed": 0,
    }
    return TrainingSettings(**(given | changes))


def weights(trained):
    return torch.cat([p.detach().flatten() for p in trained.net.module_.parameters()])


class Interrupt(Callback):
    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt


class Recorder(Callback):
    """Keeps the weights after each evaluation."""

    def __init__(self):
        self.weights = []

    def on_epoch_end(self, net, **kwargs):
        self.weights.append([p.detach().clone() for p in net.module_.parameters()])


def test_all_steps_are_run_and_one_row_is_kept_per_evaluation():
    trained = train(make_stream(n_steps=3, limit=10), None, settings())
    assert trained.n_iter == 10
    assert [row["n_steps"] for row in trained.history] == [3, 6, 9, 10]
    assert [row["evaluation"] for row in trained.history] == [1, 2, 3, 4]
    assert "valid_auc" not in trained.history[0]
    losses = [row["train_loss"] for row in train(make_stream(limit=200), None, settings()).history]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_training_uses_the_settings_it_is_given():
    plain = weights(train(make_stream(), None, settings()))
    assert torch.equal(plain, weights(train(make_stream(), None, settings())))
    for change in ({"learning_rate": 1e-3}, {"weight_decay": 0.5}, {"seed": 1}):
        assert not torch.equal(plain, weights(train(make_stream(), None, settings(**change))))


def test_held_out_tasks_stop_training_and_the_best_weights_come_back():
    recorder = Recorder()
    held_out = make_stream(seed=7, n_steps=1, limit=None, advance=False)
    changes = {"n_iter_no_change": 3, "learning_rate": 0.5, "callbacks": [recorder]}
    trained = train(make_stream(limit=400), held_out, settings(**changes))
    assert trained.n_iter < 400
    aucs = [row["valid_auc"] for row in trained.history]
    best = int(np.argmax(aucs))
    assert len(aucs) > best + 1
    for kept, restored in zip(
        recorder.weights[best], trained.net.module_.parameters(), strict=True
    ):
        assert torch.equal(kept, restored)
    assert {"valid_loss", "train_loss"} <= set(trained.history[0])


def test_ctrl_c_is_passed_on():
    with pytest.raises(KeyboardInterrupt):
        train(make_stream(), None, settings(callbacks=[Interrupt()]))


def test_a_users_early_stopping_is_no_ctrl_c():
    stopper = EarlyStopping(monitor="train_loss", patience=2, threshold=1e9, threshold_mode="abs")
    stopper.sink = lambda *args: None
    trained = train(make_stream(limit=100), None, settings(callbacks=[stopper]))
    assert trained.n_iter == 6


def test_a_loss_that_is_not_finite_is_an_error():
    with pytest.raises(
        ValueError, match=r"training loss became (nan|inf) in evaluation \d+. Lower"
    ):
        train(make_stream(limit=100), None, settings(learning_rate=1e30))


def test_the_global_generators_are_left_alone():
    backbone = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    np_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    train(make_stream(), None, settings(network={"backbone": backbone}))
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], np_state)


def test_dropout_in_a_users_backbone_is_seeded():
    backbone = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    one, other = (
        weights(train(make_stream(), None, settings(network={"backbone": backbone})))
        for _ in range(2)
    )
    assert torch.equal(one, other)


def test_a_template_reaches_optimizer_and_module_and_stays_as_it_is():
    template = NeuralNet(None, None, optimizer=torch.optim.AdamW, module__embedding_dim=6)
    net = train(make_stream(), None, settings(), template).net
    assert isinstance(net.optimizer_, torch.optim.AdamW)
    assert net.module_.objective.center.shape == (6,)
    assert not hasattr(template, "module_")


def test_going_on_starts_from_the_weights_and_the_optimizer_left():
    first = train(make_stream(limit=10), None, settings())
    before = {k: v.clone() for k, v in first.net.module_.state_dict().items()}
    one = train(make_stream(limit=12, first_step=10), None, settings(), previous=first.net)
    straight = train(make_stream(limit=12), None, settings())
    assert torch.equal(weights(one), weights(straight))
    assert one.n_iter == 2
    assert all(torch.equal(v, before[k]) for k, v in first.net.module_.state_dict().items())


def test_going_on_keeps_the_moments_but_not_the_rates():
    first = train(make_stream(limit=10), None, settings())
    moments = [state["exp_avg"].clone() for state in first.net.optimizer_.state.values()]

    def go_on(**changes):
        return train(
            make_stream(limit=12, first_step=10), None, settings(**changes), previous=first.net
        )

    assert not torch.equal(weights(go_on()), weights(go_on(learning_rate=1e-3)))
    assert not torch.equal(weights(go_on()), weights(go_on(weight_decay=0.5)))
    with pytest.raises(KeyboardInterrupt):
        train(
            make_stream(limit=30, first_step=10),
            None,
            settings(callbacks=[Interrupt()]),
            previous=first.net,
        )
    kept = [state["exp_avg"] for state in first.net.optimizer_.state.values()]
    assert all(torch.equal(a, b) for a, b in zip(moments, kept, strict=True))


@pytest.mark.parametrize("change", [{"hidden_layer_sizes": (9,)}, {"embedding_dim": 5}])
def test_going_on_from_another_shape_is_refused(change):
    first = train(make_stream(), None, settings())
    with pytest.raises(
        ValueError, match="warm_start=True asks to go on from weights of another sh"
    ):
        train(make_stream(), None, settings(network=change), previous=first.net)


def test_going_on_with_another_optimizer_starts_its_moments_anew():
    first = train(make_stream(), None, settings())
    template = NeuralNet(None, None, optimizer=torch.optim.SGD, optimizer__momentum=0.5)
    train(make_stream(), None, settings(), template, previous=first.net)


@pytest.mark.parametrize("template", [NeuralNetClassifier(torch.nn.Linear), NeuralNet, object()])
def test_what_is_no_plain_net_is_refused_as_a_template(template):
    with pytest.raises(ValueError, match="cannot be a template: it must be an instance of skorch"):
        train(make_stream(), None, settings(), template)


def test_a_users_module_may_use_all_threads(monkeypatch):
    seen = []

    class Threads(Callback):
        def on_batch_end(self, net, batch=None, training=None, **kwargs):
            seen.append(torch.get_num_threads())

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        train(make_stream(limit=2), None, settings(callbacks=[Threads()]))
        backbone = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        changes = {"network": {"backbone": backbone}, "callbacks": [Threads()]}
        train(make_stream(limit=2), None, settings(**changes))
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 1, 2, 2]


def test_equal_trainings_have_equal_histories():
    held_out = make_stream(n_steps=1, limit=None, advance=False)
    one, other = (train(make_stream(), held_out, settings()).history for _ in range(2))
    assert one == other
    assert set(one[0]) == {"evaluation", "n_steps", "train_loss", "valid_loss", "valid_auc"}


def test_progress_is_one_bar_over_all_steps(capsys):
    train(
        make_stream(limit=10),
        make_stream(n_steps=1, limit=None, advance=False),
        settings(verbose=1),
    )
    shown = capsys.readouterr()
    assert "10/10" in shown.err
    assert "valid_auc" in shown.err
    assert shown.out == ""
    train(make_stream(limit=4), None, settings())
    assert capsys.readouterr().err == ""


def test_the_net_left_holds_no_rows_and_can_be_pickled():
    held_out = make_stream(n_steps=1, limit=None, advance=False)
    net = train(make_stream(), held_out, settings()).net
    assert net.train_split is None
    assert not net.module_.training
    assert all(p.grad is None for p in net.module_.parameters())
    assert len(pickle.dumps(net)) < 60_000
