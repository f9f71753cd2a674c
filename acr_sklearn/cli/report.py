"""The report on a call of `acr-sklearn score`: what is flagged, why, and beside what."""

from __future__ import annotations

import copy
import warnings
from argparse import Namespace
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from acr_sklearn.cli.page import Cell, figure, page, paragraph, section, table
from acr_sklearn.cli.terminal import Terminal
from acr_sklearn.cli.times import Times
from acr_sklearn.persistence.whole_file import write_whole
from acr_sklearn.plotting import (
    DomainMapDisplay,
    ScoreDistributionDisplay,
    ScoresOverTimeDisplay,
)
from acr_sklearn.plotting.canvas import draw_svg

__all__ = ["MOST_ROWS", "N_ROWS", "DomainSummary", "Scored", "Shortlist", "write_report"]

#: Worst rows that are shown where nothing is said, and of a list at most.
N_ROWS, MOST_ROWS = 20, 200
#: Domains that the picture of scores and the map show, and letters of a name in them.
_MOST_DRAWN, _MOST_MAPPED, _MOST_LETTERS = 12, 6, 24
#: Rows of a picture that are drawn one by one; the points of more are one image in it.
_MOST_POINTS = 2000
_REASONS = (1, 2, 3)


@dataclass(frozen=True)
class DomainSummary:
    """What was found in one domain.

    Attributes
    ----------
    name : str
        Of the domain.
    n_rows, n_flagged, n_listed : int
        Its rows, those of them below the threshold, and those in the list of the call.
    least_p : float
        The smallest p-value.
    """

    name: str
    n_rows: int
    n_flagged: int
    n_listed: int
    least_p: float


@dataclass(frozen=True)
class Shortlist:
    """Rows at a false discovery rate (Benjamini and Hochberg, 1995), those of each domain alone.

    A list of all rows together would depend on what else is scored, and in many domains a bad
    one would list nothing: a p-value is no smaller than one over the normal scores of the model.

    Attributes
    ----------
    rate : float
        Share of each domain's list that is expected to be normal, at most.
    q_values : ndarray of shape (n_rows,)
        The smallest rate at which a row is listed.
    """

    rate: float
    q_values: NDArray[np.float64]

    @classmethod
    def of(cls, p_values: NDArray[np.float64], domains: NDArray[Any], rate: float) -> Shortlist:
        """List rows by their p-values."""
        q_values = np.empty(len(p_values))
        names = domains.astype(str)
        for name in np.unique(names):
            own = names == name
            q_values[own] = false_discovery_control(p_values[own])
        return cls(rate, q_values)

    @property
    def listed(self) -> NDArray[np.bool_]:
        """Which rows are listed."""
        return self.q_values <= self.rate


class _OverTime(ScoresOverTimeDisplay):
    """Scores over time, where the rings are those of listed rows."""

    _ringed = "listed"


@dataclass(frozen=True)
class Scored:
    """Rows and what a detector says of them.

    Attributes
    ----------
    detector : ZeroShotACRDetector
        With the threshold of the call.
    X : pandas.DataFrame
        The rows, without gaps.
    domains : ndarray of shape (n_rows,)
        The domain of each.
    singly : bool
        Whether rows were scored one by one, against a reference.
    scores, margins, p_values : ndarray of shape (n_rows,)
        Of `score_samples`, `decision_function` and `p_values`.
    places : list of str
        Where each row stands, for readers.
    times : Times or None
        When each was measured.
    shortlist : Shortlist or None
        Which are listed.
    """

    detector: Any
    X: Any
    domains: NDArray[Any]
    singly: bool
    scores: NDArray[np.float64]
    margins: NDArray[np.float64]
    p_values: NDArray[np.float64]
    places: list[str]
    times: Times | None = None
    shortlist: Shortlist | None = None

    @property
    def labels(self) -> NDArray[np.int64]:
        """1 for normal rows, -1 for anomalies."""
        return np.where(self.margins >= 0, 1, -1)

    def by_domain(self) -> list[DomainSummary]:
        """Sum up each domain, first those with most listed rows, then by the share flagged."""
        names, index = np.unique(self.domains.astype(str), return_inverse=True)
        found = []
        for number, name in enumerate(names.tolist()):
            own = index == number
            flagged = int((self.labels[own] < 0).sum())
            listed = 0 if self.shortlist is None else int(self.shortlist.listed[own].sum())
            least_p = self.p_values[own].min()
            found.append(DomainSummary(name, int(own.sum()), flagged, listed, least_p))
        return sorted(found, key=lambda one: (-one.n_listed, -one.n_flagged / one.n_rows, one.name))

    def list_summary(self) -> str:
        """Say how many rows are listed."""
        if self.shortlist is None:
            return ""
        domains = self.by_domain()
        n_listed = sum(one.n_listed for one in domains)
        where, each = "", ""
        if len(domains) > 1:
            n_with = sum(one.n_listed > 0 for one in domains)
            where, each = f", in {n_with:,} of {len(domains):,} domains", " in each"
        rate = f"{100 * self.shortlist.rate:g} %"
        return (
            f"{n_listed:,} of {len(self.scores):,} rows listed{where}, at a false discovery rate "
            f"of {rate}{each}"
        )


