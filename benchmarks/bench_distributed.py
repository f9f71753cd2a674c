"""Scores of a fleet on Dask and Spark, against one process that does the same.

Rows of many domains lie in parquet files in no order. One process of one thread reads, scores and
writes them; then Dask and Spark do, on as many worker processes of one thread as asked for. Run
``make bench-distributed``, or ``python benchmarks/bench_distributed.py --help`` for the options;
it writes distributed.json and distributed.png to benchmarks/results.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from _report import PACKAGES, RESULTS, describe_run, format_table, run_in_words, save_json

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.distributed import score_dask, score_frame, score_spark
from acr_sklearn.exceptions import ACRWarning

N_FEATURES = 64
FEATURES = [f"f{i:02d}" for i in range(N_FEATURES)]
#: Rows of a parquet file, and bytes of features that a worker should hold at a time.
FILE_ROWS, HELD = 100_000, 64 * 2**20
MEGABYTE = 2**20


def fitted(head: str) -> Any:
    """A detector of 64 features: what is timed does not depend on what was learnt."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(N_FEATURES, N_FEATURES))
    centres = rng.normal(0, 5, (8, N_FEATURES))
    parts = [c + rng.normal(size=(500, N_FEATURES)) @ mixing for c in centres]
    frames = [pd.DataFrame(part.astype(np.float32), columns=FEATURES) for part in parts]
    return ZeroShotACRDetector(max_iter=20, score_head=head, random_state=0).fit(frames)


def write_lake(folder: Path, n_rows: int, n_domains: int) -> None:
    """Write rows of domains of one size, in an order drawn at random over all files."""
    rng = np.random.default_rng(1)
    mixing = np.random.default_rng(0).normal(size=(N_FEATURES, N_FEATURES)).astype(np.float32)
    names = rng.permutation(np.arange(n_rows) % n_domains)
    centres = rng.normal(0, 5, (n_domains, N_FEATURES)).astype(np.float32)
    folder.mkdir()
    for number, start in enumerate(range(0, n_rows, FILE_ROWS)):
        of_rows = names[start : start + FILE_ROWS]
        rows = rng.standard_normal((len(of_rows), N_FEATURES), np.float32) @ mixing
        rows += centres[of_rows]
        columns = dict(zip(FEATURES, rows.T, strict=True))
        columns |= {"machine": of_rows, "row": np.arange(start, start + len(of_rows))}
        pq.write_table(pa.table(columns), folder / f"{number:05d}.parquet")


def cpu_seconds() -> float:
    return time.process_time()


