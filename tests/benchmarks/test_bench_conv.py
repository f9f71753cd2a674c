"""The benchmark of the convolutional step: all contenders leave one gradient, and it runs."""

import json
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_every_contender_computes_the_same_gradient(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import bench_conv

    smallest = list(bench_conv.SETTINGS)[-1]
    monkeypatch.setattr("acr_sklearn.networks.acr_network._NUMBERS_TOGETHER", 1)
    monkeypatch.setattr(
        sys,
        "argv",
        ["bench_conv.py", "--rounds=2", f"--settings={smallest}", f"--save={tmp_path}"],
    )
    before = torch.get_num_threads()
    bench_conv.main()
    assert torch.get_num_threads() == before
    assert smallest in capsys.readouterr().out
    found = json.loads((tmp_path / "conv.json").read_text())["found"][smallest]
    assert found["tasks_at_once"] == 1
    assert found["speed"]["loop"] == pytest.approx(1.0)
    assert set(found["gradient_apart"]) == set(found["seconds"])
    assert max(found["gradient_apart"].values()) < 1e-4
