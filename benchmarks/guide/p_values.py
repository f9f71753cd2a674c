"""What p-values find in batches of a hundred rows, without and with normal rows of the domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from quality.datasets import Unseen
from quality.protocol import KINDS
from sklearn.metrics import roc_auc_score

from ._tables import share, table
from ._validation import Run, mean_of_sets, runs

PAGE = "thresholds.md"
N_ROWS, N_REFERENCE, LEVEL = 100, 64, 0.02
ANOMALIES = (2, 5, 10, 20)
N_BATCHES = 2
WAYS = {"alone": "", "reference": f", with `X_ref` of {N_REFERENCE} rows"}


def measure(seeds: Sequence[int], quick: bool) -> dict[str, Any]:
    """Count the rows with p <= 0.02 among the anomalies and among the normal rows.

    Parameters
    ----------
    seeds : sequence of int
        Each trains on splits of its own.
    quick : bool
        One split of the digits.

    Returns
    -------
    dict
        ``records``: a record per set, seed and number of anomalies, with the means over batches.
    """
    found: dict[tuple[str, int, int], list[dict[str, float]]] = {}
    domains = set()
    for run in runs(seeds, quick):
        for domain in run.domains:
            if len(domain.normals) < N_ROWS + N_REFERENCE:
                continue
            domains.add((run.set_name, domain.name))
            for n_anomalous in ANOMALIES:
                some = found.setdefault((run.set_name, run.seed, n_anomalous), [])
                some += [
                    _figures(run, domain, kind, n_anomalous, i)
                    for kind in KINDS
                    for i in range(N_BATCHES)
                ]
    records = [
        {"set": name, "seed": seed, "anomalies": n_anomalous, "batches": len(batches)}
        | {key: round(float(np.mean([one[key] for one in batches])), 4) for key in batches[0]}
        for (name, seed, n_anomalous), batches in found.items()
    ]
    return {"n_domains": len(domains), "rows": N_ROWS, "level": LEVEL, "records": records}


def _figures(run: Run, domain: Unseen, kind: str, n_anomalous: int, index: int) -> dict[str, float]:
    """Return the shares of anomalies and of normal rows with a p-value as low, and the AUROC."""
    reference, rest = apart(domain, index)
    X, y = run.batch(rest, kind, N_ROWS, n_anomalous, index).draw()
    detector = run.detector
    p = {"alone": detector.p_values(X), "reference": detector.p_values(X, reference)}
    out = {"auroc": float(roc_auc_score(y == -1, -detector.score_samples(X)))}
    for way, values in p.items():
        out[f"{way}, found"] = float(np.mean(values[y == -1] <= LEVEL))
        out[f"{way}, false"] = float(np.mean(values[y == 1] <= LEVEL))
    return out


def apart(domain: Unseen, index: int) -> tuple[np.ndarray, Unseen]:
    """Return reference rows of a domain, and the domain without them."""
    order = np.random.default_rng(index).permutation(len(domain.normals))
    own, others = order[:N_REFERENCE], order[N_REFERENCE:]
    rest = Unseen(domain.name, domain.normals[others], domain.pool, domain.allowed)
    return domain.normals[own], rest


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return the table of the page, and what was measured."""
    records, level = found["records"], f"{found['level']:g}"
    rows = [["AUROC of the scores", *(share(v) for v in _by_number(records, "auroc"))]]
    for way, words in WAYS.items():
        rows.append([f"anomalies with p <= {level}{words}", *_per_cent(records, f"{way}, found")])
        rows.append([f"normal rows with p <= {level}{words}", *_per_cent(records, f"{way}, false")])
    n_batches = sum(record["batches"] for record in records)
    seeds = len({record["seed"] for record in records})
    return {
        "p-values": table((f"anomalies among {found['rows']} rows", *map(str, ANOMALIES)), rows),
        "p-values measured": (
            f"Measured on {n_batches:,} batches from {found['n_domains']} validation domains of "
            f"digits, road accidents, glyphs and Fashion-MNIST; {seeds} "
            f"{'seeds' if seeds > 1 else 'seed'}."
        ),
    }


def _per_cent(records: list[dict[str, Any]], figure: str) -> list[str]:
    return [f"{100 * value:.1f} %" for value in _by_number(records, figure)]


def _by_number(records: list[dict[str, Any]], figure: str) -> list[float]:
    """Return a figure by the number of anomalies, every set counted alike."""
    out = []
    for n_anomalous in ANOMALIES:
        by_set: dict[str, list[float]] = {}
        for record in (r for r in records if r["anomalies"] == n_anomalous):
            by_set.setdefault(record["set"], []).append(record[figure])
        out.append(mean_of_sets(by_set))
    return out
