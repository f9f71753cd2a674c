import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from saved_estimators import SMALL, fitted, sites
from skorch import NeuralNet

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.training.saved_net import SavedNet, load_net, save_net


def test_a_net_comes_back_with_its_network_and_settings():
    net = fitted("dsvdd-consensus-1").net_
    again = load_net(save_net(net))
    assert again.module_ is net.module_
    assert again.module is net.module
    assert again.lr == net.lr
    assert again.module__hidden_layer_sizes == (8,)
    assert torch.equal(again.module__whitening, net.module__whitening)
    assert type(again.criterion_) is type(net.criterion_)
    assert len(again.history) == len(net.history)
    assert [float(row["train_loss"]) for row in net.history] == again.history[:, "train_loss"]
    assert again.optimizer_.state_dict()["state"] == {}
    given = torch.randn(2, 9, 4)
    assert torch.equal(again.module_(given), net.module_(given))


def test_a_template_of_another_optimizer_leaves_no_options():
    template = NeuralNet(None, None, optimizer=torch.optim.SGD, optimizer__momentum=0.5)
    net = ZeroShotACRDetector(**SMALL, net=template).fit(sites()).net_
    saved = save_net(net)
    assert not any(name.startswith("optimizer__") for name in saved.settings)
    assert type(load_net(saved).optimizer_) is torch.optim.Adam


def test_settings_that_are_none_are_refused():
    saved = save_net(fitted("dsvdd-consensus-1").net_)
    odd = SavedNet(saved.module, saved.criterion, {"iterator_train": print}, saved.history)
    with pytest.raises(ValueError, match="iterator_train is no setting of a net in a file"):
        load_net(odd)


def test_nothing_is_drawn():
    saved = save_net(fitted("dsvdd-consensus-1").net_)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    load_net(saved)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.random.get_state()[1].tolist() == before[1]


def test_an_optimizer_is_made_when_it_is_asked_for():
    # In a process of its own: here others may have made one.
    code = (
        "import sys, numpy as np\n"
        "from acr_sklearn import load\n"
        "detector = load(sys.argv[1])\n"
        "detector.score_samples(np.sin(np.arange(80.0)).reshape(20, 4))\n"
        "assert 'torch._dynamo' not in sys.modules\n"
        "net = detector.net_.set_params(lr=0.5)\n"
        "assert net.optimizer_.param_groups[0]['lr'] == 0.5\n"
        "assert net.optimizer_ is net.optimizer_\n"
        "net.set_params(optimizer__weight_decay=0.25)\n"
        "assert net.optimizer_.param_groups[0]['weight_decay'] == 0.25\n"
        "assert not hasattr(net, 'none_such_')\n"
    )
    file = Path(__file__).parents[1] / "persistence" / "format-2.safetensors"
    done = subprocess.run(
        [sys.executable, "-c", code, file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
