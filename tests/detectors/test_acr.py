import pickle
import subprocess
import sys
import textwrap
from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import make_scorer, matthews_corrcoef, roc_auc_score
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import ConstantLR

from acr_sklearn import (
    ConvBackbone,
    HeldOutDomains,
    MLPBackbone,
    NeuralTransformation,
    NormalTrainSplit,
    ZeroShotACRDetector,
    concat_domains,
)
from acr_sklearn._input.domain_rows import read_rows
from acr_sklearn.exceptions import ACRWarning, EarlyStoppingWarning, SingleDomainWarning
from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.networks.ensemble import ACREnsemble
from acr_sklearn.scoring.heads import SCORE_HEADS
from acr_sklearn.tasks.outliers import SyntheticOutliers

N_FEATURES = 5


def weights(detector):
    return torch.cat([p.detach().flatten() for p in detector.module_.parameters()]).numpy()


# ------------------------------------------------------------------ detection


def test_unseen_digit_classes_are_told_apart_at_the_defaults(tmp_path):
    X, y = load_digits(return_X_y=True)
    values = []
    for seed, unseen in enumerate(((0, 1, 2), (3, 4, 5), (6, 7, 8))):
        train = [X[y == c] for c in range(10) if c not in unseen]
        # Both heads score with the same training.
        detector = ZeroShotACRDetector(random_state=seed, memory=str(tmp_path))
        heads = [clone(detector).set_params(score_head="objective").fit(train), detector.fit(train)]
        rng = np.random.default_rng(seed)
        for c in unseen:
            normal, others = X[y == c], X[np.isin(y, unseen) & (y != c)]
            for share in (0.01, 0.05, 0.1, 0.2):
                n = max(3, round(share / (1 - share) * len(normal)))
                batch = np.vstack([normal, rng.permutation(others)[:n]])
                is_anomaly = np.arange(len(batch)) >= len(normal)
                values.append([roc_auc_score(is_anomaly, -h.score_samples(batch)) for h in heads])
    assert np.min(np.mean(values, axis=0)) >= 0.90


@pytest.mark.parametrize(
    ("changes", "least"),
    [
        ({"objective": "bce"}, 0.9),
        ({"objective": "ntl", "n_tasks": 8, "task_size": 64, "hidden_layer_sizes": (128,)}, 0.85),
        (
            {"backbone": ConvBackbone(input_shape=(1, 8, 8), channels=(32, 32)), "n_tasks": 8},
            0.9,
        ),
    ],
    ids=["bce", "ntl", "conv"],
)
def test_other_objectives_and_images_tell_unseen_digit_classes_apart(changes, least):
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    detector = ZeroShotACRDetector(score_head="objective", random_state=0, **changes)
    detector.fit([X[y == c] for c in range(3, 10)])
    rng = np.random.default_rng(0)
    values = []
    for c in (0, 1, 2):
        normal, others = X[y == c], X[np.isin(y, (0, 1, 2)) & (y != c)]
        for n in (3, 20, 45):
            batch = np.vstack([normal, rng.permutation(others)[:n]])
            is_anomaly = np.arange(len(batch)) >= len(normal)
            values.append(roc_auc_score(is_anomaly, -detector.score_samples(batch)))
    assert np.mean(values) >= least


def test_a_new_normal_far_from_all_training_domains_is_centred(quick, domains, make_domain):
    detector = quick(max_iter=60).fit(domains)
    new = 1e3 + make_domain(70, n_rows=100)
    new[:5] += np.random.default_rng(0).normal(0, 12, (5, N_FEATURES))
    assert roc_auc_score(np.arange(100) < 5, -detector.score_samples(new)) > 0.95


# ------------------------------------------------------------------ one seed, one result


def test_random_state_alone_decides(quick, domains):
    one, other = quick().fit(domains), quick().fit(domains)
    np.testing.assert_allclose(one.score_samples(domains), other.score_samples(domains), rtol=1e-7)
    assert not np.allclose(weights(one), weights(quick(random_state=1).fit(domains)))
    drawn = [quick(random_state=None).fit(domains) for _ in range(2)]
    assert not np.allclose(weights(drawn[0]), weights(drawn[1]))
    shared = np.random.RandomState(3)
    seeds = [
        weights(quick(random_state=s).fit(domains))
        for s in (shared, shared, np.random.RandomState(3))
    ]
    assert not np.allclose(seeds[0], seeds[1])
    np.testing.assert_array_equal(seeds[0], seeds[2])