def write_report(scored: Scored, args: Namespace, terminal: Terminal) -> None:
    """Write one page that needs nothing beside it.

    Parameters
    ----------
    scored : Scored
        What was found.
    args : argparse.Namespace
        With `data`, `model`, `rows` and `report`, the file to be written.
    terminal : Terminal
        Told when there are no pictures.

    Raises
    ------
    OSError
        When the file system refuses.
    """
    n_flagged = int((scored.labels < 0).sum())
    share = n_flagged / len(scored.labels)
    parts = [
        paragraph(
            f"{n_flagged:,} of {len(scored.labels):,} rows ({share:.1%}) are flagged. "
            f"{_threshold(scored)}"
        ),
        *([] if scored.shortlist is None else [paragraph(f"{scored.list_summary()}.")]),
        section("Domains", _domains(scored)),
        *_pictures(scored, terminal),
        _worst(scored, args),
    ]
    about = (
        f"Made by acr-sklearn score on {datetime.now().astimezone():%Y-%m-%d %H:%M %Z} with the "
        f"model {Path(args.model).name}."
    )
    text = page(f"Anomalies in {Path(args.data).name}", [*parts, paragraph(about, "about")])
    write_whole(args.report, text.encode("utf-8", "backslashreplace"), who="score")


def _threshold(scored: Scored) -> str:
    detector, contamination = scored.detector, scored.detector.contamination
    if scored.singly:
        return "Each row was held by itself against the reference, and cut at its threshold."
    if detector.threshold == "train":
        return (
            f"Rows that score below {detector.offset_:.4g}, the threshold of training, are flagged."
        )
    if contamination == "auto":
        return "The share of each domain to be flagged was estimated from its scores."
    return f"The worst {contamination:.1%} of each domain are flagged."


def _domains(scored: Scored) -> str:
    several = scored.shortlist is not None
    rows = [
        [
            Cell(one.name),
            Cell(f"{one.n_rows:,}", number=True),
            Cell(f"{one.n_flagged:,}", True),
            Cell(f"{one.n_flagged / one.n_rows:.1%}", True),
            *([Cell(f"{one.n_listed:,}", True)] if several else []),
            Cell(f"{one.least_p:.2g}", True),
        ]
        for one in scored.by_domain()
    ]
    head = ["domain", "rows", "flagged", "share", *(["listed"] if several else []), "least p"]
    return table(head, rows, numbers=range(1, len(head)))


def _pictures(scored: Scored, terminal: Terminal) -> list[str]:
    """Draw what can be drawn; say what cannot, and why."""
    try:
        parts = [_distribution(scored)]
    except ImportError:
        terminal.note("the report has no pictures: pip install 'acr-sklearn[plot]'")
        return [paragraph("Without pictures: matplotlib is not installed.", "about")]
    if scored.times is not None:
        parts.append(_over_time(scored, scored.times))
    try:
        parts.append(_map(scored))
    except ValueError:  # fewer than three training domains span no map
        parts.append(paragraph("No map: it needs three training domains or more.", "about"))
    return parts


def _drawn(scored: Scored, most: int) -> tuple[NDArray[np.bool_], NDArray[Any], str]:
    """Rows that pictures show, the names of their domains in them, and what they leave out."""
    summaries = scored.by_domain()
    chosen = [one.name for one in summaries[:most]]
    names = scored.domains.astype(str)
    shown = np.isin(names, chosen)
    short = {name: _short(name, number) for number, name in enumerate(chosen)}
    labels = np.array([short[name] for name in names[shown].tolist()], object)
    n_more = len(summaries) - len(chosen)
    order = "most listed rows" if scored.shortlist is not None else "the largest share"
    more = f" Shown are the {len(chosen)} domains with {order}." if n_more else ""
    return shown, labels, more


def _short(name: str, number: int) -> str:
    # A dollar sign would begin a formula.
    if len(name) > _MOST_LETTERS:
        name = f"{name[:_MOST_LETTERS]}… {number + 1}"
    return name.replace("$", r"\$")


def _distribution(scored: Scored) -> str:
    shown, labels, more = _drawn(scored, _MOST_DRAWN)
    several = len(set(labels.tolist())) > 1
    name = "score - threshold   (below 0: anomaly)"
    display = ScoreDistributionDisplay(
        scored.margins[shown], None, labels if several else None, 0.0, name
    )
    height = 2.8 if not several else 1.6 + 0.45 * len(set(labels.tolist()))
    caption = f"How the rows of each domain score. Left of the line they are flagged.{more}"
    return section("Scores", figure(_svg(display.plot, height), caption))


