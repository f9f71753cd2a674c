"""Every public class and function but the detector, called with hostile arguments by a seed."""

import contextlib
import functools
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from hostile_parameters import HUGE, SETTINGS
from hostile_tables import ODD, WIDTH, held, labels
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator

import acr_sklearn
from acr_sklearn import datasets, distributed, metrics, model_selection, outliers, plotting
from acr_sklearn.exceptions import ACRWarning

N_ROWS = 24
PATHS = ["", ".", "..", "no such", "a\0b", "/proc/self/mem", b"x", "x" * 5000, Path("none")]


class Drawer:
    """Draws arguments from one seed: most ordinary, some hostile."""

    def __init__(self, seed):
        self.seed = seed
        self.rng = np.random.default_rng((seed, 4))

    def other(self):
        """Give another seed, of what is drawn by seeds."""
        return int(self.rng.integers(2**32))

    def one(self, *values):
        return values[int(self.rng.integers(len(values)))]

    def setting(self, *ordinary, hostile=0.15):
        """One of the ordinary values, or one that few parameters should have."""
        if ordinary and self.rng.random() > hostile:
            return self.one(*ordinary)
        pool = [value for value in SETTINGS if not any(value is huge for huge in HUGE[:4])]
        return self.one(*pool)

    def table(self):
        if self.rng.random() < 0.6:
            return self.rng.normal(size=(N_ROWS, WIDTH))
        return held(self.other(), [self.one(*ODD) for _ in range(self.rng.integers(3))])

    def labels(self, *ordinary, n_rows=N_ROWS):
        """A label per row, or something that is none."""
        kind = self.rng.random()
        if kind < 0.6:
            return self.rng.choice(ordinary, n_rows)
        if kind < 0.65:
            return self.setting()
        values = [self.one(*ordinary, *ODD) for _ in range(3)]
        return labels(self.other(), values, n_rows)

    def numbers(self, *shape):
        """Numbers of a shape, in one of the holders, or something that is none."""
        found = self.rng.normal(size=shape)
        kind = self.rng.random()
        if kind < 0.5:
            return found
        if kind < 0.55:
            return self.setting()
        if kind < 0.7:
            places = tuple(self.rng.integers(n) for n in shape)
            found = found.astype(object) if kind < 0.63 else found
            found[places] = self.one(*ODD) if kind < 0.63 else self.one(np.nan, np.inf, 1e300)
            return found
        changes = [
            *(np.ndarray.tolist, torch.tensor, np.ma.masked_array, memoryview, iter, repr),
            *(np.float32, np.float16, np.int64, bool, list, tuple, np.longdouble, np.complex128),
            *(np.ravel, np.transpose, lambda x: x[:0], lambda x: x[:-1], lambda x: x[None]),
            *(lambda x: x.astype(object), lambda x: x.astype(str), lambda x: x > 0),
            *(lambda x: np.ma.masked_array(x, x > 0), lambda x: [x, x], lambda x: [list(x), None]),
            *(lambda x: torch.tensor(x, requires_grad=True), lambda x: x.astype("M8[s]")),
        ]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self.one(*changes)(found)
        except (TypeError, ValueError):
            return found


@functools.cache
def detector():
    rng = np.random.default_rng(0)
    sites = [rng.normal(rng.normal(0, 3, WIDTH), 1.0, (30, WIDTH)) for _ in range(5)]
    small = {"max_iter": 2, "n_tasks": 2, "task_size": 8, "hidden_layer_sizes": (8,)}
    return acr_sklearn.ZeroShotACRDetector(**small, random_state=0).fit(sites)


@functools.cache
def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3, padding=1))


@functools.cache
def products():
    rng = np.random.default_rng(0)
    return [rng.normal(rng.normal(0, 3, (2, 3, 3)), 1, (16, 2, 3, 3)) for _ in range(3)]


