"""Small batches: how well they are ranked, and what the threshold flags in clean ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from quality.protocol import KINDS, evaluate

from ._tables import share, table
from ._validation import IN_WORDS, mean_of_sets, runs

PAGE = "batches.md"
SIZES, SHARE = (4, 8, 16, 32, 64, 128), 0.1
#: Batches per domain and size: of each kind of anomaly, and clean ones.
N_BATCHES, N_CLEAN = 4, 12


def measure(seeds: Sequence[int], quick: bool) -> dict[str, Any]:
    """Score batches of few rows from domains that have enough for the largest batch.

    Parameters
    ----------
    seeds : sequence of int
        Each trains on splits of its own.
    quick : bool
        One split of the digits.

    Returns
    -------
    dict
        ``records``: a record per set, seed and size, with the means over its batches.
    """
    aurocs: dict[tuple[str, int, int], list[float]] = {}
    flagged: dict[tuple[str, int, int], list[float]] = {}
    domains = set()
    for run in runs(seeds, quick):
        for domain in run.domains:
            if len(domain.normals) < max(SIZES):
                continue
            domains.add((run.set_name, domain.name))
            for size in SIZES:
                key = (run.set_name, run.seed, size)
                n_anomalous = max(1, round(SHARE * size))
                for kind in KINDS:
                    for i in range(N_BATCHES):
                        X, y = run.batch(domain, kind, size, n_anomalous, i).draw()
                        auroc = evaluate(run.detector.score_samples(X), y)["auroc"]
                        aurocs.setdefault(key, []).append(auroc)
                for i in range(N_CLEAN):
                    X, _ = run.batch(domain, KINDS[1], size, 0, i).draw()
                    flagged.setdefault(key, []).append(np.mean(run.detector.predict(X) == -1))
    records = [
        {
            "set": name,
            "seed": seed,
            "rows": size,
            "batches": len(aurocs[name, seed, size]),
            "clean_batches": len(flagged[name, seed, size]),
            "auroc": round(float(np.mean(aurocs[name, seed, size])), 4),
            "flagged": round(float(np.mean(flagged[name, seed, size])), 4),
        }
        for name, seed, size in aurocs
    ]
    return {"n_domains": len(domains), "records": records}


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return the table over all sets and by set."""
    records = found["records"]
    sets = list(dict.fromkeys(record["set"] for record in records))
    rows = [
        ["AUROC", *(share(value, 3) for value in _by_size(records, "auroc"))],
        *(
            [
                f"AUROC, {IN_WORDS[name]}",
                *(share(v, 3) for v in _by_size(_of(records, name), "auroc")),
            ]
            for name in sets
        ),
        ["flagged in clean batches", *(f"{v:.0%}" for v in _by_size(records, "flagged"))],
        *(
            [
                f"flagged, {IN_WORDS[name]}",
                *(f"{v:.0%}" for v in _by_size(_of(records, name), "flagged")),
            ]
            for name in sets
        ),
    ]
    return {"small batches": table(("rows", *map(str, SIZES)), rows)}


def _of(records: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [record for record in records if record["set"] == name]


def _by_size(records: list[dict[str, Any]], figure: str) -> list[float]:
    """Return a figure by the rows of a batch, every set counted alike."""
    out = []
    for size in SIZES:
        by_set: dict[str, list[float]] = {}
        for record in (record for record in records if record["rows"] == size):
            by_set.setdefault(record["set"], []).append(record[figure])
        out.append(mean_of_sets(by_set))
    return out
