"""The benchmark of fleets, at a size that only shows that it works."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("engines", [[], ["dask"]])
def test_benchmark_holds_engines_against_one_process(engines, tmp_path):
    for name in engines:
        pytest.importorskip(name, reason=f"{name} is not installed: make test-engines")
    script = str(ROOT / "benchmarks" / "bench_distributed.py")
    done = subprocess.run(
        [
            *(sys.executable, script, "--quick", "--domains=4x100", "--small=10x20"),
            *("--engines", *engines, f"--save={tmp_path}", f"--folder={tmp_path}"),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "distributed.json").read_text())
    assert len(figures["fleets"]) == 2
    for fleet in figures["fleets"].values():
        assert set(fleet) >= {"one process", *engines}
        assert all(fleet[engine]["largest_difference"] < 1e-4 for engine in engines)
    assert (tmp_path / "distributed.png").read_bytes().startswith(b"\x89PNG")
    assert "core time / one" in done.stdout
