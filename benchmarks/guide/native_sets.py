"""What the sets with labelled anomalies hold: domains, rows, features, share of anomalies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from native import data

from ._tables import share, table

PAGE = "native.md"
#: What a domain is, where the rows come from, and under which terms: as found, not measured.
SETS = {
    "smd": (
        "{domains} server machines",
        "SMD, NetManAIOps/OmniAnomaly; `processed/machine-*` of zhhlee/InterFusion",
        "MIT",
    ),
    "smap": (
        "{domains} spacecraft channels",
        "khundman/telemanom; `SMAP_MSL/test` of imperial-qore/TranAD",
        "BSD-like (Caltech)",
    ),
    "kpi": (
        "{domains} web-service indicators, windows",
        "NetManAIOps/KPI-Anomaly-Detection; `UTS/AIOPS` of CSTCloudOps/datasets",
        "MIT",
    ),
    "promise": (
        "{domains} releases of {groups} Java projects (groups)",
        "Jureczko and Madeyski 2010; `bug-data` of feiwww/PROMISE-backup",
        "public, unverified",
    ),
    "nslkdd": (
        "{domains} network services",
        "NSL-KDD (UNB CIC): `KDDTrain+_20Percent.txt`, `KDDTest+.txt` of defcom17/NSL_KDD",
        "public research data",
    ),
    "diecast": (
        "{domains} months of {groups} moulds (groups)",
        "KAMP (kamp-ai.kr); `data_group/*.csv` of Jelly7236/diecasting-monitoring-project",
        "Korean public licence, attribution",
    ),
    "cncwear": (
        "{domains} settings of a mill",
        "CNC mill tool wear (Kaggle, shasun); `data` of ejhusom/cnc_milling_tool_wear",
        "CC BY-NC-SA 4.0, unverified",
    ),
}


def measure(seeds: Sequence[int], quick: bool) -> dict[str, Any]:  # noqa: ARG001
    """Count, in those of the sets that are here.

    Parameters
    ----------
    seeds : sequence of int
        Without effect: nothing is drawn.
    quick : bool
        Without effect.
    """
    found = {}
    for name in SETS:
        if name in data.available():
            one = data.read(name)
            found[name] = {
                "domains": len(one.domains),
                "groups": len(set(one.group)),
                "rows": len(one.X),
                "features": one.X.shape[1],
                "anomalies": int(one.anomaly.sum()),
            }
    return {"sets": found}


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return the table of the page."""
    rows = []
    for name, one in found["sets"].items():
        domain, origin, terms = SETS[name]
        size = f"{one['rows']:,} × {one['features']}"
        part = share(one["anomalies"] / one["rows"], 3)
        rows.append([f"`{name}`", domain.format(**one), size, part, origin, terms])
    header = ("set", "domain", "rows × features", "anomalies", "from", "terms")
    return {"sets": table(header, rows)}