@pytest.mark.parametrize("random_state", [0, None])
def test_global_generators_are_neither_used_nor_moved(quick, domains, random_state):
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    quick(random_state=random_state).fit(domains).predict(domains)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)
    assert torch.equal(torch.get_rng_state(), torch_state)
    torch.manual_seed(8)
    first = weights(quick().fit(domains))
    torch.manual_seed(9)
    np.testing.assert_array_equal(first, weights(quick().fit(domains)))


def test_two_processes_agree():
    code = """
        import numpy as np
        from acr_sklearn import ZeroShotACRDetector
        rng = np.random.default_rng(0)
        domains = [rng.normal(i, 1, (40, 3)) for i in range(5)]
        detector = ZeroShotACRDetector(max_iter=4, hidden_layer_sizes=(8,), random_state=0)
        print(detector.fit(domains).score_samples(domains[0])[:5].tolist())
    """
    run = [sys.executable, "-c", textwrap.dedent(code)]
    outputs = [
        subprocess.run(run, capture_output=True, text=True, check=True).stdout for _ in range(2)
    ]
    np.testing.assert_allclose(*(np.array(eval(out)) for out in outputs), rtol=1e-7)


# ------------------------------------------------------------------ choices of parts


def test_fewer_than_four_domains_are_all_trained_on_with_a_warning(quick, domains):
    with pytest.warns(EarlyStoppingWarning, match="fit got 3 domains; early stopping") as seen:
        detector = quick().fit(domains[:3])
    assert len(seen) == 1
    assert "valid_auc" not in detector.history_[0]
    quick(early_stopping=False).fit(domains[:3])  # warnings are errors


def test_with_four_or_more_domains_some_are_held_out(quick, domains):
    detector = quick().fit(domains)
    assert "valid_auc" in detector.history_[0]
    assert detector.n_iter_ == detector.history_[-1]["n_steps"]
    assert "valid_auc" not in quick(early_stopping=False).fit(domains).history_[0]


def test_a_single_data_set_gets_synthetic_outliers_and_one_warning(quick, domains):
    with pytest.warns(SingleDomainWarning, match="got a single data set") as seen:
        detector = quick().fit(domains[0])
    assert len(seen) == 1
    assert issubclass(SingleDomainWarning, ACRWarning)
    assert set(detector.predict(domains[0])) == {1, -1}
    with (
        pytest.warns(SingleDomainWarning),
        pytest.raises(ValueError, match="outlier_source='domains'"),
    ):
        quick(outlier_source="domains").fit(domains[0])


def test_outlier_sources_are_used(quick, domains):
    by_source = {
        wanted: weights(quick(outlier_source=wanted).fit(domains))
        for wanted in ("domains", "synthetic", "mixed")
    }
    own = weights(quick(outlier_source=SyntheticOutliers()).fit(domains))
    np.testing.assert_array_equal(own, by_source["synthetic"])
    for one, other in combinations(by_source.values(), 2):
        assert not np.allclose(one, other)
    # These domains lie apart; rows of one of them, dealt out to six, cannot be told apart.
    np.testing.assert_array_equal(weights(quick().fit(domains)), by_source["mixed"])
    alike = np.array_split(np.random.default_rng(0).normal(size=(600, 3)), 6)
    by_data, synthetic = (
        weights(quick(outlier_source=wanted).fit(alike)) for wanted in ("auto", "synthetic")
    )
    np.testing.assert_array_equal(by_data, synthetic)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_layer_sizes": (16,)},
        {"net": NeuralNet(None, None, module__embedding_dim=5)},
        {"n_tasks": 9},
        {"task_size": 40},
        {"outlier_fraction": 0.4},
        {"permute_features": True},
        {"backbone": MLPBackbone(whiten_features=False)},
        {"trim_fraction": 0.0},
        {"trim_fraction": 0.1},
        {"n_estimators": 2},
        {"callbacks": [LRScheduler(ConstantLR, factor=1.0)]},
        {"outlier_source": "domains"},
        {"n_neighbors": 9},
        {"score_head": "objective"},
        {"score_head": "neighbors"},
        {"score_head": "mahalanobis"},
        {"learning_rate": 1e-2},
        {"net": NeuralNet(None, None, optimizer__weight_decay=0.3)},
        {"early_stopping": HeldOutDomains(validation_fraction=0.5)},
        {"early_stopping": False},
    ],
)
def test_no_parameter_is_accepted_and_ignored(quick, domains, fitted, changes):
    changed = quick(**changes).fit(domains)
    assert changed.offset_ != fitted.offset_
    same_weights = np.array_equal(weights(changed), weights(fitted))
    assert same_weights == (changes.keys() <= {"score_head", "n_neighbors", "trim_fraction"})


