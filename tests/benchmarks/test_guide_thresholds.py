"""Figures of the thresholds: the batches are those that are said, and so are the rules."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def domain(n_normal=400, n_pool=300, name="a"):
    from quality.datasets import Unseen

    rng = np.random.default_rng(0)
    normals, pool = (
        rng.normal(at, 1, (n, 3)).astype(np.float32) for at, n in ((0, n_normal), (9, n_pool))
    )
    return Unseen(name, normals, pool, np.arange(n_pool))


def run_of(*domains):
    from guide._validation import Run

    return Run("digits", "fold 0", 0, domains, None)


def test_batches_have_the_share_asked_for_and_three_anomalies_or_more():
    from guide.thresholds import N_BATCHES, N_CLEAN, SHARES, _batches

    drawn = list(_batches(run_of(domain(400), domain(100, name="b"))))
    for given, batch in drawn:
        X, y = batch.draw()
        assert len(X) == len(batch.domain.normals)
        assert (y == -1).sum() == round(given * len(y))
        assert given == 0 or (y == -1).sum() >= 3
    shares = {
        name: sorted({given for given, batch in drawn if batch.domain.name == name})
        for name in "ab"
    }
    assert shares["a"] == list(SHARES)
    assert shares["b"] == [0, *SHARES[2:]]  # 1 % of 100 rows is one anomaly
    of_a = [batch for given, batch in drawn if batch.domain.name == "a"]
    assert len(of_a) == N_CLEAN + 4 * 3 * N_BATCHES
    few = [batch.kind for given, batch in _batches(run_of(domain(400, n_pool=20))) if given == 0.1]
    assert set(few) == {"shuffled", "cluster"}  # the pool has too few


def test_rules_that_are_not_offered():
    from guide.thresholds import outlying, storey

    rng = np.random.default_rng(0)
    normal = np.sort(rng.normal(size=4000))
    batch = np.concatenate([rng.normal(size=1400), np.full(600, -9.0)])
    assert storey(batch, normal) == pytest.approx(0.3, abs=0.05)
    assert storey(normal + 1, normal) == 0
    assert storey(np.full(10, -9.0), normal) == 0.5
    scores = np.array([0.0, 1, 2, 3, 4, -20, 20])  # median 2, median deviation 2
    assert outlying(scores).tolist() == [False] * 5 + [True, False]
    edge = 2 - 3.5 * 2 / 0.6745
    assert outlying(np.array([0.0, 1, 2, 3, 4, edge - 0.01, 20]))[5]
    assert not outlying(np.array([0.0, 1, 2, 3, 4, edge + 0.01, 20])).any()


def test_the_true_share_flags_as_many_rows_as_there_are_anomalies(monkeypatch):
    import guide.thresholds as module
    from guide.thresholds import TRUE, _flagged

    class Known:
        """Scores by the distance from the origin, which tells the anomalies for sure."""

        calibration_scores_ = np.sort(-np.abs(np.random.default_rng(1).normal(size=500)))

        def score_samples(self, X):
            return -np.linalg.norm(X, axis=1)

    run = run_of(domain())
    # What our own thresholds flag is of no matter here.
    cuts = dict.fromkeys(module.RULES, np.zeros(400, bool))
    monkeypatch.setattr(module, "detector_cuts", lambda model, scores: dict(cuts))
    run = SimpleNamespace(**vars(run) | {"detector": Known()})
    figures = _flagged(run, run_of(domain()).batch(domain(), "natural", 400, 40, 0), 0.1)
    assert figures[TRUE] == [0.1, 1.0, 1.0]
    assert figures["train, auto"] == [0.0, 0.0, 0.5]


def record(name, seed, share, flagged, f1=0.5):
    from guide.thresholds import RULES

    figures = {"flagged": flagged} | ({} if share == 0 else {"f1": f1, "balanced accuracy": 0.75})
    return {"set": name, "seed": seed, "share": share, "batches": 10} | dict.fromkeys(
        RULES, figures
    )


def test_blocks_count_every_set_alike():
    from guide.thresholds import blocks

    records = [
        record("digits", 0, 0.0, 0.1),
        record("digits", 1, 0.0, 0.2),
        record("fars", 0, 0.0, 0.3),
        record("fars", 0, 0.01, 0.12, f1=0.9),
        record("digits", 0, 0.1, 0.2, f1=0.4),
        record("fars", 0, 0.1, 0.4, f1=0.7),
    ]
    found = blocks({"n_domains": 3, "rows": 500, "records": records})
    row = next(line for line in found["flagged"].splitlines() if '"train", 0.1' in line)
    # (mean of .1 and .2, and .3) / 2; 1 % in one set alone; none at 5 and 20 %; F1 (.4 + .8) / 2.
    assert row == '| "train", 0.1 | 22.5 | 12.0 |  | 30.0 |  | .600 | .750 |'
    assert '| "train", "auto" | .400 | .800 |' in found["F1 by set"]
    assert '| "train", "auto" | .900 |  | .550 |  |' in found["F1 by share"]
    assert "not offered" not in found["F1 by set"]
    assert "60 batches of up to 500 rows, from 3 validation domains" in found["measured"]
    assert "are of road accidents (FARS) alone" in found["measured"]
    assert "2 seeds" in found["measured"]


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
def test_a_look():
    from guide.thresholds import RULES, SHARES, blocks, measure

    found = measure([0, 1], quick=True)
    assert [record["share"] for record in found["records"]] == [s for s in SHARES if s != 0.01]
    assert {record["seed"] for record in found["records"]} == {0}
    for one in found["records"]:
        for rule in RULES:
            assert ("f1" in one[rule]) == (one["share"] > 0)
        assert one["batch, the true share"]["flagged"] == pytest.approx(one["share"], abs=0.01)
    assert set(blocks(found)) == {"measured", "flagged", "F1 by share", "F1 by set"}
