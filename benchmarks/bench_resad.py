"""ResAD on unseen domains with few references, against nearest references and its own ablations.

For every unseen domain references are drawn again and again; all methods see the same ones, and
score the same other normal rows and labelled anomalies (rows of other unseen classes where classes
are the domains). AUROC is averaged over draws, then domains, then sets. Image sets are in their
own units, native ones standardized by the training rows, as the rivals like them best. A set that
was measured is kept in a cache.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from _report import RESULTS, describe_run, format_table, save_json
from native import data as native_data
from native import protocol as native
from numpy.typing import NDArray
from quality import datasets as quality
from sklearn.metrics import roc_auc_score

from acr_sklearn import ResADDetector, ZeroShotACRDetector

Rows = NDArray[np.floating]
Score = Callable[[Rows, Rows], Rows]  # (references, rows) -> high for anomalies

REFERENCES = (1, 2, 4, 8, 16, 64)
#: Anomalies among so many references.
SPOILT = ((1, 4), (2, 16))
N_NORMAL, N_ANOMALIES, N_NEIGHBORS = 150, 75, 5
#: Name -> parameters.
OURS: dict[str, dict[str, Any]] = {
    "ResAD": {},
    "without residuals": {"residual": "none"},
    "without constraintor": {"constraintor": False},
    "without the invariant term": {"invariance": 0.0},
    "with the flow's likelihood": {"likelihood_weight": 1.0},
    "squared residuals": {"residual": "squared"},
    "by cosine": {"metric": "cosine"},
    "3 references blended": {"reference_blend": 3},
}
KNOWN, ACR = "ResAD, known anomalies", "ZeroShotACRDetector.adapt"
RIVALS = ("1-NN", "kNN, centred and scaled")


def splits(name: str, n_train: int) -> Iterator[tuple[Any, list[Rows], list[Rows] | None]]:
    """Splits of a set with training normals and, of native sets, known training anomalies."""
    if name not in native_data.available():
        for split in quality.splits(name, "validation"):
            yield split, [_some(rows, n_train, name) for rows in split.train], None
        return
    data = native_data.read(name)
    for split in native.splits(data, native.Protocol(n_train=n_train)):
        normals = [native._training_rows(data, d, n_train) for d in split.train_names]
        mean, std = (f(np.concatenate(normals), axis=0) for f in (np.mean, np.std))
        std = np.where(std > 1e-12, std, 1.0)
        marked = [_some(data.X[data.anomalies(d)], n_train // 2, d) for d in split.train_names]
        yield split, list(split.train), [(rows - mean) / std for rows in marked]


def _some(rows: Rows, most: int, *words: object) -> Rows:
    return rows[native.generator("rows", *words).permutation(len(rows))[:most]]


def knn(train: list[Rows]) -> Score:
    """Mean distance to the nearest references, in units of the spread within training domains.

    Distances do not change when all rows are centred on the mean of the references.
    """
    centred = np.concatenate([rows - rows.mean(axis=0) for rows in train])
    spread = centred.std(axis=0, dtype=np.float64)
    spread = np.where(spread > 1e-9, spread, 1.0)

    def score(references: Rows, rows: Rows) -> Rows:
        center = references.mean(axis=0)
        found = _distances((rows - center) / spread, (references - center) / spread)
        return np.sort(found, axis=1)[:, :N_NEIGHBORS].mean(axis=1)

    return score


def nearest(references: Rows, rows: Rows) -> Rows:
    """Distance to the nearest reference."""
    return _distances(rows, references).min(axis=1)


def _distances(a: Rows, b: Rows) -> Rows:
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0.0))


def of_detector(detector: Any) -> Score:
    """Adapt to the references, then score."""
    return lambda references, rows: -detector.adapt(references).score_samples(rows)


def fitted(methods: list[str], train: list[Rows], known: Any, seed: int) -> dict[str, Score]:
    """Train every method on the training domains of a split."""
    out: dict[str, Score] = {}
    for name in methods:
        if name == "1-NN":
            out[name] = nearest
        elif name in RIVALS:
            out[name] = knn(train)
        elif name == ACR:
            out[name] = of_detector(ZeroShotACRDetector(random_state=seed).fit(train))
        elif name == KNOWN:
            if known is None:
                continue
            both = [np.concatenate(parts) for parts in zip(train, known, strict=True)]
            mask = [np.arange(len(a)) >= len(b) for a, b in zip(both, train, strict=True)]
            model = ResADDetector(random_state=seed, **OURS["ResAD"])
            out[name] = of_detector(model.fit(both, known_anomalies=mask))
        else:
            out[name] = of_detector(ResADDetector(random_state=seed, **OURS[name]).fit(train))
    return out


def draws(unseen: Any, name: str, n_draws: int) -> Iterator[tuple[Rows, Rows, Rows, Rows]]:
    """References to choose from, other normals, anomalies to score, and others to spoil with."""
    for draw in range(n_draws):
        rng = native.generator("resad", name, unseen.name, draw)
        order = rng.permutation(len(unseen.normals))
        n_references = min(max(REFERENCES), len(order) // 2)
        anomalies = unseen.pool[rng.permutation(unseen.allowed)]
        spoiling = anomalies[: min(2, len(anomalies) // 3)]
        scored = anomalies[len(spoiling) :][:N_ANOMALIES]
        normal = unseen.normals[order[n_references:][:N_NORMAL]]
        yield tuple(
            part.astype(np.float64)
            for part in (unseen.normals[order[:n_references]], normal, scored, spoiling)
        )


def measure_domain(
    scores: dict[str, Score], unseen: Any, name: str, numbers: list[int], n_draws: int
) -> dict[str, dict[str, float]]:
    """Mean AUROC over draws by method and number of references."""
    found: dict[str, dict[str, list[float]]] = {method: {} for method in scores}
    for references, normal, anomalies, spoiling in draws(unseen, name, n_draws):
        rows = np.concatenate([normal, anomalies])
        label = np.repeat([0, 1], [len(normal), len(anomalies)])
        cells = {str(n): references[:n] for n in numbers if n <= len(references)}
        for bad, n in SPOILT:
            if n in numbers and len(references) >= n and len(spoiling) >= bad:
                cells[f"{bad} of {n}"] = np.concatenate([references[: n - bad], spoiling[:bad]])
        for method, score in scores.items():
            for cell, given in cells.items():
                if method == ACR and (len(given) < 4 or " of " in cell):
                    continue
                auroc = float(roc_auc_score(label, score(given, rows)))
                found[method].setdefault(cell, []).append(auroc)
    return {m: {cell: float(np.mean(v)) for cell, v in cells.items()} for m, cells in found.items()}


def measure_set(name: str, method: str, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """AUROC of a method by domain and number of references of one set."""
    domains: dict[str, Any] = {}
    start = time.perf_counter()
    for split, train, known in islice(splits(name, options.rows), options.splits):
        usable = [u for u in split.unseen if len(u.normals) >= 20 and len(u.allowed) >= 6]
        order = native.generator("domains", name, split.name).permutation(len(usable))
        scores = fitted([method], train, known, seed)
        for i in order[: options.domains]:
            key = f"{split.name}, {usable[i].name}"
            domains[key] = measure_domain(
                scores, usable[i], name, options.references, options.draws
            )
    return {"seconds": time.perf_counter() - start, "domains": domains}


def cached(name: str, method: str, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """What a method reached on a set, measured once."""
    shape = options.splits, options.domains, options.draws, options.rows, *options.references, seed
    slug = method.replace(" ", "-").replace(",", "")
    kept = options.cache / f"{name}-{slug}-{'-'.join(map(str, shape))}.json"
    if not kept.exists():
        if options.only_cached:
            return {"domains": {}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            save_json(kept, measure_set(name, method, options, seed))
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def summary(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Means over domains and seeds, then over the sets where a method was measured.

    `beyond_resad` is the mean difference to ResAD on the same sets, `n_sets` their number.
    """
    sets: dict[str, dict[str, dict[str, float]]] = {}
    for name, runs in found.items():
        collected: dict[str, dict[str, list[float]]] = {}
        for run in runs:
            for methods in run["domains"].values():
                for method, cells in methods.items():
                    for cell, value in cells.items():
                        collected.setdefault(method, {}).setdefault(cell, []).append(value)
        sets[name] = {
            m: {cell: float(np.mean(v)) for cell, v in cells.items()}
            for m, cells in collected.items()
        }
    methods = {method: None for one in sets.values() for method in one}
    means: dict[str, dict[str, float]] = {}
    behind: dict[str, dict[str, float]] = {}
    n_sets: dict[str, dict[str, int]] = {}
    for method in methods:
        pairs: dict[str, list[tuple[float, float]]] = {}
        for one in sets.values():
            ours = one.get("ResAD", {})
            for cell, value in one.get(method, {}).items():
                pairs.setdefault(cell, []).append((value, value - ours.get(cell, np.nan)))
        means[method] = {c: float(np.mean([v for v, _ in found])) for c, found in pairs.items()}
        behind[method] = {c: float(np.mean([d for _, d in found])) for c, found in pairs.items()}
        n_sets[method] = {c: len(found) for c, found in pairs.items()}
    return {"means": means, "beyond_resad": behind, "n_sets": n_sets, "sets": sets}


