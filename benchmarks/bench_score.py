"""Speed and memory of scoring: large batches, many small domains, single rows.

A batch of a million rows is scored with statistics from a sample and exactly, and a rival is
refitted on it in a process of its own; what a large matrix product reaches in the same run is the
yardstick. Run ``make bench-score``, or ``python benchmarks/bench_score.py --help`` for the
options; it writes score.json and score.png to benchmarks/results.
"""

from __future__ import annotations

import argparse
import pickle
import statistics
import subprocess
import sys
import tempfile
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import PACKAGES, RESULTS, describe_run, format_table, run_in_words, save_json
from score.stream import alternating, domains_in_one_call, seconds, single_rows

from acr_sklearn import ZeroShotACRDetector

HERE = Path(__file__).parent
# Width of the head, the default of the network.
EMBEDDING = 32
N_FEATURES = 64
SAMPLE = 65536
#: Which of ours, as parameters beside the defaults.
OURS = {
    "objective, sample": {"score_head": "objective", "max_reference_rows": SAMPLE},
    "objective, exact": {"score_head": "objective"},
    "default head, sample": {"max_reference_rows": SAMPLE},
    "default head, exact": {},
}


def training_domains() -> list[np.ndarray]:
    """A few correlated domains: what is timed does not depend on what was learnt."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(N_FEATURES, N_FEATURES))
    centres = rng.normal(0, 5, (8, N_FEATURES))
    parts = [c + rng.normal(size=(500, N_FEATURES)) @ mixing for c in centres]
    return [part.astype(np.float32) for part in parts]


def write_rows(path: Path, n_rows: int) -> np.ndarray:
    """Write rows of one new domain to a file, a piece at a time, and map it."""
    rng = np.random.default_rng(1)
    mixing = np.random.default_rng(0).normal(size=(N_FEATURES, N_FEATURES)).astype(np.float32)
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, N_FEATURES))
    for start in range(0, n_rows, 100_000):
        piece = rng.standard_normal((min(100_000, n_rows - start), N_FEATURES), np.float32)
        rows[start : start + len(piece)] = piece @ mixing + 7
    rows.flush()
    return np.load(path, mmap_mode="r")


def sgemm_rate(size: int = 2048) -> float:
    """Floating-point operations per second of a large product in single precision."""
    a = torch.randn(size, size)
    a @ a
    return 2 * size**3 / statistics.median(seconds(lambda: a @ a) for _ in range(5))


def operations_per_row(detector: Any) -> float:
    """A multiply and an add per weight that a row meets."""
    widths = [
        N_FEATURES,
        *detector.hidden_layer_sizes,
        EMBEDDING,
    ]
    return 2.0 * sum(a * b for a, b in pairwise(widths))


def apart(*arguments: object) -> float:
    """Run benchmarks/score/apart.py and return the number that it prints last."""
    command = [sys.executable, str(HERE / "score" / "apart.py"), *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def large_batch(detectors: dict[str, Any], X: Any, path: Path, args: Any) -> dict[str, Any]:
    """Medians of alternating runs on one batch, ours and the rivals'."""
    found: dict[str, list[float]] = {name: [] for name in [*detectors, *args.rivals]}
    rates = []
    for _ in range(args.rounds):
        rates.append(sgemm_rate())
        for name, detector in detectors.items():
            found[name].append(seconds(lambda d=detector: d.score_samples(X)))
        for name in args.rivals:
            found[name].append(apart(name, path, len(X)))
    out: dict[str, Any] = {name: statistics.median(values) for name, values in found.items()}
    rate = statistics.median(rates)
    work = operations_per_row(next(iter(detectors.values()))) * len(X)
    return {
        "seconds": out,
        "sgemm_per_second": rate,
        "share_of_sgemm": {
            name: work / out[name] / rate for name in detectors if name.startswith("objective")
        },
    }


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Everything, in the order of the report."""
    warnings.simplefilter("ignore")
    train = training_domains()
    detectors = {
        name: ZeroShotACRDetector(max_iter=20, random_state=0, **options).fit(train)
        for name, options in OURS.items()
    }
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = Path(folder) / "rows.npy"
        mapped = write_rows(path, max(args.rows, args.most))
        X = np.array(mapped[: args.rows])
        figures["large"] = large_batch(detectors, X, path, args)
        print(figures["large"], flush=True)
        del X
        figures["growth"] = growth(detectors["objective, sample"], mapped, args)
        print(figures["growth"], flush=True)
        figures["memory"] = {}
        for name, detector in detectors.items():
            file = Path(folder) / "detector.pickle"
            file.write_bytes(pickle.dumps(detector))
            # The default head takes minutes for the largest batch, and memory as for the smaller.
            sizes = sorted({args.rows, args.most} if name.startswith("objective") else {args.rows})
            figures["memory"][name] = {str(n): apart("memory", path, n, file) for n in sizes}
    objective = detectors["objective, exact"]
    figures["domains"] = {
        f"{n} x {rows}": {
            head: domains_in_one_call(detectors[name], n, rows, N_FEATURES, args.rounds)
            for head, name in (
                ("objective", "objective, exact"),
                ("default", "default head, exact"),
            )
        }
        for n, rows in args.domains
    }
    rows = np.random.default_rng(2).normal(size=(args.calls, N_FEATURES))
    figures["single_rows"] = {
        "objective": single_rows(objective.adapt(rows[:500]), rows, args.rounds),
        "default": single_rows(
            detectors["default head, exact"].adapt(rows[:500]), rows, args.rounds
        ),
    }
    return figures


def growth(detector: Any, mapped: Any, args: argparse.Namespace) -> dict[str, float]:
    """Median seconds per row for batches of growing size."""
    sizes = [n for n in (10**5, 10**6, 10**7) if n <= len(mapped)] or [len(mapped)]
    runs = {str(n): (lambda n=n: detector.score_samples(mapped[:n])) for n in sizes}
    return {n: s / int(n) for n, s in alternating(runs, min(args.rounds, 3)).items()}


def report(figures: dict[str, Any]) -> str:
    """Ratios first: seconds are of this machine and this hour."""
    large = figures["large"]
    taken = large["seconds"]
    base = taken["objective, sample"]
    rivals = [name for name in taken if name in ("iforest", "ecod")]
    rows = [
        [name, f"{s:.2f}", f"{s / base:.2f}", *(f"{taken[r] / s:.1f}" for r in rivals)]
        for name, s in taken.items()
    ]
    header = ["one large batch", "seconds", "times the sample's", *(f"{r} / this" for r in rivals)]
    lines = [format_table(header, rows)]
    lines += [
        f"{name}: {share:.0%} of a large product's {large['sgemm_per_second'] / 1e9:.0f} GFLOP/s"
        for name, share in large["share_of_sgemm"].items()
    ]
    growing = figures["growth"]
    first = next(iter(growing.values()))
    lines += [f"{int(n):,} rows: {s / first:.2f} x the time per row" for n, s in growing.items()]
    for name, used in figures["memory"].items():
        shown = ", ".join(f"{int(n):,} rows {size / 2**20:.0f} MB" for n, size in used.items())
        lines.append(f"memory beyond the input, {name}: {shown}")
    for size, heads in figures["domains"].items():
        shown = ", ".join(f"{head} {one['ratio']:.2f} x" for head, one in heads.items())
        lines.append(f"domains {size}, one call against a loop: {shown}")
    for head, one in figures["single_rows"].items():
        lines.append(f"single rows, {head} head: {one['calls_per_second']:,.0f} calls per second")
    return "\n".join(lines)


def draw(figures: dict[str, Any], path: Path) -> None:
    """Times of one large batch, and how the time per row grows."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
    taken = figures["large"]["seconds"]
    names = sorted(taken, key=lambda name: taken[name])
    colours = ["#0072B2" if name in OURS else "#D55E00" for name in names]
    left.barh(names, [taken[name] for name in names], color=colours)
    left.invert_yaxis()
    left.set_xscale("log")
    left.set_xlabel("seconds, one batch (logarithmic)")
    growing = figures["growth"]
    sizes = [int(n) for n in growing]
    right.plot(sizes, [1e6 * s for s in growing.values()], "o-", color="#0072B2")
    right.set_xscale("log")
    right.set_ylim(0, None)
    right.set_xlabel("rows of the batch")
    right.set_ylabel("microseconds per row")
    right.set_title("objective head, statistics of 65,536 rows", fontsize=9)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="#DDDDDD", linewidth=0.6)
        ax.set_axisbelow(True)
    fig.savefig(path, dpi=130)
    plt.close(fig)