CONV = {"backbone": ConvBackbone(input_shape=(1, 1, N_FEATURES), channels=(8,))}


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        ({}, {"objective": "bce"}),
        ({}, {"objective": "ntl"}),
        ({"objective": "ntl"}, {"objective": NeuralTransformation(n_transformations=5)}),
        ({"objective": "ntl"}, {"objective": NeuralTransformation(kind="feedforward")}),
        ({"objective": "ntl"}, {"objective": NeuralTransformation(kind="multiplicative")}),
        ({}, CONV),
        (CONV, {"backbone": ConvBackbone(input_shape=(1, 1, N_FEATURES), channels=(8, 8))}),
        (CONV, {"backbone": ConvBackbone(input_shape=(1, 1, N_FEATURES), channels=(9,))}),
        (CONV, {"backbone": ConvBackbone(input_shape=(1, N_FEATURES, 1), channels=(8,))}),
    ],
)
def test_no_parameter_of_an_objective_or_of_images_is_ignored(quick, domains, base, changes):
    base = {"max_iter": 2} | base
    one, other = quick(**base).fit(domains), quick(**(base | changes)).fit(domains)
    assert one.offset_ != other.offset_
    assert not np.array_equal(weights(one), weights(other))


def test_downsampling_is_not_ignored(quick, make_domain):
    squares = [make_domain(seed, n_features=16) for seed in range(4)]
    detector = quick(backbone=ConvBackbone(input_shape=(1, 4, 4), channels=(8,)), max_iter=2)
    stride, pool = (
        clone(detector).set_params(backbone__downsampling=kind).fit(squares)
        for kind in ("stride", "maxpool")
    )
    assert stride.module_.backbone.out_features == 8
    assert pool.module_.backbone.out_features == 8 * 2 * 2
    assert stride.offset_ != pool.offset_


ALL_KINDS = {
    "bce": {"objective": "bce"},
    "ntl": {"objective": NeuralTransformation(n_transformations=3)},
    "conv": CONV,
    "conv ntl": CONV | {"objective": NeuralTransformation(n_transformations=3)},
}


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("head", SCORE_HEADS)
def test_every_head_scores_every_objective_batch_by_batch(quick, domains, kind, head):
    detector = quick(score_head=head, n_estimators=2, **ALL_KINDS[kind]).fit(domains)
    before = {k: v.clone() for k, v in detector.module_.state_dict().items()}
    separate = np.concatenate([detector.score_samples(X) for X in domains])
    np.testing.assert_allclose(detector.score_samples(domains), separate, rtol=1e-9)
    order = np.random.default_rng(0).permutation(len(domains[0]))
    shuffled = detector.score_samples(domains[0][order])
    np.testing.assert_allclose(shuffled, separate[: len(order)][order], rtol=1e-7)
    far = detector.score_samples(1e3 * domains[0] + 1e4)
    np.testing.assert_allclose(far, separate[: len(order)], rtol=1e-5, atol=1e-8)
    assert set(detector.predict(domains)) == {1, -1}
    assert all(torch.equal(v, before[k]) for k, v in detector.module_.state_dict().items())


def test_images_are_in_one_unit_and_not_whitened(quick, domains):
    detector = quick(**CONV).fit(domains)
    assert np.ptp(detector.feature_scale_.scale) == 0
    assert "whitening" not in " ".join(detector.module_.state_dict())


