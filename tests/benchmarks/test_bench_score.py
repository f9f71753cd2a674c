"""The benchmark of scoring, at a size that only shows that it works."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_benchmark_times_large_batches_and_streams(tmp_path):
    sizes = ["--rows=6000", "--most=6000", "--rounds=1", "--calls=20", "--domains=20x10"]
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "benchmarks" / "bench_score.py"), "--rivals"),
            *(*sizes, f"--save={tmp_path}", f"--folder={tmp_path}"),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "calls per second" in done.stdout
    assert (tmp_path / "score.png").read_bytes().startswith(b"\x89PNG")
    figures = json.loads((tmp_path / "score.json").read_text())
    assert figures["setting"] == {"rows": 6000, "features": 64, "sample": 65536}
    large = figures["large"]
    for name, share in large["share_of_sgemm"].items():
        work = 2 * (64 * 512 + 512 * 32) * 6_000
        expected = work / large["seconds"][name] / large["sgemm_per_second"]
        assert share == pytest.approx(expected)
    assert set(figures["memory"]) == set(large["seconds"])
    assert all(one["ratio"] > 0 for heads in figures["domains"].values() for one in heads.values())
