"""Kill -9 at random moments of `save`: the file is the old one or the new one.

    python tests/fuzz/kill_save.py [kills]

pytest does not collect it: its name does not begin with test. tests/persistence/test_whole_file.py
runs a short version.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Without torch, so that a process starts in a moment.
WORK = """
import sys, importlib.util, types
sys.path.insert(0, sys.argv[2])
for name in ("acr_sklearn", "acr_sklearn._input", "acr_sklearn.persistence"):
    package = types.ModuleType(name)
    package.__path__ = [sys.argv[2] + "/" + name.replace(".", "/")]
    sys.modules[name] = package
from acr_sklearn.persistence.whole_file import write_whole
old, new = (letter * 3_000_000 for letter in (b"o", b"n"))
print("ready", flush=True)
while True:
    write_whole(sys.argv[1], new, who="save")
    print("new", flush=True)
    write_whole(sys.argv[1], old, who="save")
"""


def start(path):
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, str(path), str(ROOT)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill_saves(n_kills, folder):
    """Count files that were the old one, the new one, and neither."""
    path, rng = Path(folder) / "model", random.Random(0)
    counts = {"old": 0, "new": 0, "broken": 0}
    path.write_bytes(b"o" * 3_000_000)
    for _ in range(n_kills):
        process = start(path)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.communicate()
        data = path.read_bytes()
        whole = len(data) == 3_000_000 and len(set(data)) == 1
        counts[{b"o": "old", b"n": "new"}[data[:1]] if whole else "broken"] += 1
        for left in Path(folder).glob(".model.*.part"):
            left.unlink()
        assert os.listdir(folder) == ["model"]  # noqa: PTH208 - hidden ones too
    return counts


def main(n_kills=20):
    """Return 0 if every file was whole."""
    with tempfile.TemporaryDirectory() as folder:
        counts = kill_saves(n_kills, folder)
    print(f"kill_save: {n_kills} kills: {counts}")
    return int(counts["broken"] > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
