"""What a list at a false discovery rate holds: of each domain by itself, and of all together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from native.data import NativeSet, available, read
from scipy.stats import false_discovery_control

from acr_sklearn import ZeroShotACRDetector

from ._tables import share, table

PAGE = "command_line.md"
RATE, SHARE = 0.1, 0.05
N_FOLDS, N_NORMAL, FEWEST_NORMAL, FEWEST_ANOMALIES = 3, 300, 50, 3
#: Lists that have most of the false alarms.
MOST_FALSE = 10
RULES = {"alone": "each domain by itself", "together": "all domains of a call together"}


def measure(seeds: Sequence[int], quick: bool) -> dict[str, Any]:
    """List rows of domains that training did not see, clean ones and ones with anomalies.

    Parameters
    ----------
    seeds : sequence of int
        One round over all folds each; it draws folds and rows, and seeds the detector.
    quick : bool
        The first set alone, in two steps.

    Returns
    -------
    dict
        For each set, seed and fold, and for each rule: of every domain the normal rows and the
        anomalies that are listed, and how many of them there are.
    """
    names, max_iter = (available()[:1], 2) if quick else (available(), 60)
    found = []
    for name in names:
        one = read(name)
        for seed in seeds:
            for fold, (train, test) in enumerate(_folds(one, seed)):
                detector = ZeroShotACRDetector(max_iter=max_iter, random_state=seed).fit(train)
                for kind, batches in test.items():
                    listed = _listed(detector, batches)
                    place = {"set": name, "seed": seed, "fold": fold, "kind": kind}
                    found.append({**place, "domains": listed})
    return {"rate": RATE, "share": SHARE, "steps": max_iter, "lists": found}


def _folds(one: NativeSet, seed: int) -> Iterator[tuple[list[np.ndarray], dict[str, Any]]]:
    """Yield the training rows of a fold, and the batches of its other domains by their kind."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.unique(one.group))
    for fold in range(N_FOLDS):
        held = set(groups[fold::N_FOLDS])
        train, clean, mixed = [], [], []
        for domain in one.domains:
            normal = rng.permutation(one.normals(domain))
            anomalous = rng.permutation(one.anomalies(domain))
            if one.group[one.domain == domain][0] not in held:
                train.append(one.X[normal[:1000]])
                continue
            normal = normal[:N_NORMAL]
            anomalous = anomalous[: round(SHARE * len(normal) / (1 - SHARE))]
            if len(normal) < FEWEST_NORMAL:
                continue
            clean.append((one.X[normal], 0))
            if len(anomalous) >= FEWEST_ANOMALIES:
                mixed.append((one.X[np.concatenate([normal, anomalous])], len(anomalous)))
        kinds = {"clean": clean, "anomalies": mixed}
        yield [rows for rows in train if len(rows) > 1], {k: v for k, v in kinds.items() if v}


def _listed(detector: ZeroShotACRDetector, batches: list[Any]) -> list[dict[str, Any]]:
    p_values = [detector.p_values(X) for X, _ in batches]
    ends = np.cumsum([len(p) for p in p_values])[:-1]
    q_values = {
        "alone": [false_discovery_control(p) for p in p_values],
        "together": np.split(false_discovery_control(np.concatenate(p_values)), ends),
    }
    found = []
    for i, (X, n_anomalous) in enumerate(batches):
        n_normal = len(X) - n_anomalous
        domain: dict[str, Any] = {"normal": n_normal, "anomalous": n_anomalous}
        for rule, of_rule in q_values.items():
            listed = of_rule[i] <= RATE
            domain[rule] = [int(listed[:n_normal].sum()), int(listed[n_normal:].sum())]
        found.append(domain)
    return found


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return the table of the page, and the sentence below it."""
    of_kind = {
        kind: [d for one in found["lists"] if one["kind"] == kind for d in one["domains"]]
        for kind in ("clean", "anomalies")
    }
    rows = []
    for rule, name in RULES.items():
        clean = np.mean([domain[rule][0] > 0 for domain in of_kind["clean"]])
        false, true = np.array([domain[rule] for domain in of_kind["anomalies"]]).T
        n_anomalous = sum(domain["anomalous"] for domain in of_kind["anomalies"])
        of_lists = np.mean(false / np.maximum(false + true, 1))
        of_rows = false.sum() / max(false.sum() + true.sum(), 1)
        figures = [clean, true.sum() / n_anomalous, of_lists, of_rows]
        rows.append([name, *(share(figure) for figure in figures)])
    header = (
        "a list at .1 of",
        "clean domains that list a row",
        "anomalies that are listed",
        "false alarms in a domain's list, mean",
        "false alarms among all listed rows",
    )
    n_sets = len({one["set"] for one in found["lists"]})
    seeds = sorted({one["seed"] for one in found["lists"]})
    n_clean = len(of_kind["clean"]) // len(seeds)
    n_mixed = len(of_kind["anomalies"]) // len(seeds)
    again = "all" if n_mixed == n_clean else f"{n_mixed}"
    alone = np.sort([domain["alone"][0] for domain in of_kind["anomalies"]])[::-1]
    about = (
        f"{n_clean} domains of {n_sets} native sets, none of them seen in training, with up to "
        f"{N_NORMAL} normal rows each; {again} of them once more with 5 % anomalies on top "
        f"({N_FOLDS} folds, {found['steps']} steps, seeds {', '.join(map(str, seeds))}). An empty "
        f"list has no false alarms. Of the false alarms in lists of single domains "
        f"{share(alone[:MOST_FALSE].sum() / max(alone.sum(), 1))} stand in "
        f"{min(MOST_FALSE, len(alone))} of {len(alone)} lists."
    )
    return {"lists": f"{table(header, rows)}\n\n{about}"}
