"""Batches that drift within themselves, with and without `DomainDetrender`.

Made machines: rows of 8 independent features with a centre of the machine's own, a trend of a
given size (from its lowest to its highest value, in standard deviations of the rows) and shape over
the rows, up or down by feature; a tenth of the rows moved by noise of 3 standard deviations, at
random places or as a burst at the end. Real sets: those whose rows stand in the order of time with
their anomalies among them, in batches of consecutive rows of domains that training did not see.

Run ``make bench-drift``, or see --help; it writes drift.json and drift.png to benchmarks/results.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from _report import RESULTS, describe_run, format_table, run_in_words, save_json
from native import data as native
from native.protocol import folds
from numpy.typing import NDArray
from quality.rivals import Scaling
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from acr_sklearn import DomainDetrender, ZeroShotACRDetector
from acr_sklearn.exceptions import ACRWarning

Rows = NDArray[np.float64]
#: The other sets keep no order of time, or list their anomalies behind the normal rows.
ORDERED = ("smd", "smap", "diecast")
SHAPES = ("linear", "sinusoidal", "step")
PLACES = ("scattered", "burst")
N_FEATURES, SHARE, FAR = 8, 0.1, 3.0
LEAST_ANOMALIES, HIGHEST_SHARE, TRAIN_ROWS = 3, 0.4, 1500
TRENDS = ("none", "auto", "local")
COLOURS = {"acr": "#0072B2", "iforest": "#D55E00"}
DASHES = {"none": "-", "auto": "--"}


def machine(rng: np.random.Generator, n_rows: int) -> Rows:
    """Rows of a new machine."""
    return rng.normal(size=(n_rows, N_FEATURES)) + rng.normal(0, 5, N_FEATURES)


def shape_of(shape: str, n_rows: int) -> Rows:
    """A trend whose values span 1."""
    time = np.linspace(0, 1, n_rows)
    if shape == "linear":
        return time - 0.5
    return np.sin(2 * np.pi * time) / 2 if shape == "sinusoidal" else (time > 0.5) - 0.5


def made(
    rng: np.random.Generator, n_rows: int, shape: str, size: float, place: str
) -> tuple[Rows, NDArray[np.int64]]:
    """One batch of a drifting machine, and -1 for its anomalies."""
    X, n_odd = machine(rng, n_rows), max(1, round(SHARE * n_rows))
    odd = rng.permutation(n_rows)[:n_odd] if place == "scattered" else np.arange(n_rows)[-n_odd:]
    X[odd] += FAR * rng.normal(size=N_FEATURES if place == "burst" else (n_odd, N_FEATURES))
    X += size * shape_of(shape, n_rows)[:, None] * rng.choice([-1, 1], N_FEATURES)
    y = np.ones(n_rows, np.int64)
    y[odd] = -1
    return X, y


def detrended(X: Rows, trend: str) -> Rows:
    """Rows of one batch without their trend."""
    out: Rows = X if trend == "none" else DomainDetrender(trend).fit_transform(X)
    return out


def scores(detector: Any, X: Rows, seed: int) -> dict[str, Rows]:
    """High = normal, of the detector and of a forest fitted on the batch."""
    own = StandardScaler().fit_transform(X)
    forest = IsolationForest(random_state=seed).fit(own)
    return {"acr": detector.score_samples(X), "iforest": forest.score_samples(own)}


def judged(
    detectors: dict[str, Any], X: Rows, y: NDArray[np.int64], where: dict[str, Any], seed: int
) -> Iterator[dict[str, Any]]:
    """Yield the AUROC of each method with each trend taken off."""
    known = {}  # where there is no trend, the rows are the same
    for trend, detector in detectors.items():
        rows = detrended(X, trend)
        changed = float((rows != X).any(axis=0).mean())
        key = (id(detector), rows.tobytes())
        if key not in known:
            known[key] = scores(detector, rows, seed)
        for method, found in known[key].items():
            auroc = float(roc_auc_score(y == 1, found))
            yield where | {"method": method, "trend": trend, "auroc": auroc, "changed": changed}


def measured_made(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Every size, shape and place; the same rows and anomalies under every trend."""
    found = []
    for seed in args.seeds:
        rng = np.random.default_rng((seed, 0))
        train = [machine(rng, 300) for _ in range(12)]
        detector = ZeroShotACRDetector(max_iter=args.max_iter, random_state=seed).fit(train)
        trends = dict.fromkeys(args.trends, detector)
        cells = list(product(args.rows, SHAPES, args.drifts, PLACES))
        for n_rows, shape, size, place in cells:
            for index in range(args.batches):
                rng = np.random.default_rng((seed, 1, n_rows, index, PLACES.index(place)))
                X, y = made(rng, n_rows, shape, size, place)
                where = {"rows": n_rows, "shape": shape, "drift": size, "anomalies": place}
                found += judged(trends, X, y, where, seed)
        print(f"made machines, seed {seed}: done", flush=True)
    return found


