import importlib

import joblib
import pytest
import torch
from torch import nn

from acr_sklearn import ZeroShotACRDetector
from acr_sklearn.networks.objectives import OBJECTIVES
from acr_sklearn.training.cache import cache_key, open_memory


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """Function (body) -> the module `source_under_edit`, its function body replaced."""
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "source_under_edit.py"

    def write(line):
        path.write_text(
            "import numpy as np\n\n\nclass Base:\n    def sample(self, X, domain_index, n, rng):\n"
            f"        return {line}\n\n\nclass Source(Base):\n    pass\n"
        )
        return importlib.reload(importlib.import_module("source_under_edit"))

    return write


def test_edited_code_of_an_outlier_source_is_another_training(edited, tmp_path, domains, trainings):
    def fit(line):
        source = edited(line).Source()
        detector = ZeroShotACRDetector(
            outlier_source=source, memory=str(tmp_path / "cache"), random_state=0, max_iter=3
        )
        return detector.fit(domains[:5])

    first = fit("X[:1].repeat(n, axis=0) + 50.0")
    again = fit("X[:1].repeat(n, axis=0) + 50.0")
    assert len(trainings) == 1
    other = fit("X[:1].repeat(n, axis=0) * 9.0")
    assert len(trainings) == 2
    weights = [d.module_.backbone.linears[0].weight for d in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


class Wrapped:
    def __init__(self, sources):
        self.sources = sources

    def sample(self, X, domain_index, n, rng):
        return self.sources["one"].sample(X, domain_index, n, rng)


def test_so_is_that_of_a_source_that_another_holds(edited):
    keys = []
    for line in ("X[:n]", "X[:n]", "X[-n:]"):
        source = Wrapped({"one": edited(line).Source()})
        keys.append(joblib.hash(cache_key({"backbone": "mlp"}, source)))
    assert keys[0] == keys[1] != keys[2]


def test_keys_hold_weights_and_not_addresses():
    def key(scale):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        with torch.no_grad():
            module[0].weight *= scale
        return joblib.hash(cache_key({"backbone": module}, None))

    assert key(1.0) == key(1.0)
    assert key(1.0) != key(1.5)
    assert cache_key({"backbone": "mlp"}, None)["backbone"] == "mlp"


def test_edited_code_of_an_objective_is_another_training(edited, monkeypatch):
    keys = []
    for line in ("X", "X", "-X"):
        monkeypatch.setitem(OBJECTIVES, "edited", edited(line).Source)
        keys.append(joblib.hash(cache_key({"backbone": "mlp", "objective": "edited"}, None)))
    assert keys[0] == keys[1] != keys[2]


class HalfAMemory:
    def cache(self, function):
        """Forget to return anything."""


@pytest.mark.parametrize(
    "given",
    ["a\0b", "x" * 5000, "/dev/null", "/dev/null/x", joblib.Memory, HalfAMemory()],
    ids=["nul", "long", "file", "below a file", "class", "no memory"],
)
def test_what_is_no_cache_is_refused_before_any_work(domains, trainings, given):
    detector = ZeroShotACRDetector(memory=given, random_state=0, max_iter=3)
    with pytest.raises(ValueError, match="ZeroShotACRDetector got memory=.*needs the name of a f"):
        detector.fit(domains[:5])
    assert trainings == []


def test_a_folder_a_memory_or_nothing_is_a_cache(tmp_path):
    assert open_memory(None, who="Who").store_backend is None
    assert (tmp_path / "new").exists() is False
    assert open_memory(str(tmp_path / "new"), who="Who").store_backend is not None
    memory = joblib.Memory(tmp_path, verbose=0)
    assert open_memory(memory, who="Who") is memory