@functools.cache
def segmenter():
    small = acr_sklearn.ZeroShotACRDetector(max_iter=2, n_tasks=2, task_size=8, random_state=0)
    return acr_sklearn.ZeroShotSegmenter(detector=small, random_state=0).fit(products())


# ------------------------------------------------------- one function per public class or function


def contamination_threshold(draw):
    fitted = draw.one(FrozenEstimator(detector()), IsolationForest(n_estimators=2, random_state=0))
    model = acr_sklearn.ContaminationThreshold(
        draw.setting(fitted, hostile=0.1),
        contamination=draw.setting(0.1, "auto"),
        polarity=draw.setting("auto", "normal", hostile=0.2),
    )
    X = draw.rng.normal(size=(N_ROWS, WIDTH))
    return model.fit(X, domains=draw.one(None, draw.labels("a", "b"))).decision_function(X)


def label_threshold(draw):
    fitted = FrozenEstimator(draw.one(detector(), IsolationForest(n_estimators=2, random_state=0)))
    X, y = draw.rng.normal(size=(N_ROWS, WIDTH)), draw.labels(1, -1)
    if isinstance(fitted.estimator, IsolationForest):
        fitted.estimator.fit(X)
    model = acr_sklearn.LabelThreshold(
        draw.setting(fitted, hostile=0.1),
        metric=draw.setting("f1", "balanced_accuracy", "cost", "recall", hostile=0.1),
        miss_cost=draw.setting(5.0, hostile=0.1),
        max_false_alarm_rate=draw.setting(0.0, 0.1, hostile=0.1),
        polarity=draw.setting("auto", "normal", hostile=0.1),
    )
    model.fit(X, y, domains=draw.one(None, draw.labels("a", "b")))
    return [model.offset_, model.best_value_]


def fit_on_normals(draw):
    model = acr_sklearn.FitOnNormals(draw.setting(detector(), hostile=0.1))
    domains = draw.one(None, draw.labels("a", "b"))
    return model.fit(draw.table(), draw.labels(1, -1), domains=domains).detector_.offset_


def normal_train_split(draw):
    folds = [(np.arange(12), np.arange(12, 24))]
    split = acr_sklearn.NormalTrainSplit(draw.setting(3, folds), draw.setting("warn", "raise"))
    X, groups = draw.rng.normal(size=(N_ROWS, 2)), draw.one(None, draw.labels(0, 1, 2))
    y = draw.labels(1, -1)
    return [len(train) for train, _ in split.split(X, y, groups)]


def per_domain_scorer(draw):
    metric = draw.setting("roc_auc", "balanced_accuracy", hostile=0.2)
    column = draw.setting(None, hostile=0.3)
    scorer = acr_sklearn.PerDomainScorer(
        # What a user's own function raises is the user's.
        "f1" if callable(metric) else metric,
        response_method=draw.setting("predict", "score_samples", hostile=0.2),
        domains_from=None if callable(column) else column,
        if_unknown=draw.setting("raise", "one domain", hostile=0.2),
    )
    X = draw.rng.normal(size=(N_ROWS, WIDTH))
    return scorer(detector(), X, draw.labels(1, -1), domains=draw.one(None, draw.labels("a", "b")))


def ready_scorers(draw):
    scorer = draw.one(
        acr_sklearn.anomaly_roc_auc_scorer, acr_sklearn.anomaly_average_precision_scorer
    )
    domains = draw.one(None, draw.labels("a", "b"))
    return scorer(detector(), draw.table(), draw.labels(1, -1), domains=domains)


def joined(found):
    """Put data sets that came in a list or a mapping below one another."""
    parts = list(found.values()) if isinstance(found, dict) else found
    return np.concatenate(list(map(np.asarray, parts if isinstance(parts, list) else [parts])))


def domain_imputer(draw):
    imputer = acr_sklearn.DomainImputer(
        draw.setting("median", "mean", "neighbors", "neighbors"),
        n_neighbors=draw.setting(1, 3, hostile=0.2),
    )
    found = imputer.fit_transform(draw.table(), domains=draw.one(None, draw.labels("a", "b")))
    return joined(found)


