"""Outlier synthesis on single data sets, against detectors of scikit-learn and PyOD.

Half of the normal rows of each set are trained on, at most --rows of them; the other half and all
anomalies are scored. Every method sees the same rows; the rivals see them standardized. What a
method reached on a set is kept in a cache and measured once.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import RESULTS, describe_run, format_table, save_json
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from acr_sklearn import OutlierSynthesisDetector

Rows = NDArray[np.float64]


class UniformNoise:
    """Outlier source: noise in a box a tenth wider than that of the rows."""

    def sample(self, X: Rows, domain_index: int, n: int, rng: np.random.Generator) -> Rows:
        low, high = X.min(axis=0), X.max(axis=0)
        margin = 0.05 * (high - low)
        return rng.uniform(low - margin, high + margin, (n, X.shape[1]))


def _plain_classifier(train: Rows, test: Rows, seed: int) -> Rows:
    """A small network on the rows themselves, against uniform noise."""
    rng = np.random.default_rng(seed)
    noise = UniformNoise().sample(train, 0, len(train), rng)
    network = MLPClassifier((64, 64), max_iter=100, random_state=seed)
    network.fit(np.concatenate([train, noise]), np.repeat([0, 1], len(train)))
    probability = network.predict_proba(test)[:, 1]
    return np.log(probability + 1e-12) - np.log1p(1e-12 - probability)


def _pyod(name: str) -> Callable[[Rows, Rows, int], Rows]:
    def score(train: Rows, test: Rows, seed: int) -> Rows:
        torch.manual_seed(seed)
        if name == "ECOD":
            from pyod.models.ecod import ECOD

            model = ECOD()
        elif name == "DeepSVDD":
            from pyod.models.deep_svdd import DeepSVDD

            model = DeepSVDD(n_features=train.shape[1], random_state=seed, verbose=0)
        else:
            from pyod.models.auto_encoder import AutoEncoder

            model = AutoEncoder(random_state=seed, verbose=0)
        return np.asarray(model.fit(train).decision_function(test))

    return score


#: Name -> function of (training rows, test rows, seed), all standardized; high for anomalies.
RIVALS: dict[str, Callable[[Rows, Rows, int], Rows]] = {
    "IsolationForest": lambda train, test, seed: (
        -IsolationForest(random_state=seed).fit(train).score_samples(test)
    ),
    "OCSVM": lambda train, test, _: -OneClassSVM(nu=0.1).fit(train).score_samples(test),
    "kNN": lambda train, test, _: (
        NearestNeighbors(n_neighbors=5).fit(train).kneighbors(test)[0].mean(axis=1)
    ),
    "LOF": lambda train, test, _: (
        -LocalOutlierFactor(n_neighbors=20, novelty=True).fit(train).score_samples(test)
    ),
    "ECOD": _pyod("ECOD"),
    "DeepSVDD": _pyod("DeepSVDD"),
    "AutoEncoder": _pyod("AutoEncoder"),
    "plain classifier, uniform noise": _plain_classifier,
}
#: Name -> parameters of the detector.
OURS: dict[str, dict[str, Any]] = {
    "synthesis": {},
    "without the variational level": {"n_latent": 0},
    "random latents": {"outskirts": "random"},
    "outskirts by mahalanobis": {"outskirts": "mahalanobis"},
    "outskirts by divergence": {"outskirts": "divergence"},
    "same signs, uniform noise": {"outlier_source": UniformNoise()},
    "256 known rows": {"n_known_rows": 256},
    "512 known rows": {"n_known_rows": 512},
    "3000 known rows": {"n_known_rows": 3000},
}


def split(path: Path, seed: int, most: int) -> tuple[Rows, Rows, NDArray[np.bool_]]:
    """Training rows, test rows, and which of these are anomalies."""
    with np.load(path, allow_pickle=False) as held:
        X, is_anomaly = held["X"].astype(np.float64), held["y"].ravel().astype(bool)
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(~is_anomaly))
    half = len(normal) // 2
    test = np.concatenate([normal[half:], np.flatnonzero(is_anomaly)])
    return X[normal[:half][:most]], X[test], is_anomaly[test]


def measure(method: str, path: Path, seed: int, most: int) -> dict[str, float]:
    """AUROC, average precision, seconds and, of ours, the share of new normal rows flagged."""
    train, test, is_anomaly = split(path, seed, most)
    start, flagged = time.perf_counter(), None
    if method in OURS:
        detector = OutlierSynthesisDetector(random_state=seed, **OURS[method]).fit(train)
        scores = -detector.score_samples(test)
        flagged = float(np.mean(scores[~is_anomaly] > -detector.offset_))
    else:
        scaler = StandardScaler().fit(train)
        scores = RIVALS[method](scaler.transform(train), scaler.transform(test), seed)
    scores = np.nan_to_num(scores)
    found = {
        "auroc": float(roc_auc_score(is_anomaly, scores)),
        "ap": float(average_precision_score(is_anomaly, scores)),
        "seconds": time.perf_counter() - start,
    }
    return found if flagged is None else found | {"flagged": flagged}


def cached(
    methods: list[str],
    paths: list[Path],
    seeds: list[int],
    most: int,
    folder: Path,
    *,
    measures: bool = True,
) -> Iterator[tuple[str, str, int, dict[str, float]]]:
    """Measure what is not in the cache, unless told not to, and yield all."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for method in methods:
            for path in paths:
                name = f"{method.replace(' ', '-').replace(',', '')}-{path.stem}-{seed}-{most}"
                kept = folder / f"{name}.json"
                if not kept.exists():
                    if not measures:
                        continue
                    save_json(kept, measure(method, path, seed, most))
                yield method, path.stem, seed, json.loads(kept.read_text(encoding="utf-8"))