def test_a_users_network_for_images_is_trained_and_trimmed(quick, make_domain):
    squares = [make_domain(seed, n_features=16) for seed in range(5)]
    backbone = nn.Sequential(
        nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten()
    )
    for objective in ("dsvdd", "ntl"):
        detector = quick(backbone=backbone, objective=objective, max_iter=30).fit(squares)
        batch = make_domain(9, n_features=16)
        batch[:6] += np.random.default_rng(0).normal(0, 20, (6, 16))
        assert roc_auc_score(np.arange(120) < 6, -detector.score_samples(batch)) > 0.9


def test_max_iter_counts_steps(quick, domains):
    for steps in (1, 7, 120):
        detector = quick(max_iter=steps, early_stopping=HeldOutDomains(n_iter_no_change=1000)).fit(
            domains
        )
        assert detector.n_iter_ == steps
        assert detector.history_[-1]["n_steps"] == steps


def test_training_stops_when_held_out_domains_no_longer_improve(quick, domains):
    detector = quick(max_iter=300, early_stopping=HeldOutDomains(n_iter_no_change=2)).fit(domains)
    assert detector.n_iter_ < 300


def test_a_users_module_is_trained_on_a_copy(quick, domains):
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Linear(N_FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU())
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    detector = quick(backbone=backbone).fit(domains)
    assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())
    assert backbone[1].track_running_stats
    assert detector.get_params()["backbone"] is backbone
    assert np.isfinite(detector.score_samples(domains)).all()
    separate = np.concatenate([detector.score_samples(X) for X in domains])
    np.testing.assert_allclose(detector.score_samples(domains), separate, rtol=1e-9)
    with pytest.raises(ValueError, match="has no BatchNorm1d layer"):
        quick(backbone=nn.Linear(N_FEATURES, 3)).fit(domains)


# ------------------------------------------------------------------ training controls


def test_a_net_template_reaches_module_and_optimizer(quick, domains):
    template = NeuralNet(
        None,
        None,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=0.1,
        module__embedding_dim=3,
    )
    detector = quick(net=template).fit(domains)
    assert isinstance(detector.net_.optimizer_, torch.optim.AdamW)
    assert detector.module_.objective.center.shape == (3,)
    assert detector.net_ is not template
    changed = clone(quick(net=template)).set_params(net__optimizer__weight_decay=0.5).fit(domains)
    assert changed.net_.optimizer_.param_groups[0]["weight_decay"] == 0.5
    with pytest.raises(ValueError, match="hidden_layer_sizes is set on the detector and as"):
        quick(net=clone(template).set_params(module__hidden_layer_sizes=(4,))).fit(domains)


def test_layers_may_be_given_as_an_array(quick, domains, fitted):
    detector = quick(hidden_layer_sizes=np.array([16, 16])).fit(domains)
    np.testing.assert_array_equal(weights(detector), weights(fitted))


def test_the_seed_decides_which_domains_are_held_out(quick, domains):
    chosen = {
        tuple(detector._hold_out(data, seed).tolist())
        for detector in [quick()]
        for data in [read_rows(detector, domains, None, reset=True, method="fit")]
        for seed in range(12)
    }
    assert len(chosen) > 3


def test_callbacks_are_called(quick, domains):
    class Count(Callback):
        n = 0

        def on_epoch_end(self, net, **kwargs):
            self.n += 1

    count = Count()
    quick(callbacks=(count,), early_stopping=False).fit(domains)
    assert count.n == 6


def test_ctrl_c_raises_and_leaves_the_detector_as_it_was(quick, domains):
    class Interrupt(Callback):
        def on_batch_end(self, net, batch=None, training=None, **kwargs):
            raise KeyboardInterrupt

    detector = quick().fit(domains)
    kept = dict(detector.__dict__)
    detector.callbacks = [Interrupt()]
    with pytest.raises(KeyboardInterrupt):
        detector.fit(domains[:5])
    detector.callbacks = None
    assert detector.__dict__ == kept


