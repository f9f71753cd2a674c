"""References that hold a cluster of anomalies: what their thresholds find, and what they flag.

Digits of scikit-learn, two classes unseen at a time: 128 reference rows of one, a share of them of
the other, as they are, as copies of one row or as near copies (every inked pixel moved by about
one of its 16 steps). Further rows of both classes are then predicted one by one. Run
``python benchmarks/bench_clusters.py``, or see --help; a seed takes some minutes.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator

import numpy as np
from _report import format_table
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from acr_sklearn import ZeroShotACRDetector

ROWS, SHARES, LEFT_OUT = 128, (0.0, 0.1, 0.2), (0.0, 0.1, 0.2)
KINDS = ("digit", "near copies", "copies")
Rows = NDArray[np.float64]


def cluster_of(kind: str, others: Rows, rng: np.random.Generator) -> Rows:
    """Make a cluster of a kind of the rows of a class."""
    if kind == "digit":
        return others
    copies = np.repeat(others[:1], len(others), axis=0)
    if kind == "copies":
        return copies
    return np.round(copies + rng.normal(size=copies.shape) * (copies > 0))


def drawn(
    own: Rows, others: Rows, kind: str, share: float, rng: np.random.Generator
) -> tuple[Rows, Rows, Rows]:
    """Draw a reference, further normal rows and further anomalous ones, no row twice."""
    own = rng.permutation(own)
    cluster = cluster_of(kind, rng.permutation(others), rng)
    n = round(share * ROWS)
    return np.concatenate([cluster[:n], own[: ROWS - n]]), own[ROWS - n :], cluster[n:]


def measured(seed: int, n_draws: int) -> Iterator[tuple[tuple[str, float, float], list[float]]]:
    """Yield kind, share and share left out, with the shares of odd and of normal rows flagged."""
    pixels, digit = load_digits(return_X_y=True)
    for first in range(10):
        pair = (first, (first + 1 + 3 * seed) % 10)
        detector = ZeroShotACRDetector(random_state=seed)
        detector.fit([pixels[digit == d] for d in range(10) if d not in pair])
        for one, other in (pair, pair[::-1]):
            own, others = pixels[digit == one], pixels[digit == other]
            for kind in KINDS:
                for share in SHARES:
                    for draw in range(n_draws):
                        rng = np.random.default_rng((seed, one, other, draw))
                        reference, normal, odd = drawn(own, others, kind, share, rng)
                        for left_out in LEFT_OUT:
                            live = detector.adapt(reference, leave_out=left_out)
                            shares = [float(np.mean(live.predict(X) == -1)) for X in (odd, normal)]
                            yield (kind, share, left_out), shares


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description="References that hold a cluster of anomalies.")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--draws", type=int, default=2, help="per seed and pair of digits")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    found: dict[tuple[str, float, float], list[list[float]]] = {}
    for seed in args.seeds:
        for case, shares in measured(seed, args.draws):
            found.setdefault(case, []).append(shares)
    rows = [
        [*map(str, case), str(len(ones)), *(f"{x:.3f}" for x in np.mean(ones, axis=0))]
        for case, ones in sorted(found.items())
    ]
    header = ["cluster", "share", "leave_out", "references", "found", "normal rows flagged"]
    print(format_table(header, rows))


if __name__ == "__main__":
    main()
