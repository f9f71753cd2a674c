import copy
import pickle
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from skorch import NeuralNet, NeuralNetClassifier
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from torch import nn

import acr_sklearn.training.skorch_net
from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.networks.ensemble import ACREnsemble
from acr_sklearn.tasks.sampler import TaskPool, TaskSampler, TaskStream
from acr_sklearn.tasks.settings import OutlierMix, TaskSettings
from acr_sklearn.training.acr_net import ACRTrainingSettings as TrainingSettings
from acr_sklearn.training.acr_net import train_acr as train


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
        mix=OutlierMix(),
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
        "n_estimators": 1,
        "learning_rate": 1e-2,
        "lr_schedule": "constant",
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


def test_the_work_of_a_step_counts_every_view(monkeypatch):
    counted = []

    def record(operations):
        counted.append(operations)
        return nullcontext()

    monkeypatch.setattr(acr_sklearn.training.skorch_net, "threads_for", record)
    network = {"objective": "ntl", "n_transformations": 3}
    for changes in ({}, {"network": network}):
        trained = train(make_stream(limit=1), None, settings(**changes))
        n_views = 4 if changes else 1
        assert counted[-1] == 6 * weights(trained).numel() * 4 * 32 * n_views


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


# ------------------------------------------------------------------ learning rate


class Rates(Callback):
    """The learning rate of every step, and what is left after the last one."""

    def on_train_begin(self, net, **kwargs):
        self.values = []

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        if training:
            self.values.append(net.optimizer_.param_groups[0]["lr"])

    def on_train_end(self, net, **kwargs):
        self.last = net.optimizer_.param_groups[0]["lr"]


def rates(held_out=None, previous=None, stream=None, others=(), template=None, **changes):
    seen = Rates()
    changes = {"lr_schedule": "cosine", "learning_rate": 0.1} | changes
    given = settings(callbacks=[*others, seen], **changes)
    trained = train(stream or make_stream(limit=11), held_out, given, template, previous)
    return seen, trained


COSINE = 0.05 * (1 + np.cos(np.pi * np.arange(11) / 11))


def test_the_cosine_falls_to_zero_over_all_steps():
    seen, _ = rates()
    np.testing.assert_allclose(seen.values, COSINE, rtol=1e-6)
    assert seen.last == pytest.approx(0.0, abs=1e-9)


def test_held_out_tasks_do_not_move_the_rate():
    held_out = make_stream(seed=7, n_steps=3, limit=None, advance=False)
    seen, _ = rates(held_out, n_iter_no_change=100)
    np.testing.assert_allclose(seen.values, COSINE, rtol=1e-6)


def test_a_constant_rate_stays():
    seen, _ = rates(lr_schedule="constant")
    assert set(seen.values) == {0.1}


@pytest.mark.parametrize("place", ["callbacks", "named", "class", "template"])
def test_a_users_schedule_takes_the_place_of_the_cosine(place):
    own = LRScheduler("StepLR", step_size=2, gamma=0.5, step_every="batch")
    if place == "template":
        template = NeuralNet(None, None, callbacks=[own, ("seen", Rates())])
        given = settings(learning_rate=0.1, lr_schedule="cosine")
        net = train(make_stream(limit=4), None, given, template).net
        assert dict(net.callbacks_)["seen"].values == [0.1, 0.1, 0.05, 0.05]
        return
    own_class = type("Own", (LRScheduler,), {})
    others = {"callbacks": own, "named": ("lr", own), "class": own_class}[place]
    seen, _ = rates(others=[others], stream=make_stream(limit=4))
    if place == "class":  # with skorch's own policy, which starts far below
        assert max(seen.values) < 0.06
    else:
        assert seen.values == [0.1, 0.1, 0.05, 0.05]


def test_going_on_starts_the_schedule_anew():
    _, first = rates()
    seen, _ = rates(previous=first.net, stream=make_stream(first_step=11, limit=22))
    np.testing.assert_allclose(seen.values, COSINE, rtol=1e-6)


def test_no_schedule_is_left_on_the_net():
    _, trained = rates()
    assert not any(isinstance(c, LRScheduler) for _, c in trained.net.callbacks_)
    pickle.loads(pickle.dumps(trained.net))
    assert set(trained.history[0]) == {"evaluation", "n_steps", "train_loss"}


