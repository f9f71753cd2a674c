"""Time of one training step: `ZeroShotACRDetector` against a plain looped implementation.

A step is everything between two updates: drawing the tasks, forward pass, backward pass, Adam.
The contenders run in turn, round after round, so that a busy moment of the machine meets all of
them; the figure of a contender is the median over rounds of its median step. The matrix products
of a step are counted and compared with the rate that `torch.mm` reaches in the same rounds: that
share says how far a step is from the machine, whatever the rival.

Run ``python benchmarks/bench_train.py``; it writes train.json and train.png to benchmarks/results.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import RESULTS, describe_run, format_table, run_in_words, save_json
from looped_acr import LoopedACR
from numpy.typing import NDArray
from skorch.callbacks import Callback

from acr_sklearn import MLPBackbone, ZeroShotACRDetector
from acr_sklearn.exceptions import ACRWarning

HIDDEN = (128, 128, 128)
EMBEDDING = 32
WARM_UP = 2
WANTED_SPEEDUP, WANTED_SHARE = 5.0, 0.7


class StepTimes(Callback):
    """Seconds between the ends of successive training steps."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Forget an earlier fit."""
        self.ends_: list[float] = []

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        """Look at the clock after every update."""
        if training:
            self.ends_.append(time.perf_counter())

    @property
    def seconds(self) -> list[float]:
        """Duration of every step but the first ones, which warm caches up."""
        return np.diff(self.ends_)[WARM_UP - 1 :].tolist()


def package_step(domains: list[NDArray[Any]], arguments: argparse.Namespace, seed: int) -> float:
    """Median step of the package, through its public API."""
    clock = StepTimes()
    detector = ZeroShotACRDetector(
        objective="dsvdd",
        outlier_source="domains",
        backbone=MLPBackbone(whiten_features=False),
        hidden_layer_sizes=HIDDEN,
        n_tasks=arguments.tasks,
        task_size=arguments.task_size,
        max_iter=arguments.steps + WARM_UP,
        early_stopping=False,
        callbacks=[clock],
        device="cpu",
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ACRWarning)
        detector.fit(domains)
    return statistics.median(clock.seconds)


def looped_step(
    domains: list[NDArray[Any]], arguments: argparse.Namespace, seed: int, *, join: bool
) -> float:
    """Median step of the looped implementation."""
    looped = LoopedACR(
        domains,
        hidden_layer_sizes=HIDDEN,
        embedding_dim=EMBEDDING,
        n_tasks=arguments.tasks,
        task_size=arguments.task_size,
        join_complement=join,
        seed=seed,
    )
    return _median_time(looped.step, arguments.loop_steps, warm_up=1)


def sgemm_rate(rows: int, inner: int, columns: int, repeats: int = 10) -> float:
    """Floating-point operations per second of `torch.mm` in float32."""
    a, b = torch.randn(rows, inner), torch.randn(inner, columns)
    out = torch.empty(rows, columns)
    seconds = _median_time(lambda: torch.mm(a, b, out=out), repeats, warm_up=2)
    return 2 * rows * inner * columns / seconds


def step_operations(features: int, rows: int) -> int:
    """Operations in the matrix products of a step over `rows` rows.

    A product of (rows, a) and (a, b) takes 2 * rows * a * b. Every layer has one in the forward
    pass and two in the backward pass, for its weights and for its input; the first layer's input
    needs no gradient.
    """
    widths = [features, *HIDDEN, EMBEDDING]
    layers = [a * b for a, b in pairwise(widths)]
    return 2 * rows * (3 * sum(layers) - layers[0])


