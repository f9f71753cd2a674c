import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import frame, run, trained

import acr_sklearn
from acr_sklearn.cli import main as module

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["guess"],
        ["fit", "d"],
        ["fit", "d", "-o", "m", "--contamination", "0.7"],
        ["fit", "d", "-o", "m", "--contamination", "x"],
        ["fit", "d", "-o", "m", "--encoding", "hex"],
        ["fit", "d", "-o", "m", "--delimiter", ";;"],
        ["fit", "d", "-o", "m", "--max-iter", "0"],
        ["fit", "d", "-o", "m", "--colum", "a"],
        ["fit", "d", "-o", "m", "--random-state", "-1"],
        ["fit", "d", "-o", "m", "--random-state", "4294967296"],
        ["score", "m", "d", "-o", "s.csv", "--fdr", "0"],
        ["score", "m", "d", "-o", "s.csv", "--fdr", "1"],
        ["score", "m", "d", "-o", "s.csv", "--fdr", "nan"],
        ["score", "m", "d", "-o", "s.csv", "--fdr", "few"],
        ["score", "m", "d", "-o", "s.csv", "--time-column", "t", "--no-time-column"],
        ["score", "m", "d", "-o", "s.csv", "--threshold", "none"],
    ],
)
def test_wrong_options_end_with_2(words):
    done = run(*words)
    assert done.code == 2
    assert "usage: acr-sklearn" in done.err


def test_help_and_version():
    assert run("--version").out == f"acr-sklearn {acr_sklearn.__version__}\n"
    for words in (["--help"], ["fit", "--help"], ["score", "-h"], ["info", "-h"], ["demo", "-h"]):
        done = run(*words)
        assert done.code == 0
        assert "130 interrupted" in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (PermissionError(13, "Permission denied", "/a/b"), 1, "error: /a/b: Permission denied\n"),
        (MemoryError(), 1, "the memory of this machine"),
        (ImportError("pip install x"), 1, "error: pip install x\n"),
    ],
)
def test_errors_have_a_code_and_no_traceback(monkeypatch, error, code, message):
    def fail(*_):
        raise error

    monkeypatch.setattr(module, "run_info", fail)
    done = run("info", "m")
    assert done.code == code
    assert message in done.err
    assert "Traceback" not in done.err
    if code == 1:
        with pytest.raises(type(error)):
            run("info", "m", "--debug")


def test_the_command_in_a_process_of_its_own(tmp_path):
    frame(9).to_csv(tmp_path / "new.csv", index=False)
    words = ["score", str(trained().model), "new.csv", "-o", "out.csv"]
    done = subprocess.run(
        [sys.executable, "-m", "acr_sklearn", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("wrote out.csv\n")
    assert (tmp_path / "out.csv").read_text().startswith("row,domain,score")