def domain_detrender(draw):
    detrender = acr_sklearn.DomainDetrender(
        draw.setting("auto", "linear", "local", hostile=0.2),
        window=draw.setting(0.5, 1.0, hostile=0.1),
    )
    found = detrender.fit_transform(draw.table(), domains=draw.one(None, draw.labels("a", "b")))
    return np.nan_to_num(joined(found))  # what is missing stays missing


def domain_scaler(draw):
    scaler = acr_sklearn.DomainScaler(
        draw.setting("std", "mad", "iqr", hostile=0.2),
        with_centering=draw.setting(True, False, hostile=0.1),
        with_scaling=draw.setting(True, False, hostile=0.1),
    )
    found = scaler.fit_transform(draw.table(), domains=draw.one(None, draw.labels("a", "b")))
    return np.nan_to_num(joined(found))  # what is missing stays missing


def feature_extractor(draw):
    extractor = acr_sklearn.FeatureExtractor(
        draw.setting(network(), hostile=0.05),
        draw.setting(["0"], "0", hostile=0.05),
        map_size=draw.setting(None, (2, 2), hostile=0.05),
        image_size=draw.setting(None, 8, hostile=0.05),
        neighborhood=draw.setting(1, 3, hostile=0.05),
        deviations=draw.setting((), ["0"], hostile=0.05),
        normalize=draw.setting("last", "all", hostile=0.05),
        mean=draw.setting((0.5, 0.5, 0.5), hostile=0.05),
        std=draw.setting((0.5, 0.5, 0.5), hostile=0.05),
        batch_size=draw.setting(2, hostile=0.05),
        dtype=draw.setting("float32", "float16", hostile=0.05),
        device=draw.setting("cpu", hostile=0.05),
    )
    out = draw.one(None, None, None, *PATHS)
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(out, str) and out:
            out = f"{folder}/{out}"
        images = draw.one(draw.numbers(3, 3, 6, 6), draw.rng.random((3, 3, 6, 6)))
        return np.array(extractor.transform(images, out=out))


def mobilenet(draw):
    return acr_sklearn.mobilenet_extractor(draw.setting(*PATHS), layers=draw.setting("features.3"))


def segmentation(draw):
    masks = draw.one(draw.numbers(3, 6, 6), draw.rng.random((3, 6, 6)) > 0.7)
    maps = draw.numbers(3, 6, 6)
    if draw.rng.random() < 0.5:
        return metrics.per_region_overlap(masks, maps, max_fpr=draw.setting(0.3, 1))
    scores = draw.one(None, draw.numbers(3))
    found = list(metrics.segmentation_scores(masks, maps, scores).values())
    return np.nan_to_num(found)  # by definition nan for images of one kind


def curves(draw):
    measure = draw.one(metrics.f1_max, metrics.anomaly_roc_auc, metrics.anomaly_average_precision)
    ordinary = (0, 1) if measure is metrics.f1_max else (1, -1)
    return measure(draw.labels(*ordinary), draw.numbers(N_ROWS))


def concatenated(draw):
    parts = draw.setting([draw.table(), draw.table()], hostile=0.1)
    labels_ = draw.one(None, draw.labels("a", "b", n_rows=2))
    rows, index = model_selection.concat_domains(parts, labels=labels_)
    assert len(rows) == len(index)


def split(draw):
    model_selection.split_domains(draw.table(), draw.labels("a", "b"))


def synthetic_outliers(draw):
    source = outliers.SyntheticOutliers()
    rows = draw.rng.normal(size=(N_ROWS, 2))
    return source.sample(rows, np.zeros(N_ROWS, int), 3, draw.rng)


