"""Peak memory of 1,000 images of 224 x 224 pixels: features by MobileNetV2, then scores.

Run by bench_surfaces.py in a process of its own, whose peak it prints as JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from acr_sklearn import ZeroShotSegmenter, mobilenet_extractor


class Images:
    """Made when asked for, as a folder of files is read: coarse noise under fine noise.

    Parameters
    ----------
    n : int
        How many.
    side : int
        Of each, in pixels.
    seed : int
        With the number of the image it decides.
    """

    def __init__(self, n: int, side: int, seed: int):
        self.n, self.side, self.seed = n, side, seed

    def __len__(self) -> int:
        """Return how many there are."""
        return self.n

    def __getitem__(self, i: int) -> NDArray[np.uint8]:
        """Make one, shape (3, side, side)."""
        rng = np.random.default_rng((self.seed, i))
        coarse = rng.integers(60, 190, (3, self.side // 8, self.side // 8))
        fine = rng.integers(0, 60, (3, self.side, self.side))
        return (coarse.repeat(8, axis=1).repeat(8, axis=2) + fine).astype(np.uint8)


def main() -> None:
    """Extract, score, print the peak."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--side", type=int, default=224)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    extractor = mobilenet_extractor(
        arguments.weights, map_size=(28, 28), dtype="float16", batch_size=16
    )
    train = [extractor.transform(Images(32, arguments.side, seed)) for seed in range(1, 7)]
    segmenter = ZeroShotSegmenter(random_state=0).fit(train)
    with tempfile.TemporaryDirectory() as folder:
        images = Images(arguments.images, arguments.side, 0)
        start = time.perf_counter()
        maps = extractor.transform(images, out=Path(folder) / "maps.npy")
        extracted = time.perf_counter()
        scores = segmenter.score_samples(maps, (arguments.side, arguments.side))
        scored = time.perf_counter()
    assert scores.shape == (arguments.images,)
    found = {
        "images": arguments.images,
        "side": arguments.side,
        "features": list(maps.shape),
        "extract_seconds": extracted - start,
        "score_seconds": scored - extracted,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
