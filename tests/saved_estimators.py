"""One small fitted estimator of every kind that a file may hold."""

import functools
import warnings

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from torch import nn

from acr_sklearn import (
    ContaminationThreshold,
    ConvBackbone,
    DomainDetrender,
    DomainImputer,
    DomainScaler,
    FewShotSegmenter,
    FitOnNormals,
    HeldOutDomains,
    LabelThreshold,
    MLPBackbone,
    NeuralTransformation,
    OutlierSynthesisDetector,
    ResADDetector,
    ZeroShotACRDetector,
    ZeroShotSegmenter,
)
from acr_sklearn.exceptions import ACRWarning
from acr_sklearn.outliers import OutlierSynthesizer, SyntheticOutliers

WIDTH = 4
SMALL = {"max_iter": 2, "n_tasks": 2, "task_size": 8, "hidden_layer_sizes": (8,)}
SMALL["random_state"] = 0


def sites():
    rng = np.random.default_rng(0)
    return [rng.normal(rng.normal(0, 3, WIDTH), 1.0, (30, WIDTH)) for _ in range(5)]


def rows(n=40):
    return np.random.default_rng(1).normal(2.0, 1.5, (n, WIDTH))


def pooled():
    return np.concatenate(sites()), np.repeat(list("abcde"), 30)


def backbone(width=6):
    """A user's own network."""
    return nn.Sequential(
        nn.Linear(WIDTH, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 5)
    )


def seeded_backbone():
    torch.manual_seed(0)
    return backbone()


def maps():
    rng = np.random.default_rng(0)
    return [rng.normal(rng.normal(0, 3, (2, 3, 3)), 1, (16, 2, 3, 3)) for _ in range(3)]


def acr(**settings):
    return ZeroShotACRDetector(**(SMALL | settings)).fit(sites())


def known():
    X, domains = pooled()
    marked = np.arange(len(X)) % 7 == 0
    X = X + 4.0 * marked[:, None]
    return ZeroShotACRDetector(**SMALL).fit(X, domains=domains, known_anomalies=marked)


def label_threshold():
    X, domains = pooled()
    y = np.where(np.arange(len(X)) % 7, 1, -1)
    detector = FitOnNormals(ZeroShotACRDetector(**SMALL))
    return LabelThreshold(detector, cv=2).fit(X, y, domains=domains)


def segmenter():
    return ZeroShotSegmenter(detector=ZeroShotACRDetector(**SMALL), random_state=0).fit(maps())


def few_images():
    detector = ResADDetector(max_iter=2, n_blocks=1, random_state=0)
    return FewShotSegmenter(detector=detector, levels=(1, 1), random_state=0).fit(maps())


def holed():
    X = rows()
    X[::5, 1] = np.nan
    return X


_NETWORKS = {
    f"{objective}-{head}-{n}": functools.partial(
        acr, objective=objective, score_head=head, n_estimators=n
    )
    for objective in ("dsvdd", "bce", "ntl")
    for head in ("consensus", "combined", "objective", "neighbors", "mahalanobis")
    for n in (1, 2)
    if n == 1 or head in ("consensus", "combined")
}
_OTHER = {
    "transformations": lambda: acr(
        objective=NeuralTransformation(n_transformations=3, kind="multiplicative")
    ),
    "feedforward": lambda: acr(
        objective=NeuralTransformation(n_transformations=3, kind="feedforward")
    ),
    "plain backbone": lambda: acr(backbone=MLPBackbone(whiten_features=False)),
    "stride": lambda: acr(backbone=ConvBackbone(input_shape=(1, 2, 2), channels=(3,))),
    "maxpool": lambda: acr(
        backbone=ConvBackbone(input_shape=(1, 2, 2), channels=(3,), downsampling="maxpool")
    ),
    "own backbone": lambda: acr(backbone=seeded_backbone()),
    "own backbones": lambda: acr(backbone=seeded_backbone(), n_estimators=2),
    "pooled reference": lambda: acr(norm_mode="reference"),
    "batch": lambda: acr(norm_mode="batch", threshold="batch", contamination="auto"),
    "not trimmed": lambda: acr(trim_fraction=0.0),
    "held out": lambda: acr(early_stopping=HeldOutDomains(validation_fraction=0.4)),
    "sources": lambda: acr(outlier_source=SyntheticOutliers()),
    "known": known,
}
#: Of rows: name -> how it is made.
DETECTORS = _NETWORKS | _OTHER
#: Which of them are adapted too.
ADAPTED = [name for name in DETECTORS if name != "batch"]
OTHERS = {
    "synthesis": lambda: OutlierSynthesisDetector(max_iter=3, random_state=0).fit(rows(60)),
    "one level": lambda: OutlierSynthesisDetector(max_iter=3, n_latent=0, random_state=0).fit(
        rows(60)
    ),
    "source": lambda: OutlierSynthesizer(max_iter=3, random_state=0).fit(sites()),
    "bottleneck": lambda: acr(
        outlier_source=OutlierSynthesizer(max_iter=3, n_latent=1, random_state=0).fit(sites())
    ),
    "threshold": lambda: ContaminationThreshold(FrozenEstimator(fitted("dsvdd-consensus-1"))).fit(
        pooled()[0], domains=pooled()[1]
    ),
    "trained threshold": lambda: ContaminationThreshold(ZeroShotACRDetector(**SMALL)).fit(
        pooled()[0], domains=pooled()[1]
    ),
    "pipeline": lambda: ContaminationThreshold(
        FrozenEstimator(make_pipeline(DomainScaler().fit(rows()), fitted("dsvdd-consensus-1")))
    ).fit(rows()),
    "on normals": lambda: FitOnNormals(ZeroShotACRDetector(**SMALL)).fit(rows()),
    "label threshold": label_threshold,
    "scaler": lambda: DomainScaler(unit="mad").fit(rows()),
    "detrender": lambda: DomainDetrender("linear").fit(rows()),
    "imputer": lambda: DomainImputer().fit(holed()),
    "imputer, neighbors": lambda: DomainImputer("neighbors", n_neighbors=3).fit(holed()),
    "residuals": lambda: ResADDetector(max_iter=3, random_state=0).fit(sites()),
    "few references": lambda: fitted("residuals").adapt(rows(5)),
    "residuals, likely": lambda: ResADDetector(
        max_iter=3, constraintor=False, likelihood_weight=0.5, random_state=0
    ).fit(sites()),
    "segmenter": segmenter,
    "few images": lambda: few_images().adapt(maps()[0][:3]),
}


@functools.cache
def fitted(name):
    """Fit once; give the same object ever after."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ACRWarning)
        if name.endswith(", adapted"):
            return fitted(name.removesuffix(", adapted")).adapt(rows(70))
        return (DETECTORS | OTHERS)[name]()


def parts(name):
    """What has to be passed to load."""
    return {"backbone": backbone()} if name.startswith("own backbone") else {}


def answers(estimator, dtype=np.float64):
    """Whatever an estimator says of new rows, as one array."""
    if isinstance(estimator, FewShotSegmenter):
        return estimator.patch_scores(maps()[0][3:].astype(dtype))
    if isinstance(estimator, ZeroShotSegmenter):
        return estimator.patch_scores(maps()[0].astype(dtype))
    if isinstance(estimator, OutlierSynthesizer):
        return estimator.sample(sites()[0], 0, 9, np.random.default_rng(0))
    if hasattr(estimator, "transform"):
        return estimator.transform(holed().astype(dtype))
    given = (rows() + 0.5).astype(dtype)
    return np.stack([estimator.score_samples(given), estimator.decision_function(given)])
