"""The training benchmark, at a size where only its arithmetic and its files are of interest."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[2]
SIZES = {"rounds": 2, "steps": 3, "loop-steps": 2, "domains": 3, "rows": 40, "features": 6}
SIZES |= {"tasks": 4, "task-size": 20, "square": 64}


@pytest.fixture
def looped(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import looped_acr

    # On such small tensors several threads only wait for one another, on a busy machine long.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield looped_acr
    torch.set_num_threads(threads)


def test_benchmark_runs_and_says_what_it_ran_on(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "benchmarks" / "bench_train.py"),
            *(f"--{name}={size}" for name, size in SIZES.items()),
            f"--save={tmp_path}",
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for words in ("torch.mm, float32", "median of 2 alternating rounds", "wanted 5 x", "of sgemm"):
        assert words in done.stdout
    assert (tmp_path / "train.png").read_bytes().startswith(b"\x89PNG")
    result = json.loads((tmp_path / "train.json").read_text())
    # The version of the package; the module adds the kind of build.
    said = result["run"]["versions"]["torch"]
    assert said.partition("+")[0] == torch.__version__.partition("+")[0]
    assert result["run"]["seeds"] == [0, 1]
    assert str(ROOT) not in json.dumps(result), "results name no place on this machine"
    assert str(tmp_path) not in json.dumps(result)
    # Forward, both gradients, and no gradient for the input: counted by hand for 80 rows.
    first, rest = 6 * 128, 2 * 128 * 128 + 128 * 32
    assert result["operations_per_step"] == 2 * 80 * (2 * first + 3 * rest)
    package = result["step_seconds"]["package"]
    share = result["operations_per_step"] / package / result["sgemm_rate"]
    assert result["sgemm_share"]["package"] == pytest.approx(share)
    assert result["speedup"]["looped"] == pytest.approx(result["step_seconds"]["looped"] / package)


def _domains(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((60, 8), dtype=np.float32) + 3 * k for k in range(3)]


@pytest.mark.parametrize("join", [True, False])
def test_the_looped_implementation_learns(looped, join):
    rival = looped.LoopedACR(
        _domains(), n_tasks=3, task_size=40, learning_rate=2e-2, join_complement=join
    )
    losses = [rival.step() for _ in range(20)]
    assert np.mean(losses[-3:]) < 0.5 * np.mean(losses[:3])


@pytest.mark.parametrize("join", [True, False])
def test_the_looped_outliers_come_from_every_other_domain(looped, join):
    domains = [np.full((50, 2), k, dtype=np.float32) for k in range(4)]
    rival = looped.LoopedACR(domains, task_size=200, join_complement=join)
    for own in range(4):
        drawn = rival._draw_outliers(own)
        assert drawn.shape == (40, 2)
        assert set(np.unique(drawn)) == set(range(4)) - {own}