def test_warm_start_goes_on_from_the_weights_left(quick, domains):
    twice = quick(warm_start=True, early_stopping=False)
    first = weights(twice.fit(domains))
    second = weights(twice.fit(domains))
    assert np.linalg.norm(second - first) < np.linalg.norm(first)
    assert not np.array_equal(first, second)
    assert twice.n_iter_ == 6
    slow = quick(warm_start=True, early_stopping=False).fit(domains)
    np.testing.assert_array_equal(weights(slow), first)
    assert not np.array_equal(weights(slow.set_params(learning_rate=1e-5).fit(domains)), second)
    cold = quick(early_stopping=False).fit(domains).fit(domains)
    np.testing.assert_array_equal(weights(cold), first)
    with pytest.raises(ValueError, match="warm_start=True got 3 features, but the network"):
        twice.fit([X[:, :3] for X in domains])


def test_warm_start_keeps_scale_whitening_and_covariance(quick, domains):
    detector = quick(warm_start=True, score_head="mahalanobis").fit(domains)
    scale, covariance = detector.feature_scale_, detector.head_.covariance
    whitening = detector.module_.backbone.linears[0].whitening.clone()
    detector.fit([100 * X + 7 for X in domains])
    assert detector.feature_scale_ is scale
    assert torch.equal(detector.module_.backbone.linears[0].whitening, whitening)
    assert detector.head_.covariance is covariance
    cold = clone(detector).set_params(warm_start=False).fit([100 * X + 7 for X in domains])
    assert not np.allclose(cold.feature_scale_.scale, scale.scale)


def test_warm_start_goes_on_with_all_networks(quick, domains):
    detector = quick(warm_start=True, n_estimators=2, early_stopping=False).fit(domains)
    first = weights(detector)
    second = weights(detector.fit(domains))
    assert not np.array_equal(first, second)
    assert np.linalg.norm(second - first) < 0.5 * np.linalg.norm(first)
    with pytest.raises(ValueError, match="n_estimators, permute_features"):
        detector.set_params(n_estimators=3).fit(domains)
    np.testing.assert_array_equal(weights(detector), second)


# ------------------------------------------------------------------ several networks


def test_several_networks_through_the_detector(quick, domains):
    detector = quick(n_estimators=3).fit(domains)
    assert isinstance(detector.module_, ACREnsemble)
    assert len(detector.module_.members) == 3
    assert "valid_auc" in detector.history_[0]
    again = clone(detector).fit(domains)
    np.testing.assert_array_equal(weights(again), weights(detector))
    separate = np.concatenate([detector.score_samples(X) for X in domains])
    np.testing.assert_allclose(detector.score_samples(domains), separate, rtol=1e-9)
    backbone = nn.Sequential(nn.Linear(N_FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU())
    own = quick(n_estimators=2, backbone=backbone).fit(domains)
    assert np.isfinite(own.score_samples(domains)).all()


@pytest.mark.parametrize("module", [None, ACRNetwork, ACREnsemble])
def test_a_template_serves_several_networks(quick, domains, module):
    template = NeuralNet(module, None, module__embedding_dim=3)
    detector = quick(net=template, n_estimators=2).fit(domains)
    shapes = [tuple(member.objective.center.shape) for member in detector.module_.members]
    assert shapes == [(3,), (3,)]
    with pytest.raises(ValueError, match="module__n_estimators, which the detector's n_estimators"):
        quick(net=NeuralNet(module, None, module__n_estimators=2)).fit(domains)


def test_a_templates_backbone_sees_the_rows_as_they_are(quick, domains):
    backbone = nn.Sequential(nn.Linear(N_FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU())
    template = NeuralNet(None, None, module__backbone=backbone)
    detector = quick(net=template).fit(domains)
    assert detector.feature_scale_ is None
    direct = quick(backbone=backbone).fit(domains)
    np.testing.assert_array_equal(weights(detector), weights(direct))
    np.testing.assert_array_equal(detector.score_samples(domains), direct.score_samples(domains))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"n_estimators": 2},
        {"score_head": "mahalanobis"},
        {"backbone": nn.Sequential(nn.Linear(N_FEATURES, 8), nn.BatchNorm1d(8))},
        *ALL_KINDS.values(),
    ],
)
def test_a_pickle_scores_alike_and_can_be_fitted_on(quick, domains, changes):
    detector = quick(warm_start=True, **changes).fit(domains)
    twin = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(twin.score_samples(domains), detector.score_samples(domains))
    np.testing.assert_array_equal(twin.predict(domains), detector.predict(domains))
    np.testing.assert_array_equal(weights(twin.fit(domains)), weights(detector.fit(domains)))


