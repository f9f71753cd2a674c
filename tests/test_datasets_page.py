"""The code of docs/datasets.md runs as it stands, on files in the layouts that it names."""

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from made_datasets import make_anoshift

import acr_sklearn.datasets
from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.exceptions import UnfamiliarBatchWarning

PAGE = (Path(__file__).parents[1] / "docs" / "datasets.md").read_text()


def test_the_examples_run(tmp_path, monkeypatch, capsys):
    make_anoshift(tmp_path / "Kyoto-2016_AnoShift")
    (tmp_path / "sites").mkdir()
    for name in ("north", "south"):
        table = pd.DataFrame({"a": np.arange(4.0), "fault": [1, 1, -1, 1]})
        table.to_csv(tmp_path / "sites" / f"{name}.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ZeroShotACRDetector.__init__.__kwdefaults__, "max_iter", 5)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
    assert len(blocks) == 2
    names = {}
    for block in blocks:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnfamiliarBatchWarning)  # five steps on made rows
            exec(compile(block, "datasets.md", "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines][-1] == ["2015", "FAR"]
    assert all(0 <= float(line.split()[2]) <= 1 for line in lines)
    assert names["data"].train_names == ["south"]


def test_every_reader_has_its_row():
    readers = {name for name in acr_sklearn.datasets.__all__ if name.startswith("load_")}
    assert set(re.findall(r"^\| `(load_\w+)\(", PAGE, re.M)) == readers
