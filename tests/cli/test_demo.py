"""The demo, and docs/command_line.md, whose commands are run as they stand there."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from command_line import run

PAGE = (Path(__file__).parents[2] / "docs" / "command_line.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What the page says that each command writes, what it writes, and where it ran."""
    folder = tmp_path_factory.mktemp("page")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.M | re.S):
            first, _, said = block.partition("\n")
            name, command, *rest = shlex.split(first.removeprefix("$ "))
            assert name == "acr-sklearn"
            found[command] = said, run(command, *rest)
    return found, folder


def plain(text):
    """Lines without their figures, which differ between machines and versions."""
    return sorted(re.sub(r"[-\d.]+(\+cpu)?", "#", line) for line in text.splitlines())


def test_the_page_shows_what_the_commands_write(shown):
    found, _ = shown
    assert {command: done.code for command, (_, done) in found.items()} == {
        "demo": 0,
        "info": 0,
        "score": 0,
        "fit": 1,
    }
    for said, done in found.values():
        assert plain(said) == plain(done.out + done.err)


def test_the_demo_finds_its_faults(shown):
    scores = pd.read_csv(shown[1] / "machines" / "scores.csv")
    assert f"\n{','.join(scores.columns)}\n" in PAGE
    assert (scores["label"][:8] < 0).mean() >= 0.75
    assert (scores["label"][8:] < 0).mean() < 0.05
    assert scores["time"][0] == "2026-01-01T00"


def test_the_list_of_the_demo_is_mostly_its_faults(shown):
    scores = pd.read_csv(shown[1] / "machines" / "list.csv")
    assert f"\n{','.join(scores.columns)}\n" in PAGE
    assert scores["listed"][:8].sum() >= 6
    assert scores["listed"][8:].sum() <= 2


def test_the_commands_that_it_names_run(shown, monkeypatch):
    found, folder = shown
    monkeypatch.chdir(folder)
    lines = [line for line in found["demo"][1].out.splitlines() if line.startswith("  acr-skl")]
    for name, *rest in map(shlex.split, lines):
        assert name == "acr-sklearn"
        assert run(*rest).code == 0
    assert (folder / "machines" / "report.html").is_file()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("x")
    done = run("demo", tmp_path)
    assert done.code == 1
    assert "is not empty" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
