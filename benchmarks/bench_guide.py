"""Figures of the user guide that no other benchmark has.

Run ``make bench-guide``, or ``python benchmarks/bench_guide.py --help`` for the options. Each topic
is saved by itself as soon as it is done; `make results-page` writes its figures into its page.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _report import PACKAGES, RESULTS, describe_run, run_in_words, save_json
from guide import TOPICS, topic

from acr_sklearn.exceptions import ACRWarning


def measured(name: str, seeds: Sequence[int], quick: bool) -> dict[str, Any]:
    """Measure a topic and say who did."""
    run = describe_run(seeds, (*PACKAGES, "pandas"))
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ACRWarning)
        found = topic(name).measure(seeds, quick)
    return {"run": run, "seconds": round(time.perf_counter() - began, 1), **found}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print and save, topic by topic."""
    parser = argparse.ArgumentParser(description="Figures of the user guide.")
    parser.add_argument("--topics", nargs="+", choices=TOPICS, default=list(TOPICS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--quick", action="store_true", help="a look; saved only by --save")
    parser.add_argument("--save", type=Path, help="folder for the results")
    arguments = parser.parse_args(argv)
    folder = arguments.save or (None if arguments.quick else RESULTS)
    print(run_in_words(describe_run(arguments.seeds)))
    for name in arguments.topics:
        found = measured(name, arguments.seeds, arguments.quick)
        for block, text in topic(name).blocks(found).items():
            print(f"\n{name}, {block}:\n{text}", flush=True)
        print(f"{name}: {found['seconds']} s", file=sys.stderr, flush=True)
        if folder is not None:
            save_json(folder / f"guide-{name}.json", found)
            if hasattr(topic(name), "draw"):
                topic(name).draw(found, folder / f"guide-{name}.png")


if __name__ == "__main__":
    main()