def synthesis(draw):
    model = acr_sklearn.OutlierSynthesisDetector(
        hidden_layer_sizes=draw.setting(None, (4, 2), hostile=0.1),
        n_latent=draw.setting(0, 2, hostile=0.1),
        outskirts=draw.setting("coverage", "random", hostile=0.1),
        outskirts_fraction=draw.setting(0.3, 1.0, hostile=0.1),
        n_known_rows=draw.setting(2, 100, hostile=0.1),
        max_iter=2,
        learning_rate=draw.setting(0.002, hostile=0.1),
        contamination=draw.setting(0.1, "auto", hostile=0.1),
        random_state=draw.setting(0, None, hostile=0.1),
    )
    return asked(draw, model.fit(draw.numbers(N_ROWS, WIDTH)))


def asked(draw, fitted):
    """Ask for scores, or for what made them."""
    X, domains = draw.numbers(N_ROWS, WIDTH), draw.one(None, None, draw.labels("a", "b"))
    method = draw.one("decision_function", "explain", "report", "as_function", "as_pyod")
    if method == "report":
        return fitted.report(X, domains=domains, n_rows=draw.setting(3))["score"].to_numpy()
    if method == "as_function":
        return fitted.as_function(draw.one(X, None))(draw.numbers(2, WIDTH))
    if method == "as_pyod":
        return fitted.as_pyod().fit(X).decision_function(draw.numbers(2, WIDTH))
    return getattr(fitted, method)(X, domains=domains)


def residuals(draw):
    model = acr_sklearn.ResADDetector(
        metric=draw.setting("euclidean", "cosine", hostile=0.1),
        residual=draw.setting("plain", "squared", "none", hostile=0.1),
        reference_blend=draw.setting(1, 3, hostile=0.1),
        constraintor=draw.setting(True, False, hostile=0.1),
        invariance=draw.setting(0.0, 1.0, hostile=0.1),
        n_blocks=draw.setting(1, 2, hostile=0.1),
        likelihood_weight=draw.setting(0.0, 1.0, hostile=0.1),
        max_iter=2,
        learning_rate=draw.setting(0.004, hostile=0.1),
        contamination=draw.setting(0.1, "auto", hostile=0.1),
        random_state=draw.setting(0, None, hostile=0.1),
    )
    fitted = model.fit(draw.numbers(N_ROWS, WIDTH))
    live = draw.one(fitted, fitted.adapt(draw.numbers(4, WIDTH)))
    if live is not fitted and draw.one(True, False):
        window, every = draw.setting(None, 3, hostile=0.1), draw.setting(1, 9, hostile=0.1)
        live.update(draw.numbers(3, WIDTH), window=window, every=every)
    return asked(draw, live)


def synthesizer(draw):
    source = outliers.OutlierSynthesizer(
        max_iter=2,
        n_latent=draw.setting(0, 2, hostile=0.1),
        outskirts_fraction=draw.setting(0.3, hostile=0.1),
        random_state=0,
    )
    fitted = source.fit(draw.numbers(N_ROWS, WIDTH))
    rows = draw.rng.normal(size=(N_ROWS, WIDTH))
    return fitted.sample(rows, np.zeros(N_ROWS, int), 3, draw.rng)


