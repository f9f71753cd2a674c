"""The benchmark of drift within batches, at a size that only shows that it works."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_benchmark_compares_rows_with_and_without_their_trend(tmp_path):
    sizes = ["--rows=20", "--batches=1", "--seeds=0", "--max-iter=2", "--sets"]
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "benchmarks" / "bench_drift.py"), *sizes),
            *("--drifts", "0", "12", "--trends", "none", "auto", f"--save={tmp_path}"),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "drift.png").read_bytes().startswith(b"\x89PNG")
    rows = json.loads((tmp_path / "drift.json").read_text())["made"]
    assert len(rows) == 12
    still = [row for row in rows if row["drift"] == 0]
    assert all(row["iforest, none"] == row["iforest, auto"] for row in still)
    [line] = [
        row
        for row in rows
        if (row["shape"], row["drift"], row["anomalies"]) == ("linear", 12, "scattered")
    ]
    assert line["changed"] > 0.7
    assert line["iforest, auto"] > line["iforest, none"]
