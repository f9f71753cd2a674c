"""What the offset flags on clean batches, set on held-out domains alone or on all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from native.data import available, read
from native.protocol import Protocol, generator
from native.protocol import splits as native_splits
from quality.datasets import Split, splits

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.thresholds import CALIBRATION_ROWS, calibration_batches, contamination_offset

from ._tables import share, table
from ._validation import mean_of_sets

PAGE = "thresholds.md"
CONTAMINATION = 0.1
#: Rows of a clean batch at most, and at least: small ones are flagged for being small.
MOST_ROWS, FEWEST_ROWS = 500, 64
N_FOLDS = 3
DIGITS = "digits"
OFFSETS = {"held_out": "held-out domains alone", "all": "all domains"}


class HoldingOut(ZeroShotACRDetector):
    """Our detector, which says what domains it held out."""

    def _hold_out(self, data: Any, seed: int) -> np.ndarray:
        self.held_out_ = super()._hold_out(data, seed)
        return self.held_out_


def measure(seeds: Sequence[int], quick: bool) -> dict[str, Any]:
    """Measure the share of normal rows of unseen domains that lies below either offset.

    Parameters
    ----------
    seeds : sequence of int
        Of the trainings.
    quick : bool
        One split of the digits, a few steps.

    Returns
    -------
    dict
        ``records``: one per domain and training.
    """
    settings = {"max_iter": 5} if quick else {}
    records = []
    for seed in seeds[:1] if quick else seeds:
        for name, split in _splits(quick):
            train = list(split.train)
            detector = HoldingOut(contamination=CONTAMINATION, random_state=seed, **settings)
            detector.fit(train)
            held_out = detector.held_out_
            if not len(held_out):
                continue
            alone = offset_of(detector, [train[i] for i in held_out], seed)
            for domain in split.unseen:
                rows = generator(name, domain.name, "clean").permutation(len(domain.normals))
                if len(rows) < FEWEST_ROWS:
                    continue
                scores = detector.score_samples(domain.normals[rows[:MOST_ROWS]])
                records.append(
                    {
                        "set": name,
                        "split": split.name,
                        "seed": seed,
                        "domain": domain.name,
                        "held_out": round(float(np.mean(scores < alone)), 4),
                        "all": round(float(np.mean(scores < detector.offset_)), 4),
                    }
                )
    return {"contamination": CONTAMINATION, "folds": N_FOLDS, "records": records}


def _splits(quick: bool) -> Iterator[tuple[str, Split]]:
    for split in splits(DIGITS, "validation"):
        yield DIGITS, split
        if quick:
            return
    for name in available():
        for split in native_splits(read(name), Protocol(n_folds=N_FOLDS)):
            yield name, split


def offset_of(detector: ZeroShotACRDetector, domains: list[np.ndarray], seed: int) -> float:
    """Return the offset that the detector would have of these domains alone.

    Parameters
    ----------
    detector : ZeroShotACRDetector
        Fitted.
    domains : list of ndarray
        Normal rows; each is scored in batches of at most 256 rows.
    seed : int
        Cuts them into batches.
    """
    rng = np.random.default_rng((seed, 1))
    batches = [
        rows[batch]
        for rows in domains
        for batch in calibration_batches([np.arange(len(rows))], rng)
    ]
    assert max(map(len, batches)) <= CALIBRATION_ROWS
    return contamination_offset(detector.score_samples(batches), detector.contamination)


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return the table of the page, and what was measured."""
    digits = [record for record in found["records"] if record["set"] == DIGITS]
    native = [record for record in found["records"] if record["set"] != DIGITS]
    n_sets, stated = len({record["set"] for record in native}), found["contamination"]
    rows = []
    for offset, words in OFFSETS.items():
        trainings = _by(digits, offset, "split", "seed")
        means = [float(np.mean(values)) for values in trainings.values()]
        rows.append([words, *_native_cells(native, offset, stated)])
        rows[-1].append(f"{share(min(means))} to {share(max(means))}" if means else "")
    header = (
        "offset from",
        f"share flagged, {n_sets} native sets",
        f"mean distance from {share(stated, 1)} by domain",
        f"range over {len(_by(digits, 'all', 'split', 'seed'))} trainings on digits",
    )
    n_domains = len({(record["set"], record["domain"]) for record in native})
    seeds = len({record["seed"] for record in found["records"]})
    return {
        "offsets": table(header, rows),
        "offsets measured": (
            f"The native sets have {n_domains} domains of {FEWEST_ROWS} normal rows or more, each "
            f"unseen in one of {found['folds']} folds; a training on digits sees five of them and "
            f"is measured on two others; {seeds} {'seeds' if seeds > 1 else 'seed'}."
        ),
    }


def _native_cells(records: list[dict[str, Any]], offset: str, stated: float) -> list[str]:
    if not records:
        return ["", ""]
    shares = _by(records, offset, "set")
    off = {name: [abs(v - stated) for v in values] for name, values in shares.items()}
    return [share(mean_of_sets(_plain(part)), 3) for part in (shares, off)]


def _plain(values: dict[tuple[Any, ...], list[float]]) -> dict[str, list[float]]:
    return {str(key): part for key, part in values.items()}


def _by(
    records: list[dict[str, Any]], offset: str, *keys: str
) -> dict[tuple[Any, ...], list[float]]:
    out: dict[tuple[Any, ...], list[float]] = {}
    for record in records:
        out.setdefault(tuple(record[key] for key in keys), []).append(record[offset])
    return out
