"""`acr-sklearn score`: new tables to scores, and to a report."""

from __future__ import annotations

import math
import warnings
from argparse import Namespace
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.cli.columns import domains_of, pooled_categories
from acr_sklearn.cli.declaration import Declaration
from acr_sklearn.cli.fit import reading_of
from acr_sklearn.cli.models import Model, frame_of, tell_empty
from acr_sklearn.cli.outputs import check_output, write_table
from acr_sklearn.cli.report import Scored, Shortlist, write_report
from acr_sklearn.cli.tables import Table, find_files, read_tables
from acr_sklearn.cli.terminal import CommandError, Terminal, as_option, listed, need_packages
from acr_sklearn.cli.times import Times, times_of
from acr_sklearn.datasets._tables import make_frame
from acr_sklearn.exceptions import ACRWarning

__all__ = ["run_score"]


@dataclass(frozen=True)
class _Rows:
    """Rows to be scored: features without gaps, their domains and times, and whence they came."""

    X: Any
    domains: NDArray[Any]
    tables: list[Table]
    times: Times | None


def run_score(args: Namespace, terminal: Terminal) -> None:
    """Score tables and write what was found.

    Parameters
    ----------
    args : argparse.Namespace
        The options of the command.
    terminal : Terminal
        Where it writes.

    Raises
    ------
    CommandError, ValueError, OSError
        For what cannot be read, scored or written.
    """
    need_packages()
    inputs = _inputs(args)
    check_output(args.output, inputs, table=True)
    if args.report is not None:
        check_output(args.report, [*inputs, Path(args.output)])
    model = Model.load(args.model, who="score")
    settings = {name: getattr(args, name) for name in ("threshold", "contamination")}
    model.detector.set_params(**{k: v for k, v in settings.items() if v is not None})
    tables = _read(args, args.data, model, terminal)
    rows = _prepared(args, tables, model, terminal)
    detector = model.detector
    if args.adapt is not None:
        detector, rows = _adapted(args, rows, model, terminal)
    scored = _scored(detector, rows, args.fdr, singly=args.adapt is not None)
    write_table(_output(scored, rows.tables, model), args.output, who="score")
    _summarize(scored, terminal)
    terminal.say(f"wrote {args.output}")
    if args.report is not None:
        write_report(scored, args, terminal)
        terminal.say(f"wrote {args.report}")


def _inputs(args: Namespace) -> list[Path]:
    """Files and folders that are read, and the files in these folders."""
    given = [Path(one) for one in (args.data, args.adapt) if one is not None]
    inside = [file for one in given if one.is_dir() for file in one.iterdir() if file.is_file()]
    return [Path(args.model), *given, *inside]


def _read(args: Namespace, given: str, model: Model, terminal: Terminal) -> list[Table]:
    declaration = model.declaration
    text = declaration.text_columns()
    if args.domain_column is not None:
        text = (*text, args.domain_column)
    reading = reading_of(args, (*declaration.missing_values, *args.missing_value))
    return read_tables(find_files(given, terminal), reading, text, terminal)


def _prepared(args: Namespace, tables: list[Table], model: Model, terminal: Terminal) -> _Rows:
    declaration = model.declaration
    times = _times(args, tables, declaration)
    _tell_unused(args, tables, declaration, terminal)
    _tell_pooled(tables, declaration, terminal)
    column = args.domain_column or declaration.domain_column
    labels, lacking = [], []
    for table in tables:
        if args.domain_column is not None:
            table.refuse_lack_of([args.domain_column], "--domain-column names")
        elif column is not None and column not in table.frame:
            lacking.append(str(table.path))
        labels.append(domains_of(table, column if column in table.frame else None))
    if lacking:
        terminal.note(
            f"{listed(lacking)}: no column {column!r}, so that all rows of a file are compared as "
            "rows of one domain"
        )
    domains = np.concatenate(labels)
    X = frame_of(tables, declaration)
    if args.adapt is None:
        tell_empty(X, domains, declaration, args.data, terminal)
        X = model.filled(X, domains)
    return _Rows(X, domains, tables, times)


def _times(args: Namespace, tables: list[Table], declaration: Declaration) -> Times | None:
    """Read the times of all rows, in the order of the tables."""
    name = args.time_column or declaration.time_column
    if name is None or args.no_time_column:
        return None
    why, lacking, remedy, like = "--time-column names", "", "", None
    if args.time_column is None:
        why, without = "holds the times, as training was told", "score without by --no-time-column"
        lacking, remedy = f"Name another by --time-column, or {without}", f"; or {without}"
        as_is = as_option("time-column", name)
        unlike = f", take them as they are by {as_is}, or {without}"
        like = (declaration.time_kind or "", "in training", unlike)
    parts: list[Times] = []
    for table in tables:
        table.refuse_lack_of([name], why, lacking)
        parts.append(times_of(table, name, remedy, like))
        like = like or (parts[0].kind, f"in {table.path}", "")
    values, cells = (
        np.concatenate([getattr(part, what) for part in parts]) for what in ("values", "cells")
    )
    return replace(parts[0], values=values, cells=cells)


def _tell_unused(
    args: Namespace, tables: list[Table], declaration: Declaration, terminal: Terminal
) -> None:
    """Say which columns play no part, each choice of them once."""
    named = (declaration.domain_column, declaration.known_column, declaration.time_column)
    used = {*declaration.keys, *declaration.ignored, *named, args.domain_column, args.time_column}
    used |= {column.name for column in declaration.columns}
    found: dict[tuple[str, ...], list[str]] = {}
    for table in tables:
        extra = tuple(repr(name) for name in table.frame.columns if name not in used)
        found.setdefault(extra, []).append(str(table.path))
    for extra, paths in found.items():
        if extra:
            terminal.note(f"{listed(paths)}: not looked at, as in training: {', '.join(extra)}")


