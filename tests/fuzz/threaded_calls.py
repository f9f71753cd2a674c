"""A thousand calls from eight threads: each gives what it gives alone, and no global state moves.

    python tests/fuzz/threaded_calls.py [calls]

pytest does not collect it: its name does not begin with test.
"""

import os
import random
import sys
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from acr_sklearn import ZeroShotACRDetector, ZeroShotSegmenter

N_THREADS = 8


def global_state():
    """Give what no call may move: generators, filters, threads, environment, precision."""
    kind, key, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (kind, key.tobytes(), *rest),
        "torch": torch.random.get_rng_state().numpy().tobytes(),
        "filters": list(warnings.filters),
        "threads": torch.get_num_threads(),
        "precision": torch.get_default_dtype(),
        "environment": dict(os.environ),
        "gradient": torch.is_grad_enabled(),
    }


def calls():
    """Name every kind of call, each without arguments and with a result to compare."""
    rng = np.random.default_rng(0)
    sites = [rng.normal(rng.normal(0, 3, 6), 1.0, (200, 6)) for _ in range(6)]
    settings = {"max_iter": 5, "random_state": 0}
    detector = ZeroShotACRDetector(**settings).fit(sites)
    chunked = ZeroShotACRDetector(chunk_size=100, max_reference_rows=64, **settings).fit(sites)
    live = detector.adapt(sites[0])
    batch = rng.normal(5.0, 1.0, (200, 6))
    large = rng.normal(5.0, 1.0, (2500, 6))
    products = [rng.normal(rng.normal(0, 3, (4, 3, 3)), 1, (16, 4, 3, 3)) for _ in range(6)]
    segmenter = ZeroShotSegmenter(
        detector=ZeroShotACRDetector(max_iter=3, random_state=0), random_state=0
    ).fit(products[:5])
    probe = torch.from_numpy(batch)
    made = {
        "score_samples": lambda: detector.score_samples(batch),
        "large": lambda: detector.score_samples(large),
        "chunked": lambda: chunked.score_samples(large),
        "predict": lambda: detector.predict(batch),
        "p_values": lambda: detector.p_values(batch),
        "single rows": lambda: live.score_samples(batch[:5]),
        "adapt": lambda: detector.adapt(batch).score_samples(batch[:5]),
        "freeze": lambda: detector.freeze(batch)(probe).numpy(),
        "segmenter": lambda: segmenter.anomaly_maps(products[5]),
        "patches": lambda: segmenter.patch_scores(products[5]),
        "fit": lambda: ZeroShotACRDetector(**settings).fit(sites).offset_,
    }
    # Training costs the most by far: one call in fifty.
    weights = [1 if name == "fit" else 5 for name in made]
    return made, weights


def main(n_calls=1000):
    """Return 0 if every call gave what it gives alone."""
    warnings.simplefilter("ignore")
    made, weights = calls()
    alone = {name: call() for name, call in made.items()}
    drawn = random.Random(0).choices(list(made), weights, k=n_calls)
    before = global_state()

    def differs(name):
        try:
            return None if np.array_equal(made[name](), alone[name]) else f"{name} differs"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            return f"{name}: {type(error).__name__}: {error}"

    with ThreadPoolExecutor(N_THREADS) as pool:
        faults = Counter(filter(None, pool.map(differs, drawn)))
    after = global_state()
    faults.update(f"{name} has moved" for name in before if before[name] != after[name])
    for fault, times in faults.items():
        print(f"threaded_calls: {fault} ({times} times)")
    print(
        f"threaded_calls: {n_calls} calls from {N_THREADS} threads, {sum(faults.values())} faults"
    )
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
