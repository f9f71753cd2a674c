"""What runs in a process of its own: a rival on a batch, and the memory that scoring one takes.

``python benchmarks/score/apart.py iforest rows.npy`` prints the seconds of one refit and scoring;
``memory rows.npy`` with a pickled detector prints the most memory beyond the mapped rows, in bytes.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any, Self

import numpy as np

THREADS = 2


def iforest(X: np.ndarray) -> None:
    """Refit scikit-learn's forest on the batch and score it, with both cores."""
    from joblib import parallel_backend
    from sklearn.ensemble import IsolationForest

    # score_samples takes its jobs from the backend in force, fit from n_jobs.
    with parallel_backend("threading", n_jobs=THREADS):
        IsolationForest(n_jobs=THREADS, random_state=0).fit(X).score_samples(X)


def ecod(X: np.ndarray) -> None:
    """Fit PyOD's ECOD, which scores as it fits, with both cores."""
    from pyod.models.ecod import ECOD

    ECOD(n_jobs=THREADS).fit(X)


RIVALS = {"iforest": iforest, "ecod": ecod}


class PeakMemory:
    """Most anonymous memory of this process while the block runs, beyond what it had before.

    Pages of a mapped file do not count: the system drops them when it needs to.
    """

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._before = self._peak = _anonymous()
        self._running = True
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._running = False
        self._thread.join()

    def _watch(self) -> None:
        while self._running:
            self._peak = max(self._peak, _anonymous())
            time.sleep(0.002)

    @property
    def bytes(self) -> int:
        """The difference."""
        return self._peak - self._before


def _anonymous() -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise OSError("This system does not say how much memory is anonymous; run it on Linux.")


def memory(X: np.ndarray, detector: Any) -> int:
    """Peak of scoring, after a small batch has loaded what is loaded once."""
    detector.score_samples(X[: min(70_000, len(X))])
    with PeakMemory() as peak:
        detector.score_samples(X)
    return peak.bytes


def main() -> None:
    """Run what the command line names."""
    what, rows = sys.argv[1], np.load(sys.argv[2], mmap_mode="r")
    rows = rows[: int(sys.argv[3])]
    warnings.simplefilter("ignore")
    if what == "memory":
        with Path(sys.argv[4]).open("rb") as file:
            print(memory(rows, pickle.load(file)))
        return
    X = np.array(rows)
    RIVALS[what](X[:2000])  # imports and compilation are not what is timed
    began = time.perf_counter()
    RIVALS[what](X)
    print(time.perf_counter() - began)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))
    main()