def parse() -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description="Speed and memory of scoring.")
    parser.add_argument("--rows", type=int, default=10**6, help="of the batch that is timed")
    parser.add_argument("--most", type=int, default=10**7, help="rows of the largest batch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=2000, help="with a single row")
    parser.add_argument("--rivals", nargs="*", default=["iforest", "ecod"])
    parser.add_argument(
        "--domains", nargs="+", default=["5000x10", "1000x500"], help="domains x rows of each"
    )
    parser.add_argument("--folder", type=Path, help="for the mapped rows; default: temporary")
    parser.add_argument("--save", type=Path, default=RESULTS, help="folder for the results")
    args = parser.parse_args()
    args.domains = [tuple(map(int, one.split("x"))) for one in args.domains]
    return args


def main() -> None:
    """Run, print, save."""
    args = parse()
    described = describe_run([0], (*PACKAGES, "pyod"))
    print(run_in_words(described), flush=True)
    figures = measure(args)
    print("\n".join([report(figures), *figures["single_rows"]["objective"]["profile"]]))
    setting = {"rows": args.rows, "features": N_FEATURES, "sample": SAMPLE}
    save_json(args.save / "score.json", {"run": described, "setting": setting, **figures})
    draw(figures, args.save / "score.png")


if __name__ == "__main__":
    main()
