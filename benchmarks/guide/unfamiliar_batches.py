"""Which batches are called unlike every training domain: made ones, and those of real sets."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ._tables import table
from ._unfamiliar_made import CHANGED_ROWS, N_BATCHES, alike, anomalies, changes, fitted
from ._unfamiliar_real import NATIVE, Counts, real
from ._validation import IN_WORDS

PAGE = "batches.md"
#: Rows of 64 features that the check is timed on.
TIMED = (300, 2000)


def measure(seeds: Sequence[int], quick: bool) -> dict[str, Any]:
    """Count the batches that a warning would name.

    Parameters
    ----------
    seeds : sequence of int
        Each draws made domains and batches of its own.
    quick : bool
        A few settings, and one split of the digits.
    """
    used = seeds[:1] if quick else seeds
    return {
        "made": {
            "seeds": len(used),
            "batches": N_BATCHES,
            "anomalies": anomalies(used, quick),
            "changes": changes(used, quick),
            "mixing": alike(used, quick),
        },
        "real": dict(real(used[0], quick)),
        "milliseconds": _milliseconds(used[0], quick),
    }


def _milliseconds(seed: int, quick: bool) -> dict[str, float]:
    """Return the median CPU time of the check of a batch, by its rows."""
    rng = np.random.default_rng(seed)
    shift = fitted(lambda n_rows: rng.normal(size=(n_rows, 64)).astype(np.float32))
    out = {}
    for n_rows in TIMED:
        batch, costs = rng.normal(size=(n_rows, 64)).astype(np.float32), []
        for _ in range(50 if quick else 2000):
            began = time.process_time()
            shift.distance(batch)
            costs.append(1000 * (time.process_time() - began))
        out[str(n_rows)] = round(float(np.median(costs)), 3)
    return out


#: Kinds of batches of the real sets, as they stand on the page.
KINDS = {
    "clean": "clean batches of unseen domains",
    "natural": "a third of the rows anomalies of the set itself",
    "gross": "a tenth of the rows off by 12 standard deviations, scattered",
    "moved": "a third of the rows off by 6 standard deviations in a fifth of the columns",
    "permuted": "columns permuted",
    "rescaled": "each column times a factor of log spread 1",
    "noise": "independent noise with the spreads of the training rows",
}


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return the tables of the page, and what the check costs."""
    of_made = found["made"]
    fast, slow = (f"{found['milliseconds'][str(n)]:.1f}" for n in TIMED)
    return {
        "real sets": table(
            ("share of batches that are warned of", *(_in_words(name) for name in found["real"])),
            [[words, *_cells(found["real"], kind)] for kind, words in KINDS.items()],
        ),
        "anomalies": table(
            ("anomalies", *(f"{n} columns" for n in _features(of_made["anomalies"]))),
            _anomaly_rows(of_made),
        ),
        "anomalies drawn": _drawn(of_made),
        "changes": table(
            ("change", *(f"{n} columns" for n in _features(of_made["changes"]))),
            _change_rows(of_made["changes"]),
        ),
        "alike": _mixed(of_made["mixing"]),
        "cost": (
            f"The check takes {fast} ms for {TIMED[0]} rows of 64 float32 columns and {slow} ms "
            f"for {TIMED[1]:,}, on one core."
        ),
    }


def _in_words(name: str) -> str:
    return name if name == NATIVE else IN_WORDS[name]


def _cells(sets: dict[str, Counts], kind: str) -> list[str]:
    found = [counts.get(kind, [0, 0]) for counts in sets.values()]
    return [f"{warned / n:.0%} of {n}" if n else "" for n, warned in found]


def _features(records: list[dict[str, Any]]) -> list[int]:
    return list(dict.fromkeys(record["features"] for record in records))


def _anomaly_rows(of_made: dict[str, Any]) -> list[list[str]]:
    n_batches = of_made["batches"] * of_made["seeds"]
    out: dict[str, list[str]] = {}
    for record in of_made["anomalies"]:
        share = record["warned"] / (record["settings"] * n_batches)
        most = f", at most {record['most'] / n_batches:.0%}" if record["warned"] else ""
        words = "none" if record["shape"] == "none" else record["shape"]
        out.setdefault(words, []).append(f"{share:.2%}{most}")
    return [[words, *cells] for words, cells in out.items()]


def _drawn(of_made: dict[str, Any]) -> str:
    settings = sum(record["settings"] for record in of_made["anomalies"])
    n_batches = of_made["batches"] * of_made["seeds"]
    return (
        f"In all {settings:,} settings of {n_batches} batches each, from {of_made['seeds']} sets "
        "of made domains for each number of columns."
    )


def _change_rows(records: list[dict[str, Any]]) -> list[list[str]]:
    out: dict[str, list[str]] = {}
    for record in records:
        words = f"{record['change']}, {record['rows']} rows"
        cell = f"{record['warned'] / record['batches']:.0%}"
        if record["warned"]:
            named = "right" if record["change"].startswith("one") else "names"
            cell += f" ({record[named] / record['warned']:.0%})"
        out.setdefault(words, []).append(cell)
    return [[words, *out[words]] for words in sorted(out, key=_order(records))]


def _order(records: list[dict[str, Any]]) -> Callable[[str], int]:
    """Return the place of a row: by the change first."""
    changes = list(dict.fromkeys(record["change"] for record in records))
    places = [f"{change}, {rows} rows" for change in changes for rows in CHANGED_ROWS]
    return places.index


def _mixed(records: list[dict[str, Any]]) -> str:
    independent, *others = records
    mixed = " and ".join(
        f"{record['warned'] / record['batches']:.0%} with entries of standard deviation "
        f"{record['mixing']:g}"
        for record in others
    )
    share = independent["warned"] / independent["batches"]
    return (
        "Columns that are alike cannot be told apart. Of 8 independent columns of equal spread "
        f"{share:.0%} of {independent['batches']} permuted batches get the warning. Where a matrix "
        f"mixes them it is {mixed}."
    )
