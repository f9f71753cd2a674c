"""Every example runs as a reader runs it, ends with a result and leaves its picture."""

import gzip
import os
import re
import runpy
import struct
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("plot_*.py"))
# What each is shortened by, and the line of its result: one figure, at least this large.
RUNS = {
    "plot_a_first_look.py": (
        ["--max-iter", "5"],
        r"^AUROC on the new machine, zero-shot within its batch: ([01]\.\d+)$",
        0.75,
    ),
    "plot_adapt_stream.py": (
        ["--max-iter", "5", "--every", "100"],
        r"^Rows called rightly before the lasting fault, sliding reference: (0\.\d+)$",
        0.8,
    ),
    "plot_batch_size.py": (
        ["--max-iter", "5", "--batches", "2"],
        r"^Mean AUROC with 128 rows: (0\.\d+)$",
        0.9,
    ),
    # Without its data, which are not here, it makes a table of the same kind.
    "plot_categories_fars.py": (
        ["--max-iter", "20", "--data", "nowhere"],
        r"^Mean AUROC over the unseen states: (0\.\d+)$",
        0.65,
    ),
    "plot_compare_with_refitting.py": (
        ["--max-iter", "5", "--batches", "1", "--shares", "0.1"],
        r"^Mean AUROC, scattered anomalies up to 20 %: (0\.\d+)$",
        0.85,
    ),
    "plot_dataframe_domains.py": (
        ["--max-iter", "15"],
        r"^Mean AUROC over the sources: (0\.\d+)$",
        0.85,
    ),
    "plot_digits.py": (["--batches", "1"], r"ACR, zero-shot .* (0\.\d+)$", 0.85),
    "plot_domain_map.py": (
        ["--max-iter", "5"],
        r"^AUROC on the familiar batches: (0\.\d+)$",
        0.9,
    ),
    "plot_explanations.py": (
        ["--max-iter", "5"],
        r"^Share of planted faults whose sensor is blamed first: ([01]\.\d+)$",
        0.8,
    ),
    "plot_fashion_mnist.py": (
        ["--max-iter", "5", "--shares", "0.05"],
        r"^ACR, zero-shot .* ([01]\.\d+) ± 0\.\d+$",
        0.75,
    ),
    "plot_known_faults.py": (
        ["--max-iter", "10", "--data", "nowhere"],
        r"^Mean AUROC on new machines with known faults: (0\.\d+)$",
        0.85,
    ),
    "plot_missing_values.py": (
        ["--max-iter", "5"],
        r"^Share of the faults among the worst rows, own values: (0\.\d+)$",
        0.7,
    ),
    "plot_outlier_synthesis_2d.py": (
        ["--max-iter", "20"],
        r"^Mean AUROC over the three shapes: ([01]\.\d+)$",
        0.95,
    ),
    "plot_own_backbone.py": (["--max-iter", "20"], r"residual .* unseen digits (0\.\d+)$", 0.75),
    "plot_pipeline_grid_search.py": (["--max-iter", "4"], r"(0\.\d+)  <- best$", 0.1),
    "plot_resad_few_references.py": (
        ["--max-iter", "5", "--draws", "1"],
        r"^Mean AUROC of ResAD with four references: (0\.\d+)$",
        0.6,
    ),
    "plot_segmentation.py": (
        ["--surfaces", "12", "--data", "nowhere"],
        r"^Mean pixel AUROC on unseen surfaces: (0\.\d+)$",
        0.85,
    ),
    "plot_spoilt_reference.py": (
        ["--max-iter", "5", "--pairs", "1"],
        r"^A fifth spoilt, a fifth left out: ([01]\.\d+)$",
        0.3,
    ),
    "plot_threshold_and_pvalues.py": (
        ["--max-iter", "5", "--batches", "1"],
        r'^Share of the anomalies found, "train": (0\.\d+)$',
        0.8,
    ),
    "plot_why_batch_norm.py": (
        ["--max-iter", "5"],
        r"^AUROC, each machine as a batch of its own: ([01]\.\d+)$",
        0.9,
    ),
}
# Too many for a process each: torch and scikit-learn take seconds to import.
IN_A_PROCESS_OF_ITS_OWN = {"plot_digits.py"}


