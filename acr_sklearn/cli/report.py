"""The report on a call of `acr-sklearn score`: what is flagged, why, and beside what."""

from __future__ import annotations

import warnings
from argparse import Namespace
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.cli.page import Cell, figure, page, paragraph, section, table
from acr_sklearn.cli.terminal import Terminal
from acr_sklearn.persistence.whole_file import write_whole
from acr_sklearn.plotting import DomainMapDisplay, ScoreDistributionDisplay
from acr_sklearn.plotting.canvas import draw_svg

__all__ = ["DomainSummary", "Scored", "write_report"]

#: Domains that the picture of scores and the map show, and letters of a name in them.
_MOST_DRAWN, _MOST_MAPPED, _MOST_LETTERS = 12, 6, 24
_REASONS = (1, 2, 3)


@dataclass(frozen=True)
class DomainSummary:
    """What was found in one domain.

    Attributes
    ----------
    name : str
        Of the domain.
    n_rows, n_flagged : int
        Its rows, and those of them below the threshold.
    least_p : float
        The smallest p-value.
    """

    name: str
    n_rows: int
    n_flagged: int
    least_p: float


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
    """

    detector: Any
    X: Any
    domains: NDArray[Any]
    singly: bool
    scores: NDArray[np.float64]
    margins: NDArray[np.float64]
    p_values: NDArray[np.float64]
    places: list[str]

    @property
    def labels(self) -> NDArray[np.int64]:
        """1 for normal rows, -1 for anomalies."""
        return np.where(self.margins >= 0, 1, -1)

    def by_domain(self) -> list[DomainSummary]:
        """Sum up each domain, the one with the largest share of flagged rows first."""
        names, index = np.unique(self.domains.astype(str), return_inverse=True)
        found = []
        for number, name in enumerate(names.tolist()):
            own = index == number
            flagged = int((self.labels[own] < 0).sum())
            found.append(DomainSummary(name, int(own.sum()), flagged, self.p_values[own].min()))
        return sorted(found, key=lambda one: (-one.n_flagged / one.n_rows, one.name))


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
        section("Domains", _domains(scored)),
        *_pictures(scored, terminal),
        section(f"The {min(args.rows, len(scored.labels))} worst rows", *_worst(scored, args.rows)),
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
    rows = [
        [
            Cell(one.name),
            Cell(f"{one.n_rows:,}", number=True),
            Cell(f"{one.n_flagged:,}", True),
            Cell(f"{one.n_flagged / one.n_rows:.1%}", True),
            Cell(f"{one.least_p:.2g}", True),
        ]
        for one in scored.by_domain()
    ]
    return table(["domain", "rows", "flagged", "share", "least p"], rows, numbers=(1, 2, 3, 4))


def _pictures(scored: Scored, terminal: Terminal) -> list[str]:
    """Draw what can be drawn; say what cannot, and why."""
    try:
        parts = [_distribution(scored)]
    except ImportError:
        terminal.note("the report has no pictures: pip install 'acr-sklearn[plot]'")
        return [paragraph("Without pictures: matplotlib is not installed.", "about")]
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
    more = f" Shown are the {len(chosen)} domains with the largest share." if n_more else ""
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


def _worst(scored: Scored, n_rows: int) -> tuple[str, str]:
    domains = None if scored.singly else scored.domains
    X = scored.X.set_axis(scored.places)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said already
        found = scored.detector.report(X, domains=domains, n_rows=n_rows)
    several = len(np.unique(scored.domains.astype(str))) > 1 and not scored.singly
    reasons = [i for i in _REASONS if f"reason_{i}" in found]
    head = ["row", *(["domain"] if several else []), "p", "flagged"]
    head += ["strongest reason", "second", "third"][: len(reasons)]
    rows = [
        [
            Cell(str(row["row"])),
            *([Cell(str(row["domain"]))] if several else []),
            Cell(f"{row['p_value']:.2g}", number=True),
            Cell("yes" if row["label"] < 0 else "no"),
            *(_reason(row, i) for i in reasons),
        ]
        for row in found.to_dict("records")
    ]
    note = (
        "Rows are counted from 1, the first below the header. Beside a reason stands the value of "
        "the row, and below it the range of the middle nine tenths of its domain. p is how often "
        "a normal row scores as low."
    )
    return table(head, rows, numbers=(2,) if several else (1,)), paragraph(note, "about")


def _reason(row: dict[str, Any], number: int) -> Cell:
    value, low, high = (row[f"{name}_{number}"] for name in ("value", "low", "high"))
    return Cell(f"{row[f'reason_{number}']}: {value:.4g}", detail=f"usual {low:.4g} to {high:.4g}")
