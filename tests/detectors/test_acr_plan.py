import numpy as np
import pytest
from skorch import NeuralNet
from torch import nn

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn._input.validation import read_rows
from acr_sklearn.detectors._acr_plan import training_plan, training_settings


def module():
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


def test_the_network_gets_every_parameter_that_is_its_own():
    given = {
        "objective": "ntl",
        "n_transformations": 5,
        "transformation": "multiplicative",
        "backbone": "conv",
        "hidden_layer_sizes": (7, 6),
        "embedding_dim": 3,
        "input_shape": (1, 4, 4),
        "conv_channels": (5, 4),
        "conv_downsampling": "maxpool",
    }
    listed = {k: list(v) if isinstance(v, tuple) else v for k, v in given.items()}
    settings = training_settings(ZeroShotACRDetector(**listed), 16, 3)
    assert settings.network == given | {"n_features": 16}
    assert settings.seed == 3
    assert settings.explicit == given.keys()


def test_training_gets_every_parameter_that_is_its_own():
    given = {
        "n_estimators": 2,
        "learning_rate": 0.5,
        "lr_schedule": "constant",
        "weight_decay": 0.25,
        "n_iter_no_change": 4,
        "device": "cpu",
        "callbacks": [],
        "verbose": 1,
    }
    settings = training_settings(ZeroShotACRDetector(**given), 16, 0)
    assert {name: getattr(settings, name) for name in given} == given


def test_the_plan_says_what_to_train_on(domains):
    held_out = np.array([1])
    detector = ZeroShotACRDetector(max_iter=3, n_tasks=5, task_size=40, outlier_fraction=0.25)
    data = read_rows(detector, domains, None, reset=True, method="fit")
    plan = training_plan(detector, data, held_out)
    assert plan.max_iter == 3
    assert plan.held_out is held_out
    assert (plan.tasks.n_tasks, plan.tasks.task_size, plan.tasks.n_normal) == (5, 40, 30)
    assert plan.mix is None
    assert plan.whiten
    assert not training_plan(detector.set_params(permute_features=True), data, held_out).whiten
    # A task never wants more rows than the largest domain can fill.
    capped = training_plan(detector.set_params(task_size=10_000), data, held_out).tasks
    assert capped.task_size == 200


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"input_shape": (1, 4, 4)},
            r"input_shape=\(1, 4, 4\) with backbone='mlp', which does not",
        ),
        (
            {"input_shape": (1, 4, 4), "backbone": module()},
            r"input_shape=\(1, 4, 4\) with backbone=Sequential, .* or reshape the rows inside",
        ),
        (
            {"backbone": "conv", "input_shape": (1, 4, 4), "permute_features": True},
            "permute_features=True with backbone='conv': in another order",
        ),
        (
            {"net": NeuralNet(None, None, module__backbone="conv"), "permute_features": True},
            "permute_features=True with backbone='conv'",
        ),
        ({"conv_channels": (8, 4.5)}, r"conv_channels=\(8, 4.5\). It needs a sequence"),
        ({"hidden_layer_sizes": "wide"}, "hidden_layer_sizes='wide'. It needs a sequence"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, message):
    with pytest.raises(ValueError, match=f"ZeroShotACRDetector got {message}"):
        training_settings(ZeroShotACRDetector(**changes), 16, 0)
