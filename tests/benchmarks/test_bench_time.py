"""The benchmark of the time to the paper's detection, at a size that only shows that it works."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_benchmark_compares_whole_fits_with_the_looped_recipe(tmp_path):
    sizes = ["--paper-steps=3", "--loop-steps=2", "--max-domains=1", "--seeds", "0"]
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "benchmarks" / "bench_time.py"), "--sets", "digits"),
            *(*sizes, "--steps", "2", "4", f"--save={tmp_path}"),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "paper, looped" in done.stdout
    assert (tmp_path / "time.png").read_bytes().startswith(b"\x89PNG")
    figures = json.loads((tmp_path / "time.json").read_text())["sets"]["digits"]
    assert [row["max_iter"] for row in figures["table"]] == [2, 4]
    for row in figures["table"]:
        assert 0.4 < row["auroc"] <= 1
        assert row["ratio"] == pytest.approx(figures["looped"] / row["seconds"])
        assert row["reaches_the_mark"] == (row["auroc"] >= figures["mark"])
