import numpy as np
import pytest
from skorch import NeuralNet
from skorch.callbacks import GradientNormClipping

from acr_sklearn import (
    ConvBackbone,
    HeldOutDomains,
    NeuralTransformation,
    ZeroShotACRDetector,
)
from acr_sklearn._input.domain_rows import read_rows
from acr_sklearn.detectors._acr_plan import training_plan, training_settings


def test_the_network_gets_every_parameter_that_is_its_own():
    detector = ZeroShotACRDetector(
        objective=NeuralTransformation(n_transformations=5, kind="multiplicative"),
        backbone=ConvBackbone(input_shape=[1, 4, 4], channels=[5, 4], downsampling="maxpool"),
        hidden_layer_sizes=[7, 6],
    )
    settings = training_settings(detector, 16, 3)
    assert settings.network == {
        "n_features": 16,
        "objective": "ntl",
        "n_transformations": 5,
        "transformation": "multiplicative",
        "backbone": "conv",
        "hidden_layer_sizes": (7, 6),
        "input_shape": (1, 4, 4),
        "conv_channels": (5, 4),
        "conv_downsampling": "maxpool",
    }
    assert settings.seed == 3
    assert settings.explicit == {"objective", "backbone", "hidden_layer_sizes"}


def test_training_gets_every_parameter_that_is_its_own():
    given = {
        "n_estimators": 2,
        "learning_rate": 0.5,
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
            {"backbone": ConvBackbone(input_shape=(1, 4, 4)), "permute_features": True},
            "ZeroShotACRDetector got permute_features=True with a ConvBackbone: in another",
        ),
        (
            {"net": NeuralNet(None, None, module__backbone="conv"), "permute_features": True},
            "ZeroShotACRDetector got permute_features=True with a ConvBackbone",
        ),
        (
            {"backbone": ConvBackbone(input_shape=(1, 4, 4), channels=(8, 4.5))},
            r"ConvBackbone got channels=\(8, 4.5\). It needs a sequence",
        ),
        ({"n_tasks": True}, "n_tasks=True. It needs a number, not a truth value"),
        ({"contamination": np.True_}, "contamination=.*True.*. It needs a number"),
        ({"max_iter": 10**30}, "max_iter=1000.*. It can be at most 2147483647"),
        ({"hidden_layer_sizes": {8, 4}}, "hidden_layer_sizes=.*. It needs a sequence"),
        ({"hidden_layer_sizes": (10**30,)}, "hidden_layer_sizes=.*. It needs a sequence"),
        ({"hidden_layer_sizes": (True,)}, "hidden_layer_sizes=.*. It needs a sequence"),
        ({"callbacks": ["stop"]}, "got 'stop' in callbacks. It needs skorch callbacks"),
        (
            {"hidden_layer_sizes": "wide"},
            "ZeroShotACRDetector got hidden_layer_sizes='wide'. It needs a sequence",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        training_settings(ZeroShotACRDetector(**changes), 16, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_tasks": 10**9}, "n_tasks=1000000000: a training step takes at least .* GiB, and this"),
        ({"n_estimators": 10**9}, "n_estimators=1000000000 of hidden_layer_sizes"),
        ({"hidden_layer_sizes": (2**20, 2**20)}, "a training step takes at least .*Choose"),
        ({"hidden_layer_sizes": (10**9, 10**9)}, "a training step takes at least"),
        ({"backbone": ConvBackbone(input_shape=(1, 1, 5), channels=(10**9,))}, "at least"),
        ({"objective": NeuralTransformation(n_transformations=2**31 - 1)}, "at least"),
        ({"early_stopping": HeldOutDomains(n_iter_no_change=True)}, "HeldOutDomains got n_iter"),
        ({"early_stopping": HeldOutDomains(n_iter_no_change=10**30)}, "It can be at most"),
        ({"learning_rate": 1e300}, "The 'learning_rate' parameter of ZeroShotACRDetector"),
        ({"n_tasks": True}, "n_tasks=True. It needs a number, not a truth value"),
        ({"callbacks": [GradientNormClipping]}, r"needs an instance: GradientNormClipping\(...\)"),
        ({"callbacks": ["x"]}, "got 'x' in callbacks. It needs skorch callbacks"),
        ({"callbacks": [("", GradientNormClipping())]}, "callback named ''"),
        ({"callbacks": [(1, GradientNormClipping())]}, "callback named 1"),
        ({"callbacks": [("a", GradientNormClipping())] * 2}, "callback named 'a'.*each used once"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(monkeypatch, domains, changes, message):
    def begun(*_, **__):
        raise AssertionError("training has begun")

    monkeypatch.setattr("acr_sklearn.detectors.acr.meta_train", begun)
    with pytest.raises(ValueError, match=message):
        ZeroShotACRDetector(random_state=0, **changes).fit(domains)


def test_half_of_a_callback_is_none(domains):
    class Half:
        def on_train_begin(self, net, **kwargs):
            """Do nothing."""

    with pytest.raises(ValueError, match="Half.* in callbacks. It needs skorch callbacks"):
        ZeroShotACRDetector(callbacks=[Half()]).fit(domains)
