"""`acr-sklearn fit`: a folder of tables to a model."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acr_sklearn.cli.columns import Choices, choose_columns, domains_of, known_of
from acr_sklearn.cli.declaration import CATEGORY, Column, Declaration
from acr_sklearn.cli.models import Model, frame_of, tell_empty
from acr_sklearn.cli.outputs import check_output
from acr_sklearn.cli.tables import Reading, Table, find_files, read_tables
from acr_sklearn.cli.terminal import CommandError, Terminal, as_option, need_packages
from acr_sklearn.cli.times import times_of
from acr_sklearn.datasets._csv_form import CsvForm
from acr_sklearn.detectors import ZeroShotACRDetector
from acr_sklearn.training.callbacks import Progress

__all__ = ["reading_of", "run_fit"]


def reading_of(args: Namespace, missing_values: tuple[str, ...]) -> Reading:
    """How the options say that tables are read.

    Parameters
    ----------
    args : argparse.Namespace
        With `delimiter`, `decimal`, `encoding`.
    missing_values : tuple of str
        What stands for no value.

    Returns
    -------
    Reading
        For `read_tables`.
    """
    form = CsvForm(args.delimiter, args.decimal, args.encoding, as_option)
    return Reading(form, missing_values)


def run_fit(args: Namespace, terminal: Terminal) -> None:
    """Train on tables and write the model.

    Parameters
    ----------
    args : argparse.Namespace
        The options of the command.
    terminal : Terminal
        Where it writes.

    Raises
    ------
    CommandError, ValueError, OSError
        For what cannot be read, trained on or written.
    """
    need_packages()
    check_output(args.output, [Path(args.data)])
    choices = Choices(
        tuple(args.columns),
        tuple(args.ignore),
        tuple(key for key in args.key if key != args.time_column),
        tuple(args.category),
        args.domain_column,
        args.known_column,
        args.time_column,
    )
    files = find_files(args.data, terminal)
    check_output(args.output, [path for _, path in files])
    reading = reading_of(args, tuple(args.missing_value))
    tables = read_tables(files, reading, choices.as_written(), terminal)
    columns = choose_columns(tables, choices)
    if found := [c.name for c in columns if c.kind == CATEGORY and c.name not in args.category]:
        # Once more, with "007" as it is written: in another file it may have been read as 7.
        tables = read_tables(files, reading, (*choices.as_written(), *found), terminal)
        columns = choose_columns(tables, choices)
    _tell_categories(columns, terminal)
    declaration = Declaration(
        columns,
        choices.domain_column,
        choices.known_column,
        choices.keys,
        choices.ignore,
        args.missing,
        reading.missing_values,
        files=tuple((table.path.name, len(table.frame)) for table in tables),
        time_column=choices.time_column,
        time_kind=_time_kind(tables, choices.time_column),
    )
    model = _trained(args, tables, declaration, terminal)
    model.save(args.output)
    _summarize(model, args.output, terminal)


def _time_kind(tables: list[Table], name: str | None) -> str | None:
    """Say what the times of all tables are; their order is no matter of training."""
    if name is None:
        return None
    remedy = f". To carry cells of any kind along, pass {as_option('key', name)} instead"
    kind = times_of(tables[0], name, remedy).kind
    for table in tables[1:]:
        times_of(table, name, remedy, (kind, f"in {tables[0].path}", remedy))
    return kind


def _tell_categories(columns: tuple[Column, ...], terminal: Terminal) -> None:
    for column in columns:
        if column.kind == CATEGORY:
            terminal.note(
                f"{column.name!r} holds categories, and became {', '.join(column.features())}. "
                "Rows of rare categories may be flagged for that alone; "
                f"{as_option('domain-column', column.name)} compares rows of one category, and "
                f"{as_option('ignore', column.name)} leaves it out"
            )


def _trained(
    args: Namespace, tables: list[Table], declaration: Declaration, terminal: Terminal
) -> Model:
    X = frame_of(tables, declaration)
    domains = np.concatenate([domains_of(table, declaration.domain_column) for table in tables])
    tell_empty(X, domains, declaration, args.data, terminal)
    known: Any = None
    if declaration.known_column is not None:
        known = np.concatenate([known_of(table, declaration.known_column) for table in tables])
    _refuse_few(domains, known)
    settings = {} if args.max_iter is None else {"max_iter": args.max_iter}
    detector = ZeroShotACRDetector(
        contamination=args.contamination,
        threshold=args.threshold,
        random_state=args.random_state,
        **settings,
    )
    with terminal.bars() as open_bar:
        if terminal.has_bars:
            detector.set_params(callbacks=[Progress(detector.max_iter, "train", open_bar)])
        model = Model.fit(detector, X, domains, known, declaration)
    detector.set_params(callbacks=None)  # no part of the model
    return model


def _refuse_few(domains: NDArray[Any], known: NDArray[np.bool_] | None) -> None:
    """Refuse domains in which no row has a normal one to be compared with."""
    normal = np.ones(len(domains), bool) if known is None else ~known
    counts = Counter(domains[normal].tolist())
    few = [name for name in dict.fromkeys(domains.tolist()) if counts[name] < 2]
    if not few:
        return
    number = "no" if counts[few[0]] == 0 else "one"
    what = f"{number} row" if known is None else f"{number} normal row"
    raise CommandError(
        f"domain {few[0]!r} has {what}, and what is normal is learnt by comparing normal rows of "
        "one domain: give 16 or more, or leave the domain out"
    )


def _summarize(model: Model, path: str, terminal: Terminal) -> None:
    detector, declaration = model.detector, model.declaration
    n_rows = sum(rows for _, rows in declaration.files)
    terminal.say(
        f"trained on {n_rows:,} rows, {detector.n_domains_} domains, "
        f"{len(declaration.features())} features, in {detector.n_iter_} steps"
    )
    if detector.selection_ is not None:
        terminal.say(f"known anomalies count with a weight of {detector.selection_['weight']:g}")
    terminal.say(f"wrote {path}")
