"""What anomalies among the reference rows cost: ranking, thresholds, and the way out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from bench_reference import rows_of
from numpy.typing import NDArray
from quality.datasets import splits
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.thresholds import contamination_offset

from ._tables import share, table

PAGE = "references.md"
Rows = NDArray[np.float64]
Found = list[dict[str, Any]]

#: Reference rows, and what of them is asked for by the thresholds.
ROWS, FLAGGED = 128, 0.1
#: Validation splits that are looked at, of each set.
SPLITS = {"fars": 5, "glyphs": 1, "fashion_mnist": 2}
NAMES = {"fars": "road accidents", "glyphs": "glyphs", "fashion_mnist": "Fashion-MNIST"}
DRAWS = 3
MADE_ROWS, MADE_FEATURES, MADE_DOMAINS = 200, 5, 10
SHARES = (0.0, 0.1, 0.2)
LEFT_OUT = (0.0, 0.1, 0.2)
CLUSTERS = {
    "digit": "rows of another digit",
    "near copies": "near copies of one row",
    "copies": "copies of one row",
}


def measure(seeds: Sequence[int], quick: bool) -> dict[str, Any]:
    """Measure references with and without anomalies among them.

    Parameters
    ----------
    seeds : sequence of int
        Of draws and detectors alike.
    quick : bool
        Few steps and draws, digits alone.
    """
    settings = {"max_iter": 5} if quick else {}
    pairs = range(1 if quick else 10)
    chosen, n_rows = ({"digits": 1}, 64) if quick else (SPLITS, ROWS)
    return {
        "spoilt": {
            name: [one for seed in seeds for one in spoilt(name, n_splits, n_rows, seed, settings)]
            for name, n_splits in chosen.items()
        },
        "made": [one for seed in seeds for one in made(seed, settings)],
        "digits": [one for seed in seeds for one in digits(seed, pairs, settings)],
    }


def spoilt(
    name: str, n_splits: int, n_rows: int, seed: int, settings: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the AUROC of each unseen domain, its reference clean and with a tenth of anomalies."""
    for split in islice(splits(name, "validation"), n_splits):
        detector = ZeroShotACRDetector(random_state=seed, **settings).fit(list(split.train))
        for domain in split.unseen:
            aurocs: dict[str, list[float]] = {"clean": [], "spoilt": []}
            for draw in range(DRAWS):
                rows = rows_of(domain, n_rows, np.random.default_rng((seed, draw)))
                if rows is None or "mixed" not in rows:
                    break
                for kind, reference in (("clean", "reference"), ("spoilt", "spoilt")):
                    scores = detector.adapt(rows[reference]).score_samples(rows["mixed"])
                    aurocs[kind].append(float(roc_auc_score(rows["y"], -scores)))
            if aurocs["clean"]:
                means = {kind: round(float(np.mean(all_)), 5) for kind, all_ in aurocs.items()}
                yield {"domain": domain.name, "seed": seed, **means}


