"""No public call leaves a trace in the process: generators, filters, threads, settings."""

import os
import random
import threading
import warnings

import matplotlib as mpl
import numpy as np
import pytest
import sklearn
import torch
from matplotlib.figure import Figure
from sklearn.frozen import FrozenEstimator
from torch import nn

from acr_sklearn import (
    AnomalyMapDisplay,
    ContaminationThreshold,
    ConvBackbone,
    FeatureExtractor,
    NormalTrainSplit,
    PerDomainScorer,
    ZeroShotSegmenter,
    anomaly_roc_auc_scorer,
    concat_domains,
    segmentation_scores,
    split_domains,
)
from acr_sklearn.exceptions import SmallBatchWarning
from acr_sklearn.images.mobilenet import MobileNetV2, load_mobilenet_v2
from acr_sklearn.plotting import (
    BatchSizeCurveDisplay,
    ContaminationCurveDisplay,
    DomainMapDisplay,
    DomainPrecisionRecallDisplay,
    DomainRocDisplay,
    ExplanationDisplay,
    ScoreDistributionDisplay,
    ScoresOverTimeDisplay,
    SelectionCurveDisplay,
    TrainingCurveDisplay,
)

mpl.use("agg")


def process_state():
    return {
        "torch's generator": torch.get_rng_state().tolist(),
        "NumPy's generator": [str(part) for part in np.random.get_state()],
        "Python's generator": random.getstate(),
        "warning filters": list(warnings.filters),
        "show a warning": warnings.showwarning,
        "threads of torch": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "threads": threading.active_count(),
        "environment": dict(os.environ),
        "working directory": os.getcwd(),  # noqa: PTH109 - what the process holds
        "default dtype and device": (torch.get_default_dtype(), torch.get_default_device()),
        "gradients": torch.is_grad_enabled(),
        "determinism": torch.are_deterministic_algorithms_enabled(),
        "NumPy's errors": np.geterr(),
        "scikit-learn's settings": sklearn.get_config(),
        "matplotlib's settings": {k: v for k, v in mpl.rcParams.items() if k != "backend"},
    }


def changed_by(call):
    before = process_state()
    call()
    after = process_state()
    return [name for name in before if before[name] != after[name]]


class Rounds:
    """Chunks that can be gone through again."""

    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(np.array_split(self.rows, 3))


@pytest.fixture(scope="module")
def parts(domains, quick, unseen, make_domain):
    """Everything a call may need, made before the state is read."""
    fitted = quick(early_stopping=False).fit(domains)
    X, y, names = unseen
    rng = np.random.default_rng(0)
    maps = [rng.normal(rng.normal(0, 3, (4, 3, 3)), 1, (18, 4, 3, 3)) for _ in range(4)]
    segmenter = ZeroShotSegmenter(detector=quick(), random_state=0).fit(maps[:3])
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU())
    masks = np.zeros((18, 6, 6), bool)
    masks[0, :2] = True
    return {
        "fitted": fitted,
        "X": X,
        "y": y,
        "names": names,
        "domains": domains,
        "quick": quick,
        "many": make_domain(90, n_rows=2600),
        "maps": maps,
        "segmenter": segmenter,
        "extractor": FeatureExtractor(network, ["1"]),
        "network": network,
        "images": rng.random((18, 3, 6, 6)),
        "masks": masks,
        "module": nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3)),
        "figure": Figure(),
        "live": fitted.adapt(domains[0]),
    }


def _axes(p):
    return p["figure"].add_subplot()


def _failing_fit(p):
    with pytest.raises(ValueError, match="Lower learning_rate"):
        p["quick"](learning_rate=1e30, early_stopping=False).fit(p["domains"])


def _dropout(p):
    return p["quick"](backbone=p["module"]).fit(p["domains"]).score_samples(p["X"][:100])


