"""The command line: its options, its exit codes, and errors without tracebacks."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import metadata

from acr_sklearn.cli.demo import run_demo
from acr_sklearn.cli.fit import run_fit
from acr_sklearn.cli.info import run_info
from acr_sklearn.cli.report import MOST_ROWS, N_ROWS
from acr_sklearn.cli.score import run_score
from acr_sklearn.cli.terminal import CommandError, Terminal

__all__ = ["main", "make_parser"]

_FAULTS = (ArithmeticError, CommandError, ImportError, LookupError, MemoryError, OSError)
_EPILOG = (
    "Exit codes: 0 done; 1 something is wrong with a file, the message says where; 2 wrong "
    "options; 130 interrupted."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command acr-sklearn.

    Parameters
    ----------
    argv : sequence of str or None, default=None
        Words after the command's name; None for those that it was called with.

    Returns
    -------
    int
        The exit code: 0 when all is done, 1 for what is wrong with a file, 130 after Ctrl-C.

    Raises
    ------
    SystemExit
        For wrong options, with the code 2, and after help, with 0.
    """
    args = make_parser().parse_args(argv)
    terminal = Terminal()
    try:
        with terminal.warnings_as_notes():
            args.run(args, terminal)
        sys.stdout.flush()
    except KeyboardInterrupt:
        terminal.note("interrupted; nothing that was there before is changed", "error")
        return 130
    except BrokenPipeError:  # whoever read the output has gone, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (*_FAULTS, RuntimeError, TypeError, ValueError) as error:
        if args.debug:
            raise
        terminal.note(_said(error), "error")
        return 1
    return 0


