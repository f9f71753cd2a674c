from types import SimpleNamespace

import pytest
import torch
from skorch.callbacks import LRScheduler

from acr_sklearn.training.callbacks import (
    HeldOutMetric,
    LossGuard,
    Progress,
    has_schedule,
    stopped_early,
    stopper,
)
from acr_sklearn.training.settings import HeldOutMeasure


class History(list):
    def record(self, name, value):
        self[-1][name] = value


def test_the_guard_looks_at_training_steps_alone():
    net = SimpleNamespace(history=[{}, {}])
    guard = LossGuard("Detector.fit")
    guard.on_batch_end(net, training=False, loss=torch.tensor(float("nan")))
    said = (
        r"^Detector\.fit ended: the training loss became inf in evaluation 2\. Lower learning_rate"
    )
    with pytest.raises(ValueError, match=said):
        guard.on_batch_end(net, training=True, loss=torch.tensor(float("inf")))


def test_the_held_out_measure_is_the_mean_over_all_values_of_all_steps():
    metric = HeldOutMetric(HeldOutMeasure("sum", lambda module, out, target: out + target))
    net = SimpleNamespace(module_=None, history=History([{}]))
    metric.on_epoch_begin(net)
    for out in ([1.0, 2.0], [6.0]):
        batch = (None, torch.ones(len(out)))
        metric.on_batch_end(net, batch=batch, training=False, y_pred=torch.tensor(out))
    metric.on_batch_end(net, batch=(None, torch.ones(1)), training=True, y_pred=torch.zeros(1))
    metric.on_epoch_end(net)
    assert net.history == [{"valid_sum": 4.0}]


@pytest.mark.parametrize("given", [LRScheduler, LRScheduler(), ("name", LRScheduler())])
def test_a_users_schedule_is_seen_in_any_form(given):
    assert has_schedule(SimpleNamespace(callbacks=[given]))
    for none in (None, "disable", [Progress(1, "x")]):
        assert not has_schedule(SimpleNamespace(callbacks=none))


def test_only_a_stopper_that_ran_out_of_patience_ended_the_training():
    callback = stopper("valid_auc", 3)
    callback.misses_ = 2
    net = SimpleNamespace(callbacks_=[("s", callback)])
    assert not stopped_early(net)
    callback.misses_ = 3
    assert stopped_early(net)


def test_the_bar_is_closed_and_counts_training_steps(capsys):
    bars = []

    def bar(**settings):
        bars.append(settings)
        return SimpleNamespace(
            update=bars.append,
            set_postfix=bars.append,
            close=lambda: bars.append("closed"),
        )

    progress = Progress(7, "training", bar)
    net = SimpleNamespace(
        history=[{"train_loss": 0.5, "valid_fit": 0.75, "valid_fit_best": True, "dur": 1.0}]
    )
    progress.on_train_begin(net)
    progress.on_batch_end(net, training=True)
    progress.on_batch_end(net, training=False)
    progress.on_epoch_end(net)
    progress.on_train_end(net)
    settings, *rest = bars
    assert settings == {"total": 7, "desc": "training", "unit": "step"}
    assert rest == [1, {"train_loss": "0.5", "valid_fit": "0.75"}, "closed"]