def summary(found: list[tuple[str, str, int, dict[str, float]]]) -> dict[str, Any]:
    """Means over seeds, then over sets, and how often a method was the better one."""
    by_seed: dict[str, dict[str, list[dict[str, float]]]] = {}
    for method, data, _, figures in found:
        by_seed.setdefault(method, {}).setdefault(data, []).append(figures)
    table = {
        method: {
            data: {name: float(np.mean([one[name] for one in runs])) for name in runs[0]}
            for data, runs in sets.items()
        }
        for method, sets in by_seed.items()
    }
    ours = table.get("synthesis")
    means = {}
    for method, sets in table.items():
        names = next(iter(sets.values())).keys()
        means[method] = {name: float(np.mean([f[name] for f in sets.values()])) for name in names}
        means[method]["sets"] = len(sets)
        if ours:
            better = [ours[data]["auroc"] >= figures["auroc"] for data, figures in sets.items()]
            means[method]["synthesis_not_below"] = int(np.sum(better))
        means[method]["seeds"] = len({seed for m, _, seed, _ in found if m == method})
    return {"means": means, "sets": table}


def draw(means: dict[str, dict[str, float]], path: Path) -> None:
    """Mean AUROC and average precision of every method, as bars."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib.figure import Figure

    names = sorted(means, key=lambda name: means[name]["auroc"])
    figure = Figure(figsize=(9, 0.3 * len(names) + 1.2), layout="constrained")
    for axes, measure_of in zip(figure.subplots(1, 2, sharey=True), ("auroc", "ap"), strict=True):
        values = [means[name][measure_of] for name in names]
        colors = ["tab:orange" if n in RIVALS else "tab:blue" for n in names]
        axes.barh(names, values, color=colors)
        axes.set_xlim(min(values) - 0.02, max(values) + 0.02)
        axes.set_xlabel({"auroc": "mean AUROC", "ap": "mean average precision"}[measure_of])
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure, print a table, write JSON and a picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of .npz files with X and y, 1 = anomaly")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=3000, help="training rows at most")
    parser.add_argument("--methods", nargs="+", choices=[*RIVALS, *OURS], default=None)
    parser.add_argument("--sets", nargs="+", help="files to take, without .npz; default: all")
    parser.add_argument("--name", default="synthesis", help="of the JSON file and the picture")
    parser.add_argument("--cache", type=Path, default=Path("benchmarks/data/synthesis"))
    parser.add_argument("--only-measure", action="store_true", help="fill the cache, write nothing")
    parser.add_argument("--only-cached", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    paths = sorted(arguments.data.glob("*.npz"))
    if arguments.sets:
        paths = [path for path in paths if path.stem in arguments.sets]
    if not paths:
        parser.error(f"{arguments.data} holds no such .npz files.")
    methods, seeds = arguments.methods or [*OURS, *RIVALS], list(range(arguments.seeds))
    run = describe_run(seeds, ("numpy", "scikit-learn", "torch", "skorch", "pyod"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        place = arguments.rows, arguments.cache
        found = list(cached(methods, paths, seeds, *place, measures=not arguments.only_cached))
    if arguments.only_measure:
        return
    result = summary(found)
    save_json(RESULTS / f"{arguments.name}.json", {"run": run, "rows": arguments.rows, **result})
    draw(result["means"], RESULTS / f"{arguments.name}.png")
    lines = [
        [
            name,
            *(f"{m[x]:.4f}" for x in ("auroc", "ap")),
            *(str(m.get(x, "")) for x in ("synthesis_not_below", "sets", "seeds")),
        ]
        for name, m in sorted(result["means"].items(), key=lambda item: -item[1]["auroc"])
    ]
    print(format_table(["method", "AUROC", "AP", "synthesis not below", "sets", "seeds"], lines))


if __name__ == "__main__":
    main()
