"""Figures of docs/missing_values.md: what is drawn and filled is what the page says."""

import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture
def topic():
    from guide import missing_values

    return missing_values


def drawn(topic, situation, n_machines=2, n=300):
    rng = np.random.default_rng(0)
    mixing = topic.drawn_mixing(rng)
    return [topic.made(rng, situation, n, mixing) for _ in range(n_machines)]


def correlations(X):
    return np.corrcoef(X[~np.isnan(X).any(axis=1)].T)[np.triu_indices(X.shape[1], 1)]


def test_gaps_and_moved_rows_are_as_many_as_said(topic):
    [machine] = drawn(topic, topic.SHARED, 1, n=3000)
    gap = np.isnan(machine.rows)
    assert 0.015 < gap.mean() < 0.025
    np.testing.assert_array_equal(gap, np.isnan(machine.with_moved))
    assert machine.moved.sum() == 300
    np.testing.assert_array_equal(machine.rows[~machine.moved], machine.with_moved[~machine.moved])
    away = (machine.with_moved - machine.rows)[machine.moved]
    assert np.nanstd(away) == pytest.approx(topic.MOVES[topic.SHARED], rel=0.05)
    assert np.nanstd(machine.rows, axis=0) == pytest.approx(np.ones(8), rel=0.1)


def test_columns_depend_on_one_another_where_said(topic):
    one, other = (correlations(m.rows) for m in drawn(topic, topic.FREE))
    assert np.abs([one, other]).max() < 0.3
    one, other = (correlations(m.rows) for m in drawn(topic, topic.SHARED))
    assert np.abs(one).max() > 0.8
    np.testing.assert_allclose(one, other, atol=0.2)
    one, other = (correlations(m.rows) for m in drawn(topic, topic.OWN))
    assert np.abs(one - other).max() > 0.8


def test_fillings_fill_gaps_with_what_their_names_say(topic):
    known = [machine.rows for machine in drawn(topic, topic.SHARED, 6)]
    new = known.pop()
    gap = np.isnan(new)
    pooled, own = (topic.FILLINGS[name](known)([new])[0] for name in (topic.POOLED, topic.MEDIAN))
    where = np.where(gap)[1]
    np.testing.assert_allclose(pooled[gap], np.nanmedian(np.concatenate(known), axis=0)[where])
    np.testing.assert_allclose(own[gap], np.nanmedian(new, axis=0)[where])
    for filled in (pooled, own):
        np.testing.assert_array_equal(filled[~gap], new[~gap])


def test_values_filled_from_the_other_columns_are_near_the_true_ones(topic):
    known = [machine.rows for machine in drawn(topic, topic.SHARED, 6)]
    new = known.pop()
    whole = new[~np.isnan(new).any(axis=1)]
    holed, scaled = whole.copy(), (whole - whole.mean(axis=0)) / whole.std(axis=0)
    holed[:8][np.eye(8, dtype=bool)] = np.nan
    for name in (topic.NEAREST, topic.ALL, topic.ITSELF, topic.REGRESSION):
        filled = topic.FILLINGS[name](known)([holed])[0]
        if name == topic.NEAREST:  # in the units of the columns
            filled = (filled - whole.mean(axis=0)) / whole.std(axis=0)
        errors = np.diag(filled[:8] - scaled[:8])
        assert np.sqrt(np.mean(errors**2)) < 0.6 < np.std(np.diag(scaled[:8]))


def test_two_lists_rank_rows_among_their_like(topic):
    ranks = topic._among_their_like(np.array([5.0, 1, 2, 9]), np.array([True, False, False, True]))
    np.testing.assert_array_equal(ranks, [0.5, 0.5, 1, 1])
    np.testing.assert_array_equal(topic._worst(np.arange(20.0)[::-1]), np.arange(20) >= 18)


def made_up(topic):
    figures = dict.fromkeys((*topic.FIGURES, "gap", "few_flagged_gap", "few_flagged"), 0.1)
    figures |= {"worst_range": [0.05, 0.2], "first": [50, 7]}
    moved = ("auroc", "found_gap", "found")
    return [
        {"seed": seed, "situation": situation, "filling": filling}
        | (figures if filling != topic.APART else {name: figures[name] for name in moved})
        for seed in (0, 1)
        for situation in topic.MOVES
        for filling in (*topic.FILLINGS, topic.APART)
    ]


def test_blocks_have_the_means_of_the_seeds(topic):
    records = made_up(topic)
    one, two = (r for r in records if (r["situation"], r["filling"]) == (topic.FREE, topic.POOLED))
    one["flagged_gap"], two["flagged_gap"], two["worst_range"] = 0.5, 0.62, [0.3, 0.94]
    one["first"] = [50, 29]
    blocks = topic.blocks({"found": records})
    assert "| pooled median | .10 | **.56** | .10 | .100 | .10 | .10 |" in blocks["medians"]
    assert f"| {topic.APART} |  |  |  | .100 | .10 | .10 |" in blocks["fillings"]
    assert blocks["fillings"].count("**") == 2
    assert len(blocks["fillings"].splitlines()) == 2 + 3 * 9
    sentences = blocks["machine by machine"]
    assert "50 have a gap: they are 29 of its 30 worst rows with pooled medians, and 7" in sentences
    assert ".05 to .94 with pooled medians, and .05 to .20" in sentences
    assert "up to .12 (with a gap) and .00 (without)" in blocks["seeds"]
    assert len(blocks["small batches"].splitlines()) == 2 + 6


def test_a_look_is_measured_and_drawn(topic, tmp_path):
    from bench_guide import main

    main(["--topics", "missing_values", "--quick", f"--save={tmp_path}"])
    found = json.loads((tmp_path / "guide-missing_values.json").read_text(encoding="utf-8"))
    assert (tmp_path / "guide-missing_values.png").read_bytes().startswith(b"\x89PNG")
    assert len(found["found"]) == 3 * 8
    assert all(0 <= r["auroc"] <= 1 for r in found["found"])