def _tell_pooled(tables: list[Table], declaration: Declaration, terminal: Terminal) -> None:
    """Say which categories are none of those that the model tells apart."""
    for column in declaration.columns:
        counts = sum((pooled_categories(table, column) for table in tables), Counter())
        if counts:
            names = [repr(name) for name, _ in counts.most_common()]
            terminal.note(
                f"column {column.name!r}: {listed(names)} in {counts.total():,} rows, rare in "
                f"training or new: such rows count as {column.features()[-1]}"
            )


def _adapted(args: Namespace, rows: _Rows, model: Model, terminal: Terminal) -> tuple[Any, _Rows]:
    """Hold rows against a reference: each by itself, and its gaps filled from the reference."""
    tables = _read(args, args.adapt, model, terminal)
    X = frame_of(tables, model.declaration)
    if len(X) < 2:
        raise CommandError(
            f"{args.adapt}: has one row, and it takes several to say what is normal. Give 64 or "
            "more normal rows"
        )
    own = np.full(len(X), "reference", object)
    tell_empty(X, own, model.declaration, args.adapt, terminal)
    reference = model.filled(X, own)
    filled = rows.X.fillna(reference.median())
    return model.detector.adapt(reference), replace(rows, X=filled)


def _scored(detector: Any, rows: _Rows, rate: float | None, *, singly: bool) -> Scored:
    domains = None if singly else rows.domains
    if not singly:
        _refuse_single(rows)
    scores = detector.score_samples(rows.X, domains=domains)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ACRWarning)  # each has been given by now
        margins = detector.decision_function(rows.X, domains=domains)
        p_values = detector.p_values(rows.X, domains=domains)
    shortlist = None if rate is None else Shortlist.of(p_values, rows.domains, rate)
    places = _places(rows.tables)
    return Scored(
        detector,
        rows.X,
        rows.domains,
        singly,
        scores,
        margins,
        p_values,
        places,
        rows.times,
        shortlist,
    )


def _refuse_single(rows: _Rows) -> None:
    names, counts = np.unique(rows.domains.astype(str), return_counts=True)
    if (single := names[counts < 2]).size:
        raise CommandError(
            f"domain {str(single[0])!r} has one row, and a row is compared with others of its "
            "domain: give 16 or more together, or hold it against normal rows by --adapt TABLE"
        )


def _places(tables: list[Table]) -> list[str]:
    """Name each row for a report: the file where there are several, and the row from 1 on."""
    return [
        f"{table.path.name}, {number}" if len(tables) > 1 else str(number)
        for table in tables
        for number in range(1, len(table.frame) + 1)
    ]


def _output(scored: Scored, tables: list[Table], model: Model) -> Any:
    columns: dict[str, Any] = {}
    if len(tables) > 1:
        names = [table.path.name for table in tables for _ in range(len(table.frame))]
        columns["file"] = np.array(names, object)
    columns["row"] = np.concatenate([np.arange(1, len(t.frame) + 1) for t in tables])
    found: dict[str, Any] = {"domain": scored.domains, "score": scored.scores}
    found["p_value"] = scored.p_values
    if scored.shortlist is not None:
        found["q_value"] = scored.shortlist.q_values
    found["label"] = scored.labels
    if scored.shortlist is not None:
        found["listed"] = scored.shortlist.listed.astype(int)
    carried = {} if scored.times is None else {scored.times.name: scored.times.cells}
    for key in model.declaration.keys:
        if key not in carried:
            carried[key] = np.concatenate([_key(table, key) for table in tables])
    own = {"file", "row", *found}
    columns |= {f"key_{name}" if name in own else name: cells for name, cells in carried.items()}
    return make_frame(columns | found)


def _key(table: Table, key: str) -> NDArray[Any]:
    if key not in table.frame:
        return np.full(len(table.frame), "", object)
    return table.texts(key)[0]


def _summarize(scored: Scored, terminal: Terminal) -> None:
    shortlist = scored.shortlist
    for domain in scored.by_domain()[:20]:
        more = "" if shortlist is None else f", {domain.n_listed:,} listed"
        terminal.say(f"{domain.name}: {domain.n_flagged:,} of {domain.n_rows:,} rows flagged{more}")
    if (n_more := len(scored.by_domain()) - 20) > 0:
        terminal.say(f"and {n_more:,} more domains")
    if shortlist is not None:
        terminal.say(scored.list_summary())
        _tell_too_few(scored, shortlist, terminal)


def _tell_too_few(scored: Scored, shortlist: Shortlist, terminal: Terminal) -> None:
    """Say why a list is empty: too few normal scores, or p-values that are not low enough."""
    if shortlist.listed.any():
        return
    nearest = min(scored.by_domain(), key=lambda domain: domain.least_p * domain.n_rows)
    floor = 1 / (len(scored.detector.calibration_scores_) + 1)
    advice = "Look at the rows with the lowest scores"
    if floor > shortlist.rate:
        terminal.note(
            f"by this model no p-value is below {floor:.2g}, so that no row can be listed. "
            f"{advice}, or train on more rows"
        )
    elif nearest.least_p > shortlist.rate:
        terminal.note(
            f"the smallest p-value is {nearest.least_p:.2g}, above the rate, so that no row is "
            f"listed. {advice}: their order can be right all the same"
        )
    else:
        n_with = math.ceil(nearest.least_p * nearest.n_rows / shortlist.rate)
        have = "has one" if n_with == 1 else "have one"
        terminal.note(
            f"the smallest p-value of {nearest.n_rows:,} rows of {nearest.name} is "
            f"{nearest.least_p:.2g}: none is listed unless {n_with:,} {have} as small. {advice}: "
            "their order can be right all the same"
        )
