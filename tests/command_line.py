"""What the tests of the command share: small tables, and a run in this process."""

import contextlib
import functools
import io
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from acr_sklearn.cli.main import main

FEW_STEPS = ("--max-iter", "2")


def frame(seed, n_rows=60):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.normal(rng.normal(0, 3, 3), 1, (n_rows, 3)), columns=list("abc"))


def hours(n_rows):
    """Times of the first hours of a year, as text."""
    return pd.date_range("2026-01-01", periods=n_rows, freq="h").strftime("%Y-%m-%dT%H").tolist()


def folder(path, n_files=5, **more):
    """A folder of tables; `more` are columns, made from the number of the file."""
    path.mkdir(parents=True)
    for i in range(n_files):
        extra = {name: make(i) for name, make in more.items()}
        frame(i).assign(**extra).to_csv(path / f"s{i}.csv", index=False)
    return path


def run(*words):
    """Run the command: its exit code and what it wrote."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = stop.code
    return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())


@functools.cache
def trained():
    """One folder and a model of it, made once."""
    made = Path(tempfile.mkdtemp())
    data = folder(made / "sites")
    done = run("fit", data, "-o", made / "model.safetensors", *FEW_STEPS)
    assert done.code == 0, done.err
    return SimpleNamespace(data=data, model=made / "model.safetensors")