def run(example, *arguments, folder):
    # One thread: the examples are small, and tests often share a machine's cores.
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "error::UserWarning",
        "PYTHONIOENCODING": "utf-8",
        "MPLBACKEND": "Agg",
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


def run_here(example, *arguments, monkeypatch, capsys):
    """Run as `__main__` in this process, with its own random numbers and settings of figures."""
    monkeypatch.setattr(sys, "argv", [example, *map(str, arguments)])
    path = str(ROOT / "examples" / example)
    try:
        with torch.random.fork_rng(), mpl.rc_context():
            runpy.run_path(path, run_name="__main__")
    finally:
        plt.close("all")
    return capsys.readouterr().out


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
def test_example(example, tmp_path, request, monkeypatch, capsys):
    arguments, result, least = RUNS[example]
    if example == "plot_fashion_mnist.py":
        arguments = [*arguments, "--data", request.getfixturevalue("fashion_folder")]
    picture = tmp_path / "picture.png"
    arguments = [*arguments, "--save", picture]
    if example in IN_A_PROCESS_OF_ITS_OWN:
        done = run(example, *arguments, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        printed = done.stdout
    else:
        monkeypatch.chdir(tmp_path)
        printed = run_here(example, *arguments, monkeypatch=monkeypatch, capsys=capsys)
    found = re.search(result, printed, re.MULTILINE)
    assert found, printed
    assert least <= float(found[1]) <= 1
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 10_000
    assert list(tmp_path.glob("*.png")) == [picture]


def test_without_its_data_fashion_mnist_says_how_to_get_them(tmp_path, monkeypatch, capsys):
    where = ["--data", tmp_path]
    with pytest.raises(SystemExit, match="apt-get install dataset-fashion-mnist.*--data"):
        run_here("plot_fashion_mnist.py", *where, monkeypatch=monkeypatch, capsys=capsys)


def test_fashion_mnist_draws_outlines_where_there_are_no_files(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Path, "exists", lambda path: False)
    short = ["--max-iter", "2", "--shares", "0.05", "--save", tmp_path / "picture.png"]
    printed = run_here("plot_fashion_mnist.py", *short, monkeypatch=monkeypatch, capsys=capsys)
    assert "going on with outlines drawn here" in printed
    assert "Meta-trained on 7 kinds of 200 images" in printed
    assert (tmp_path / "picture.png").is_file()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_use_the_public_api(example):
    source = example.read_text(encoding="utf-8")
    imported = re.findall(r"^\s*(?:from|import) (acr_sklearn\S*)", source, re.MULTILINE)
    public = {
        "acr_sklearn",
        "acr_sklearn.exceptions",
        "acr_sklearn.outliers",
        "acr_sklearn.plotting",
    }
    assert {"acr_sklearn"} <= set(imported) <= public
    assert re.match(r'"""\n[^\n]+\n=+\n\n', source), "sphinx-gallery wants a titled docstring"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_can_be_pages_of_a_gallery(example):
    source = example.read_text(encoding="utf-8")
    cells = re.split(r"^# %%$", source, flags=re.MULTILINE)
    assert len(cells) >= 4, "cells: text that says what is seen, then code"
    for cell in cells[1:]:
        # Comments at the start of a cell become text of the page.
        assert re.match(r"\n# \S", cell), cell[:80]
    for title, line in re.findall(r"^# (.+)\n# (-{3,})$", source, re.MULTILINE):
        assert len(line) >= len(title), f"too short a line below {title!r}"
    # Its figure stays open, for the gallery to take, and is drawn the same on any machine.
    assert "plt.close" not in source
    assert ".use(" not in source
    assert "plt.show()" in source
