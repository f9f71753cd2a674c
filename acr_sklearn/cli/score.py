"""`acr-sklearn score`: new tables to scores, and to a report."""

from __future__ import annotations

import warnings
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.cli.columns import domains_of
from acr_sklearn.cli.fit import reading_of
from acr_sklearn.cli.models import Model, frame_of, tell_empty
from acr_sklearn.cli.outputs import check_output, write_table
from acr_sklearn.cli.report import Scored, write_report
from acr_sklearn.cli.tables import Table, find_files, read_tables
from acr_sklearn.cli.terminal import CommandError, Terminal, need_packages
from acr_sklearn.datasets._tables import make_frame
from acr_sklearn.exceptions import ACRWarning

__all__ = ["run_score"]


@dataclass(frozen=True)
class _Rows:
    """Rows to be scored: features without gaps, the domain of each, and whence they came."""

    X: Any
    domains: NDArray[Any]
    tables: list[Table]


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
    scored = _scored(detector, rows, singly=args.adapt is not None)
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
    named = (declaration.domain_column, declaration.known_column, args.domain_column)
    used = {*declaration.keys, *declaration.ignored, *filter(None, named)}
    used |= {column.name for column in declaration.columns}
    labels = []
    for table in tables:
        if extra := [repr(c) for c in table.frame.columns if c not in used]:
            terminal.note(f"{table.path}: not looked at, as in training: {', '.join(extra)}")
        column = args.domain_column
        if column is not None:
            table.refuse_lack_of([column], "--domain-column names")
        elif declaration.domain_column in table.frame:
            column = declaration.domain_column
        elif declaration.domain_column is not None:
            terminal.note(
                f"{table.path}: no column {declaration.domain_column!r}, so that its rows are "
                "compared as rows of one domain"
            )
        labels.append(domains_of(table, column))
    domains = np.concatenate(labels)
    X = frame_of(tables, declaration)
    if args.adapt is None:
        tell_empty(X, domains, declaration, args.data, terminal)
        X = model.filled(X, domains)
    return _Rows(X, domains, tables)


def _adapted(args: Namespace, rows: _Rows, model: Model, terminal: Terminal) -> tuple[Any, _Rows]:
    """Hold rows against a reference: each by itself, and its gaps filled from the reference."""
    tables = _read(args, args.adapt, model, terminal)
    X = frame_of(tables, model.declaration)
    own = np.full(len(X), "reference", object)
    tell_empty(X, own, model.declaration, args.adapt, terminal)
    reference = model.filled(X, own)
    filled = rows.X.fillna(reference.median())
    return model.detector.adapt(reference), _Rows(filled, rows.domains, rows.tables)


def _scored(detector: Any, rows: _Rows, *, singly: bool) -> Scored:
    domains = None if singly else rows.domains
    if not singly:
        _refuse_single(rows)
    scores = detector.score_samples(rows.X, domains=domains)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ACRWarning)  # each has been given by now
        margins = detector.decision_function(rows.X, domains=domains)
        p_values = detector.p_values(rows.X, domains=domains)
    places = _places(rows.tables)
    return Scored(detector, rows.X, rows.domains, singly, scores, margins, p_values, places)


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
    own = {"file", "row", "domain", "score", "p_value", "label"}
    for key in model.declaration.keys:
        name = f"key_{key}" if key in own else key
        columns[name] = np.concatenate([_key(table, key) for table in tables])
    columns["domain"] = scored.domains
    columns["score"] = scored.scores
    columns["p_value"] = scored.p_values
    columns["label"] = scored.labels
    return make_frame(columns)


def _key(table: Table, key: str) -> NDArray[Any]:
    if key not in table.frame:
        return np.full(len(table.frame), "", object)
    return table.texts(key)[0]


def _summarize(scored: Scored, terminal: Terminal) -> None:
    for domain in scored.by_domain()[:20]:
        terminal.say(f"{domain.name}: {domain.n_flagged:,} of {domain.n_rows:,} rows flagged")
    if (n_more := len(scored.by_domain()) - 20) > 0:
        terminal.say(f"and {n_more:,} more domains")
