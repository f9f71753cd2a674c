"""Figures of the offset: which domains set it, and what is counted."""

from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_the_offset_of_some_domains_flags_the_share_of_these(quick, domains):
    from guide.offsets import HoldingOut, offset_of

    detector = HoldingOut(**quick().get_params() | {"contamination": 0.1}).fit(domains)
    assert len(detector.held_out_) == 1
    held_out = [domains[i] for i in detector.held_out_]
    offset = offset_of(detector, held_out, 0)
    assert np.mean(detector.score_samples(held_out) < offset) == pytest.approx(0.1, abs=0.01)
    assert offset != detector.offset_
    # Of all domains it is that of the detector itself, but for how they are cut into batches.
    assert offset_of(detector, domains, 0) == pytest.approx(detector.offset_, rel=0.05)


def one(name, domain, held_out, everything, split="fold 0", seed=0):
    return {
        "set": name,
        "split": split,
        "seed": seed,
        "domain": domain,
        "held_out": held_out,
        "all": everything,
    }


def test_blocks_count_every_set_alike():
    from guide.offsets import blocks

    records = [
        one("digits", "1", 0.0, 0.1, "a"),
        one("digits", "2", 0.1, 0.1, "a"),
        one("digits", "1", 0.3, 0.2, "b"),
        one("smd", "x", 0.05, 0.1),
        one("smd", "y", 0.15, 0.1),
        one("kpi", "z", 0.3, 0.2),
        one("kpi", "z", 0.5, 0.2, seed=1),
    ]
    found = blocks({"contamination": 0.1, "folds": 3, "records": records})
    header, _, alone, everything = found["offsets"].splitlines()
    assert "2 native sets" in header
    assert "2 trainings on digits" in header
    # smd .1 and .05 off, kpi .4 and .3 off.
    assert alone == "| held-out domains alone | .250 | .175 | .05 to .30 |"
    assert everything == "| all domains | .150 | .050 | .10 to .20 |"
    assert "3 domains of 64 normal rows" in found["offsets measured"]
    assert "2 seeds" in found["offsets measured"]


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
def test_a_look():
    from guide.offsets import blocks, measure

    found = measure([3, 4], quick=True)
    assert len(found["records"]) == 2
    assert {record["seed"] for record in found["records"]} == {3}
    assert set(blocks(found)) == {"offsets", "offsets measured"}
