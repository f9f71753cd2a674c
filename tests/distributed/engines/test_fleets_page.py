"""The code of docs/fleets.md runs on the engines as it stands."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "fleets.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)


def test_all_engines_find_the_same(tmp_path):
    for name in ("dask.dataframe", "distributed", "duckdb", "pyspark.sql", "polars"):
        pytest.importorskip(name, reason=f"{name} is not installed: make test-engines")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, and there is none (Debian: openjdk-17-jre-headless)")
    assert len(BLOCKS) == 5
    kept = "scored.to_parquet('by_pandas')\n"
    code = "\n".join([BLOCKS[0], kept, *BLOCKS[1:]])
    # A process of its own: Spark's JVM stays where it was started.
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    found = {}
    for name in ("by_pandas", "scored.parquet", "scored", "scored_by_spark"):
        scored = pd.read_parquet(tmp_path / name).set_index("row")
        found[name] = scored["score"].sort_index()
    for name, scores in found.items():
        pd.testing.assert_series_equal(scores, found["by_pandas"], rtol=1e-9, atol=1e-9, obj=name)