def _said(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename is not None else ""
        return f"{place}{error.strerror}"
    if isinstance(error, MemoryError):
        return "the memory of this machine is too small for that"
    return str(error)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands.

    Returns
    -------
    argparse.ArgumentParser
        Its results have `run`, to be called with them and a Terminal.
    """
    parser = argparse.ArgumentParser(
        "acr-sklearn",
        description="Zero-shot anomaly detection: train on tables of normal rows, one for each "
        "site, machine or year, and score tables of sites never seen.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"acr-sklearn {_version()}")
    commands = parser.add_subparsers(required=True, metavar="command")
    debug = argparse.ArgumentParser(add_help=False)
    debug.add_argument("--debug", action="store_true", help="errors with their traceback")
    add = partial(commands.add_parser, allow_abbrev=False, epilog=_EPILOG)
    _add_fit(add("fit", parents=[debug, _reading()], help="train a model on a folder of tables"))
    _add_score(add("score", parents=[debug, _reading()], help="score new tables by a model"))
    info = add("info", parents=[debug], help="say what a model was trained on")
    info.add_argument("model", help="a file that fit wrote")
    info.add_argument("--json", action="store_true", help="what it says of its columns, as JSON")
    info.set_defaults(run=run_info)
    demo = add("demo", parents=[debug], help="make tables, train on them, score a new one")
    demo.add_argument("folder", nargs="?", help="where; an empty folder, or a temporary one")
    demo.set_defaults(run=partial(run_demo, parser=parser))
    return parser


def _version() -> str:
    try:
        return metadata.version("acr-sklearn")
    except metadata.PackageNotFoundError:  # a tree of sources that nobody installed
        return "unknown"


def _reading() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("how tables are read")
    group.add_argument(
        "--delimiter", type=_delimiter, help="between fields of CSV; else the header tells"
    )
    group.add_argument(
        "--decimal", choices=(".", ","), default=".", metavar="POINT", help="decimal point of CSV"
    )
    group.add_argument(
        "--encoding", type=_encoding, default="utf-8", help="of CSV, such as cp1252 or utf-16"
    )
    group.add_argument(
        "--missing-value",
        action="append",
        default=[],
        metavar="TEXT",
        help="a cell that stands for no value, beside empty ones, NA, NaN and null; may be "
        "repeated",
    )
    return parser


def _add_fit(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run_fit)
    parser.add_argument("data", help="folder of .csv, .csv.gz or .parquet files, or one file")
    parser.add_argument("-o", "--output", required=True, help="file for the model")
    group = parser.add_argument_group("what the columns are")
    group.add_argument(
        "--domain-column", metavar="NAME", help="names the domain of a row; else the file is one"
    )
    group.add_argument(
        "--known-column", metavar="NAME", help="1, true or yes for known anomalies, else 0"
    )
    group.add_argument(
        "--time-column",
        metavar="NAME",
        help="the time of a row, a number or a date such as 2026-01-31T08:00+01:00: no feature, "
        "but carried into the scores, and drawn in reports",
    )
    for name, text in (
        ("--columns", "the features; else all columns that no other option names"),
        ("--ignore", "columns that are no features"),
        ("--key", "columns that are no features, but carried into the scores as text"),
        ("--category", "features whose cells are names, even if they look like numbers"),
    ):
        group.add_argument(name, metavar="NAME", nargs="+", action="extend", default=[], help=text)
    group.add_argument(
        "--missing",
        choices=("fill", "refuse"),
        default="fill",
        help="cells without a value: filled by the median of their domain, or an error",
    )
    group = parser.add_argument_group("training")
    group.add_argument("--max-iter", type=_count, help="steps")
    group.add_argument("--random-state", type=_seed, default=0, help="seed (default: 0)")
    _add_threshold(group, contamination=0.1, threshold="train")


def _add_score(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run_score)
    parser.add_argument("model", help="a file that fit wrote")
    parser.add_argument("data", help="a table, or a folder of tables")
    parser.add_argument("-o", "--output", required=True, help="file for the scores")
    parser.add_argument("--report", metavar="HTML", help="file for a page with pictures")
    parser.add_argument(
        "--rows",
        type=_count,
        help=f"rows that the page shows, the worst first (default: {N_ROWS}; with --fdr the whole "
        f"list, up to {MOST_ROWS})",
    )
    parser.add_argument(
        "--fdr",
        type=_rate,
        metavar="RATE",
        help="list rows at this false discovery rate, such as 0.1: the share of a list that is "
        "expected to be false alarms, if normal rows score as in training. Each domain has a list "
        "of its own, which does not depend on what else is scored",
    )
    parser.add_argument(
        "--adapt",
        metavar="TABLE",
        help="normal rows of the same domain, against which each row is held by itself",
    )
    parser.add_argument(
        "--domain-column", metavar="NAME", help="names the domain of a row; else as in fit"
    )
    times = parser.add_mutually_exclusive_group()
    times.add_argument("--time-column", metavar="NAME", help="the time of a row; else as in fit")
    times.add_argument(
        "--no-time-column", action="store_true", help="leave out the times that fit was told of"
    )
    _add_threshold(parser, contamination=None, threshold=None)


def _add_threshold(
    parser: argparse._ActionsContainer, contamination: float | None, threshold: str | None
) -> None:
    as_in_fit = "" if threshold is None else f" (default: {threshold})"
    parser.add_argument(
        "--threshold",
        choices=("train", "batch"),
        default=threshold,
        help=f"flag rows by the scores of training, or the worst of each domain{as_in_fit}",
    )
    parser.add_argument(
        "--contamination",
        type=_contamination,
        default=contamination,
        help="share of the rows to be flagged, at most 0.5, or auto",
    )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to {2**32 - 1}")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number between 0 and 1, such as 0.1")
    return rate


def _contamination(text: str) -> float | str:
    if text == "auto":
        return text
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 0.5:
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a number in (0, 0.5]")
    return share


def _delimiter(text: str) -> str:
    found = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(found) != 1 or found in '"\r\n':
        raise argparse.ArgumentTypeError(f"{text!r} is not one character, nor tab")
    return found


def _encoding(text: str) -> str:
    try:
        "".encode(text)
    except (LookupError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} names no encoding of text") from error
    return text
