"""What a rare category does as columns, as domains and left out: alarms and anomalies found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from acr_sklearn import DomainScaler, ZeroShotACRDetector

from ._seeds import apart, matching, mean
from ._tables import share, table

PAGE = "categories.md"
N_SITES, N_NEW, N_ROWS, N_MOVED, MOVE = 12, 20, 400, 20, 3.0
#: Rows that the rarest kind has in every site.
LEAST = 4
FIGURES = ("flagged_rare", "flagged_others", "p_rare", "p_others", "found", "auroc")
HEADER = (
    "",
    "flagged, rarest kind",
    "flagged, others",
    "p ≤ .05, rarest",
    "p ≤ .05, others",
    "moved rows found",
    "AUROC",
)


@dataclass
class Mix:
    """Kinds by how frequent they are, the rarest last, and the numbers beside them."""

    shares: tuple[float, ...]
    n_numbers: int = 4
    own_numbers: bool = False


@dataclass
class Site:
    """Rows of a site: numbers, the kind of each row, and which rows were moved."""

    numbers: NDArray[Any]
    kind: NDArray[Any]
    moved: NDArray[Any]

    def one_hot(self, factor: float = 1.0, kept: slice = slice(None)) -> NDArray[Any]:
        """Return the numbers and a column per kind, or per kind that is kept."""
        columns = self.kind[:, None] == np.unique(self.kind)[kept]
        return np.hstack([self.numbers, factor * columns])

    def centred(self) -> NDArray[Any]:
        """Return the numbers less their mean over the rows of the kind."""
        scaler = DomainScaler(with_scaling=False)
        return np.asarray(scaler.fit_transform(self.numbers, domains=self.kind))


ONE_HOT, TENTH = "one-hot columns", "one-hot columns times .1"
FREQUENT, NONE = "columns of the two frequent kinds only", "no column of the kind"
CENTRED, DOMAIN = "each kind centred by itself", "the kind as domain"
POOLED = "the kind as domain, the two rarest pooled"
ENCODINGS: dict[str, Callable[[Site], NDArray[Any]]] = {
    ONE_HOT: Site.one_hot,
    FREQUENT: lambda site: site.one_hot(kept=slice(2)),
    TENTH: lambda site: site.one_hot(0.1),
    NONE: lambda site: site.numbers,
    CENTRED: Site.centred,
    DOMAIN: lambda site: site.numbers,
    POOLED: lambda site: site.numbers,
}
#: What the detector is told, where it is told of the kind.
DOMAINS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    DOMAIN: lambda kind: kind,
    POOLED: lambda kind: np.minimum(kind, kind.max() - 1),
}
SHARED, OWN = "the numbers do not depend on the kind", "each kind has numbers of its own"
SIX, THREE, FEW = "six kinds", "three kinds", "a kind of about eight rows"
FOUR, SIX_WAYS = (0.55, 0.3, 0.1, 0.05), (ONE_HOT, FREQUENT, TENTH, NONE, CENTRED, DOMAIN)
#: What is compared: kinds and encodings.
CASES: dict[str, tuple[Mix, tuple[str, ...]]] = {
    SHARED: (Mix(FOUR), SIX_WAYS),
    OWN: (Mix(FOUR, own_numbers=True), SIX_WAYS),
    SIX: (Mix((0.2, 0.2, 0.2, 0.2, 0.15, 0.05)), (ONE_HOT, TENTH, NONE)),
    THREE: (Mix((0.5, 0.45, 0.05), n_numbers=3), (ONE_HOT, FREQUENT, NONE)),
    FEW: (Mix((0.6, 0.3, 0.08, 0.02), own_numbers=True), (NONE, CENTRED, DOMAIN, POOLED)),
}


def made(rng: np.random.Generator, mix: Mix, n_moved: int = 0) -> Site:
    """Draw a site; moved rows get noise added to every number."""
    n_kinds, kind = len(mix.shares), np.zeros(N_ROWS, dtype=int)
    while np.bincount(kind, minlength=n_kinds).min() < LEAST:
        kind = rng.choice(n_kinds, N_ROWS, p=mix.shares)
    numbers = rng.normal(size=(N_ROWS, mix.n_numbers)) + rng.normal(0, 3, mix.n_numbers)
    if mix.own_numbers:
        numbers += rng.normal(0, 3, (n_kinds, mix.n_numbers))[kind]
    moved = np.zeros(N_ROWS, dtype=bool)
    moved[rng.choice(N_ROWS, n_moved, replace=False)] = True
    numbers[moved] += rng.normal(0, MOVE, (n_moved, mix.n_numbers))
    return Site(numbers, kind, moved)


def measure(seeds: Sequence[int], quick: bool) -> dict[str, Any]:
    """Measure means over new sites, for each seed, case and encoding.

    Parameters
    ----------
    seeds : sequence of int
        Each draws sites of its own and seeds the detectors.
    quick : bool
        A training of two steps, fewer sites.
    """
    found, (n_known, n_new) = [], (4, 2) if quick else (N_SITES, N_NEW)
    for seed in seeds:
        for case, (mix, encodings) in CASES.items():
            rng = np.random.default_rng(seed)
            known = [made(rng, mix) for _ in range(n_known)]
            new = [made(rng, mix, N_MOVED) for _ in range(n_new)]
            for encoding in encodings:
                detector = ZeroShotACRDetector(random_state=seed)
                if quick:
                    detector.set_params(max_iter=2)
                detector.fit(_rows(known, encoding))
                figures = [_figures(detector, encoding, site) for site in new]
                means = {name: round(mean(figures, name), 4) for name in FIGURES}
                found.append({"seed": seed, "case": case, "encoding": encoding, **means})
    return {"sites": n_known, "new_sites": n_new, "rows": N_ROWS, "found": found}


def _rows(sites: list[Site], encoding: str) -> list[NDArray[Any]]:
    """Return the rows of each training domain."""
    rows = [ENCODINGS[encoding](site) for site in sites]
    if encoding not in DOMAINS:
        return rows
    labels = [DOMAINS[encoding](site.kind) for site in sites]
    return [X[at == one] for X, at in zip(rows, labels, strict=True) for one in np.unique(at)]


def _figures(detector: ZeroShotACRDetector, encoding: str, site: Site) -> dict[str, float]:
    """Return what comes out for a site; shares are those of rows that were not moved."""
    X = ENCODINGS[encoding](site)
    domains = DOMAINS[encoding](site.kind) if encoding in DOMAINS else None
    scores = detector.score_samples(X, domains=domains)
    flagged = detector.predict(X, domains=domains) == -1
    low = detector.p_values(X, domains=domains) <= 0.05
    rarest = site.kind == site.kind.max()
    rare, others = rarest & ~site.moved, ~rarest & ~site.moved
    values = (
        flagged[rare].mean(),
        flagged[others].mean(),
        low[rare].mean(),
        low[others].mean(),
        flagged[site.moved].mean(),
        roc_auc_score(site.moved, -scores),
    )
    return dict(zip(FIGURES, map(float, values), strict=True))


def _means(found: dict[str, Any], case: str, encoding: str) -> dict[str, float]:
    """Return the means over the seeds."""
    records = matching(found["found"], {"case": case, "encoding": encoding})
    return {name: mean(records, name) for name in FIGURES}


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return the tables of the page and its sentences."""
    return {
        "four kinds": table(HEADER, _lines(found, SHARED) + _lines(found, OWN)),
        "seeds": _seeds(found),
        "six kinds": _six(found),
        "three kinds": _three(found),
        "few rows": table(HEADER, _lines(found, FEW)[1:]),
    }