def made(seed: int, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what thresholds find and flag where a tight cluster is in a made reference.

    A domain is normal around a centre of its own, with correlations that all have in common; the
    cluster lies 4 standard deviations off in every feature and is a fifth as wide as the normal
    rows. "all" is the threshold set on the scores of all reference rows, "default" that of `adapt`.
    """
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(MADE_FEATURES, MADE_FEATURES))

    def domain(n: int) -> Rows:
        return rng.normal(0, 5, MADE_FEATURES) + rng.normal(size=(n, MADE_FEATURES)) @ mixing

    detector = ZeroShotACRDetector(random_state=seed, contamination=FLAGGED, **settings)
    detector.fit([domain(MADE_ROWS) for _ in range(6)])
    for _ in range(MADE_DOMAINS):
        own, others = domain(2 * MADE_ROWS), rng.normal(size=(2 * MADE_ROWS, MADE_FEATURES))
        away = 4 * rng.choice([-1, 1], MADE_FEATURES)
        others = own.mean(axis=0) + (away + 0.2 * others) * own.std(axis=0)
        for part in SHARES:
            n = round(part * MADE_ROWS)
            reference = np.concatenate([others[:n], own[: MADE_ROWS - n]])
            live = detector.adapt(reference)
            scores = [
                live.score_samples(X) for X in (reference, others[MADE_ROWS:], own[MADE_ROWS:])
            ]
            offsets = {"default": live.offset_, "all": contamination_offset(scores[0], FLAGGED)}
            yield {"share": part, "seed": seed} | {
                name: [round(float(np.mean(some < offset)), 4) for some in scores[1:]]
                for name, offset in offsets.items()
            }


def cluster_of(kind: str, others: Rows, rng: np.random.Generator) -> Rows:
    """Make a cluster of a kind of the rows of a class.

    Near copies are one row with every inked pixel moved by about one of its 16 steps.
    """
    if kind == "digit":
        return others
    copies = np.repeat(others[:1], len(others), axis=0)
    if kind == "copies":
        return copies
    return np.round(copies + rng.normal(size=copies.shape) * (copies > 0))


def drawn(
    own: Rows, others: Rows, kind: str, part: float, rng: np.random.Generator
) -> tuple[Rows, Rows, Rows]:
    """Draw a reference, further normal rows and further anomalous ones, no row twice."""
    own = rng.permutation(own)
    cluster = cluster_of(kind, rng.permutation(others), rng)
    n = round(part * ROWS)
    return np.concatenate([cluster[:n], own[: ROWS - n]]), own[ROWS - n :], cluster[n:]


def digits(seed: int, pairs: range, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the shares of further anomalies found and of further normal rows flagged, of digits.

    Two digits at a time are unseen. "normal" is the threshold set on the scores of the normal rows
    of the reference alone, which nobody knows in practice.
    """
    pixels, digit = load_digits(return_X_y=True)
    cases = [(k, part) for k in CLUSTERS for part in SHARES if part or k == "digit"]
    for first in pairs:
        pair = (first, (first + 1 + 3 * seed % 9) % 10)
        detector = ZeroShotACRDetector(random_state=seed, contamination=FLAGGED, **settings)
        detector.fit([pixels[digit == d] for d in range(10) if d not in pair])
        for one, other in (pair, pair[::-1]):
            for kind, part in cases:
                rng = np.random.default_rng((seed, one, other))
                sample = drawn(pixels[digit == one], pixels[digit == other], kind, part, rng)
                yield {
                    "cluster": kind,
                    "share": part,
                    "seed": seed,
                    "digits": [one, other],
                    **_thresholds(detector, part, *sample),
                }


def _thresholds(
    detector: ZeroShotACRDetector, part: float, reference: Rows, normal: Rows, odd: Rows
) -> dict[str, list[float]]:
    """Return the shares found and flagged by each threshold."""
    found = {}
    for left_out in LEFT_OUT:
        live = detector.adapt(reference, leave_out=left_out)
        scores = [live.score_samples(X) for X in (odd, normal)]
        found[f"leave_out={left_out:g}"] = [float(np.mean(some < live.offset_)) for some in scores]
        if not left_out:
            own = live.score_samples(reference)[round(part * ROWS) :]
            offset = contamination_offset(own, FLAGGED)
            found["normal"] = [float(np.mean(some < offset)) for some in scores]
    return {name: [round(value, 4) for value in pair] for name, pair in found.items()}


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return the tables of the page."""
    return {
        "ranking": _ranking(found["spoilt"]),
        "threshold": _threshold(found["made"]),
        "clusters": _clusters(found["digits"]),
    }


def _ranking(sets: dict[str, Found]) -> str:
    rows = []
    for name, ones in sets.items():
        means = [share(_mean([one[kind] for one in ones]), 3) for kind in ("clean", "spoilt")]
        n_domains = len({one["domain"] for one in ones})
        rows.append([NAMES.get(name, name), str(n_domains), *means])
    header = ("unseen domains of", "domains", "clean reference", "a tenth of it anomalies")
    return table(header, rows)


def _threshold(found: Found) -> str:
    rows = []
    for part in SHARES:
        ones = [one for one in found if one["share"] == part]
        cells = [
            _found_and_flagged([one[name] for one in ones], part) for name in ("all", "default")
        ]
        rows.append([_part(part), *cells])
    return table(("share of the cluster", "set on all scores", "default"), rows)


def _clusters(found: Found) -> str:
    ways = ("leave_out=0", "normal", "leave_out=0.1", "leave_out=0.2")
    rows, before = [], None
    for kind, part in dict.fromkeys((one["cluster"], one["share"]) for one in found):
        ones = [one for one in found if (one["cluster"], one["share"]) == (kind, part)]
        cells = [_found_and_flagged([one[way] for one in ones]) for way in ways]
        rows.append([CLUSTERS[kind] if kind != before else "", _part(part), *cells])
        before = kind
    header = ("cluster", "share", "default", "set on normal rows", "`leave_out=0.1`")
    return table((*header, "`leave_out=0.2`"), rows)


def _found_and_flagged(pairs: list[list[float]], part: float = 1.0) -> str:
    odd, normal = np.mean(pairs, axis=0)
    return f"{share(odd)} / {share(normal)}" if part else f"– / {share(normal)}"


def _part(part: float) -> str:
    return share(part, 1) if part else "0"


def _mean(values: list[float]) -> float:
    return float(np.mean(values))
