"""What each threshold flags on validation domains, by the true share of anomalies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from native.cuts import detector_cuts, rates
from quality.protocol import KINDS, MIN_ANOMALIES, Batch

from acr_sklearn.thresholds import batch_offsets, p_values

from ._tables import share, table
from ._validation import IN_WORDS, Run, in_a_row, mean_of_sets, runs

PAGE = "thresholds.md"
SHARES, N_ROWS = (0.0, 0.01, 0.05, 0.1, 0.2), 500
#: Batches per domain and share: of each kind of anomaly, and clean ones.
N_BATCHES, N_CLEAN = 2, 4
TRUE = "batch, the true share"
#: In the order of the page.
RULES = {
    "train, 0.1": '"train", 0.1',
    "train, auto": '"train", "auto"',
    "batch, 0.1": '"batch", 0.1',
    "batch, auto": '"batch", "auto"',
    TRUE: '"batch", the true share',
    "storey": "not offered: the share by Storey, at 0.5",
    "modified z-score": "not offered: modified z-score of the batch",
}
OFFERED = [name for name in RULES if name not in ("storey", "modified z-score")]
FIGURES = ("flagged", "f1", "balanced accuracy")


def measure(seeds: Sequence[int], quick: bool) -> dict[str, Any]:
    """Flag the rows of batches by every rule.

    Parameters
    ----------
    seeds : sequence of int
        Each trains on splits of its own.
    quick : bool
        One split of the digits.

    Returns
    -------
    dict
        ``records``: a record per set, seed and share, with the means over its batches.
    """
    found: dict[tuple[str, int, float], list[dict[str, list[float]]]] = {}
    domains = set()
    for run in runs(seeds, quick):
        for given, batch in _batches(run):
            domains.add((run.set_name, batch.domain.name))
            figures = _flagged(run, batch, given)
            found.setdefault((run.set_name, run.seed, given), []).append(figures)
    records = [
        {
            "set": name,
            "seed": seed,
            "share": given,
            "batches": len(batches),
            **{rule: _means([batch[rule] for batch in batches]) for rule in RULES},
        }
        for (name, seed, given), batches in found.items()
    ]
    return {"n_domains": len(domains), "rows": N_ROWS, "records": records}


def _batches(run: Run) -> Iterator[tuple[float, Batch]]:
    """Yield batches of up to 500 rows with the share of anomalies asked for, at least three."""
    for domain in run.domains:
        n_rows = min(N_ROWS, len(domain.normals))
        for given in SHARES:
            n_anomalous = round(given * n_rows)
            clean = given == 0
            if not clean and n_anomalous < MIN_ANOMALIES:
                continue
            # A clean batch draws no anomaly: any kind will do.
            for kind in ("shuffled",) if clean else KINDS:
                if kind == "natural" and n_anomalous > len(domain.allowed):
                    continue
                for i in range(N_CLEAN if clean else N_BATCHES):
                    yield given, run.batch(domain, kind, n_rows, n_anomalous, i)


def _flagged(run: Run, batch: Batch, given: float) -> dict[str, list[float]]:
    """Return the share flagged by each rule, its F1 and its balanced accuracy."""
    X, y = batch.draw()
    detector = run.detector
    scores = detector.score_samples(X)
    calibration = detector.calibration_scores_
    cuts = detector_cuts(detector, scores)
    for name, stated in ((TRUE, given), ("storey", storey(scores, calibration))):
        cuts[name] = scores < batch_offsets(scores, [np.arange(len(y))], stated, calibration)
    cuts["modified z-score"] = outlying(scores)
    out = {}
    for name in RULES:
        out[name] = [float(cuts[name].mean())]
        if given > 0:
            figures = rates(cuts[name], y)
            out[name] += [figures[figure] for figure in FIGURES[1:]]
    return out


def storey(scores: np.ndarray, calibration: np.ndarray) -> float:
    """Return the share of anomalies by J. D. Storey, 2002: twice the p-values above 0.5 are normal.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
        Of a batch, high for normal rows.
    calibration : ndarray of shape (n_scores,)
        Sorted scores of normal rows.
    """
    above = float(np.mean(p_values(scores, calibration) > 0.5))
    return min(max(1 - 2 * above, 0.0), 0.5)


def outlying(scores: np.ndarray) -> np.ndarray:
    """Say which scores are low outliers of their batch: a modified z-score below -3.5."""
    median = np.median(scores)
    deviation = np.median(np.abs(scores - median))
    return np.asarray(0.6745 * (scores - median) < -3.5 * deviation)


def _means(figures: list[list[float]]) -> dict[str, float]:
    """Return the mean of each figure over batches."""
    means = np.mean(figures, axis=0)
    return {name: round(float(value), 4) for name, value in zip(FIGURES, means, strict=False)}


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return what the rules flag, their F1 by set, and what was measured."""
    records = found["records"]
    sets = list(dict.fromkeys(record["set"] for record in records))
    header = (
        "setting",
        *(f"{100 * given:.0f} % anomalies" for given in SHARES),
        "F1",
        "balanced accuracy",
    )
    flagged = [
        [
            words,
            *_flagged_by_share(records, rule),
            *(share(_of_sets(records, rule, figure), 3) for figure in FIGURES[1:]),
        ]
        for rule, words in RULES.items()
    ]
    by_set = [
        [
            words,
            *(
                share(_of_sets([r for r in records if r["set"] == name], rule, "f1"), 3)
                for name in sets
            ),
        ]
        for rule, words in ((rule, RULES[rule]) for rule in OFFERED)
    ]
    by_share = [[RULES[rule], *_f1_by_share(records, rule)] for rule in OFFERED]
    return {
        "measured": _measured(found, sets),
        "flagged": table(header, flagged),
        "F1 by share": table(("setting", *header[2 : 1 + len(SHARES)]), by_share),
        "F1 by set": table(("setting", *(IN_WORDS[name] for name in sets)), by_set),
    }


