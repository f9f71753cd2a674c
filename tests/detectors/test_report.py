"""The worst rows as a table."""

import sys

import numpy as np
import pandas as pd
import pytest

from acr_sklearn import OutlierSynthesisDetector, ZeroShotACRDetector

pytestmark = pytest.mark.filterwarnings("ignore::acr_sklearn.exceptions.UnfamiliarBatchWarning")
SMALL = {"max_iter": 5, "n_tasks": 2, "task_size": 16, "hidden_layer_sizes": (16,)}
NAMES = ["<b>", "load", "heat", "noise"]


@pytest.fixture(scope="module")
def detector():
    rng = np.random.default_rng(0)
    sites = [rng.normal(rng.normal(0, 3, 4), 1.0, (100, 4)) for _ in range(6)]
    frame = pd.DataFrame(np.concatenate(sites), columns=NAMES)
    return ZeroShotACRDetector(**SMALL, random_state=0).fit(frame, domains=np.repeat(range(6), 100))


@pytest.fixture
def frame():
    rows = np.random.default_rng(1).normal(5.0, 1.0, (120, 4))
    rows[7, 0] += 9.0
    rows[60:] += 20.0
    rows[70, 2] -= 12.0
    return pd.DataFrame(rows, columns=NAMES, index=[f"r{i}" for i in range(120)])


def test_what_a_report_says(detector, frame):
    domains = np.repeat(["x", "y"], 60)
    found = detector.report(frame, domains=domains, n_rows=5)
    assert found["rank"].tolist() == [1, 2, 3, 4, 5]
    first = found.set_index("row").loc["r70"]
    assert first["domain"] == "y"
    assert first["reason_1"] == "heat"
    own = frame.loc["r60":, "heat"]
    assert first["value_1"] == frame.loc["r70", "heat"]
    assert first["median_1"] == pytest.approx(own.median())
    assert (first["low_1"], first["high_1"]) == pytest.approx(tuple(own.quantile([0.05, 0.95])))
    assert set(found["row"][:2]) == {"r7", "r70"}
    place = [list(frame.index).index(name) for name in found["row"]]
    for column, method in (
        ("score", "score_samples"),
        ("p_value", "p_values"),
        ("label", "predict"),
    ):
        expected = getattr(detector, method)(frame, domains=domains)
        np.testing.assert_allclose(found[column], expected[place])
    explained = detector.explain(frame, domains=domains)
    strongest = -np.sort(-explained[place], axis=1)
    np.testing.assert_allclose(found["contribution_2"], strongest[:, 1], atol=1e-9)


def test_html_escapes_and_csv_reads_back(detector, frame, tmp_path):
    found = detector.report(frame, n_rows=3)
    html = found.to_html()
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    found.to_csv(tmp_path / "report.csv", index=False)
    back = pd.read_csv(tmp_path / "report.csv")
    assert back["row"].tolist() == found["row"].tolist()


def test_after_adapt_and_for_rows_scored_singly(detector, frame):
    found = detector.adapt(frame[:60].iloc[[*range(60), *range(60)]]).report(frame[5:9], n_rows=99)
    assert len(found) == 4
    assert found.loc[0, ["row", "reason_1"]].tolist() == ["r7", "<b>"]
    assert found.loc[0, "low_1"] < 5 < found.loc[0, "high_1"] < 10
    single = OutlierSynthesisDetector(max_iter=5, random_state=0).fit(frame[:60].iloc[:, :2])
    assert "reason_3" not in single.report(frame[:3].iloc[:, :2])


def test_what_is_refused(detector, frame, monkeypatch):
    with pytest.raises(ValueError, match=r"ZeroShotACRDetector.report got n_rows=0"):
        detector.report(frame, n_rows=0)
    monkeypatch.setitem(sys.modules, "pandas", None)
    plain = OutlierSynthesisDetector(max_iter=2, random_state=0).fit(np.eye(4))
    with pytest.raises(ImportError, match=r"OutlierSynthesisDetector.report returns a DataFrame"):
        plain.report(np.eye(4))


def test_rows_of_several_data_sets_are_named_within_their_own(detector, frame):
    first, second = frame[:60], frame[60:]
    found = detector.report([first, second], n_rows=120).sort_values(["domain", "row"])
    assert found["row"].tolist() == sorted(first.index) + sorted(second.index)
    values = [frame.loc[row, reason] for row, reason in zip(found.row, found.reason_1, strict=True)]
    assert found["value_1"].tolist() == values
    with pytest.warns(UserWarning, match="valid feature names"):
        mixed = detector.report({"x": first.to_numpy(), "y": second.to_numpy()}, n_rows=120)
    for domain, own in (("x", first), ("y", second)):
        part = mixed[mixed["domain"] == domain].sort_values("row")
        assert part["row"].tolist() == list(range(60))
        for row, reason, value in zip(part.row, part.reason_1, part.value_1, strict=True):
            assert own[reason].iloc[row] == value
    both = detector.report({"x": first, "y": second}, n_rows=2)
    assert set(zip(both["domain"], both["row"], strict=True)) == {("x", "r7"), ("y", "r70")}
