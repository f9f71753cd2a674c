"""Topics of the guide that measure costs: explanations, known rows, small pictures, objectives."""

import json
from pathlib import Path

import numpy as np
import pytest

from acr_sklearn import OutlierSynthesisDetector

ROOT = Path(__file__).parents[2]
TOPICS = ("explanation_costs", "known_rows", "objectives", "small_pictures")


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.mark.parametrize("name", TOPICS)
def test_a_look_gives_every_block_of_the_committed_file(name, monkeypatch, tmp_path):
    from guide import topic

    monkeypatch.setenv("ACR_SKLEARN_DATA", str(tmp_path))  # a look needs no data
    look = json.loads(json.dumps(topic(name).measure([0], True)))
    path = ROOT / "benchmarks" / "results" / f"guide-{name}.json"
    blocks = topic(name).blocks(json.loads(path.read_text(encoding="utf-8")))
    assert topic(name).blocks(look).keys() == blocks.keys()
    assert all(blocks.values())


def test_what_integration_misses_is_recorded_and_the_sums_stay_exact():
    from guide.explanation_costs import recorded

    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    detector = OutlierSynthesisDetector(max_iter=3, random_state=0).fit(X)
    with recorded() as parts:
        contributions, base = detector.explain(X[:20], return_base=True)
    missing, wanted = np.concatenate(parts, axis=1)
    rise = -detector.score_samples(X[:20]) - base
    np.testing.assert_allclose(wanted, rise, atol=1e-5)
    np.testing.assert_allclose(contributions.sum(axis=1), rise, atol=1e-5)
    assert np.abs(missing).max() > 0
    with recorded() as after:
        pass
    detector.explain(X[:20])
    assert not after  # nothing is recorded any more


def test_costs_stand_beside_their_objective():
    from guide.explanation_costs import DETECTORS, HEADS, OBJECTIVES, blocks

    seconds = [
        {"detector": "ZeroShotACRDetector", "head": head, "objective": o, "seconds": i + 10 * j}
        for i, head in enumerate(HEADS)
        for j, o in enumerate(OBJECTIVES)
    ]
    seconds += [{"detector": name, "seconds": 7.0} for name in list(DETECTORS)[1:]]
    figures = {"median": 0.012, "ninth_decile": 0.0004, "largest_tenth": 0.00001}
    made = {
        "large": {"rows": 100_000, "seconds": 61.2, "mebibytes": None},
        "rows": 500,
        "seconds_of": seconds,
        "missed": [{"set": "smd", "detector": name, "rows": 9} | figures for name in DETECTORS],
    }
    found = blocks(made)
    assert "| combined | 1.00 | 11.00 |" in found["seconds"]
    assert "| `ResADDetector` | 7.00 |  |" in found["seconds"]
    assert "| `ResADDetector` | server machines | 1.2 | .04 | below .01 |" in found["missed"]
    assert found["large batch"] == "The consensus takes 61 s for 100,000 rows in float32."


def test_known_rows_are_averaged_over_sets_and_seeds():
    from guide.known_rows import NUMBERS, blocks

    quality = [
        {"set": name, "seed": seed, "n_known_rows": n, "auroc": auroc, "ap": 0.5}
        for n in NUMBERS
        for name, auroc in (("a", 0.8), ("b", 0.9))
        for seed in (0, 1)
    ]
    made = {
        "sets": {
            "a": {"rows": 5000, "features": 4, "normal": 4000},
            "b": {"rows": 9000, "features": 90, "normal": 8000},
            "c": {"rows": 100, "features": 7, "normal": 90},
        },
        "quality": quality,
        "times": {
            "digits_fit": 5.04,
            "rows_scored": 100_000,
            "scoring": [{"n_known_rows": n, "seconds": n / 1000} for n in NUMBERS],
            "isolation_forest": 0.61,
        },
    }
    found = blocks(made)
    assert found["sets"].startswith("3 public single data sets (100 to 9,000 rows, 4 to 90 feat")
    assert "| 1,024 | .850 | .500 | 1.0 |" in found["trade"]
    assert "over the 2 sets with" in found["seconds"]
    assert "2 seeds" in found["seconds"]


def test_networks_are_averaged_over_splits():
    from guide.small_pictures import blocks

    made = [
        {"network": network, "head": head, "auroc": auroc, "fit_seconds": 60.4}
        for network, aurocs in (("conv", (0.8, 0.9)), ("mlp", (0.6, 0.7)))
        for head in ("consensus", "objective")
        for auroc in aurocs
    ]
    table = blocks({"found": made})["networks"]
    assert "| `ConvBackbone` | .850 | .850 | 60 |" in table
    assert "| fully connected | .650 | .650 | 60 |" in table


def test_natural_anomalies_stand_in_brackets():
    from guide.objectives import OBJECTIVES, blocks

    kinds = {"natural": 0.9, "shuffled": 0.6, "cluster": 0.9}
    made = [
        {"data": data, "objective": name, "fit_seconds": 3.0, "auroc": kinds}
        for name in OBJECTIVES
        for data in ("digits", "fars")
    ]
    made += [
        {"data": "letters", "objective": name, "fit_seconds": 9.0, "auroc": {"natural": 0.95}}
        for name in OBJECTIVES
    ]
    table = blocks({"found": made})["auroc"]
    assert '| `"dsvdd"` | .800 (.900) | .800 (.900) | .950 | 3 |' in table