def _median_time(function: Callable[[], Any], repeats: int, warm_up: int) -> float:
    seconds = []
    for i in range(warm_up + repeats):
        start = time.perf_counter()
        function()
        if i >= warm_up:
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All rounds, and what follows from them."""
    rng = np.random.default_rng(0)
    shape = (arguments.rows, arguments.features)
    domains = [rng.standard_normal(shape, dtype=np.float32) for _ in range(arguments.domains)]
    step_rows = arguments.tasks * arguments.task_size
    products = {
        "first layer": (step_rows, arguments.features, HIDDEN[0]),
        "square": (arguments.square, arguments.square, arguments.square),
    }
    contenders = {
        "package": lambda seed: package_step(domains, arguments, seed),
        "looped": lambda seed: looped_step(domains, arguments, seed, join=True),
        "looped, no joining": lambda seed: looped_step(domains, arguments, seed, join=False),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    rates: dict[str, list[float]] = {name: [] for name in products}
    for seed in range(arguments.rounds):
        for name, product in products.items():
            rates[name].append(sgemm_rate(*product))
        for name, contender in contenders.items():
            seconds[name].append(contender(seed))
    # The faster product is the machine's rate: the harder of two measures to come near to.
    rate = max(statistics.median(values) for values in rates.values())
    step = {name: statistics.median(values) for name, values in seconds.items()}
    operations = step_operations(arguments.features, step_rows)
    return {
        "setting": vars(arguments) | {"save": None, "hidden": HIDDEN, "embedding": EMBEDDING},
        "step_seconds": step,
        "step_seconds_by_round": seconds,
        "speedup": {name: step[name] / step["package"] for name in contenders if name != "package"},
        # Rounds are pairs: a busy moment slows both sides, so their ratio says more.
        "speedup_by_round": [
            a / b for a, b in zip(seconds["looped"], seconds["package"], strict=True)
        ],
        "operations_per_step": operations,
        "sgemm_shapes": products,
        "sgemm_rate": rate,
        "sgemm_rate_by_round": rates,
        "sgemm_share": {name: operations / value / rate for name, value in step.items()},
    }


def report(result: dict[str, Any]) -> str:
    """The table, and the two figures that the package is held to."""
    rows = []
    for name, seconds in result["step_seconds"].items():
        by_round = result["step_seconds_by_round"][name]
        spread = f"{min(by_round) * 1e3:.0f} to {max(by_round) * 1e3:.0f}"
        times = seconds / result["step_seconds"]["package"]
        share = result["sgemm_share"][name]
        rows.append([name, f"{seconds * 1e3:.1f}", spread, f"{times:.1f} x", f"{share:.0%}"])
    header = ["one training step", "ms", "min to max", "time", "of sgemm"]
    rates = ", ".join(
        f"{name} {'x'.join(map(str, result['sgemm_shapes'][name]))}: "
        f"{statistics.median(values) / 1e9:.0f} GFLOP/s"
        for name, values in result["sgemm_rate_by_round"].items()
    )
    ratios = result["speedup_by_round"]
    products = (
        f"torch.mm, float32: {rates}; a step has {result['operations_per_step'] / 1e9:.2f} GFLOP "
        "of matrix products."
    )
    verdict = (
        f"Speed-up over the looped step: median of {len(ratios)} alternating rounds "
        f"{statistics.median(ratios):.1f} x ({min(ratios):.1f} to {max(ratios):.1f}), wanted "
        f"{WANTED_SPEEDUP:.0f} x; share of the sgemm rate {result['sgemm_share']['package']:.0%}, "
        f"wanted {WANTED_SHARE:.0%}; either is enough."
    )
    return "\n".join([format_table(header, rows), products, verdict])


def draw(result: dict[str, Any], path: Path) -> None:
    """Bars of the median step with every round as a dot, beside the time at the sgemm rate."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    step = {name: seconds * 1e3 for name, seconds in result["step_seconds"].items()}
    medians = list(step.values())
    fastest = result["operations_per_step"] / result["sgemm_rate"] * 1e3
    fig, ax = plt.subplots(figsize=(7.5, 2.9), layout="constrained")
    labels = [f"{name}\n{m:.0f} ms, {m / medians[0]:.1f} x" for name, m in step.items()]
    ax.barh(labels, medians, color=["#0072B2", "#999999", "#CCCCCC"], height=0.6)
    for place, name in enumerate(step):
        dots = np.array(result["step_seconds_by_round"][name]) * 1e3
        ax.plot(dots, np.full(len(dots), place), ".", color="black", markersize=4)
    label = f"matrix products alone, at the rate of torch.mm: {fastest:.0f} ms"
    ax.axvline(fastest, color="#D55E00", linestyle="--", linewidth=1.5, label=label)
    ax.legend(loc="lower right", frameon=False, fontsize=8)
    ax.set(xlabel="time of one training step in ms (dots: rounds)")
    ax.invert_yaxis()
    setting = result["setting"]
    ax.set_title(
        f"{setting['tasks']} tasks of {setting['task_size']} rows, {setting['features']} "
        f"features, {setting['domains']} domains of {setting['rows']:,} rows",
        fontsize=10,
    )
    ax.spines[["top", "right"]].set_visible(False)
    fig.savefig(path, dpi=150)
    plt.close(fig)


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description="Time one training step.")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds")
    parser.add_argument("--steps", type=int, default=15, help="timed steps of the package a round")
    parser.add_argument("--loop-steps", type=int, default=3, help="timed looped steps a round")
    parser.add_argument("--domains", type=int, default=5)
    parser.add_argument("--rows", type=int, default=5000, help="rows of a domain")
    parser.add_argument("--features", type=int, default=784)
    parser.add_argument("--tasks", type=int, default=32)
    parser.add_argument("--task-size", type=int, default=512)
    parser.add_argument("--square", type=int, default=2048, help="side of the square product")
    parser.add_argument("--save", type=Path, default=RESULTS, help="folder for the results")
    arguments = parser.parse_args()
    run = describe_run(range(arguments.rounds))
    result = measure(arguments)
    print(run_in_words(run))
    print(report(result))
    save_json(arguments.save / "train.json", {"run": run} | result)
    draw(result, arguments.save / "train.png")


if __name__ == "__main__":
    main()
