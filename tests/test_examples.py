"""Every example runs as a reader runs it, ends with a result and leaves its picture."""

import gzip
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("plot_*.py"))
# What each is shortened by, and the line of its result: one figure, at least this large.
RUNS = {
    "plot_a_first_look.py": (
        ["--max-iter", "20"],
        r"^AUROC on the new machine, zero-shot within its batch: (0\.\d+)$",
        0.75,
    ),
    "plot_digits.py": (["--batches", "2"], r"ACR, zero-shot .* (0\.\d+)$", 0.85),
    "plot_own_backbone.py": (["--max-iter", "20"], r"residual .* unseen digits (0\.\d+)$", 0.75),
    "plot_segmentation.py": (
        ["--surfaces", "12", "--data", "nowhere"],
        r"^Mean pixel AUROC on unseen surfaces: (0\.\d+)$",
        0.85,
    ),
    "plot_pipeline_grid_search.py": (["--max-iter", "10"], r"(0\.\d+)  <- best$", 0.1),
    # Without its data, which are not here, it makes a table of the same kind.
    "plot_categories_fars.py": (
        ["--max-iter", "20", "--data", "nowhere"],
        r"^Mean AUROC over the unseen states: (0\.\d+)$",
        0.65,
    ),
    "plot_known_faults.py": (
        ["--max-iter", "10", "--data", "nowhere"],
        r"^Mean AUROC on new machines with known faults: (0\.\d+)$",
        0.85,
    ),
    "plot_dataframe_domains.py": ([], r"^Mean AUROC over the sources: (0\.\d+)$", 0.85),
    "plot_fashion_mnist.py": (
        ["--max-iter", "20", "--batches", "1"],
        r"^ACR, zero-shot .* ([01]\.\d+) ± 0\.\d+$",
        0.75,
    ),
}


def run(example, *arguments, folder):
    # One thread: the examples are small, and tests often share a machine's cores.
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "error::UserWarning",
        "PYTHONIOENCODING": "utf-8",
    }
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / example), *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=600,
    )


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes(), 1))


@pytest.fixture
def fashion_folder(tmp_path):
    """Files of the true format, with one bright square per kind in place of clothes."""
    rng = np.random.default_rng(0)
    for name, per_kind in (("train", 60), ("t10k", 1000)):
        kind = np.repeat(np.arange(10), per_kind)
        images = rng.integers(0, 100, (len(kind), 28, 28))
        for k in range(10):
            place = slice(2 * k, 2 * k + 6)
            images[kind == k, place, place] += 150
        order = rng.permutation(len(kind))
        write_idx(tmp_path / f"{name}-images-idx3-ubyte.gz", images[order])
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte.gz", kind[order])
    return tmp_path


def test_every_example_is_run_here():
    assert {example.name for example in EXAMPLES} == set(RUNS)


@pytest.mark.parametrize("example", sorted(RUNS))
def test_example(example, tmp_path, request):
    arguments, result, least = RUNS[example]
    if example == "plot_fashion_mnist.py":
        arguments = [*arguments, "--data", request.getfixturevalue("fashion_folder")]
    picture = tmp_path / "picture.png"
    done = run(example, *arguments, "--save", picture, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = re.search(result, done.stdout, re.MULTILINE)
    assert found, done.stdout
    assert least <= float(found[1]) <= 1
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 10_000


def test_without_its_data_fashion_mnist_says_how_to_get_them(tmp_path):
    done = run("plot_fashion_mnist.py", "--data", tmp_path, folder=tmp_path)
    assert done.returncode == 1
    assert "apt-get install dataset-fashion-mnist" in done.stderr
    assert "--data" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_use_the_public_api(example):
    source = example.read_text(encoding="utf-8")
    imported = re.findall(r"^\s*(?:from|import) (acr_sklearn\S*)", source, re.MULTILINE)
    assert {"acr_sklearn"} <= set(imported) <= {"acr_sklearn", "acr_sklearn.plotting"}
    assert re.match(r'"""\n[^\n]+\n=+\n\n', source), "sphinx-gallery wants a titled docstring"