def ordered_rows(data: native.NativeSet, domain: str, seed: int) -> NDArray[np.int64]:
    """Normal rows of a training domain, in the order of time."""
    normals = data.normals(domain)
    rng = np.random.default_rng((seed, len(normals)))
    return np.sort(rng.permutation(normals)[:TRAIN_ROWS])


def windows(anomaly: NDArray[np.bool_], n_rows: int, most: int) -> list[slice]:
    """Consecutive rows with enough anomalies and not too many, evenly spread over a domain."""
    n_rows = min(n_rows, len(anomaly))
    every = [slice(i, i + n_rows) for i in range(0, len(anomaly) - n_rows + 1, n_rows)]
    good = [
        w
        for w in every
        if anomaly[w].sum() >= LEAST_ANOMALIES and anomaly[w].mean() <= HIGHEST_SHARE
    ]
    return [good[i] for i in np.linspace(0, len(good) - 1, min(most, len(good))).astype(int)]


def measured_native(name: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Every domain of the first folds; detectors are fitted on what they will see."""
    data, found, seed = native.read(name), [], args.seeds[0]
    for unseen in folds(data, 5)[: args.folds]:
        names = [domain for domain in data.domains if domain not in unseen]
        rows = [data.X[ordered_rows(data, domain, seed)] for domain in names]
        rows = [part for part in rows if len(part) >= 20]
        scale = Scaling.of(np.concatenate(rows))
        train = [scale(part).astype(np.float64) for part in rows]
        fitted = {}
        for trend in ("none", "auto", "local"):
            own = [detrended(part, trend) for part in train]
            fitted[trend] = ZeroShotACRDetector(max_iter=args.max_iter, random_state=seed).fit(own)
        for domain in unseen:
            own = np.flatnonzero(data.domain == domain)
            X, odd = scale(data.X[own]).astype(np.float64), data.anomaly[own]
            for n_rows in args.native_rows:
                for window in windows(odd, n_rows, args.windows):
                    y = np.where(odd[window], -1, 1)
                    where = {"set": name, "domain": domain, "rows": n_rows}
                    found += judged(fitted, X[window], y, where, seed)
        print(f"{name}: {len(unseen)} domains done", flush=True)
    return found


def mean_of(records: list[dict[str, Any]], what: str = "auroc", **where: Any) -> float:
    """Mean over the records of a cell; over domains first, where there are any."""
    own = [r for r in records if all(r[key] == value for key, value in where.items())]
    domains = sorted({str(r.get("domain")) for r in own})
    parts = [[r[what] for r in own if str(r.get("domain")) == domain] for domain in domains]
    return float(np.mean([np.mean(part) for part in parts])) if parts else float("nan")


def summary_made(records: list[dict[str, Any]], args: argparse.Namespace) -> list[dict[str, Any]]:
    """One row per cell: each method without and with each trend, and how many columns changed."""
    out = []
    for place in PLACES:
        for n_rows in args.rows:
            for shape in SHAPES:
                for drift in args.drifts:
                    cell = {"rows": n_rows, "shape": shape, "drift": drift, "anomalies": place}
                    row: dict[str, Any] = dict(cell)
                    for method in COLOURS:
                        for trend in args.trends:
                            own = mean_of(records, method=method, trend=trend, **cell)
                            row[f"{method}, {trend}"] = round(own, 4)
                    changed = mean_of(records, "changed", method="acr", trend="auto", **cell)
                    out.append(row | {"changed": round(changed, 4)})
    return out


def summary_native(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per set and batch size, with the paired difference and its interval."""
    out = []
    for name, n_rows in sorted({(r["set"], r["rows"]) for r in records}):
        own = [r for r in records if (r["set"], r["rows"]) == (name, n_rows)]
        domains = sorted({r["domain"] for r in own})
        row: dict[str, Any] = {"set": name, "rows": n_rows, "domains": len(domains)}
        for method in COLOURS:
            for trend in ("none", "auto", "local"):
                row[f"{method}, {trend}"] = round(mean_of(own, method=method, trend=trend), 4)
            pairs = [
                [mean_of(own, method=method, trend=t, domain=domain) for t in ("none", "auto")]
                for domain in domains
            ]
            gains = np.diff(pairs, axis=1)[:, 0]
            rng = np.random.default_rng(0)
            drawn = rng.choice(gains, (2000, len(gains))).mean(axis=1)
            row[f"{method}, interval"] = [round(v, 4) for v in np.percentile(drawn, [5, 95])]
        changed = mean_of(own, "changed", method="acr", trend="auto")
        out.append(row | {"changed": round(changed, 4)})
    return out


def draw(made_rows: list[dict[str, Any]], args: argparse.Namespace, path: Path) -> None:
    """AUROC against the size of the drift: a panel per shape and number of rows."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    size = (3.1 * len(SHAPES), 2.3 * len(args.rows) + 0.4)
    grid = {"figsize": size, "sharex": True, "sharey": True, "squeeze": False}
    fig, axes = plt.subplots(len(args.rows), len(SHAPES), layout="constrained", **grid)
    for ax, (n_rows, shape) in zip(
        axes.flat, [(n, s) for n in args.rows for s in SHAPES], strict=True
    ):
        cells = [
            r
            for r in made_rows
            if (r["rows"], r["shape"], r["anomalies"]) == (n_rows, shape, "scattered")
        ]
        for method, colour in COLOURS.items():
            for trend, dash in DASHES.items():
                label = method + (", detrended" if trend == "auto" else "")
                values = [cell[f"{method}, {trend}"] for cell in cells]
                drifts = [cell["drift"] for cell in cells]
                ax.plot(drifts, values, dash, marker="o", ms=3, color=colour, label=label)
        ax.set_title(f"{shape}, {n_rows} rows", fontsize=9)
        ax.grid(color="#DDDDDD", linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[-1]:
        ax.set_xlabel("drift, standard deviations")
    for ax in axes[:, 0]:
        ax.set_ylabel("AUROC")
    axes[0, 0].legend(frameon=False, fontsize=7)
    fig.savefig(path, dpi=120)
    plt.close(fig)


def shown(rows: list[dict[str, Any]]) -> str:
    """The summary as a table."""

    def cell(value: Any) -> str:
        if isinstance(value, list):
            return " to ".join(f"{v:+.3f}" for v in value)
        return f"{value:.3f}" if isinstance(value, float) else str(value)

    header = list(rows[0])
    return format_table(header, [[cell(row[key]) for key in header] for row in rows])


def main() -> None:
    """Run, print, save."""
    parser = argparse.ArgumentParser(description="Drift within batches.")
    parser.add_argument("--rows", nargs="*", type=int, default=[30, 100, 500])
    parser.add_argument("--drifts", nargs="+", type=int, default=[0, 1, 3, 6, 12])
    parser.add_argument("--trends", nargs="+", default=list(TRENDS), help="of made machines")
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument(
        "--sets", nargs="*", default=[s for s in ORDERED if s in native.available()]
    )
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--native-rows", nargs="+", type=int, default=[100, 500])
    parser.add_argument("--windows", type=int, default=3, help="batches per domain and size")
    parser.add_argument("--max-iter", type=int, default=ZeroShotACRDetector().max_iter)
    parser.add_argument("--save", type=Path, default=RESULTS)
    args = parser.parse_args()
    warnings.simplefilter("ignore", ACRWarning)
    run = describe_run(args.seeds)
    print(run_in_words(run))
    made_rows = summary_made(measured_made(args), args) if args.rows else []
    if made_rows:
        print(shown(made_rows))
    native_rows = summary_native([r for name in args.sets for r in measured_native(name, args)])
    if native_rows:
        print(shown(native_rows))
    save_json(args.save / "drift.json", {"run": run, "made": made_rows, "native": native_rows})
    if made_rows:
        draw(made_rows, args, args.save / "drift.png")


if __name__ == "__main__":
    main()
