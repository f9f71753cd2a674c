"""The curves: what each measures, on which sets, and from records to the points that are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from . import scored, trained
from .bench import Bench, Record

DIGITS = 5  # as in the summary of the quality benchmark


@dataclass(frozen=True)
class Curve:
    """One curve.

    Attributes
    ----------
    title : str
    x : str
        What is varied, with its unit.
    note : str
        What a reader must know beyond the common setting.
    measure : callable
        (bench, set name) -> records.
    value : str, default="AUROC"
        What is measured.
    sets : tuple of str or None
        The sets on which it is measured unless told otherwise; None for all.
    few_seeds : bool, default=False
        Whether it is measured with the first `trained_seeds` of the seeds only.
    """

    title: str
    x: str
    note: str
    measure: Callable[[Bench, str], Iterator[Record]]
    value: str = "AUROC"
    sets: tuple[str, ...] | None = None
    few_seeds: bool = False


CURVES: dict[str, Curve] = {
    "size": Curve(
        "Batch size",
        "rows in the batch",
        "One anomaly in ten rows, at least one, no row twice. A domain counts where it has the "
        "distinct rows for every kind of anomaly, so larger batches are of fewer domains; from "
        "1,000 rows on only the largest domain of a split is scored. Pairs: two unseen classes of "
        "Fashion-MNIST pooled to one domain, the only way here to more than 6,000 distinct rows; "
        "nothing foreign is left then, so no natural anomalies.",
        scored.sizes,
    ),
    "share": Curve(
        "Share of anomalies",
        "share of anomalies in the batch",
        "The rows of a domain's batches are the same in number at every share.",
        scored.shares,
    ),
    "domains": Curve(
        "Number of training domains",
        "training domains",
        "Nested random subsets of the training domains, the last point is all of them. Below four "
        "domains early stopping is off; with one, outliers are synthetic.",
        trained.counts,
    ),
    "foreign": Curve(
        "Unrelated training set",
        "trained on",
        "Trained on the domains of one set of images, scored on unseen domains of another. At 64 "
        "features Fashion-MNIST and glyphs are averaged to 8 x 8 and all values put between 0 and "
        "1. IsolationForest and kNN see the batch only.",
        trained.foreign,
        sets=trained.IMAGES,
        few_seeds=True,
    ),
    "shift": Curve(
        "Shift of the whole batch",
        "change of every row of the batch",
        "One sd is the mean standard deviation of the features in training. Gains: one log-normal "
        "factor (sigma 1) per feature. Inverted: training maximum minus value. Permuted: features "
        "in another order. Rows are float64.",
        scored.shifts,
    ),
    "norm": Curve(
        "Normalisation",
        "norm behind every layer",
        "A row of features has no channels, so layer and instance norm both normalise the row over "
        "its features; layer norm has a learnt scale and shift, instance norm none. Without batch "
        "norm the batch is not centred before the network either.",
        trained.norms,
        sets=("digits", "fashion_mnist", "fars"),
        few_seeds=True,
    ),
    "layers": Curve(
        "Width and depth",
        "hidden layers x units",
        "The network is one of four views of the default score; the other two lines use it alone.",
        trained.layers,
        sets=("digits", "fashion_mnist", "fars"),
        few_seeds=True,
    ),
    "alarms": Curve(
        "False alarms",
        "contamination",
        "Share of rows that predict flags. A clean batch is of normal rows only; domains with "
        "fewer rows are left out.",
        scored.false_alarms,
        value="share flagged",
    ),
}


def points(records: Sequence[Record]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return the points per set and method, in the order in which they were measured.

    A point's ``mean`` is the mean over kinds of anomaly of the mean over domains; ``sd``, ``min``
    and ``max`` are over domains, each of them the mean over its kinds, batches and seeds.
    """
    frame = pd.DataFrame(records)
    out: dict[str, dict[str, list[dict[str, Any]]]] = {}
    if frame.empty:
        return out
    for (set_name, method), part in frame.groupby(["set", "method"], sort=False):
        rows = [_point(x, one) for x, one in part.groupby("x", sort=False)]
        if not isinstance(rows[0]["x"], str):
            rows.sort(key=lambda row: row["x"])
        out.setdefault(set_name, {})[method] = rows
    return out


def _point(x: Any, frame: pd.DataFrame) -> dict[str, Any]:
    cells = frame.groupby(["domain", "kind"])["value"].mean()
    kinds = cells.groupby(level="kind").mean()
    domains = cells.groupby(level="domain").mean()
    return {
        "x": getattr(x, "item", lambda: x)(),
        "mean": _rounded(kinds.mean()),
        "sd": _rounded(domains.std(ddof=0)),
        "min": _rounded(domains.min()),
        "max": _rounded(domains.max()),
        "domains": len(domains),
        "batches": len(frame),
        "kinds": {str(kind): _rounded(value) for kind, value in kinds.items()},
    }


def _rounded(value: float) -> float:
    return round(float(value), DIGITS)
