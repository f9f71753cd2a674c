"""Kill -9 at random moments of `transform(out=)`: the file is the old one or the new one.

    python tests/fuzz/kill_transform.py [kills]

pytest does not collect it: its name does not begin with test.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
N_IMAGES = 3000
WORK = """
import sys
import numpy as np
import torch
from acr_sklearn import FeatureExtractor
torch.manual_seed(0)
extractor = FeatureExtractor(
    torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3, padding=1)), ["0"], batch_size=4
)
images = np.ones((int(sys.argv[2]), 3, 32, 32), np.uint8)
print("ready", flush=True)
extractor.transform(images, out=sys.argv[1])
print("done", flush=True)
"""


def start(path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WORK, str(path), str(N_IMAGES)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def is_whole(path, old):
    maps = np.load(path)
    if maps.shape == old.shape:
        return np.array_equal(maps, old)
    # All images are equal, and so are their maps; where nothing was written there are zeros.
    return maps.shape == (N_IMAGES, 16, 32, 32) and bool((maps == maps[0]).all() and maps[0].any())


def main(n_kills=20):
    """Return 0 if every file was whole."""
    old = np.arange(7.0)
    kept = replaced = broken = 0
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "maps.npy"
        process = start(path)
        begun = time.perf_counter()
        assert process.stdout is not None
        process.stdout.readline()
        usual = time.perf_counter() - begun
        process.wait()
        for _ in range(n_kills):
            np.save(path, old)
            process = start(path)
            time.sleep(rng.uniform(0, 1.1) * usual)
            process.kill()
            process.wait()
            if not is_whole(path, old):
                broken += 1
            elif np.load(path).shape == old.shape:
                kept += 1
            else:
                replaced += 1
            for left in Path(folder).glob(".maps.npy.*.part"):
                left.unlink()
    print(f"kill_transform: {n_kills} kills: {kept} old, {replaced} new, {broken} broken")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