def _lines(found: dict[str, Any], case: str) -> list[list[str]]:
    """Return the lines of a case, after one with its name."""
    lines = [[f"*{case}*", *[""] * len(FIGURES)]]
    for encoding in CASES[case][1]:
        means = _means(found, case, encoding)
        cells = [share(means[name], 3 if name == "auroc" else 2) for name in FIGURES]
        if means["flagged_rare"] > 2 * means["flagged_others"]:
            cells[0] = f"**{cells[0]}**"
        lines.append([encoding, *cells])
    return lines


def _seeds(found: dict[str, Any]) -> str:
    """Say what differs by seed: most where the kind is a column, so these are named."""
    ranges = []
    for encoding in (ONE_HOT, TENTH, FREQUENT):
        records = matching(found["found"], {"case": SHARED, "encoding": encoding})
        low, high = (share(pick(r["flagged_rare"] for r in records)) for pick in (min, max))
        ranges.append(f"{low} to {high} with {encoding}")
    steady = [(SHARED, NONE), *((case, e) for case in (SHARED, OWN) for e in (CENTRED, DOMAIN))]
    cells = [{"case": case, "encoding": encoding} for case, encoding in steady]
    rest = share(apart(found["found"], cells, "flagged_rare"))
    return (
        "Each seed draws new sites and trains anew. In the upper half of the table the share of "
        f"the rarest kind that is flagged is, by seed, {', '.join(ranges[:-1])} and {ranges[-1]}. "
        f"In the lines without a bold figure it differs by {rest} at most."
    )


def _six(found: dict[str, Any]) -> str:
    flagged = {e: share(_means(found, SIX, e)["flagged_rare"]) for e in CASES[SIX][1]}
    return (
        f"With six kinds (four of 20 %, one of 15 and one of 5 %), {flagged[ONE_HOT]} of the "
        f"rarest kind are flagged with one-hot columns, {flagged[TENTH]} with these times .1, and "
        f"{flagged[NONE]} without them."
    )


def _three(found: dict[str, Any]) -> str:
    flagged = {e: share(_means(found, THREE, e)["flagged_rare"]) for e in CASES[THREE][1]}
    return (
        f"With kinds of 50, 45 and 5 % and 3 numbers, {flagged[ONE_HOT]} of the third kind are "
        f"flagged with all three columns, {flagged[FREQUENT]} without the third column, and "
        f"{flagged[NONE]} without any."
    )


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw the shares flagged, of the rarest kind and of the others."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 2.9), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    names = SIX_WAYS[::-1]
    for ax, case in zip(axes, (SHARED, OWN), strict=True):
        means = [_means(found, case, name) for name in names]
        rare, others = ([m[f] for m in means] for f in ("flagged_rare", "flagged_others"))
        ax.hlines(range(len(names)), others, rare, color="#BBBBBB", linewidth=2, zorder=1)
        ax.scatter(rare, range(len(names)), color="#D55E00", label="rarest kind")
        ax.scatter(others, range(len(names)), color="#0072B2", label="other kinds")
        ax.set_yticks(range(len(names)), names)
        ax.set_title(case, fontsize=10)
        ax.set_xlabel("share of normal rows flagged")
        ax.set_axisbelow(True)
        ax.grid(axis="x", color="#DDDDDD", linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_xlim(-0.03, 1.03)
    axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(path, dpi=120)