def _over_time(scored: Scored, times: Times) -> str:
    """Draw the domains one below the other, each at times of its own."""
    names, pictures = scored.domains.astype(str), []
    summaries = scored.by_domain()
    listed = None if scored.shortlist is None else scored.shortlist.listed
    for one in summaries[:_MOST_MAPPED]:
        own = names == one.name
        ringed = None if listed is None else np.where(listed[own], -1, 1)
        draw = partial(_draw_over_time, scored.margins[own], ringed, times.stamps(own))
        about = f"{one.name}: {one.n_flagged:,} of {one.n_rows:,} rows flagged"
        about += f", {one.n_listed:,} listed" if listed is not None else ""
        pictures.append(figure(_svg(draw, 2.4), about))
    rings = " Rings mark listed rows." if listed is not None else ""
    n_more = len(summaries) - len(pictures)
    more = f" Shown are the first {len(pictures)} of {len(summaries)} domains." if n_more else ""
    about = f"Rows in the order of {times.name}. Below the dashed line they are flagged."
    return section("Scores over time", *pictures, paragraph(f"{about}{rings}{more}", "about"))


def _draw_over_time(
    margins: NDArray[np.float64], ringed: NDArray[Any] | None, stamps: Any, ax: Any
) -> None:
    if len(margins) > _MOST_POINTS:
        ax.set_rasterization_zorder(2.1)  # above the points, below axes and legend
        ax.figure.set_dpi(200)
    _OverTime(margins, ringed, times=stamps, score_name="score - threshold").plot(ax=ax)
    above = (1, 1.1) if ax.get_title(loc="right") else (1, 1)  # of the line on rows at the edge
    ax.legend(loc="lower right", bbox_to_anchor=above, ncols=3, frameon=False, fontsize="small")


def _map(scored: Scored) -> str:
    shown, labels, more = _drawn(scored, _MOST_MAPPED)
    detector, X = scored.detector, scored.X[shown]
    svg = _svg(lambda ax: DomainMapDisplay.from_estimator(detector, X, domains=labels, ax=ax), 4.2)
    caption = (
        "How rows vary around their mean, for the domains of training and the new ones. The number "
        "is the distance to the nearest domain of training; from 1 on a domain is unlike all of "
        "them, and its scores are less certain. Domains that training held out are not shown."
        f"{more}"
    )
    return section("Domain map", figure(svg, caption))


def _svg(draw: Any, height: float) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # letters that the font of pictures lacks
        return draw_svg(draw, (4.8, height), who="score")


def _worst(scored: Scored, args: Namespace) -> str:
    shortlist = scored.shortlist
    n_listed = 0 if shortlist is None else int(shortlist.listed.sum())
    n_rows = min(args.rows or max(N_ROWS, min(n_listed, MOST_ROWS)), len(scored.labels))
    detector = scored.detector
    if shortlist is not None:  # in the order of the list, whatever cut each domain has
        detector = copy.copy(detector).set_params(threshold="train")
    domains = None if scored.singly else scored.domains
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said already
        found = detector.report(scored.X, domains=domains, n_rows=n_rows)
    several = len(np.unique(scored.domains.astype(str))) > 1 and not scored.singly
    reasons = [i for i in _REASONS if f"reason_{i}" in found]
    head = ["row", *([scored.times.name] if scored.times is not None else [])]
    numbers = [*range(1, len(head)), len(head) + several]
    head += [*(["domain"] if several else []), "p"]
    head += ["flagged", *(["listed"] if shortlist is not None else [])]
    head += ["strongest reason", "second", "third"][: len(reasons)]
    rows = [_row(scored, row, several, reasons) for row in found.to_dict("records")]
    note = (
        "Rows are counted from 1, the first below the header. Beside a reason stands the value of "
        "the row, and below it the range of the middle nine tenths of its domain. p is how often "
        "a normal row scores as low."
    )
    if n_listed > n_rows:
        file = Path(args.output).name
        note += f" Of {n_listed:,} listed rows these are {n_rows:,}; all are in {file}."
    parts = table(head, rows, numbers), paragraph(note, "about")
    return section(f"The {n_rows} worst rows", *parts)


def _row(scored: Scored, row: dict[str, Any], several: bool, reasons: list[int]) -> list[Cell]:
    place = int(row["row"])
    cells = [Cell(scored.places[place])]
    if scored.times is not None:
        cells.append(Cell(str(scored.times.cells[place]), number=True))
    if several:
        cells.append(Cell(str(row["domain"])))
    cells.append(Cell(f"{row['p_value']:.2g}", number=True))
    cells.append(Cell("yes" if scored.labels[place] < 0 else "no"))
    if scored.shortlist is not None:
        cells.append(Cell("yes" if scored.shortlist.listed[place] else "no"))
    return cells + [_reason(row, i) for i in reasons]


def _reason(row: dict[str, Any], number: int) -> Cell:
    value, low, high = (row[f"{name}_{number}"] for name in ("value", "low", "high"))
    return Cell(f"{row[f'reason_{number}']}: {value:.4g}", detail=f"usual {low:.4g} to {high:.4g}")
