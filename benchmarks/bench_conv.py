"""One training step of the convolutional network: how tasks are run together, against a loop.

Forward pass, loss and backward pass of a stack of tasks of random images, with every way to run
them: as the package trains (as many tasks folded into one convolution as fit a core's cache, the
backward pass after each such part), all tasks folded, ``torch.vmap``, and a loop over tasks with
the backward pass at its end or after each task. Contenders take turns, the figure is the median.

Run ``make bench-conv``; it writes conv.json to benchmarks/results.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from _report import RESULTS, describe_run, format_table, run_in_words, save_json
from torch import Tensor
from torch.nn import functional as F

from acr_sklearn.networks.acr_network import ACRNetwork
from acr_sklearn.networks.objectives import ObjectiveLoss

#: Tasks, rows of each, image, channels of the layers, what halves the image.
SETTINGS: dict[str, tuple[int, int, tuple[int, int, int], tuple[int, ...], str]] = {
    "32 tasks x 30, 28 x 28 (Omniglot)": (32, 30, (1, 28, 28), (64,) * 4, "stride"),
    "16 tasks x 128, 28 x 28": (16, 128, (1, 28, 28), (64,) * 4, "stride"),
    "8 tasks x 64, 28 x 28, max-pool": (8, 64, (1, 28, 28), (32, 64, 128), "maxpool"),
    "32 tasks x 12, 14 x 14": (32, 12, (1, 14, 14), (16, 16), "stride"),
    "2 tasks x 4, 8 x 8": (2, 4, (1, 8, 8), (4,), "stride"),
}
BASE = "loop"


def one_task(network: Any, rows: Tensor) -> Tensor:
    """Run one task as plain PyTorch would: nothing stacked, batch norm over its rows and pixels."""
    backbone, objective = network.backbone, network.objective
    image = (rows - rows.mean(0)).reshape(-1, *backbone.input_shape)
    for conv, norm in zip(backbone.convs, backbone.norms, strict=True):
        image = F.relu(_norm(conv(image), norm))
        if backbone.pools:
            image = F.max_pool2d(image, 2)
    flat = image.flatten(1) if backbone.pools else image.mean((2, 3))
    output: Tensor = objective(_norm(objective.linear(flat), objective.norm))
    return output


def _norm(x: Tensor, norm: Any) -> Tensor:
    return F.batch_norm(x, None, None, norm.weight, norm.bias, True, 0.1, norm.eps)


def contenders(network: Any, x: Tensor, is_outlier: Tensor) -> dict[str, Callable[[], None]]:
    """Steps that leave the same gradient."""
    loss = ObjectiveLoss("dsvdd")
    at_once = network.tasks_at_once(x, x.device) or len(x)
    alone = partial(one_task, network)

    def parts(run: Callable[[Tensor], Tensor], size: int) -> None:
        for some, own in zip(x.split(size), is_outlier.split(size), strict=True):
            (loss(run(some), own) * (len(some) / len(x))).backward()

    def looped(some: Tensor) -> Tensor:
        return torch.stack([alone(task) for task in some])

    return {
        "package": lambda: parts(network, at_once),
        "folded whole": lambda: parts(network._run, len(x)),
        "vmap": lambda: parts(torch.vmap(alone), len(x)),
        BASE: lambda: parts(looped, len(x)),
        "loop, backward each": lambda: parts(looped, 1),
    }


def measure(name: str, rounds: int) -> dict[str, Any]:
    """Median seconds of each contender, and times the loop's speed; gradients are compared."""
    n_tasks, n_rows, shape, channels, halved_by = SETTINGS[name]
    torch.manual_seed(0)
    width = shape[0] * shape[1] * shape[2]
    network: Any = ACRNetwork(
        width, "conv", input_shape=shape, conv_channels=channels, conv_downsampling=halved_by
    )
    x = torch.randn(n_rows, n_tasks, width).transpose(0, 1)
    runs = contenders(network, x, torch.arange(n_rows).expand(n_tasks, -1) % 2 == 0)
    gradients, found = {}, {run: [] for run in runs}
    for turn in range(rounds + 1):
        for run, step in runs.items():
            network.zero_grad()
            began = time.perf_counter()
            step()
            if turn:  # the first warms up
                found[run].append(time.perf_counter() - began)
            gradients[run] = torch.cat([p.grad.flatten() for p in network.parameters()])
    scale = gradients[BASE].abs().max()
    seconds = {run: statistics.median(values) for run, values in found.items()}
    return {
        "tasks_at_once": network.tasks_at_once(x, x.device) or n_tasks,
        "seconds": seconds,
        "speed": {run: seconds[BASE] / value for run, value in seconds.items()},
        "gradient_apart": {
            run: float((value - gradients[BASE]).abs().max() / scale)
            for run, value in gradients.items()
        },
    }


def report(found: dict[str, Any]) -> str:
    """Speed of every contender as a multiple of the loop's."""
    runs = list(next(iter(found.values()))["speed"])
    rows = [
        [name, str(one["tasks_at_once"]), *(f"{one['speed'][run]:.2f}" for run in runs)]
        for name, one in found.items()
    ]
    return format_table(["times the loop's speed", "tasks at once", *runs], rows)


def main() -> None:
    """Run, print, save."""
    parser = argparse.ArgumentParser(description="Training step of the convolutional network.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS)[:-1], choices=SETTINGS)
    parser.add_argument("--save", type=Path, default=RESULTS, help="folder for the results")
    args = parser.parse_args()
    described = describe_run([0])
    print(run_in_words(described), flush=True)
    found = {name: measure(name, args.rounds) for name in args.settings}
    print(report(found))
    save_json(args.save / "conv.json", {"run": described, "rounds": args.rounds, "found": found})


if __name__ == "__main__":
    main()
