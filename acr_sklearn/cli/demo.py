"""`acr-sklearn demo`: a folder of made tables, a model, scores, and what to type next."""

from __future__ import annotations

import shlex
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import numpy as np

from acr_sklearn.cli.fit import run_fit
from acr_sklearn.cli.outputs import write_table
from acr_sklearn.cli.score import run_score
from acr_sklearn.cli.terminal import CommandError, Terminal, need_packages
from acr_sklearn.datasets._tables import make_frame

__all__ = ["run_demo"]

_SITES = ("aldra", "borka", "celje", "dover", "espoo", "fauske", "gdynia", "hilo")
_COLUMNS = ("flow", "pressure", "temperature", "vibration", "current")
_N_ROWS, _N_FAULTS = 240, 8


def run_demo(args: Namespace, terminal: Terminal, parser: ArgumentParser) -> None:
    """Make a folder of tables, train on it and score a new table.

    Parameters
    ----------
    args : argparse.Namespace
        With `folder`, None for a new temporary one.
    terminal : Terminal
        Where it writes.
    parser : argparse.ArgumentParser
        Of the commands.

    Raises
    ------
    CommandError
        If the folder is there and not empty.
    """
    need_packages()
    folder = Path(args.folder or tempfile.mkdtemp(prefix="acr-sklearn-demo-"))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandError(f"{folder}: is not empty. Name a folder that is, or none")
    (folder / "sites").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for site in _SITES:
        write_table(_site(rng, n_faults=0), str(folder / "sites" / f"{site}.csv"), who="demo")
    write_table(_site(rng, n_faults=_N_FAULTS), str(folder / "new.csv"), who="demo")
    terminal.say(f"made {len(_SITES)} tables of normal rows in {folder / 'sites'}, and new.csv")
    model = str(folder / "model.safetensors")
    fit = ["fit", str(folder / "sites"), "-o", model]
    fit += ["--time-column", "time", "--max-iter", "60"]
    score = ["score", model, str(folder / "new.csv"), "-o", str(folder / "scores.csv")]
    score += ["--threshold", "batch", "--contamination", "auto"]
    for words, run in ((fit, run_fit), (score, run_score)):
        terminal.say(f"\n$ acr-sklearn {shlex.join(words)}")
        run(parser.parse_args(words), terminal)
    terminal.say(f"\nIn new.csv {_N_FAULTS} rows are faults: rows 1 to {_N_FAULTS}. Next:")
    report = ["--fdr", "0.1", "--report", str(folder / "report.html")]
    for words in ([*score, *report], ["info", model]):
        terminal.say(f"  acr-sklearn {shlex.join(words)}")


def _site(rng: np.random.Generator, *, n_faults: int) -> Any:
    """Hours of one machine: where it lies and how its parts go together, with some gaps."""
    load = rng.normal(size=_N_ROWS)
    rows = rng.normal(0, 20, len(_COLUMNS)) + 100.0
    rows = rows + np.outer(load, rng.uniform(2, 4, len(_COLUMNS)))
    rows += rng.normal(size=rows.shape)
    # Faults are in the usual range of every column, and do not go with the load.
    rows[:n_faults, :2] += np.where(load[:n_faults] > 0, -12.0, 12.0)[:, None]
    rows[rng.random(rows.shape) < 0.01] = np.nan
    hours = np.datetime64("2026-01-01T00") + np.arange(_N_ROWS)
    columns: dict[str, Any] = {"time": np.datetime_as_string(hours).astype(object)}
    columns |= dict(zip(_COLUMNS, rows.round(3).T, strict=True))
    columns["mode"] = rng.choice(np.array(["eco", "full"], object), _N_ROWS)
    return make_frame(columns)
