"""The topics of the pages on drift and on the native sets."""

import json
from pathlib import Path

import numpy as np
import pytest

from acr_sklearn import DomainDetrender

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_rows_without_a_trend_are_correlated_as_said():
    from guide.trends import correlated

    X = correlated(np.random.default_rng(0), 4000, 3, 0.6)
    for column in X.T:
        assert np.corrcoef(column[1:], column[:-1])[0, 1] == pytest.approx(0.6, abs=0.05)
        assert column.std() == pytest.approx(1.0, abs=0.1)


def test_shares_of_batches_and_columns_count_what_was_changed(monkeypatch):
    from guide import trends

    def changed(_detrender, X):
        out = X.copy()
        out[:, 0] += len(calls) % 2
        calls.append(X.shape)
        return out

    calls = []
    monkeypatch.setattr(DomainDetrender, "fit_transform", changed)
    found = trends._found([0, 1], 10, 0.0, 12, 4)
    assert found == {"of_batches": 0.5, "of_columns": 0.125}
    assert calls == [(12, 4)] * 20


def test_a_look_has_the_blocks_of_the_page(monkeypatch):
    from guide import trends

    monkeypatch.setattr(trends, "ROWS", (8, 30))
    look = json.loads(json.dumps(trends.measure([0], True)))
    found = trends.blocks(look)
    assert found["without a trend"].count("\n") == 1 + 3 * 2
    assert "Over 2 batches of 30 rows" in found["drifting"]


def test_drifting_batches_are_averaged_over_seeds():
    from guide import trends

    made = {
        "without_trend": [
            {"correlation": r, "rows": n, "columns": d, "of_batches": r / 2, "of_columns": 0.0}
            for r in trends.CORRELATIONS
            for n in trends.ROWS
            for d in trends.COLUMNS
        ],
        "drifting": [
            {"seed": seed, "drift": drift, "batches": 20, "as_it_is": low, "detrended": 0.99}
            for seed, low in ((0, 0.8), (1, 0.9))
            for drift in trends.DRIFTS
        ],
    }
    found = trends.blocks(made)
    assert "| .6 | 30 | .30 | .30 | .30 |" in found["without a trend"]
    assert "Over 40 batches" in found["drifting"]
    assert ".850 without and\n.990 with" in found["drifting"]


def test_the_sets_are_counted(monkeypatch, tmp_path):
    from guide import native_sets

    folder = tmp_path / "native"
    folder.mkdir()
    np.savez(
        folder / "smd.npz",
        X=np.zeros((200, 3), np.float32),
        domain=np.repeat(["a", "b"], 100),
        anomaly=np.arange(200) < 25,
        source="made",
        licence="none",
    )
    monkeypatch.setenv("ACR_SKLEARN_DATA", str(tmp_path))
    found = native_sets.measure([0], True)
    assert list(found["sets"]) == ["smd"]
    assert "| `smd` | 2 server machines | 200 × 3 | .125 | SMD" in native_sets.blocks(found)["sets"]
