import pytest
import torch
from skorch import NeuralNet
from skorch.callbacks import GradientNormClipping

from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.training.net_template import merge_template

OURS = {
    "module": ACRNetwork,
    "lr": 4e-4,
    "optimizer": torch.optim.Adam,
    "optimizer__weight_decay": 0.25,
    "batch_size": None,
}
ADAMW = {"optimizer": torch.optim.AdamW}


def merge(template, explicit=(), **ours):
    return merge_template(template, OURS | ours, frozenset(explicit))


def test_what_the_template_changes_wins_and_the_rest_is_ours():
    template = NeuralNet(None, None, optimizer=torch.optim.SGD, optimizer__momentum=0.9)
    net = merge(template)
    assert net is not template
    assert net.optimizer is torch.optim.SGD  # skorch's default, but Adam has no momentum
    assert net.get_params()["optimizer__momentum"] == 0.9
    assert net.lr == 4e-4
    assert net.module is ACRNetwork
    assert template.module is None
    assert template.lr == 0.01


def test_an_optimizer_left_at_skorchs_default_is_ours():
    assert merge(NeuralNet(None, None, optimizer__eps=1e-5)).optimizer is torch.optim.Adam
    assert merge(NeuralNet(None, None, optimizer=torch.optim.AdamW)).optimizer is torch.optim.AdamW


def test_double_underscores_reach_the_module():
    net = merge(
        NeuralNet(ACRNetwork, None, module__embedding_dim=7), module__hidden_layer_sizes=(3,)
    )
    assert net.get_params()["module__embedding_dim"] == 7
    assert net.get_params()["module__hidden_layer_sizes"] == (3,)


@pytest.mark.parametrize(
    ("changes", "explicit", "message"),
    [
        ({"lr": 0.1} | ADAMW, {"learning_rate"}, "learning_rate is set on the detector and as lr"),
        ({"optimizer__lr": 0.1}, {"learning_rate"}, "as optimizer__lr in net"),
        ({"optimizer__weight_decay": 0.1}, {"weight_decay"}, "weight_decay is set on the detector"),
        ({"module__backbone": "mlp"}, {"backbone"}, "as module__backbone in net"),
        ({"callbacks": [GradientNormClipping(1.0)]}, {"callbacks"}, "callbacks is set on the det"),
        ({"device": "cuda"}, {"device"}, "device is set on the detector"),
        ({"verbose": 0}, {"verbose"}, "verbose is set on the detector"),
    ],
)
def test_the_same_setting_in_both_is_an_error(changes, explicit, message):
    with pytest.raises(ValueError, match=message):
        merge(NeuralNet(None, None, **changes), explicit)
    merge(NeuralNet(None, None, **changes))  # in one of the two it is fine


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_epochs": 3}, "net sets max_epochs, which the detector's max_iter governs"),
        ({"batch_size": 3}, "net sets batch_size, which the detector's n_tasks and task_size"),
        ({"train_split": None}, "early_stopping and validation_fraction governs"),
        ({"iterator_train": list}, "net sets iterator_train"),
        ({"criterion": torch.nn.MSELoss}, "net sets criterion, which the detector's objective"),
        ({"module": torch.nn.Linear}, "net sets module, which the detector's backbone governs"),
        ({"warm_start": True}, "net sets warm_start"),
        ({"iterator_train__shuffle": True}, "net sets iterator_train__shuffle"),
        ({"dataset__length": 3}, "net sets dataset__length"),
        ({"predict_nonlinearity": None}, "net sets predict_nonlinearity"),
        ({"module__n_features": 3}, "net sets module__n_features, which the detector's training"),
        ({"lr": 0.1}, "net sets lr but leaves optimizer at SGD.*Set learning_rate on the detector"),
    ],
)
def test_what_the_detector_governs_may_not_be_set(changes, message):
    with pytest.raises(ValueError, match=message):
        merge(NeuralNet(**({"module": None, "criterion": None} | changes)))


def test_an_optimizer_keeps_its_own_weight_decay_unless_the_detector_sets_one():
    template = NeuralNet(None, None, **ADAMW)
    assert "optimizer__weight_decay" not in merge(template).get_params()
    assert merge(template, {"weight_decay"}).get_params()["optimizer__weight_decay"] == 0.25


def test_the_whitening_is_measured_not_given():
    template = NeuralNet(None, None, module__whitening=torch.eye(3))
    with pytest.raises(ValueError, match="module__whitening, which the detector's backbone"):
        merge(template)
