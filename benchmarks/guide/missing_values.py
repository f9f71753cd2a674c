"""What fillings of gaps do to the rows that have them: alarms, and anomalies found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.metrics import roc_auc_score

from acr_sklearn import DomainImputer, DomainScaler, ZeroShotACRDetector

from ._seeds import apart, matching, mean
from ._tables import share, table

PAGE = "missing_values.md"
N_KNOWN, N_NEW, N_ROWS, N_COLUMNS, LEVEL, GAPS = 12, 20, 300, 8, 5.0, 0.02
N_FACTORS, COMMON, N_FEW = 2, 0.95, 40
#: Situations, and the standard deviation of the noise that moves rows there.
FREE, SHARED, OWN = (
    "columns independent",
    "columns dependent, in all machines alike",
    "columns dependent, in each machine in its own way",
)
MOVES = {FREE: 3.0, SHARED: 1.0, OWN: 1.0}

Machines = list[NDArray[Any]]
Filling = Callable[[Machines], Machines]


@dataclass
class Machine:
    """Rows of a machine with gaps, the same with some of them moved, and which these are."""

    rows: NDArray[Any]
    with_moved: NDArray[Any]
    moved: NDArray[Any]


def made(rng: np.random.Generator, situation: str, n: int, mixing: NDArray[Any]) -> Machine:
    """Draw a machine; `mixing` is how its columns depend on one another where all do alike."""
    noise = rng.normal(size=(n, N_COLUMNS))
    if situation == OWN:
        mixing = drawn_mixing(rng)
    if situation != FREE:
        common = rng.normal(size=(n, N_FACTORS)) @ mixing
        noise = np.sqrt(COMMON) * common + np.sqrt(1 - COMMON) * noise
    rows = noise + rng.normal(0, LEVEL, N_COLUMNS)
    moved = np.arange(n) < n // 10
    with_moved = rows + moved[:, None] * rng.normal(0, MOVES[situation], rows.shape)
    gaps = rng.random(rows.shape) < GAPS
    return Machine(*(np.where(gaps, np.nan, X) for X in (rows, with_moved)), moved)


def drawn_mixing(rng: np.random.Generator) -> NDArray[Any]:
    """Draw what the columns have of the factors; each column has variance 1."""
    mixing = rng.normal(size=(N_FACTORS, N_COLUMNS))
    return mixing / np.linalg.norm(mixing, axis=0)


def pooled_median(known: Machines) -> Filling:
    """Fill with the median of all training rows."""
    imputer = SimpleImputer(strategy="median").fit(np.concatenate(known))
    return lambda machines: [imputer.transform(X) for X in machines]


def own_median(known: Machines) -> Filling:
    """Fill with the median of the machine."""
    return DomainImputer().fit(known).transform


def nearest(known: Machines) -> Filling:
    """Fill from the nearest rows of the machine, in one step."""
    return DomainImputer(strategy="neighbors").fit(known).transform


def nearest_scaled(known: Machines) -> Filling:
    """Fill from the nearest rows of the machine, then standardise the machine."""
    fill = nearest(known)
    return lambda machines: DomainScaler().fit_transform(fill(machines))


def neighbours(known: Machines) -> Filling:
    """Fill from the nearest rows of all training machines, each standardised by itself."""
    scaler = DomainScaler().fit(known)
    imputer = KNNImputer().fit(np.concatenate(scaler.transform(known)))
    return lambda machines: [imputer.transform(X) for X in scaler.transform(machines)]


def own_neighbours(_: Machines) -> Filling:
    """Fill from the nearest rows of the machine itself."""
    return _by_itself(lambda: KNNImputer(keep_empty_features=True))


def own_regression(_: Machines) -> Filling:
    """Fill by regressions on the other columns, learnt on the machine itself."""
    return _by_itself(lambda: IterativeImputer(random_state=0, keep_empty_features=True))


def _by_itself(imputer: Callable[[], Any]) -> Filling:
    return lambda machines: [
        imputer().fit_transform(X) for X in DomainScaler().fit_transform(machines)
    ]


POOLED, MEDIAN, APART = "pooled median", "`DomainImputer`", "`DomainImputer`, two lists"
NEAREST = '`DomainImputer("neighbors")`'
NEAREST_SCALED = f"{NEAREST}, `DomainScaler`"
ALL, ITSELF = "`KNNImputer`, all machines", "`KNNImputer`, the machine itself"
REGRESSION = "`IterativeImputer`, the machine itself"
FILLINGS: dict[str, Callable[[Machines], Filling]] = {
    POOLED: pooled_median,
    MEDIAN: own_median,
    NEAREST: nearest,
    NEAREST_SCALED: nearest_scaled,
    ALL: neighbours,
    ITSELF: own_neighbours,
    REGRESSION: own_regression,
}
#: Of the table, in each situation.
LINES = (POOLED, MEDIAN, APART, NEAREST, NEAREST_SCALED, ALL, ITSELF, REGRESSION)


def measure(seeds: Sequence[int], quick: bool) -> dict[str, Any]:
    """Measure each filling in each situation, for each seed.

    Parameters
    ----------
    seeds : sequence of int
        Each draws machines of its own and seeds the detectors.
    quick : bool
        A training of two steps, fewer machines.
    """
    found, (n_known, n_new) = [], (4, 2) if quick else (N_KNOWN, N_NEW)
    for seed in seeds:
        for situation in MOVES:
            rng = np.random.default_rng(seed)
            mixing = drawn_mixing(rng)
            known = [made(rng, situation, N_ROWS, mixing).rows for _ in range(n_known)]
            new = [made(rng, situation, N_ROWS, mixing) for _ in range(n_new)]
            few = [made(rng, situation, N_FEW, mixing) for _ in range(5 * n_new)]
            for name, learn in FILLINGS.items():
                detector = ZeroShotACRDetector(random_state=seed)
                if quick:
                    detector.set_params(max_iter=2)
                fill = learn(known)
                detector.fit(fill(known))
                cell = {"seed": seed, "situation": situation, "filling": name}
                figures = _clean(detector, fill, new) | _few(detector, fill, few)
                found.append(cell | figures | _moved(detector, fill, new))
                if name == MEDIAN:
                    cell["filling"] = APART
                    found.append(cell | _moved(detector, fill, new, two_lists=True))
    return {"machines": n_known, "new_machines": n_new, "rows": N_ROWS, "found": found}


def _gap(X: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.isnan(X).any(axis=1))


def _worst(scores: NDArray[Any]) -> NDArray[Any]:
    """Mark the lowest tenth."""
    worst = np.zeros(len(scores), dtype=bool)
    worst[np.argsort(scores)[: len(scores) // 10]] = True
    return worst


def _clean(detector: ZeroShotACRDetector, fill: Filling, new: list[Machine]) -> dict[str, Any]:
    """Return the part that rows with a gap have in alarms on machines without anomalies."""
    filled, gaps = fill([machine.rows for machine in new]), [_gap(machine.rows) for machine in new]
    worst = [_worst(s) for s in np.split(detector.score_samples(filled), len(new))]
    shares = [float(gap[low].mean()) for gap, low in zip(gaps, worst, strict=True)]
    flagged, gap = detector.predict(filled) == -1, np.concatenate(gaps)
    return {
        "gap": round(float(gap.mean()), 4),
        "worst": round(float(np.mean(shares)), 4),
        "worst_range": [round(min(shares), 4), round(max(shares), 4)],
        "first": [int(gaps[0].sum()), int((gaps[0] & worst[0]).sum())],
        "flagged_gap": round(float(flagged[gap].mean()), 4),
        "flagged": round(float(flagged[~gap].mean()), 4),
    }


def _few(detector: ZeroShotACRDetector, fill: Filling, few: list[Machine]) -> dict[str, Any]:
    """Return the shares flagged in small batches."""
    flagged = detector.predict(fill([machine.rows for machine in few])) == -1
    gap = np.concatenate([_gap(machine.rows) for machine in few])
    return {
        "few_flagged_gap": round(float(flagged[gap].mean()), 4),
        "few_flagged": round(float(flagged[~gap].mean()), 4),
    }


def _moved(
    detector: ZeroShotACRDetector, fill: Filling, new: list[Machine], two_lists: bool = False
) -> dict[str, Any]:
    """Return how the moved rows are found: their AUROC, and how many are in the worst tenth.

    With two lists, rows with a gap are ranked among themselves, and so are the others.
    """
    rows = [machine.with_moved for machine in new]
    gaps, moved = [_gap(X) for X in rows], new[0].moved
    scores = np.split(detector.score_samples(fill(rows)), len(new))
    if two_lists:
        scores = [_among_their_like(s, gap) for s, gap in zip(scores, gaps, strict=True)]
    worst = np.stack([_worst(s) for s in scores])[:, moved]
    gap = np.stack(gaps)[:, moved]
    return {
        "auroc": round(float(np.mean([roc_auc_score(moved, -s) for s in scores])), 4),
        "found_gap": round(float(worst[gap].mean()), 4),
        "found": round(float(worst[~gap].mean()), 4),
    }


def _among_their_like(scores: NDArray[Any], gap: NDArray[Any]) -> NDArray[Any]:
    ranks = np.empty(len(scores))
    for part in (gap, ~gap):
        ranks[part] = rankdata(scores[part]) / max(part.sum(), 1)
    return ranks


HEADER = (
    "filled with",
    "rows with a gap among the 30 worst",
    "flagged, with a gap",
    "flagged, without",
    "AUROC",
    "found, with a gap",
    "found, without",
)
FIGURES = ("worst", "flagged_gap", "flagged", "auroc", "found_gap", "found")


def blocks(found: dict[str, Any]) -> dict[str, str]:
    """Return the tables of the page and its sentences."""
    return {
        "medians": table(HEADER, _lines(found, FREE, (POOLED, MEDIAN))),
        "machine by machine": f"{_range(found)} {_first(found)}",
        "fillings": table(HEADER, _by_situation(found)),
        "seeds": _seeds(found),
        "small batches": _small(found),
    }


def _by_situation(found: dict[str, Any]) -> list[list[str]]:
    lines = []
    for situation in MOVES:
        lines.append([f"*{situation}*", *[""] * len(FIGURES)])
        lines += _lines(found, situation, LINES)
    return lines


def _lines(found: dict[str, Any], situation: str, fillings: Sequence[str]) -> list[list[str]]:
    lines = []
    for filling in fillings:
        records = matching(found["found"], {"situation": situation, "filling": filling})
        cells = [
            share(mean(records, name), 3 if name == "auroc" else 2) if name in records[0] else ""
            for name in FIGURES
        ]
        if cells[1] and mean(records, "flagged_gap") > 2 * mean(records, "flagged"):
            cells[1] = f"**{cells[1]}**"
        lines.append([filling, *cells])
    return lines


def _first(found: dict[str, Any]) -> str:
    pooled, own = (
        matching(found["found"], {"situation": FREE, "filling": filling})[0]["first"]
        for filling in (POOLED, MEDIAN)
    )
    return (
        f"Of the {N_ROWS} rows of the first new machine, for one, {pooled[0]} have a gap: they are "
        f"{pooled[1]} of its 30 worst rows with pooled medians, and {own[1]} with its own."
    )


def _range(found: dict[str, Any]) -> str:
    records = [
        matching(found["found"], {"situation": FREE, "filling": f}) for f in (POOLED, MEDIAN)
    ]
    low, high = (
        [share(pick(r["worst_range"][i] for r in own)) for own in records]
        for i, pick in ((0, min), (1, max))
    )
    return (
        f"Of all rows {share(mean(records[0], 'gap'))} have a gap. Machine by machine, their share "
        f"of the 30 worst is {low[0]} to {high[0]} with pooled medians, and {low[1]} to {high[1]} "
        f"with `DomainImputer`."
    )


def _seeds(found: dict[str, Any]) -> str:
    cells = [{"situation": s, "filling": f} for s in MOVES for f in FILLINGS]
    gap, others, auroc, moved_gap, moved = (
        apart(found["found"], cells, name) for name in FIGURES[1:]
    )
    return (
        f"From seed to seed the shares flagged differ by up to {share(gap)} (with a gap) and "
        f"{share(others)} (without), the AUROC by {share(auroc, 3)}, and the shares found by "
        f"{share(moved_gap)} (with a gap) and {share(moved)} (without)."
    )


def _small(found: dict[str, Any]) -> str:
    rows = []
    for filling in (MEDIAN, NEAREST, NEAREST_SCALED, ALL, ITSELF, REGRESSION):
        records = matching(found["found"], {"situation": SHARED, "filling": filling})
        shares = [share(mean(records, name)) for name in ("few_flagged_gap", "few_flagged")]
        rows.append([filling, *shares])
    return table(("filled with", "flagged, with a gap", "flagged, without"), rows)


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw the shares flagged, of rows with a gap and of those without."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.0), layout="constrained")
    axes = figure.subplots(1, 3, sharex=True, sharey=True)
    names = list(FILLINGS)[::-1]
    for ax, situation in zip(axes, MOVES, strict=True):
        cells = [matching(found["found"], {"situation": situation, "filling": n}) for n in names]
        gap, others = ([mean(c, f) for c in cells] for f in ("flagged_gap", "flagged"))
        ax.hlines(range(len(names)), others, gap, color="#BBBBBB", linewidth=2, zorder=1)
        ax.scatter(gap, range(len(names)), color="#D55E00", label="rows with a gap")
        ax.scatter(others, range(len(names)), color="#0072B2", label="rows without")
        ax.set_yticks(range(len(names)), [name.replace("`", "") for name in names])
        ax.set_title(situation.replace(", ", ",\n"), fontsize=9)
        ax.set_xlabel("share of normal rows flagged")
        ax.set_axisbelow(True)
        ax.grid(axis="x", color="#DDDDDD", linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_xlim(-0.03, 1.03)
    axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(path, dpi=120)
