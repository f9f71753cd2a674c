"""Figures of the p-values: reference rows are no rows of the batch, and sets count alike."""

from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def unseen(name, n):
    from quality.datasets import Unseen

    normals = np.arange(n, dtype=np.float32)[:, None] + np.zeros((1, 3), np.float32)
    return Unseen(name, normals, -1000 - normals, np.arange(n))


def test_the_reference_is_of_the_domain_and_apart_from_the_batch():
    from guide.p_values import N_REFERENCE, apart

    domain = unseen("a", 200)
    reference, rest = apart(domain, 0)
    assert len(reference) == N_REFERENCE
    together = np.concatenate([reference, rest.normals])
    np.testing.assert_array_equal(np.sort(together, axis=0), domain.normals)
    assert not np.array_equal(apart(domain, 1)[0], reference)


def test_what_is_counted(monkeypatch):
    import guide.p_values as module
    from guide._validation import Run

    class Detector:
        """Finds the anomalies for sure, and one normal row in four where it has a reference."""

        def score_samples(self, X):
            return X[:, 0].astype(float)

        def p_values(self, X, X_ref=None):
            assert len(X) == 100
            assert X_ref is None or len(X_ref) == 64
            found = X[:, 0] < -500 if X_ref is None else np.arange(100) % 4 == 0
            return np.where(found, 0.02, 0.5)

    run = Run("digits", "fold", 7, (unseen("a", 170), unseen("b", 150)), Detector())
    monkeypatch.setattr(module, "runs", lambda seeds, quick: [run])
    monkeypatch.setattr(module, "KINDS", ("natural",))
    found = module.measure([7], quick=False)
    assert found["n_domains"] == 1  # the other has too few rows for a batch and a reference
    assert [one["anomalies"] for one in found["records"]] == [2, 5, 10, 20]
    for one in found["records"]:
        assert one["batches"] == module.N_BATCHES
        assert (one["auroc"], one["alone, found"], one["alone, false"]) == (1.0, 1.0, 0.0)
        assert one["reference, false"] == pytest.approx(0.25, abs=0.1)


def test_blocks_count_every_set_alike():
    from guide.p_values import ANOMALIES, blocks

    def record(name, seed, n, auroc, share):
        figures = dict.fromkeys(("alone, found", "reference, found"), share)
        figures |= dict.fromkeys(("alone, false", "reference, false"), share / 10)
        return {"set": name, "seed": seed, "anomalies": n, "batches": 6, "auroc": auroc} | figures

    records = [
        record(name, seed, n, auroc, auroc / 2)
        for name, seed, auroc in (("digits", 0, 0.7), ("digits", 1, 0.9), ("fars", 0, 0.96))
        for n in ANOMALIES
    ]
    found = blocks({"n_domains": 3, "rows": 100, "level": 0.02, "records": records})
    lines = found["p-values"].splitlines()
    assert lines[0] == "| anomalies among 100 rows | 2 | 5 | 10 | 20 |"
    assert lines[2].startswith("| AUROC of the scores | .88 |")
    assert lines[3].startswith("| anomalies with p <= 0.02 | 44.0 % |")
    assert lines[6].startswith("| normal rows with p <= 0.02, with `X_ref` of 64 rows | 4.4 % |")
    assert "72 batches from 3 validation domains" in found["p-values measured"]
    assert "2 seeds" in found["p-values measured"]


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
def test_a_look():
    from guide.p_values import ANOMALIES, blocks, measure

    found = measure([0], quick=True)
    assert [one["anomalies"] for one in found["records"]] == list(ANOMALIES)
    assert set(blocks(found)) == {"p-values", "p-values measured"}
