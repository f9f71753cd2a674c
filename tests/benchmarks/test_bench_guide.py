"""Figures of the user guide: measured, saved, and on the pages as they are in the files."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_the_pages_have_the_figures_of_the_committed_files():
    from page.guide import guide_pages, with_figures

    pages = guide_pages()
    assert "streams.md" in pages
    for name in pages:
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        assert with_figures(name, text, RESULTS) == text, "run `make results-page`"


def test_every_topic_has_a_file_and_its_page_a_link_to_it():
    from guide import TOPICS, topic

    assert {path.stem for path in RESULTS.glob("guide-*.json")} == {f"guide-{t}" for t in TOPICS}
    for name in TOPICS:
        page = (ROOT / "docs" / topic(name).PAGE).read_text(encoding="utf-8")
        assert f"](../benchmarks/results/guide-{name}.json)" in page


def test_figures_come_from_the_file(tmp_path):
    from page.guide import with_figures

    found = json.loads((RESULTS / "guide-streams.json").read_text(encoding="utf-8"))
    found["milliseconds"][0]["update"] = 77.777
    (tmp_path / "guide-streams.json").write_text(json.dumps(found), encoding="utf-8")
    text = (ROOT / "docs" / "streams.md").read_text(encoding="utf-8")
    assert "| 77.78 |" not in text
    assert "| 77.78 |" in with_figures("streams.md", text, tmp_path)


def test_a_page_without_a_place_is_refused():
    from page.guide import with_figures

    with pytest.raises(ValueError, match=r"streams\.md has places for \[\], guide-streams"):
        with_figures("streams.md", "# Streams", RESULTS)


def test_a_look_is_printed_and_saved_where_told(tmp_path, capsys):
    from bench_guide import main

    main(["--topics", "streams", "--quick", f"--save={tmp_path}"])
    found = json.loads((tmp_path / "guide-streams.json").read_text(encoding="utf-8"))
    assert found["rounds"] == 1
    assert found["run"]["seeds"] == [0]
    assert "rows of the window" in capsys.readouterr().out
