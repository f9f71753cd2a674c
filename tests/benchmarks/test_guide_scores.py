"""What guide/scores.py measures, its tables, and the tables of docs/scores.md from other files."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scores.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.mark.parametrize("off", [3, 6])
def test_a_cluster_is_narrow_and_off_in_half_of_the_features(off):
    from guide.scores import anomalous

    normal = np.random.default_rng(0).normal(5, 2, (500, 4))
    X, n = anomalous(normal, f"cluster, {off} sd", np.random.default_rng(1))
    assert n == 100
    np.testing.assert_array_equal(X[n:], normal[n:])
    distance = np.abs(X[:n].mean(axis=0) - normal.mean(axis=0)) / normal.std(axis=0)
    assert sorted(np.round(distance)) == [0, 0, off, off]
    np.testing.assert_allclose(X[:n].std(axis=0), normal[:n].std(axis=0) / 20)


def test_single_values_are_off_in_one_feature_of_each_row():
    from guide.scores import anomalous

    normal = np.random.default_rng(0).normal(5, 2, (500, 4))
    X, n = anomalous(normal, "single values, 4 sd", np.random.default_rng(1))
    assert n == 25
    moved = (X - normal) / normal.std(axis=0)
    assert (np.count_nonzero(moved, axis=1) == (np.arange(500) < n)).all()
    np.testing.assert_allclose(np.abs(moved[moved != 0]), 4)
    assert (np.count_nonzero(moved, axis=0) > 0).all()


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
def test_fewer_neighbours_and_no_mahalanobis_distance_change_scores_while_asked_for():
    from guide.scores import anomalous, blind, neighbors

    from acr_sklearn import ZeroShotACRDetector

    rng = np.random.default_rng(0)
    train = [rng.normal(rng.normal(0, 5, 6), 1, (100, 6)) for _ in range(4)]
    detector = ZeroShotACRDetector(max_iter=2, random_state=0).fit(train)
    X = anomalous(rng.normal(size=(300, 6)), "cluster, 6 sd", rng)[0]
    plain = detector.score_samples(X)
    for way in (lambda: neighbors(50, True), lambda: neighbors(300, False), blind):
        with way():
            assert np.abs(detector.score_samples(X) - plain).max() > 0.01
    with neighbors(300, True):
        np.testing.assert_array_equal(detector.score_samples(X), plain)
    np.testing.assert_array_equal(detector.score_samples(X), plain)


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
def test_a_look():
    from guide.scores import BLIND, FEATURES, made, measure

    found = list(made(FEATURES[0], False, 0, {"max_iter": 2}))
    by_kind = {}
    for one in found:
        by_kind.setdefault(one["anomalies"], []).append(one)
    far = by_kind["cluster, 6 sd"]
    # Why the Mahalanobis distance has a say.
    assert np.mean([one["consensus"] for one in far]) > np.mean([one[BLIND] for one in far]) + 0.5
    assert np.mean([one["consensus"] for one in by_kind["single values, 4 sd"]]) > 0.8
    assert measure([], quick=True) == {"native": None, "made": [], "classes": {}}


def test_differences_are_of_large_batches_and_of_all():
    from guide.scores import BLIND, NEIGHBORS, summed_up

    cells = {"domain": ["a", "a", "b"], "share": [0.1, 0.2, 0.1], "rows": [500, 400, 100]}
    plain = pd.DataFrame({**cells, "auroc": [0.8, 0.8, 0.8], "ap": [0.5, 0.5, 0.5]})
    worse = plain.assign(auroc=[0.7, 0.6, 0.0], ap=0.5)
    ways = {"default": plain, "all": plain, BLIND: worse, **dict.fromkeys(NEIGHBORS, worse)}
    found = summed_up({"one": ways})
    assert found["batches"] == {"one": 2}
    assert found["minus"]["128 rows"]["auroc"]["mean"] == pytest.approx(-0.15)
    assert found["minus"]["128 rows"]["ap"]["mean"] == 0
    # Domain b, of a small batch, counts here.
    assert found["minus"]["Mahalanobis"]["auroc"]["mean"] == pytest.approx((0.15 + 0.8) / 2)


def test_the_tables():
    from guide.scores import ANOMALIES, FEATURES, NEIGHBORS, SETTINGS, blocks

    pair = {"mean": -0.00123, "low": -0.002, "high": 0.0004}
    both = {"auroc": pair, "ap": pair | {"mean": 0.0005}}
    made = [
        {"anomalies": kind, "features": n, "correlated": correlated, "seed": seed}
        | {"consensus": 0.1 + seed / 10, "combined": 0.5, "IsolationForest": 0.25}
        | {"without Mahalanobis": 0.0}
        for kind in ANOMALIES
        for n in FEATURES
        for correlated in (False, True)
        for seed in (0, 1)
    ]
    classes = {"digits": {name: [0.5, 0.7] for name in SETTINGS}}
    minus = dict.fromkeys((*NEIGHBORS, "Mahalanobis"), both)
    tables = blocks({"native": {"minus": minus}, "made": made, "classes": classes})
    row = "| 128 rows | -.0012 [-.0020, .0004] | +.0005 [-.0020, .0004] |"
    assert row in tables["large batches"].splitlines()
    row = "| cluster, 3 sd | 12, independent | .15 | .50 | .25 | .00 |"
    assert row in tables["weak points"].splitlines()
    assert len(tables["weak points"].splitlines()) == 2 + 3 * 2 * 2
    assert "AUROC -.0012 [-.0020, .0004], average precision +.0005 [" in tables["price"]
    assert tables["classes"].splitlines()[-1] == "| all three | .600 |"


# ------------------------------------------- tables of the page whose figures are in other files

NAMES = {
    "digits": "digits",
    "fars": "road accidents (FARS)",
    "glyphs": "glyphs",
    "fashion_mnist": "Fashion-MNIST",
    "mnist": "MNIST",
}
BEST = "mahalanobis_centred"


def result(name):
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def line(words, values):
    """The row of a table."""
    from guide._tables import share

    cells = [value if isinstance(value, str) else share(value, 3) for value in values]
    return f"| {' | '.join([words, *cells])} |"


def test_the_table_of_validation_domains_is_that_of_its_file():
    from guide._tables import share

    sets = result("quality-validation")["sets"]
    methods = ("acr", "untrained", "head_raw", "head_batch", BEST)
    means = []
    for name, one in sets.items():
        pair = one["comparison"]["acr"]["auroc"]
        assert pair["rival"] == BEST
        mean, low, high = (share(pair[key], 3) for key in ("mean", "low", "high"))
        means.append([one["methods"][method]["auroc"]["overall"] for method in methods])
        assert line(NAMES[name], [*means[-1], f"+{mean} [{low}, {high}]"]) in PAGE
    over_sets = np.mean(means, axis=0)
    assert len(means) == 4
    assert line("mean", over_sets) in PAGE  # the last cell is empty
    words = (
        f"together come to {share(over_sets[0], 3)}, without training to {share(over_sets[1], 3)}"
    )
    assert words in " ".join(PAGE.split())


def test_the_table_of_test_domains_is_that_of_its_file():
    sets = result("quality-test")["sets"]
    assert sets.keys() == NAMES.keys()
    for name, one in sets.items():
        aurocs = {label: method["auroc"] for label, method in one["methods"].items()}
        rivals = [label for label, method in one["methods"].items() if method["rival"]]
        overall, natural = (
            max(aurocs[label][part] for label in rivals) for part in ("overall", "natural")
        )
        ours, raw = aurocs["acr"], aurocs["head_raw"]["natural"]
        cells = [ours["overall"], overall, ours["natural"], raw, natural]
        assert line(NAMES[name], cells) in PAGE


def test_the_table_of_native_sets_is_that_of_its_file():
    methods = result("native")["methods"]
    names = {
        "acr": "consensus",
        "iforest": "IsolationForest refitted on the batch",
        "knn10%_batch": "distance to the nearest tenth of the batch",
        "acr_combined": '"combined"',
        "untrained": "consensus, network untrained",
        "statistics": "consensus without a network",
    }
    for label, words in names.items():
        cells = [methods[label][metric]["mean"] for metric in ("auroc", "ap")]
        assert line(words, cells) in PAGE
    pair = result("native")["against"]["acr"]["auroc"]["iforest"]
    words = "{mean:.4f} ahead of IsolationForest in AUROC, with a 90 % interval from {low:.4f} to "
    words = (words + "{high:.4f}").format(**pair).replace("0.", ".")
    worst = -min(pair["sets"].values())
    words += f", and {worst:.3f} behind it on the worst set".replace("0.", ".")
    assert words in " ".join(PAGE.split())