def displays(draw):
    y, scores = draw.labels(1, -1), draw.numbers(N_ROWS)
    domains = draw.one(None, None, draw.labels("a", "b"))
    kind = draw.one(
        *(plotting.DomainRocDisplay, plotting.DomainPrecisionRecallDisplay),
        *(plotting.ScoreDistributionDisplay, plotting.ContaminationCurveDisplay),
        *(plotting.BatchSizeCurveDisplay, plotting.DomainMapDisplay, plotting.TrainingCurveDisplay),
        *(plotting.AnomalyMapDisplay, plotting.SelectionCurveDisplay),
        *(plotting.ExplanationDisplay, plotting.ScoresOverTimeDisplay),
    )
    try:
        if kind is plotting.ScoreDistributionDisplay:
            bins, threshold = draw.setting(5, hostile=0.2), draw.setting(0.0, None, hostile=0.2)
            given = {"domains": domains, "bins": bins, "threshold": threshold}
            kind.from_predictions(scores, draw.one(None, y), **given)
        elif kind is plotting.ScoresOverTimeDisplay:
            given = {"domains": domains, "threshold": draw.setting(0.0, None, hostile=0.2)}
            given["times"] = draw.one(None, draw.numbers(N_ROWS))
            kind.from_predictions(scores, draw.one(None, y), **given)
        elif kind is plotting.BatchSizeCurveDisplay:
            sizes, n = draw.setting((4, 8), hostile=0.3), draw.setting(2, hostile=0.2)
            X = draw.rng.normal(size=(N_ROWS, WIDTH))
            kind.from_estimator(detector(), X, y, domains=domains, sizes=sizes, n_batches=n)
            kind.from_values(sizes, draw.setting({"a": [[0.5, 0.7], [0.8, 0.9]]}, hostile=0.5))
        elif kind is plotting.DomainMapDisplay:
            statistic = draw.setting("spread", "mean", hostile=0.2)
            kind.from_estimator(detector(), draw.table(), domains=domains, statistic=statistic)
            known, new = draw.numbers(3, WIDTH), draw.numbers(2, WIDTH)
            kind.from_values(known, new, draw.numbers(2), batch_labels=draw.setting(None, "ab"))
        elif kind is plotting.TrainingCurveDisplay:
            kind.from_history(draw.setting(detector().history_, hostile=0.8))
        elif kind is plotting.SelectionCurveDisplay:
            weights, auroc = draw.setting([0.0, 0.5], hostile=0.3), draw.setting([[0.7, 0.8]] * 2)
            named = draw.one(None, draw.labels("a", "b", n_rows=2))
            kind.from_values(weights, auroc, domains=named, chosen=draw.setting(None, 0.5))
        elif kind is plotting.ExplanationDisplay:
            row, shape = draw.setting(None, 3, hostile=0.2), draw.setting(None, (1, WIDTH))
            shown = kind(draw.numbers(N_ROWS, WIDTH), draw.setting(None, list("ab")), shape)
            shown.plot(row=row, n_rows=draw.setting(5), n_features=draw.setting(2))
        elif kind is plotting.AnomalyMapDisplay:
            images, maps = draw.rng.random((3, 3, 6, 6)), draw.numbers(3, 6, 6)
            given = draw.one(images, draw.numbers(3, 3, 6, 6)), maps, draw.one(None, maps)
            rows, columns = draw.setting(None, [0], hostile=0.2), draw.setting(1, 2, hostile=0.2)
            kind.from_predictions(*given, rows=rows, n_columns=columns)
        else:
            kind.from_predictions(y, scores, domains=domains)
    finally:
        plt.close("all")


def loaders(draw):
    path = draw.setting(*PATHS, hostile=0.2)
    load = draw.one(
        lambda: datasets.load_mnist(path, unseen=draw.setting([1, 2])),
        lambda: datasets.load_medmnist(path, unseen=draw.setting([1, 2])),
        lambda: datasets.load_omniglot(path, size=draw.setting(28), n_train=draw.setting(None)),
        lambda: datasets.load_mvtec(path, size=draw.setting(64), crop=draw.setting(32)),
        lambda: datasets.load_visa(path, size=draw.setting(64), products=draw.setting(None)),
        lambda: datasets.load_cifar100c(path, severities=draw.setting((5,))),
        lambda: datasets.load_anoshift(
            path, train_years=draw.setting((2006,)), max_train_rows=draw.setting(None, 10)
        ),
        lambda: datasets.load_folder(
            path,
            label=draw.setting(None),
            groups=draw.setting(None, {}),
            time=draw.setting(None, "a"),
            sep=draw.setting(","),
            decimal=draw.setting("."),
            encoding=draw.setting("utf-8"),
        ),
    )
    load()