CALLS = {
    "fit": lambda p: p["quick"]().fit(p["domains"]),
    "fit on a batch": lambda p: p["quick"](outlier_source="synthetic").fit(p["domains"]),
    "fit, reference": lambda p: p["quick"](norm_mode="reference").fit(p["domains"]),
    "fit, ntl": lambda p: p["quick"](objective="ntl", n_estimators=2).fit(p["domains"]),
    "fit, conv": lambda p: p["quick"](
        backbone=ConvBackbone(input_shape=(1, 1, 5), channels=(4,))
    ).fit(p["domains"]),
    "fit that fails": _failing_fit,
    "fit, warm": lambda p: p["quick"](warm_start=True).fit(p["domains"]).fit(p["domains"]),
    "fit_predict": lambda p: p["quick"]().fit_predict(p["domains"]),
    "score_samples": lambda p: p["fitted"].score_samples(p["X"], domains=p["names"]),
    "score_samples, one": lambda p: p["fitted"].score_samples(p["domains"][0]),
    "score_samples, float32": lambda p: p["fitted"].score_samples(np.float32(p["domains"][0])),
    "score_samples, above 2048 rows": lambda p: p["fitted"].score_samples(p["many"]),
    "score_samples, in chunks": lambda p: p["fitted"].score_samples(Rounds(p["many"])),
    "score_samples, cut": lambda p: (
        p["quick"](chunk_size=50).fit(p["domains"]).score_samples(p["domains"][0])
    ),
    "score_samples, sampled": lambda p: (
        p["quick"](max_reference_rows=64).fit(p["domains"]).score_samples(p["many"])
    ),
    "score_samples, live": lambda p: p["live"].score_samples(p["X"]),
    "score_samples, dropout": _dropout,
    "decision_function": lambda p: p["fitted"].decision_function(p["X"], domains=p["names"]),
    "predict": lambda p: p["fitted"].predict(p["X"], domains=p["names"]),
    "score": lambda p: p["fitted"].score(p["X"], p["y"], domains=p["names"]),
    "adapt": lambda p: p["fitted"].adapt(p["domains"][0]),
    "freeze": lambda p: p["fitted"].freeze(p["domains"][0]),
    "p_values": lambda p: p["fitted"].p_values(p["domains"][0], p["domains"][1]),
    "segmenter.fit": lambda p: ZeroShotSegmenter(detector=p["quick"](), random_state=0).fit(
        p["maps"][:3]
    ),
    "segmenter.patch_scores": lambda p: p["segmenter"].patch_scores(p["maps"][3]),
    "segmenter.anomaly_maps": lambda p: p["segmenter"].anomaly_maps(p["maps"][3], 6),
    "segmenter.score_samples": lambda p: p["segmenter"].score_samples(p["maps"][3]),
    "FeatureExtractor": lambda p: FeatureExtractor(p["network"], ["1"]),
    "FeatureExtractor.transform": lambda p: p["extractor"].transform(p["images"]),
    "segmentation_scores": lambda p: segmentation_scores(
        p["masks"], np.random.default_rng(0).random((18, 6, 6))
    ),
    "ContaminationThreshold": lambda p: (
        ContaminationThreshold(FrozenEstimator(p["fitted"]))
        .fit(p["X"], domains=p["names"])
        .predict(p["X"], domains=p["names"])
    ),
    "concat and split": lambda p: split_domains(*concat_domains(p["domains"])),
    "NormalTrainSplit": lambda p: list(NormalTrainSplit(3).split(p["X"], p["y"])),
    "PerDomainScorer": lambda p: PerDomainScorer("balanced_accuracy")(
        p["fitted"], p["X"], p["y"], domains=p["names"]
    ),
    "anomaly_roc_auc_scorer": lambda p: anomaly_roc_auc_scorer(
        p["fitted"], p["X"][:100], p["y"][:100]
    ),
    "AnomalyMapDisplay": lambda p: AnomalyMapDisplay.from_estimator(
        p["segmenter"], p["maps"][3], p["images"]
    ),
    "BatchSizeCurveDisplay": lambda p: BatchSizeCurveDisplay.from_estimator(
        p["fitted"],
        p["X"],
        p["y"],
        domains=p["names"],
        sizes=(16, 32),
        n_batches=2,
        random_state=0,
        ax=_axes(p),
    ),
    "ContaminationCurveDisplay": lambda p: ContaminationCurveDisplay.from_estimator(
        p["fitted"], p["X"], p["y"], domains=p["names"], ax=_axes(p)
    ),
    "explain": lambda p: p["fitted"].explain(p["X"], domains=p["names"]),
    "report": lambda p: p["fitted"].report(p["X"], domains=p["names"]),
    "as_pyod": lambda p: p["fitted"].as_pyod().fit(p["domains"][0]).predict(p["domains"][0]),
    "ExplanationDisplay": lambda p: ExplanationDisplay.from_estimator(
        p["fitted"], p["X"], domains=p["names"], ax=_axes(p)
    ),
    "DomainMapDisplay": lambda p: DomainMapDisplay.from_estimator(
        p["fitted"], p["X"], domains=p["names"], ax=_axes(p)
    ),
    "DomainRocDisplay": lambda p: DomainRocDisplay.from_estimator(
        p["fitted"], p["X"], p["y"], domains=p["names"], ax=_axes(p)
    ),
    "DomainPrecisionRecallDisplay": lambda p: DomainPrecisionRecallDisplay.from_estimator(
        p["fitted"], p["X"], p["y"], domains=p["names"], ax=_axes(p)
    ),
    "ScoreDistributionDisplay": lambda p: ScoreDistributionDisplay.from_estimator(
        p["fitted"], p["X"], p["y"], domains=p["names"], ax=_axes(p)
    ),
    "ScoresOverTimeDisplay": lambda p: ScoresOverTimeDisplay.from_estimator(
        p["fitted"], p["X"], p["y"], domains=p["names"]
    ),
    "TrainingCurveDisplay": lambda p: TrainingCurveDisplay.from_estimator(p["fitted"], ax=_axes(p)),
    "SelectionCurveDisplay": lambda p: SelectionCurveDisplay.from_values(
        [0.0, 0.5], [[0.7, 0.8]], ax=_axes(p)
    ),
}


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
@pytest.mark.parametrize("name", CALLS)
def test_no_call_changes_the_process(parts, name):
    assert changed_by(lambda: CALLS[name](parts)) == []


