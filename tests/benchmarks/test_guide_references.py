"""What guide/references.py draws, and its tables; they stand on docs/references.md."""

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.mark.parametrize("kind", ["digit", "near copies", "copies"])
def test_a_reference_holds_the_share_and_no_row_is_drawn_twice(kind):
    from guide.references import CLUSTERS, drawn

    assert kind in CLUSTERS
    rng = np.random.default_rng(0)
    own, others = rng.normal(size=(170, 5)), 50 + rng.normal(size=(170, 5))
    reference, normal, odd = drawn(own, others, kind, 0.1, rng)
    assert [len(reference), len(normal), len(odd)] == [128, 55, 157]
    assert (reference[:, 0] > 25).sum() == 13
    seen = np.concatenate([reference[13:], normal])
    assert len(np.unique(seen, axis=0)) == 170
    assert (len(np.unique(odd, axis=0)) == 1) == (kind == "copies")
    assert (odd > 25).all()


def test_near_copies_lie_within_some_steps_of_one_row():
    from guide.references import drawn

    rng = np.random.default_rng(0)
    others = np.round(50 + 10 * rng.normal(size=(170, 5)))
    reference, _, odd = drawn(np.zeros((170, 5)), others, "near copies", 0.2, rng)
    cluster = np.concatenate([reference[:26], odd])
    assert len(np.unique(cluster, axis=0)) > 2
    assert np.ptp(cluster, axis=0).max() < 10


@pytest.mark.parametrize("seed", range(4))
def test_the_digits_of_a_pair_are_two(seed, monkeypatch):
    import guide.references as topic

    monkeypatch.setattr(topic, "_thresholds", lambda *_: {})
    monkeypatch.setattr(topic.ZeroShotACRDetector, "fit", lambda *_: None)
    found = list(topic.digits(seed, range(10), {}))
    assert all(one != other for one, other in (row["digits"] for row in found))
    # The share 0 is one case for all kinds of clusters.
    assert len(found) == 10 * 2 * 7


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
def test_a_look():
    from guide.references import LEFT_OUT, SHARES, measure

    found = measure([1], quick=True)
    assert {one["domain"] for one in found["spoilt"]["digits"]} <= set("0123456789")
    assert {one["share"] for one in found["made"]} == set(SHARES)
    # Without its care the threshold of a reference with a cluster flags next to no normal row.
    with_cluster = [one for one in found["made"] if one["share"] == 0.2]
    flagged = {way: np.mean([one[way][1] for one in with_cluster]) for way in ("all", "default")}
    assert flagged["all"] < 0.03 < flagged["default"]
    ways = {f"leave_out={part:g}" for part in LEFT_OUT} | {"normal"}
    assert all(ways <= one.keys() for one in found["digits"])
    clean = [one for one in found["digits"] if not one["share"]]
    assert all(one["normal"] == one["leave_out=0"] for one in clean)


def test_the_tables():
    from guide.references import blocks

    made = [
        {"share": 0.0, "seed": 0, "all": [0.5, 0.1], "default": [0.7, 0.1]},
        {"share": 0.1, "seed": 0, "all": [0.2, 0.0], "default": [1.0, 0.11]},
        {"share": 0.1, "seed": 1, "all": [0.4, 0.0], "default": [1.0, 0.13]},
        {"share": 0.2, "seed": 0, "all": [0.0, 0.0], "default": [0.9, 0.2]},
    ]
    ways = {"leave_out=0": [0.5, 0.1], "leave_out=0.1": [0.6, 0.2], "leave_out=0.2": [0.75, 0.3]}
    case = {"seed": 0, "digits": [1, 2], "normal": [1.0, 0.04], **ways}
    found = {
        "spoilt": {
            "fars": [
                {"domain": "6", "seed": 0, "clean": 0.9, "spoilt": 0.8},
                {"domain": "6", "seed": 1, "clean": 0.8, "spoilt": 0.8},
            ]
        },
        "made": made,
        "digits": [{"cluster": "digit", "share": part, **case} for part in (0.0, 0.1)]
        + [{"cluster": "copies", "share": 0.1, **case}],
    }
    tables = blocks(found)
    assert tables["ranking"].splitlines()[-1] == "| road accidents | 1 | .850 | .800 |"
    assert tables["threshold"].splitlines()[2:] == [
        "| 0 | – / .10 | – / .10 |",
        "| .1 | .30 / .00 | 1.00 / .12 |",
        "| .2 | .00 / .00 | .90 / .20 |",
    ]
    cells = ".50 / .10 | 1.00 / .04 | .60 / .20 | .75 / .30"
    assert tables["clusters"].splitlines()[2:] == [
        f"| rows of another digit | 0 | {cells} |",
        f"|  | .1 | {cells} |",
        f"| copies of one row | .1 | {cells} |",
    ]