def peak_bytes() -> int:
    """Most memory that this process has held; getrusage would count what its parent held too."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


def descendants_seconds() -> float:
    """CPU time of the processes that this one has started, and of theirs, dead ones too."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
            stats[int(path.parent.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    known = {os.getpid()}
    while more := {pid for pid, (parent, _) in stats.items() if parent in known} - known:
        known |= more
    ticks = sum(stats[pid][1] for pid in known - {os.getpid()})
    return ticks / os.sysconf("SC_CLK_TCK")


def one_process(detector: Any, lake: Path, out: Path) -> dict[str, float]:
    """Read, score and write everything, one thread."""
    started, cpu = time.perf_counter(), cpu_seconds()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    table = pq.read_table(lake, use_threads=False)
    scored = score_frame(table, detector, domain_column="machine", key="row")
    pq.write_table(scored, out)
    return {"seconds": time.perf_counter() - started, "cpu_seconds": cpu_seconds() - cpu}


def on_dask(detector: Any, lake: Path, out: Path, args: argparse.Namespace) -> dict[str, float]:
    """The same on worker processes of one thread."""
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    n_partitions = max(2 * args.workers, -(-args.now * N_FEATURES * 4 // HELD))
    settings = {"n_workers": args.workers, "threads_per_worker": 1, "dashboard_address": None}
    with (
        LocalCluster(**settings, local_directory=args.folder) as cluster,
        Client(cluster) as client,
    ):
        # Importing PyTorch and the detector is no part of a run, nor is the memory that it takes.
        small = dd.read_parquet(lake).head(1000, compute=False)
        score_dask(small, detector.adapt(small.compute()[FEATURES]), key="row").compute()
        client.run(
            score_frame, small.compute().assign(machine=0), detector, domain_column="machine"
        )
        idle, cpu = client.run(peak_bytes), client.run(cpu_seconds)
        started = time.perf_counter()
        scored = score_dask(
            dd.read_parquet(lake),
            detector,
            domain_column="machine",
            key="row",
            npartitions=n_partitions,
        )
        scored.to_parquet(out, write_index=False)
        seconds = time.perf_counter() - started
        after, peak = client.run(cpu_seconds), client.run(peak_bytes)
    return {
        "seconds": seconds,
        "cpu_seconds": sum(after[w] - cpu[w] for w in cpu if w in after),
        "idle_megabytes": max(idle.values()) / MEGABYTE,
        "peak_megabytes": max(peak.values()) / MEGABYTE,
        "partitions": n_partitions,
    }


def on_spark(detector: Any, lake: Path, out: Path, args: argparse.Namespace) -> dict[str, float]:
    """The same on Python workers of Spark, in as many threads of its own."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    n_buckets = max(2 * args.workers, -(-args.now * N_FEATURES * 4 // HELD))
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "4g",
        "spark.sql.shuffle.partitions": str(n_buckets),
        "spark.local.dir": str(args.folder),
    }
    builder = SparkSession.builder.master(f"local[{args.workers}]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    try:
        frame = spark.read.parquet(str(lake))
        score_spark(
            frame.limit(1000), detector, domain_column="machine", if_single="missing"
        ).count()
        cpu = descendants_seconds()
        started = time.perf_counter()
        scored = score_spark(frame, detector, domain_column="machine", key="row")
        scored.write.parquet(str(out))
        seconds = time.perf_counter() - started
        cpu = descendants_seconds() - cpu
        return {"seconds": seconds, "cpu_seconds": cpu, "buckets": n_buckets}
    finally:
        spark.stop()


def largest_difference(one: Path, other: Path) -> float:
    """Between the scores of two runs, every row of which must be there once."""
    first, second = (pq.read_table(path).sort_by("row") for path in (one, other))
    if not first["row"].equals(second["row"]):
        raise SystemExit("The rows of two runs are not the same.")
    a, b = (table["score"].to_numpy() for table in (first, second))
    return float(np.max(np.abs(a - b) / (1 + np.abs(a))))


def fleet(name: str, head: str, size: tuple[int, int], args: argparse.Namespace) -> dict[str, Any]:
    """One fleet on every engine, each held against the single process of the same run."""
    n_domains, n_rows = size
    args.now = n_domains * n_rows
    detector = fitted(head)
    found: dict[str, Any] = {"head": head, "domains": n_domains, "rows_per_domain": n_rows}
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        lake = Path(folder) / "lake"
        write_lake(lake, args.now, n_domains)
        one = Path(folder) / "one.parquet"
        load = os.getloadavg()[0]
        found["one process"] = one_process(detector, lake, one) | {"load_before": load}
        print(name, "one process", found["one process"], flush=True)
        for engine, run in {"dask": on_dask, "spark": on_spark}.items():
            if engine in args.engines:
                out, load = Path(folder) / engine, os.getloadavg()[0]
                found[engine] = run(detector, lake, out, args) | {"load_before": load}
                found[engine]["largest_difference"] = largest_difference(one, out)
            print(name, engine, found.get(engine), flush=True)
    return found


def lines_of(name: str, fleet: dict[str, Any], n_workers: int) -> list[list[str]]:
    """Rows of the table: ratios beside the rates."""
    n_rows = fleet["domains"] * fleet["rows_per_domain"]
    one, dask = fleet["one process"], fleet.get("dask")
    lines = []
    for engine in ("one process", "dask", "spark"):
        if (run := fleet.get(engine)) is None:
            continue
        cores = 1 if engine == "one process" else n_workers
        cpu = f"{run['cpu_seconds'] / one['cpu_seconds']:.2f}" if "cpu_seconds" in run else ""
        held = run.get("peak_megabytes", 0) - run.get("idle_megabytes", 0)
        lines.append(
            [
                f"{name}, {engine}",
                f"{n_rows / run['seconds']:,.0f}",
                f"{cores * run['seconds'] / one['seconds']:.2f}",
                cpu,
                f"{run['seconds'] / dask['seconds']:.2f}" if dask else "",
                f"{held:.0f}" if held else "",
                f"{run['largest_difference']:.0e}" if "largest_difference" in run else "",
            ]
        )
    return lines


def report(figures: dict[str, Any]) -> str:
    """The table."""
    header = [
        "fleet, engine",
        "rows/s",
        "core time / one",
        "CPU / one",
        "/ Dask",
        "MB held",
        "differs",
    ]
    rows = [
        line
        for name, one in figures["fleets"].items()
        for line in lines_of(name, one, figures["workers"])
    ]
    return format_table(header, rows)


def draw(figures: dict[str, Any], path: Path) -> None:
    """Rows per second of every engine."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    colours = {"one process": "#999999", "dask": "#0072B2", "spark": "#D55E00"}
    fleets = figures["fleets"]
    fig, ax = plt.subplots(figsize=(8, 0.9 + 0.9 * len(fleets)), layout="constrained")
    for place, one in enumerate(fleets.values()):
        n_rows = one["domains"] * one["rows_per_domain"]
        for shift, (engine, colour) in enumerate(colours.items()):
            if engine in one:
                label = engine if place == 0 else None
                rate = n_rows / one[engine]["seconds"]
                ax.barh(place + 0.26 * (shift - 1), rate, 0.24, color=colour, label=label)
    ax.set_yticks(range(len(fleets)), list(fleets))
    ax.invert_yaxis()
    ax.set_xlabel(f"rows per second; Dask and Spark on {figures['workers']} worker processes")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    fig.savefig(path, dpi=130)
    plt.close(fig)


def parse() -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description="Scores of a fleet on Dask and Spark.")
    parser.add_argument("--domains", help="domains x rows of the large fleet; 1000x10000")
    parser.add_argument("--small", help="and of the fleet of small domains; 20000x50")
    parser.add_argument("--heads", nargs="+", default=["consensus", "objective"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engines", nargs="*", default=["dask", "spark"])
    parser.add_argument("--quick", action="store_true", help="small fleets, one head")
    parser.add_argument("--folder", type=Path, help="for the lake; default: temporary")
    parser.add_argument("--save", type=Path, default=RESULTS, help="folder for the results")
    args = parser.parse_args()
    if args.quick:
        args.heads = args.heads[-1:]
        args.domains, args.small = args.domains or "20x1000", args.small or "400x50"
    args.domains, args.small = args.domains or "1000x10000", args.small or "20000x50"
    return args


def main() -> None:
    """Run, print, save."""
    args = parse()
    warnings.simplefilter("ignore", ACRWarning)
    torch.set_num_threads(1)
    engines = ("pandas", "pyarrow", "dask", "distributed", "pyspark")
    described = describe_run([0, 1], (*PACKAGES, *engines))
    print(run_in_words(described), flush=True)
    figures: dict[str, Any] = {"run": described, "workers": args.workers, "fleets": {}}
    args.folder = args.folder or Path(tempfile.gettempdir())
    for head in args.heads:
        for given in (args.domains, args.small):
            n_domains, n_rows = map(int, given.split("x"))
            name = f"{n_domains:,} x {n_rows:,}, {head} head"
            figures["fleets"][name] = fleet(name, head, (n_domains, n_rows), args)
            # After each: a run takes long.
            save_json(args.save / "distributed.json", figures)
    print(report(figures))
    draw(figures, args.save / "distributed.png")


if __name__ == "__main__":
    main()