def test_memory_trains_once_for_any_contamination(quick, domains, trainings, tmp_path):
    for contamination in (0.05, 0.1, 0.2):
        detector = quick(memory=str(tmp_path), contamination=contamination).fit(domains)
        plain = quick(contamination=contamination).fit(domains)
        assert detector.offset_ == plain.offset_
    assert len(trainings) == 1 + 3


def test_memory_trains_once_for_any_head(quick, domains, trainings, tmp_path):
    for kind in ("combined", "objective", "neighbors", "mahalanobis"):
        for trim_fraction in (0.0, 0.25):
            changes = {"score_head": kind, "trim_fraction": trim_fraction}
            quick(memory=str(tmp_path), **changes).fit(domains)
    assert len(trainings) == 1


def test_memory_trains_for_every_value_of_what_training_depends_on(
    quick, domains, trainings, tmp_path
):
    changes = [
        {},
        {"n_estimators": 2},
        {"net": NeuralNet(None, None, callbacks=[LRScheduler(ConstantLR, factor=1.0)])},
        {"backbone": MLPBackbone(whiten_features=False)},
        {"outlier_source": "mixed"},
        {"outlier_source": "domains"},
        *ALL_KINDS.values(),
        {"objective": NeuralTransformation(n_transformations=4)},
    ]
    for _ in range(2):
        for change in changes:
            cached = quick(memory=str(tmp_path), **change).fit(domains)
            assert np.isfinite(cached.score_samples(domains[0])).all()
    assert len(trainings) == len(changes)


def test_nothing_is_measured_on_held_out_rows_but_when_to_stop(quick, domains):
    detector = quick(score_head="mahalanobis").fit(domains)
    data = read_rows(detector, domains, None, reset=False, method="fit")
    (held_out,) = detector._hold_out(data, 0)
    strange = [1e3 * X if i == held_out else X for i, X in enumerate(domains)]
    again = quick(score_head="mahalanobis").fit(strange)
    for name in ("location", "scale"):
        one, other = (getattr(d.feature_scale_, name) for d in (detector, again))
        np.testing.assert_array_equal(one, other)
    one, other = (d.module_.backbone.linears[0].whitening for d in (detector, again))
    assert torch.equal(one, other)
    np.testing.assert_array_equal(again.head_.covariance.axes, detector.head_.covariance.axes)


def test_memory_is_bypassed_where_a_key_would_lie(quick, domains, trainings, tmp_path):
    for changes in ({"random_state": None}, {"warm_start": True}, {"callbacks": [Callback()]}):
        for _ in range(2):
            quick(memory=str(tmp_path), **changes).fit(domains)
    assert len(trainings) == 6


# ------------------------------------------------------------------ at home in scikit-learn


@pytest.fixture(scope="module")
def labelled(make_domain):
    """Normals and anomalies of six domains, with y and domain labels."""
    rng = np.random.default_rng(0)
    X, domains = concat_domains([make_domain(seed, n_rows=60) for seed in range(6)])
    y = np.where(rng.random(len(X)) < 0.1, -1, 1)
    X[y == -1] += rng.normal(0, 12, (int((y == -1).sum()), N_FEATURES))
    return X, y, domains


GRID = {"acr__contamination": [0.05, 0.1, 0.2, "auto"], "acr__threshold": ["train", "batch"]}
SCORER = make_scorer(matthews_corrcoef)


def pipeline(detector):
    return Pipeline([("scale", StandardScaler()), ("acr", detector)])


def test_pipeline_with_routing_off(quick, labelled):
    X, _, domains = labelled
    pipe = pipeline(quick()).fit(X, acr__domains=domains)
    assert set(pipe.predict(X[domains == 0])) <= {1, -1}
    assert pipe.named_steps["acr"].n_domains_ == 6