def test_a_change_would_be_seen():
    with warnings.catch_warnings():
        assert changed_by(lambda: torch.rand(1)) == ["torch's generator"]
        assert changed_by(np.random.random) == ["NumPy's generator"]
        assert changed_by(lambda: warnings.simplefilter("ignore")) == ["warning filters"]


def test_loading_weights_draws_nothing(tmp_path):
    torch.save(MobileNetV2(2).state_dict(), tmp_path / "weights.pth")
    assert changed_by(lambda: load_mobilenet_v2(tmp_path / "weights.pth")) == []


def _together(*calls):
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_segmenter_scored_from_threads_leaves_the_warnings_on(parts):
    segmenter, maps, fitted = parts["segmenter"], parts["maps"][3], parts["fitted"]
    filters = list(warnings.filters)

    def score():
        for _ in range(5):
            segmenter.patch_scores(maps)

    _together(*[score] * 4)
    assert list(warnings.filters) == filters
    with pytest.warns(SmallBatchWarning):
        fitted.score_samples(parts["domains"][0][:10])


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
def test_a_fit_with_dropout_is_the_same_beside_scoring_threads(parts):
    alone = _dropout(parts)
    stop, found = threading.Event(), []

    def fit():
        try:
            found.extend(_dropout(parts) for _ in range(2))
        finally:
            stop.set()

    def disturb():
        while not stop.is_set():
            parts["fitted"].adapt(parts["domains"][0])
            parts["fitted"].freeze(parts["domains"][1])

    _together(fit, disturb, disturb)
    assert len(found) == 2
    for scores in found:
        np.testing.assert_allclose(scores, alone, rtol=1e-7)