def _flagged_by_share(records: list[dict[str, Any]], rule: str) -> list[str]:
    """Return the per cent flagged at each true share, of the sets that have batches with it."""
    out = []
    for given in SHARES:
        found = _by_set(records, lambda r, at=given: r["share"] == at, rule, "flagged")
        out.append(f"{100 * mean_of_sets(found):.1f}" if found else "")
    return out


def _f1_by_share(records: list[dict[str, Any]], rule: str) -> list[str]:
    """Return the F1 at each true share but none, of the sets that have batches with it."""
    out = []
    for given in SHARES[1:]:
        found = _by_set(records, lambda r, at=given: r["share"] == at, rule, "f1")
        out.append(share(mean_of_sets(found), 3) if found else "")
    return out


def _of_sets(records: list[dict[str, Any]], rule: str, figure: str) -> float:
    """Return a figure over the batches with anomalies."""
    return mean_of_sets(_by_set(records, lambda r: r["share"] > 0, rule, figure))


def _by_set(
    records: list[dict[str, Any]], wanted: Callable[[dict[str, Any]], bool], rule: str, figure: str
) -> dict[str, list[float]]:
    out: dict[str, list[float]] = {}
    for record in filter(wanted, records):
        out.setdefault(record["set"], []).append(record[rule][figure])
    return out


def _measured(found: dict[str, Any], sets: list[str]) -> str:
    records = found["records"]
    n_batches = sum(record["batches"] for record in records)
    with_few = [
        IN_WORDS[name]
        for name in sets
        if any(r["set"] == name and r["share"] == min(SHARES[1:]) for r in records)
    ]
    seeds = len({record["seed"] for record in records})
    return (
        f"Measured on {n_batches:,} batches of up to {found['rows']} rows, from "
        f"{found['n_domains']} validation domains and with {len(KINDS)} kinds of anomaly; {seeds} "
        f"{'seeds' if seeds > 1 else 'seed'}. Every set counts alike. A batch has three anomalies "
        "or more; with 1 % of them it needs 250 rows, and such batches are of "
        f"{in_a_row(with_few) or 'no set'} alone."
    )
