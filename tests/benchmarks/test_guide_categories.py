"""Figures of docs/categories.md: what is drawn is what the page says, and so is what is written."""

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
    from guide import categories

    return categories


def drawn(topic, case, n_moved=0):
    return topic.made(np.random.default_rng(0), topic.CASES[case][0], n_moved)


@pytest.mark.parametrize(
    ("name", "shares"),
    [("SHARED", [0.55, 0.3, 0.1, 0.05]), ("THREE", [0.5, 0.45, 0.05])],
)
def test_kinds_are_as_frequent_as_said(topic, name, shares):
    site = drawn(topic, getattr(topic, name), n_moved=20)
    np.testing.assert_allclose(np.bincount(site.kind) / 400, shares, atol=0.08)
    assert site.moved.sum() == 20
    assert site.numbers.shape == (400, 3 if name == "THREE" else 4)


def test_every_site_has_rows_of_the_rarest_kind(topic):
    rng = np.random.default_rng(0)
    mix = topic.Mix((0.985, 0.015))
    counts = [np.bincount(topic.made(rng, mix).kind, minlength=2)[1] for _ in range(200)]
    assert min(counts) == topic.LEAST


def test_numbers_depend_on_the_kind_where_said_and_moved_rows_are_far(topic):
    def spread(site):
        return np.mean([site.numbers[site.kind == k].mean(axis=0) for k in range(4)], axis=1).std()

    assert spread(drawn(topic, topic.SHARED)) < 0.3
    assert spread(drawn(topic, topic.OWN)) > 0.6
    site = drawn(topic, topic.SHARED, n_moved=20)
    away = np.abs(site.numbers - np.median(site.numbers, axis=0)).mean(axis=1)
    assert away[site.moved].mean() > 2 * away[~site.moved].mean()


def test_encodings_are_what_their_names_say(topic):
    site = drawn(topic, topic.OWN)
    kinds = np.eye(4)[site.kind]
    for name, columns in (
        (topic.ONE_HOT, kinds),
        (topic.TENTH, 0.1 * kinds),
        (topic.FREQUENT, kinds[:, :2]),
        (topic.NONE, kinds[:, :0]),
        (topic.DOMAIN, kinds[:, :0]),
    ):
        X = topic.ENCODINGS[name](site)
        np.testing.assert_array_equal(X, np.hstack([site.numbers, columns]))
    centred = topic.ENCODINGS[topic.CENTRED](site)
    assert all(np.allclose(centred[site.kind == k].mean(axis=0), 0) for k in range(4))
    assert np.ptp(site.numbers - centred, axis=0).min() > 0
    np.testing.assert_array_equal(topic.DOMAINS[topic.POOLED](np.arange(4)), [0, 1, 2, 2])


def test_domains_of_training_are_kinds_of_sites(topic):
    sites = [drawn(topic, topic.FEW) for _ in range(2)]
    counts = np.bincount(sites[0].kind)
    pooled = [*counts[:2], counts[2] + counts[3]]
    assert [len(X) for X in topic._rows(sites, topic.DOMAIN)] == [*counts] * 2
    assert [len(X) for X in topic._rows(sites, topic.POOLED)] == pooled * 2
    assert [len(X) for X in topic._rows(sites, topic.NONE)] == [400] * 2


def test_blocks_have_the_means_of_the_seeds(topic):
    records = [
        {"seed": seed, "case": case, "encoding": encoding, **dict.fromkeys(topic.FIGURES, 0.1)}
        for seed in (0, 1)
        for case, (_, encodings) in topic.CASES.items()
        for encoding in encodings
    ]
    first = [r for r in records if (r["case"], r["encoding"]) == (topic.SHARED, topic.ONE_HOT)]
    first[0]["flagged_rare"], first[1]["flagged_rare"] = 0.3, 0.62
    first[0]["auroc"] = 0.9
    blocks = topic.blocks({"found": records})
    lines = blocks["four kinds"].splitlines()
    assert lines[3] == f"| {topic.ONE_HOT} | **.46** | .10 | .10 | .10 | .10 | .500 |"
    assert blocks["four kinds"].count("**") == 2
    assert len(lines) == 2 + 2 + 12
    assert f".30 to .62 with {topic.ONE_HOT}, .10 to .10 with" in blocks["seeds"]
    assert "it differs by .00 at most" in blocks["seeds"]
    assert len(blocks["few rows"].splitlines()) == 2 + 4


def test_a_look_is_measured_and_drawn(topic, tmp_path):
    from bench_guide import main

    main(["--topics", "categories", "--quick", f"--save={tmp_path}"])
    found = json.loads((tmp_path / "guide-categories.json").read_text(encoding="utf-8"))
    assert (tmp_path / "guide-categories.png").read_bytes().startswith(b"\x89PNG")
    assert len(found["found"]) == sum(len(encodings) for _, encodings in topic.CASES.values())
    assert all(0 <= r[name] <= 1 for r in found["found"] for name in topic.FIGURES)
