"""Kill -9 and Ctrl-C at random moments of fit with `memory=`, of adapt and of `transform(out=)`.

    python tests/fuzz/kill_training.py [kills]

After each the cache gives the right detector or trains anew, a detector that was interrupted is as
it was before, and the file of `transform` is absent or whole. pytest does not collect it: its name
does not begin with test.
"""

import hashlib
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from acr_sklearn import FeatureExtractor, ZeroShotACRDetector

RNG = np.random.default_rng(0)
SITES = [RNG.normal(RNG.normal(0, 3, 8), 1.0, (200, 8)) for _ in range(6)]
X_REF = RNG.normal(2.0, 1.0, (600, 8))
IMAGES = np.ones((600, 3, 32, 32), np.uint8)


def digest(values):
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def state(detector):
    return {name: id(value) for name, value in vars(detector).items()}


def work(kind, folder, say):
    """Say "ready", work, say what came out; what an interrupt leaves is judged where it is felt."""
    detector = ZeroShotACRDetector(max_iter=20, random_state=0, memory=folder)
    torch.manual_seed(0)
    extractor = FeatureExtractor(
        torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3, padding=1)), ["0"], batch_size=4
    )
    if kind == "adapt":
        detector.fit(SITES)
        scores = digest(detector.score_samples(X_REF))
    before = state(detector)
    try:
        say("ready\n")
        if kind == "fit":
            say(digest(detector.fit(SITES).score_samples(X_REF)))
        elif kind == "adapt":
            say(digest(detector.adapt(X_REF).score_samples(X_REF)))
        else:
            say(digest(extractor.transform(IMAGES, out=f"{folder}/maps.npy")))
    except KeyboardInterrupt:
        # An interrupt after the fit, in scoring, finds the detector fitted, and rightly so.
        same = state(detector) == before or (kind == "fit" and hasattr(detector, "offset_"))
        if kind == "adapt":
            same = same and digest(detector.score_samples(X_REF)) == scores
        say("interrupted" if same else "CHANGED")


#: How a process is stopped, and how many times its usual time it may have worked by then.
SIGNALS = {"kill": signal.SIGKILL, "interrupt": signal.SIGINT}
KINDS = ("fit", "adapt", "transform")


def start(kind, folder):
    """Fork: a process of its own, which need not import everything first."""
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reads)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            work(kind, folder, lambda text: os.write(writes, text.encode()))
        except BaseException as error:  # noqa: BLE001 - the parent is told
            os.write(writes, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writes)
    told = os.fdopen(reads)  # closed in outcome
    assert told.readline() == "ready\n"
    return pid, told


def outcome(process):
    pid, told = process
    with told:
        said = told.read().strip()
    os.waitpid(pid, 0)
    return said


def fault_after(kind, name, folder, right, said):
    """What is wrong after a process was stopped; empty if nothing is."""
    allowed = {"kill": ("", right), "interrupt": ("interrupted", right, f"{right}interrupted")}
    if said not in allowed[name]:
        return f"it gave {said!r}"
    again = outcome(start(kind, folder))
    return "" if again == right else f"the next run gave {again}"


def whole_or_absent(folder, right):
    """Whether the file that `transform` writes is one of these, before anything runs again."""
    path = Path(folder) / "maps.npy"
    return not path.exists() or digest(np.load(path)) == right


def try_one(kind, name, right, usual, rng):
    with tempfile.TemporaryDirectory() as folder:
        if kind == "adapt":  # its detector comes from the cache, as the second process finds it
            outcome(start("fit", folder))
        process = start(kind, folder)
        time.sleep(rng.uniform(0, 0.95) * usual)
        os.kill(process[0], SIGNALS[name])
        said = outcome(process)
        if kind == "transform" and not whole_or_absent(folder, right):
            return said != right, "the file is neither absent nor whole"
        return said != right, fault_after(kind, name, folder, right, said)


def main(n_kills=20):
    """Return 0 if nothing was left half done."""
    torch.set_num_threads(1)  # or a fork would miss the threads of its parent
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:  # forks find everything imported
            work(kind, folder, lambda _: None)
    n_faults = 0
    rng = random.Random(0)
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            process = start(kind, folder)
            begun = time.perf_counter()
            right = outcome(process)
            usual = time.perf_counter() - begun
        for name in SIGNALS:
            n_stopped = 0
            for _ in range(n_kills):
                stopped, fault = try_one(kind, name, right, usual, rng)
                n_stopped += stopped
                if fault:
                    n_faults += 1
                    print(f"kill_training: {name} in {kind}: {fault}", flush=True)
            print(
                f"kill_training: {kind}: {n_kills} of {name}, {n_stopped} before the end",
                flush=True,
            )
    print(f"kill_training: {n_faults} faults", flush=True)
    return int(n_faults > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
