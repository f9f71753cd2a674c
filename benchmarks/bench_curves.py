"""How detection breaks or holds: one quantity varied at a time, on validation domains only.

Run ``make bench-curves``, or ``python benchmarks/bench_curves.py --help`` for the options. Every
curve is written to curves.json in benchmarks/results as soon as it is done, with a picture of its
own; the other curves in the file stay, so that a run that was cut short goes on with --missing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from _report import PACKAGES, RESULTS, describe_run, format_table, run_in_words, save_json
from curves.bench import Amounts, Bench
from curves.catalogue import CURVES, points
from curves.pictures import draw
from curves.tables import table
from quality.datasets import SETS, WITHOUT, available

AMOUNTS = ("seeds", "trained_seeds", "domains", "batches")
QUICK = Amounts(
    seeds=(0,),
    domains=2,
    rows=100,
    clean_rows=100,
    sizes=(8, 64),
    shares=(0.1, 0.6),
    counts=(1, 4),
    max_iter=2,
)


def measure(name: str, sets: Sequence[str], bench: Bench) -> dict[str, Any]:
    """Measure a curve: who ran it, what it is, and its points per set and method."""
    curve = CURVES[name]
    n_seeds = bench.amounts.trained_seeds if curve.few_seeds else None
    described = describe_run(bench.amounts.seeds[:n_seeds], (*PACKAGES, "pandas"))
    began = time.perf_counter()
    records = []
    for set_name in sets:
        records += curve.measure(bench, set_name)
        passed = time.perf_counter() - began
        print(f"{name}, {set_name}: {passed:.0f} s", file=sys.stderr, flush=True)
    return {
        "run": described,
        "setting": asdict(bench.amounts),
        "seconds": round(time.perf_counter() - began, 1),
        "title": curve.title,
        "x": curve.x,
        "value": curve.value,
        "note": curve.note,
        "asked": list(sets),
        "sets": points(records),
    }


def show(name: str, curve: dict[str, Any]) -> None:
    """Print the tables of a curve."""
    print(f"\n{curve['title']}: {curve['value']}. {curve['note']}")
    if left := [one for one in curve["asked"] if one not in curve["sets"]]:
        print(f"Nothing to measure on: {', '.join(left)}.")
    for set_name in curve["sets"]:
        header, rows = table(name, curve, set_name)
        print("", set_name, format_table(header, rows), sep="\n", flush=True)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options."""
    standard = Amounts()
    parser = argparse.ArgumentParser(description="How detection breaks or holds, as curves.")
    parser.add_argument("--curves", nargs="+", choices=list(CURVES), default=list(CURVES))
    sets = [name for name in SETS if (name, "validation") not in WITHOUT]
    parser.add_argument("--sets", nargs="+", choices=sets, help="default: all that are here")
    parser.add_argument("--seeds", nargs="+", type=int, help=f"default: {standard.seeds}")
    parser.add_argument(
        "--trained-seeds",
        type=int,
        help="so many of the seeds for foreign, norm and layers, which train a network per point; "
        f"default: {standard.trained_seeds}",
    )
    parser.add_argument("--domains", type=int, help=f"unseen, per seed; {standard.domains}")
    parser.add_argument(
        "--batches", type=int, help=f"per (domain, kind, point); default: {standard.batches}"
    )
    parser.add_argument("--missing", action="store_true", help="only curves not in curves.json")
    parser.add_argument("--quick", action="store_true", help="a few points; saved only by --save")
    parser.add_argument("--save", type=Path, help="folder for the results")
    arguments = parser.parse_args(argv)
    if not arguments.quick and arguments.save is None:
        arguments.save = RESULTS
    here = available("validation")
    if missing := [name for name in arguments.sets or [] if name not in here]:
        parser.error(f"no data of {', '.join(missing)}: `make bench-data` fetches the sets")
    asked = {name: getattr(arguments, name) for name in AMOUNTS}
    changes = {k: tuple(v) if k == "seeds" else v for k, v in asked.items() if v is not None}
    arguments.amounts = replace(QUICK if arguments.quick else standard, **changes)
    return arguments


def sets_of(name: str, arguments: argparse.Namespace) -> list[str]:
    """Return the sets of a curve: those asked for, or its own; never those without data."""
    asked = arguments.sets or CURVES[name].sets
    return [one for one in available("validation") if asked is None or one in asked]


def main() -> None:
    """Measure, print, save, curve by curve."""
    arguments = parse()
    path = None if arguments.save is None else arguments.save / "curves.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path and path.is_file() else {}
    print(run_in_words(describe_run(arguments.amounts.seeds)))
    with tempfile.TemporaryDirectory() as memory:
        bench = Bench(arguments.amounts, memory)
        for name in arguments.curves:
            if arguments.missing and name in kept:
                continue
            kept[name] = measure(name, sets_of(name, arguments), bench)
            show(name, kept[name])
            if path is not None:
                save_json(path, {known: kept[known] for known in CURVES if known in kept})
                if kept[name]["sets"]:
                    draw(name, kept[name], path.with_name(f"curves-{name}.png"))


if __name__ == "__main__":
    main()