def segment(draw):
    """The segmenter: what is given to it, and how it is made."""
    if draw.rng.random() < 0.5:
        maps = draw.one(draw.numbers(16, 2, 3, 3), products()[0])
        method = draw.one("patch_scores", "anomaly_maps", "score_samples")
        size = {} if method == "patch_scores" else {"image_size": draw.setting(None, 6)}
        return getattr(segmenter(), method)(maps, **size)
    allowed = acr_sklearn.ZeroShotSegmenter._parameter_constraints
    names = draw.rng.choice(sorted(allowed), draw.rng.integers(1, 3), replace=False)
    given = {"detector": segmenter().detector, "random_state": 0}
    given |= {name: draw.setting() for name in names}
    if "detector" in names and draw.rng.random() < 0.5:
        given["detector"] = detector()
    model = acr_sklearn.ZeroShotSegmenter(**given)
    X = draw.one(products(), products(), [draw.numbers(16, 2, 3, 3), products()[1]])
    return model.fit(X).anomaly_maps(products()[0])


def stored(draw):
    """Files: where they go, what is read, and what is passed beside."""
    with tempfile.TemporaryDirectory() as folder:
        path = draw.one(*PATHS, draw.setting(), f"{folder}/m")
        kept = Path(folder) / "kept"
        detector().save(kept)
        data = bytearray(kept.read_bytes())
        for _ in range(draw.rng.integers(3)):
            data[draw.rng.integers(len(data))] ^= 1 << draw.rng.integers(8)
        kept.write_bytes(data)
        parts = (
            {draw.one("net", "backbone", "x"): draw.setting()} if draw.rng.random() < 0.3 else {}
        )
        with contextlib.chdir(folder):  # for a name that is taken as it is
            return draw.one(
                lambda: detector().save(path),
                lambda: acr_sklearn.load(path, **parts),
                lambda: acr_sklearn.load(kept, **parts).score_samples(draw.table()),
                lambda: acr_sklearn.ZeroShotACRDetector.load(kept, **parts),
                lambda: acr_sklearn.DomainScaler.load(kept),
            )()


def few_shot(draw):
    """The segmenter with references."""
    model = acr_sklearn.FewShotSegmenter(
        detector=acr_sklearn.ResADDetector(max_iter=2, n_blocks=1),
        levels=draw.setting(None, (1, 1), hostile=0.1),
        regions=draw.setting("position", "neighborhood", "pooled", hostile=0.1),
        region_size=draw.setting(1, 2, hostile=0.1),
        pooling=draw.setting(1, 3, hostile=0.1),
        outliers=draw.setting("detector", "mixed", hostile=0.1),
        domains_per_product=draw.setting(2, hostile=0.1),
        max_rows=draw.setting(32, hostile=0.1),
        sigma=draw.setting(0.0, hostile=0.1),
        random_state=draw.setting(0, hostile=0.1),
    )
    live = model.fit(draw.one(products(), [draw.numbers(4, 2, 3, 3), products()[1]]))
    live = live.adapt(draw.one(draw.numbers(4, 2, 3, 3), products()[0]))
    return live.score_samples(draw.numbers(4, 2, 3, 3), image_size=draw.setting(None, 6))


def frame_of(draw):
    """A frame of two domains with an odd cell or name somewhere, or something that is none."""
    columns = [f"f{i}" for i in range(WIDTH)]
    frame = pd.DataFrame(draw.rng.normal(size=(N_ROWS, WIDTH)), columns=columns)
    frame["site"] = np.arange(N_ROWS) % 2
    if draw.rng.random() < 0.5:
        column = draw.one("f1", "site")
        frame[column] = frame[column].astype(object)
        with contextlib.suppress(ValueError, TypeError):  # what pandas does not take as a cell
            frame.at[3, column] = draw.one(*ODD)
    other = draw.one(
        frame, frame.iloc[:0], frame.iloc[:1], frame[["f0", "site"]], frame.iloc[:, ::-1]
    )
    return draw.one(frame, other, draw.setting())


