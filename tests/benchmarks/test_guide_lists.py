"""Lists at a false discovery rate: what is drawn, and the table of it."""

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lists(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setenv("ACR_SKLEARN_DATA", str(tmp_path))
    from guide import topic

    return topic("lists")


def save_set(folder, n_domains=6):
    """A set whose anomalies lie far out; its last domain has two of them."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    anomaly = np.tile(np.arange(120) >= 100, n_domains)
    X = rng.normal(size=(len(anomaly), 3))
    X[anomaly] *= 20
    domain = np.repeat([f"d{i}" for i in range(n_domains)], 120)
    anomaly[-18:] = False
    np.savez(
        folder / "made.npz", X=X.astype(np.float32), domain=domain, anomaly=anomaly, source="-",
        licence="-",
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.ACRWarning")
def test_every_domain_is_listed_clean_and_with_its_anomalies(lists, tmp_path):
    save_set(tmp_path / "native")
    found = lists.measure([0], quick=True)
    assert (found["rate"], found["share"], found["steps"]) == (0.1, 0.05, 2)
    by_kind = {kind: [] for kind in ("clean", "anomalies")}
    for one in found["lists"]:
        by_kind[one["kind"]] += one["domains"]
    assert sorted(d["normal"] for d in by_kind["clean"]) == [100] * 5 + [118]
    assert {d["anomalous"] for d in by_kind["clean"]} == {0}
    assert [d["anomalous"] for d in by_kind["anomalies"]] == [5] * 5
    for domain in by_kind["clean"] + by_kind["anomalies"]:
        for rule in ("alone", "together"):
            assert 0 <= domain[rule][0] <= domain["normal"]
            assert 0 <= domain[rule][1] <= domain["anomalous"]


def test_a_list_of_a_domain_alone_is_that_of_its_p_values(lists):
    class Detector:
        def p_values(self, X):
            return X[:, 0]

    clean = np.array([[0.9], [0.5], [0.03], [0.8]])
    mixed = np.array([[0.9], [0.5], [0.7], [0.01]])
    found = lists._listed(Detector(), [(clean, 0), (mixed, 1)])
    assert found == [
        {"normal": 4, "anomalous": 0, "alone": [0, 0], "together": [0, 0]},
        {"normal": 3, "anomalous": 1, "alone": [0, 1], "together": [0, 1]},
    ]


def test_the_table_counts_lists_and_rows(lists):
    def domain(alone, together, anomalous):
        counts = {"alone": alone, "together": together}
        return {"normal": 100, "anomalous": anomalous, **counts}

    place = {"set": "a", "seed": 0, "fold": 0}
    clean = [domain([1, 0], [0, 0], 0), domain([0, 0], [0, 0], 0)]
    mixed = [domain([3, 1], [0, 0], 5), domain([0, 4], [1, 1], 5)]
    found = {
        "rate": 0.1,
        "share": 0.05,
        "steps": 7,
        "lists": [
            {**place, "kind": "clean", "domains": clean},
            {**place, "kind": "anomalies", "domains": mixed},
        ],
    }
    text = lists.blocks(found)["lists"]
    # 1 of 2 clean domains; 5 of 10 anomalies; 3/4 and 0/4 of the lists; 3 of 8 rows.
    assert "| each domain by itself | .50 | .50 | .38 | .38 |" in text
    assert "| all domains of a call together | .00 | .10 | .25 | .50 |" in text
    assert "2 domains of 1 native sets" in text
    assert "all of them once more with 5 % anomalies on top (3 folds, 7 steps, seeds 0)" in text
    assert "1.00 stand in 2 of 2 lists" in text