def test_pipeline_with_routing_on(quick, labelled):
    X, y, domains = labelled
    off = pipeline(quick()).fit(X, acr__domains=domains)
    with config_context(enable_metadata_routing=True):
        pipe = make_pipeline(StandardScaler(), quick()).fit(X, domains=domains)
        scores = pipe.decision_function(X, domains=domains)
        assert pipe.score(X, y, domains=domains) > 0.5
        labels = pipe.predict(X, domains=domains)
    one = off.named_steps["acr"]
    expected = one.decision_function(off.named_steps["scale"].transform(X), domains=domains)
    np.testing.assert_allclose(scores, expected)
    np.testing.assert_array_equal(labels, np.where(expected >= 0, 1, -1))


@pytest.mark.parametrize("routing", [False, True])
def test_a_search_over_thresholds_trains_once_per_fold(
    quick, labelled, trainings, tmp_path, routing
):
    X, y, domains = labelled
    search = GridSearchCV(
        pipeline(quick(memory=str(tmp_path))),
        GRID,
        scoring=SCORER,
        cv=NormalTrainSplit(LeaveOneGroupOut()),
        refit=False,
        error_score="raise",
    )
    with config_context(enable_metadata_routing=routing):
        if routing:
            search.fit(X, y, groups=domains, domains=domains)
        else:
            search.fit(X, y, groups=domains, acr__domains=domains)
    assert len(trainings) == 6
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.cv_results_["mean_test_score"].max() > 0.3
    assert len(set(search.cv_results_["mean_test_score"])) == 8


def test_a_search_over_what_matters_trains_for_each_value(quick, labelled, trainings, tmp_path):
    X, y, domains = labelled
    grid = {"acr__contamination": [0.1, 0.2], "acr__hidden_layer_sizes": [(4,), (8,)]}
    search = GridSearchCV(
        pipeline(quick(memory=str(tmp_path))),
        grid,
        scoring=SCORER,
        cv=NormalTrainSplit(LeaveOneGroupOut()),
        refit=False,
        error_score="raise",
    )
    search.fit(X, y, groups=domains, acr__domains=domains)
    assert len(trainings) == 6 * 2


# ------------------------------------------------------------------ bad and odd input


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "svdd"}, "'objective' parameter of ZeroShotACRDetector must be"),
        ({"backbone": "resnet"}, "'backbone' parameter"),
        ({"objective": NeuralTransformation(n_transformations=1)}, "'n_transformations' parameter"),
        ({"objective": NeuralTransformation(kind="forward")}, "'kind' parameter"),
        (
            {"backbone": ConvBackbone(input_shape=(1, 1, N_FEATURES), downsampling="mean")},
            "'downsampling' parameter",
        ),
        (
            {"backbone": ConvBackbone(input_shape=(1, 1, N_FEATURES), channels=8)},
            "'channels' parameter",
        ),
        ({"backbone": ConvBackbone(input_shape=(5,))}, r"got input_shape=\(5,\). It needs"),
        ({"backbone": ConvBackbone(input_shape=5)}, "'input_shape' parameter of ConvBackbone"),
        (
            {"early_stopping": HeldOutDomains(validation_fraction=1.5)},
            "'validation_fraction' parameter of HeldOutDomains",
        ),
        (
            {"backbone": ConvBackbone(input_shape=(1, 2, 2))},
            "images of 4 pixels and channels, but X has 5 features",
        ),
        (CONV | {"permute_features": True}, "permute_features=True with a ConvBackbone"),
        (
            {"backbone": ConvBackbone(input_shape=(1, 1, N_FEATURES), channels=(8,) * 5)},
            "got 5 layers in channels.*one pixel behind 3",
        ),
        ({"max_iter": 0}, "'max_iter' parameter"),
        ({"contamination": 0.0}, "'contamination' parameter"),
        ({"contamination": 0.6}, "'contamination' parameter"),
        ({"outlier_fraction": 1.0}, "'outlier_fraction' parameter"),
        ({"task_size": 3}, "'task_size' parameter"),
        ({"contamination": "most"}, "'contamination' parameter"),
        ({"threshold": "row"}, "'threshold' parameter"),
        ({"score_head": "distance"}, "'score_head' parameter"),
        ({"n_neighbors": 0}, "'n_neighbors' parameter"),
        ({"trim_fraction": 0.5}, "'trim_fraction' parameter"),
        ({"trim_fraction": -0.1}, "'trim_fraction' parameter"),
        ({"n_estimators": 0}, "'n_estimators' parameter"),
        ({"backbone": MLPBackbone(whiten_features="yes")}, "'whiten_features' parameter"),
        ({"outlier_source": object()}, "'outlier_source' parameter"),
        ({"hidden_layer_sizes": ()}, r"hidden_layer_sizes=\(\). It needs"),
        ({"hidden_layer_sizes": (8, 0)}, r"hidden_layer_sizes=\(8, 0\)"),
        ({"hidden_layer_sizes": (8.5,)}, r"hidden_layer_sizes=\(8.5,\)"),
        ({"hidden_layer_sizes": [[8], [8, 9]]}, r"hidden_layer_sizes=\[\[8\], \[8, 9\]\]"),
        ({"device": "cuda:99"}, "device='cuda:99'"),
        ({"random_state": "seed"}, "'random_state' parameter"),
        ({"learning_rate": 1e30, "max_iter": 50}, r"Detector\.fit ended: the training loss became"),
    ],
)
def test_bad_parameters_get_a_clear_error(quick, domains, changes, message):
    detector = quick(**changes)
    with pytest.raises(ValueError, match=message):
        detector.fit(domains)
    assert not hasattr(detector, "module_")
    assert not hasattr(detector, "n_features_in_")


