"""A newcomer's script, run against the wheel in an environment that holds nothing else of ours."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = ("acr_sklearn", "pyproject.toml", "README.md", "LICENSE")


def run(*command, **options):
    done = subprocess.run(
        list(map(str, command)), capture_output=True, encoding="utf-8", check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """An interpreter with the built wheel; its dependencies are those of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SHIPPED:  # a build leaves folders beside the sources
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    try:
        import setuptools
    except ImportError:
        pytest.skip("setuptools is not installed, so no wheel can be built offline")
    if int(setuptools.__version__.split(".")[0]) < 77:
        pytest.skip("setuptools is too old to read pyproject.toml")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")
    run(*pip, "wheel", folder, *options, "--wheel-dir", folder / "dist")
    (wheel,) = (folder / "dist").glob("acr_sklearn-*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "env")
    own = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    site = run(own, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    run(*pip, "install", "--no-deps", "--no-index", "--quiet", "--target", site, wheel)
    Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return own


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """CSV files: six machines to train on, three labelled ones, and one of today."""
    folder = tmp_path_factory.mktemp("machines")
    mixing = np.random.default_rng(99).normal(size=(5, 5))

    def machine(seed, n_rows=120, n_odd=0):
        rng = np.random.default_rng(seed)
        rows = rng.normal(0, 5, 5) + rng.normal(size=(n_rows, 5)) @ mixing
        rows[:n_odd] += 4 * rng.normal(size=(n_odd, 5))
        frame = pd.DataFrame(rows, columns=[f"sensor_{i}" for i in range(5)])
        return frame.assign(machine=f"m{seed}", label=np.repeat([-1, 1], [n_odd, n_rows - n_odd]))

    (folder / "train").mkdir()
    for seed in range(6):
        frame = machine(seed).drop(columns="label")
        frame.to_csv(folder / "train" / f"machine_{seed}.csv", index=False)
    labelled = pd.concat([machine(seed, n_odd=8) for seed in range(20, 25)])
    labelled.to_csv(folder / "labelled.csv", index=False)
    machine(30, n_odd=5).drop(columns="label").to_csv(folder / "today.csv", index=False)
    return folder


def test_a_newcomers_script(python, folder, tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV_"))}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error::FutureWarning"}
    script = ROOT / "tests" / "newcomer.py"
    run(python, script, folder, tmp_path, cwd=tmp_path, env=environment)
    result = json.loads((tmp_path / "result.json").read_text())
    assert Path(result["file"]).is_relative_to(Path(python).parents[1])
    assert result["same"], "scores after pickle and load"
    # One training before the search and one per fold: four values share it.
    assert result["cached trainings"] == 1 + 5
    assert np.ptp(result["mcc"]) > 0
    assert np.ptp(result["frozen"]) > 0
    # A ranking does not depend on where it is cut.
    assert np.ptp(result["auroc"]) == pytest.approx(0, abs=1e-12)
    assert min(result["auroc"]) > 0.8
    lowest = pd.read_csv(tmp_path / "look_at_these.csv", index_col=0)
    assert len(set(lowest.index) & set(range(5))) >= 4, "the odd rows are among the ten lowest"
    for picture in ("scores.png", "map.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")