def fleets(draw):
    """Tables of whole domains, and what the doors of engines are given instead of theirs."""
    columns = [f"f{i}" for i in range(WIDTH)]
    frame, chosen = frame_of(draw), draw.setting(columns, hostile=0.1)
    domain = draw.setting("site", hostile=0.1)
    if draw.rng.random() < 0.2:
        small = acr_sklearn.ZeroShotACRDetector(max_iter=2, n_tasks=2, task_size=8, random_state=0)
        most, seed = draw.setting(9, hostile=0.2), draw.setting(0, hostile=0.2)
        given = {"columns": chosen, "max_rows": most, "random_state": seed}
        fitted = distributed.fit_frame(frame, small, domain_column=domain, **given)
        return fitted.detector.offset_
    given = {
        "domain_column": domain,
        "key": draw.setting(None, "f0", ["f0", "site"], hostile=0.1),
        "columns": chosen,
        "if_single": draw.setting("raise", "missing", hostile=0.1),
    }
    scored = draw.setting(detector(), hostile=0.1)
    if draw.rng.random() < 0.7:
        found = distributed.score_frame(frame, scored, **given)
        return np.nan_to_num(found["score"].to_numpy())  # of a domain of one row
    door = draw.one(distributed.score_dask, distributed.score_spark, distributed.score_duckdb)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of engines that are imported
        try:
            door(frame, scored, **given)
        except ImportError as error:
            if 'pip install "acr-sklearn[' not in str(error):
                raise
    return 0.0


#: What is called, and whom an error may name.
CALLS = {
    contamination_threshold: ("ContaminationThreshold", "ZeroShotACRDetector"),
    label_threshold: ("LabelThreshold", "ZeroShotACRDetector"),
    fit_on_normals: ("FitOnNormals", "ZeroShotACRDetector"),
    normal_train_split: ("NormalTrainSplit",),
    per_domain_scorer: ("PerDomainScorer", "ZeroShotACRDetector"),
    # They are of this class.
    ready_scorers: ("PerDomainScorer", "ZeroShotACRDetector"),
    domain_imputer: ("DomainImputer",),
    domain_detrender: ("DomainDetrender",),
    domain_scaler: ("DomainScaler",),
    feature_extractor: ("FeatureExtractor",),
    mobilenet: ("FeatureExtractor", "load_mobilenet_v2"),
    segmentation: ("per_region_overlap", "segmentation_scores"),
    curves: ("f1_max", "anomaly_roc_auc", "anomaly_average_precision"),
    concatenated: ("concat_domains",),
    split: ("split_domains",),
    synthetic_outliers: (),
    synthesis: ("OutlierSynthesisDetector",),
    residuals: ("ResADDetector",),
    synthesizer: ("OutlierSynthesizer",),
    displays: ("Display", "ZeroShotACRDetector"),
    # Of a path they say what it should be.
    loaders: ("load_", ". Expected ", " cannot be read: "),
    segment: ("ZeroShotSegmenter", "ZeroShotACRDetector"),
    stored: ("acr_sklearn.load", "ZeroShotACRDetector", "DomainScaler.load"),
    few_shot: ("FewShotSegmenter", "ResADDetector"),
    fleets: ("score_frame", "score_dask", "score_spark", "score_duckdb", "fit_frame", "ZeroShot"),
}


def call(seed):
    """Make the call of a seed; give its result and whom an error may name."""
    draw = Drawer(seed)
    chosen = draw.one(*CALLS)
    return functools.partial(made, chosen, draw), chosen.__name__, CALLS[chosen]


def made(chosen, draw):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ACRWarning)
        found = chosen(draw)
    is_number = isinstance(found, float | int | list | np.ndarray | np.generic)
    return found if is_number else 0.0