# ------------------------------------------------------------------ several networks


def test_several_networks_are_trained_as_each_would_be_alone():
    """The loss is a mean over members, and Adam does not see its scale: neither do they."""
    held_out = make_stream(seed=7, n_steps=1, limit=None, advance=False)
    several = train(make_stream(limit=4), None, settings(n_estimators=3))
    assert isinstance(several.net.module_, ACREnsemble)
    assert len(several.net.module_.members) == 3
    assert isinstance(train(make_stream(limit=2), None, settings()).net.module_, ACRNetwork)

    class StartsAs(Callback):
        def __init__(self, member):
            self.member = member

        def on_train_begin(self, net, **kwargs):
            net.module_.load_state_dict(self.member.state_dict())

    class Keep(Callback):
        def on_train_begin(self, net, **kwargs):
            self.start = [copy.deepcopy(member) for member in net.module_.members]

    keep = Keep()
    again = train(make_stream(limit=4), None, settings(n_estimators=3, callbacks=[keep]))
    torch.testing.assert_close(weights(again), weights(several))
    for start, end in zip(keep.start, again.net.module_.members, strict=True):
        alone = train(make_stream(limit=4), None, settings(callbacks=[StartsAs(start)]))
        got = torch.cat([p.detach().flatten() for p in end.parameters()])
        torch.testing.assert_close(got, weights(alone), rtol=1e-3, atol=1e-4)
        assert (got - torch.cat([p.flatten() for p in start.parameters()])).abs().max() > 1e-3
    stopped = train(make_stream(limit=4), held_out, settings(n_estimators=2))
    assert 0 <= stopped.history[0]["valid_auc"] <= 1


@pytest.mark.parametrize("module", [None, ACRNetwork, ACREnsemble])
@pytest.mark.parametrize("n_estimators", [1, 2])
def test_a_template_leaves_the_number_of_networks_to_the_detector(module, n_estimators):
    template = NeuralNet(module, None, module__embedding_dim=6)
    net = train(make_stream(limit=2), None, settings(n_estimators=n_estimators), template).net
    assert type(net.module_) is (ACRNetwork if n_estimators == 1 else ACREnsemble)
    members = [net.module_] if n_estimators == 1 else net.module_.members
    assert [tuple(member.objective.center.shape) for member in members] == [(6,)] * n_estimators


def test_going_on_with_another_number_of_networks_is_refused():
    first = train(make_stream(limit=2), None, settings(n_estimators=2))
    train(make_stream(limit=2), None, settings(n_estimators=2), previous=first.net)
    for n_estimators in (1, 3):
        with pytest.raises(ValueError, match="n_estimators, permute_features"):
            train(
                make_stream(limit=2), None, settings(n_estimators=n_estimators), previous=first.net
            )


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


class Gradients(Callback):
    """Keeps the gradient of every step, and how often the network ran for it."""

    def __init__(self):
        self.seen, self.runs, self.order = [], [], []

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        if training:
            self.runs.append(0)
            hook = net.module_.register_forward_hook(self.count)
            self.remove = hook.remove

    def count(self, module, given, output):
        self.runs[-1] += 1
        self.order.append("forward")
        output.register_hook(lambda gradient: self.order.append("backward"))

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.seen.append(torch.cat([p.grad.flatten() for _, p in named_parameters]))
        self.remove()


@pytest.mark.parametrize(("at_once", "n_runs"), [(1, 4), (3, 2), (4, 1)])
def test_a_step_in_parts_has_the_gradient_of_the_whole(monkeypatch, at_once, n_runs):
    whole, parts = Gradients(), Gradients()
    expected = train(make_stream(limit=2), None, settings(callbacks=[whole]))
    monkeypatch.setattr("acr_sklearn.networks.acr_network._NUMBERS_TOGETHER", at_once * 32 * 8)
    got = train(make_stream(limit=2), None, settings(callbacks=[parts]))
    assert parts.runs == [n_runs] * 2
    assert whole.runs == [1] * 2
    # Each part goes backward, and is freed, before the next one goes forward.
    assert parts.order == ["forward", "backward"] * 2 * n_runs
    for a, b in zip(parts.seen, whole.seen, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    losses = [t.history[0]["train_loss"] for t in (got, expected)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