def test_a_last_step_that_ruins_the_weights_is_noticed(quick, domains):
    detector = quick(learning_rate=1e30, max_iter=1)
    with pytest.raises(ValueError, match="fit ended with scores that are not finite. Lower"):
        detector.fit([X.astype(np.float32) for X in domains])
    assert not hasattr(detector, "module_")


def test_cuda_asked_for_and_absent_is_refused(quick, domains, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match="device='cuda' was asked for, but this machine has no"):
        quick(device="cuda").fit(domains)


ODD = {
    "constant features": lambda X: np.column_stack([X[:, :3], np.full((len(X), 2), 7.0)]),
    "all rows equal": lambda X: np.tile(X[0], (len(X), 1)),
    "duplicated rows": lambda X: np.repeat(X[:4], len(X) // 4, axis=0),
    "two rows": lambda X: X[:2],
    "one feature": lambda X: X[:, :1],
    "tiny values": lambda X: 1e-12 * X,
    "large values": lambda X: 1e6 * X,
    "huge offset": lambda X: 1e9 + X,
    "mixed units": lambda X: X * np.array([1e-12, 1e6, 1.0, 1.0, 1e3]),
}


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.SmallDomainWarning")
@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.SmallBatchWarning")
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_odd_values_work_and_stay_finite(quick, domains, odd, dtype):
    made = [odd(X).astype(dtype) for X in domains]
    detector = quick().fit(made)
    assert np.isfinite(weights(detector)).all()
    assert np.isfinite(detector.offset_)
    for X in made:
        assert np.isfinite(detector.score_samples(X)).all()


@pytest.mark.parametrize("odd", ["tiny values", "large values", "huge offset"])
def test_units_and_offsets_cost_no_detection(quick, domains, make_domain, odd):
    new = make_domain(70, n_rows=100)
    new[:5] += np.random.default_rng(0).normal(0, 12, (5, N_FEATURES))
    changed = quick(max_iter=60).fit([ODD[odd](X) for X in domains])
    scores = changed.score_samples(ODD[odd](new))
    assert roc_auc_score(np.arange(100) < 5, -scores) > 0.95


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.SmallBatchWarning")
@pytest.mark.parametrize("n_rows", [2, 3, 4])
@pytest.mark.parametrize("head", SCORE_HEADS)
def test_the_smallest_batches_get_scores(quick, domains, n_rows, head):
    detector = quick(score_head=head, n_estimators=2).fit(domains)
    few = domains[0][:n_rows]
    scores = detector.score_samples(few)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(detector.score_samples(few[::-1]), scores[::-1], rtol=1e-7)
    assert np.ptp(detector.score_samples(np.tile(few[0], (n_rows, 1)))) == 0