def table(result: dict[str, Any], cells: list[str]) -> str:
    """Mean AUROC of the methods, and behind it the number of sets where that is not all of them."""
    n_all = len(result["sets"])
    lines = []
    for method, found in result["means"].items():
        counts = result["n_sets"][method]
        short = {cell: "" if counts[cell] == n_all else f" ({counts[cell]} sets)" for cell in found}
        lines.append([method, *(f"{found[c]:.4f}{short[c]}" if c in found else "" for c in cells)])
    return format_table(["method", *cells], lines)


def draw(means: dict[str, dict[str, float]], path: Path) -> None:
    """AUROC over the number of references."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for method, cells in means.items():
        numbers = sorted(int(cell) for cell in cells if cell.isdigit())
        ours = method not in RIVALS and method != ACR
        style = "-" if ours else "--"
        axes.plot(numbers, [cells[str(n)] for n in numbers], style, marker=".", label=method)
    axes.set_xscale("log", base=2)
    shown = sorted({int(cell) for cells in means.values() for cell in cells if cell.isdigit()})
    axes.set_xticks(shown, [str(number) for number in shown])
    axes.set_xlabel("references")
    axes.set_ylabel("mean AUROC")
    if means:
        axes.legend(fontsize=7)
    figure.savefig(path, dpi=120)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    here = [*native_data.available(), "fashion_mnist", "glyphs"]
    parser.add_argument("--sets", nargs="+", default=here)
    parser.add_argument("--references", nargs="+", type=int, default=list(REFERENCES))
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--splits", type=int, default=5, help="splits of a set at most")
    parser.add_argument("--domains", type=int, default=4, help="unseen domains of a split at most")
    parser.add_argument("--rows", type=int, default=1000, help="training rows of a domain at most")
    every = [*RIVALS, *OURS, KNOWN, ACR]
    parser.add_argument("--methods", nargs="+", choices=every, default=every)
    parser.add_argument("--quick", action="store_true", help="1 split, 2 domains, 3 draws")
    parser.add_argument("--cache", type=Path, default=Path("benchmarks/data/resad"))
    parser.add_argument("--name", default="resad", help="of the JSON file and the picture")
    parser.add_argument("--only-cached", action="store_true", help="measure nothing")
    options = parser.parse_args()
    if options.quick:
        options.splits, options.domains, options.draws = 1, 2, 3
    return options


def main() -> None:
    """Measure, print a table, write JSON and a picture."""
    options = arguments()
    run = describe_run(options.seeds, ("numpy", "scikit-learn", "torch", "skorch", "zuko"))
    found: dict[str, list[dict[str, Any]]] = {}
    for name in options.sets:
        for seed in options.seeds:
            for method in options.methods:
                found.setdefault(name, []).append(cached(name, method, options, seed))
    found = {name: runs for name, runs in found.items() if any(run["domains"] for run in runs)}
    result = summary(found)
    protocol = {k: v for k, v in vars(options).items() if k not in ("cache", "name")}
    save_json(RESULTS / f"{options.name}.json", {"run": run, "protocol": protocol, **result})
    draw(result["means"], RESULTS / f"{options.name}.png")
    cells = [*map(str, options.references), *(f"{bad} of {n}" for bad, n in SPOILT)]
    print(table(result, cells))


if __name__ == "__main__":
    main()
