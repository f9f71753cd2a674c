"""`acr-sklearn info`: what a model was trained on."""

from __future__ import annotations

from argparse import Namespace

from acr_sklearn.cli.declaration import CATEGORY, Declaration
from acr_sklearn.cli.models import Model
from acr_sklearn.cli.terminal import Terminal

__all__ = ["run_info"]

#: Training files that are named.
_MOST_FILES = 30


def run_info(args: Namespace, terminal: Terminal) -> None:
    """Write what a model's file says.

    Parameters
    ----------
    args : argparse.Namespace
        With `model` and `json`.
    terminal : Terminal
        Where it writes.

    Raises
    ------
    CommandError, ValueError, OSError
        If the file cannot be read.
    """
    model = Model.load(args.model, who="info")
    detector, declaration = model.detector, model.declaration
    if args.json:
        terminal.say(declaration.to_text())
        return
    terminal.say(f"{args.model}: {type(detector).__name__}")
    terminal.say(f"trained on {detector.n_domains_} domains in {detector.n_iter_} steps")
    _tell_files(declaration, terminal)
    terminal.say("columns:")
    for column in declaration.columns:
        kept = f": {', '.join(column.kept)}" if column.kind == CATEGORY else ""
        terminal.say(f"  {column.name} ({column.kind}{kept})")
    for what, name in (
        ("domain column", declaration.domain_column),
        ("known anomalies", declaration.known_column),
        ("times", _times(declaration)),
        ("carried along", ", ".join(declaration.keys)),
        ("left out", ", ".join(declaration.ignored)),
        ("stands for no value", ", ".join(declaration.missing_values)),
    ):
        if name:
            terminal.say(f"{what}: {name}")
    terminal.say(f"missing values: {declaration.missing}")
    terminal.say(
        f"threshold: {detector.threshold}, contamination {detector.contamination}, "
        f"offset {detector.offset_:.6g}"
    )
    if detector.selection_ is not None:
        terminal.say(f"weight of known anomalies: {detector.selection_['weight']:g}")
    terminal.say("versions: " + ", ".join(f"{k} {v}" for k, v in model.versions.items()))


def _times(declaration: Declaration) -> str:
    return f"{declaration.time_column} ({declaration.time_kind})" if declaration.time_kind else ""


def _tell_files(declaration: Declaration, terminal: Terminal) -> None:
    for name, n_rows in declaration.files[:_MOST_FILES]:
        terminal.say(f"  {name}: {n_rows:,} rows")
    if (n_more := len(declaration.files) - _MOST_FILES) > 0:
        terminal.say(f"  and {n_more:,} more files")
