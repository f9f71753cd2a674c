"""Figures of small batches: sizes, anomalies, and the mean over sets."""

from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_batches_are_of_the_size_that_is_said(monkeypatch):
    import guide.small_batches as module
    from guide._validation import Run
    from quality.datasets import Unseen

    rng = np.random.default_rng(0)
    seen = []

    class Detector:
        def score_samples(self, X):
            seen.append(("scored", len(X)))
            return -np.abs(X).sum(axis=1)

        def predict(self, X):
            seen.append(("clean", len(X)))
            assert np.abs(X).max() < 50
            return np.where(np.arange(len(X)) < len(X) // 4, -1, 1)

    def unseen(name, n):
        normals = rng.normal(size=(n, 4)).astype(np.float32)
        return Unseen(name, normals, normals + 100, np.arange(n))

    run = Run("digits", "fold", 7, (unseen("a", 150), unseen("b", 100)), Detector())
    monkeypatch.setattr(module, "runs", lambda seeds, quick: [run])
    found = module.measure([7], quick=False)
    assert found["n_domains"] == 1  # the other has too few rows for the largest batch
    for size in module.SIZES:
        assert seen.count(("scored", size)) == 3 * module.N_BATCHES
        assert seen.count(("clean", size)) == module.N_CLEAN
    assert [record["rows"] for record in found["records"]] == list(module.SIZES)
    assert {record["flagged"] for record in found["records"]} == {0.25}


def test_blocks_count_every_set_alike():
    from guide.small_batches import SIZES, blocks

    values = {("digits", 0): 0.7, ("digits", 1): 0.8, ("fars", 0): 0.95}
    records = [
        {"set": name, "seed": seed, "rows": size, "auroc": value, "flagged": value / 2}
        for (name, seed), value in values.items()
        for size in SIZES
    ]
    lines = blocks({"n_domains": 3, "records": records})["small batches"].splitlines()
    assert lines[2].startswith("| AUROC | .850 |")
    assert lines[3].startswith("| AUROC, digits | .750 |")
    assert lines[5].startswith("| flagged in clean batches | 42% |")
    assert lines[7].startswith("| flagged, road accidents (FARS) | 48% |")


def test_splits_go_to_one_seed_each_as_long_as_there_are_enough():
    from guide._validation import _assigned

    given = [(split.name, seed) for split, seed in _assigned("digits", [5, 6], 3)]
    assert [seed for _, seed in given] == [5, 6, 5, 6, 5, 6]
    assert len({name for name, _ in given}) == 6
    many = [split.name for split, _ in _assigned("digits", [5, 6], 7)]
    assert len(many) == 14
    assert len(set(many)) == 12


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
def test_a_look():
    from guide.small_batches import SIZES, blocks, measure

    found = measure([0], quick=True)
    assert len(found["records"]) == len(SIZES)
    by_size = [record["auroc"] for record in found["records"]]
    assert by_size[-1] > 0.85
    assert set(blocks(found)) == {"small batches"}
