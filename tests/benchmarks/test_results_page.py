"""docs/results.md is what its generator makes of the committed files, and nothing else."""

import json
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture
def copied(tmp_path):
    """The committed results in a folder that a test may change."""
    return Path(shutil.copytree(RESULTS, tmp_path / "results"))


def _change(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_the_page_is_made_from_the_committed_files():
    from results_page import PAGE, page

    assert PAGE == ROOT / "docs" / "results.md"
    assert PAGE.read_text() == page(RESULTS), "run `make results-page`"


def test_the_command_writes_the_page(tmp_path, capsys):
    from results_page import main, page

    main([f"--results={RESULTS}", f"--page={tmp_path / 'page.md'}"])
    assert (tmp_path / "page.md").read_text() == page(RESULTS)
    assert "explains no loss" not in capsys.readouterr().err


def test_figures_come_from_the_files(copied):
    from results_page import page

    def method(content):
        content["sets"]["digits"]["methods"]["acr"]["auroc"]["natural"] = 7.12345

    def machine(content):
        content["run"]["machine"]["processor"] = "Abacus"

    def step(content):
        content["step_seconds"]["package"] = 7.7777

    for name, change, shown in (
        ("quality-validation.json", method, "| 7.123 |"),
        ("quality-validation.json", machine, "Abacus"),
        ("train.json", step, "| 7777.7 |"),
    ):
        assert shown not in page(copied)
        _change(copied / name, change)
        assert shown in page(copied)


def test_a_point_of_a_curve_changes_table_and_reading(copied):
    from results_page import page

    before = page(copied).splitlines()

    def collapse(content):
        series = content["share"]["sets"]["digits"]["acr"]
        series[0]["mean"] = 0.0123

    _change(copied / "curves.json", collapse)
    changed = [line for line in page(copied).splitlines() if line not in before]
    assert len(changed) == 2
    assert changed[0].startswith("AUROC of ACR from the fewest")
    assert "| 0.012 |" in changed[1]


@pytest.mark.parametrize(
    "name",
    [
        "quality-validation.json",
        "surfaces-test.json",
        "surfaces-validation.json",
        "curves.json",
        "train.json",
        "test-runs.json",
    ],
)
def test_what_is_missing_is_said_to_be_not_measured(copied, name):
    from results_page import FILES, page

    before = page(copied)
    (copied / name).unlink()
    after = page(copied)
    assert after.count("Not measured.") == before.count("Not measured.") + 1
    if name in FILES:
        assert f"| {FILES[name]} | `{name}` | not measured |" in after


def test_nothing_measured_is_a_page_too(tmp_path):
    from results_page import page

    assert page(tmp_path).count("Not measured.") == 10


def test_a_missing_curve_is_named(copied):
    from results_page import page

    _change(copied / "curves.json", lambda content: content.pop("norm"))
    assert "### Normalisation\n\nNot measured." in page(copied)


def test_looks_at_the_test_domains_are_counted(copied):
    from results_page import page

    (copied / "test-runs.json").write_text("[]")
    assert "Runs on the test domains so far: 0." in page(copied)
    look = {"date": "a day", "commit": "abc", "seeds": [0, 1], "sets": ["fars"], "methods": ["acr"]}
    (copied / "test-runs.json").write_text(json.dumps([look, look]))
    found = page(copied)
    assert "Runs on the test domains so far: 2." in found
    assert found.count("| a day | abc | 0, 1 | fars | acr |") == 2
    assert "Each is counted before it begins.\n" in found
    late = look | {"counted": "afterwards"}
    (copied / "test-runs.json").write_text(json.dumps([look, late]))
    assert "begins, but for 1 that were added afterwards." in page(copied)


def test_aims_and_losses_on_surfaces_are_read_from_the_file(copied):
    from results_page import page

    def section():
        return page(copied).split("## Defects on test surfaces")[1].split("\n## ")[0]

    def better(content):
        content["summary"]["mutual (MuSc)"]["ours_ahead"]["pro"]["mean"] = -0.7654
        content["summary"]["ZeroShotSegmenter"]["difference"]["image_auroc"]["mean"] = 0.0511
        content["summary"]["ZeroShotSegmenter"]["pixel_auroc"] = 0.8123
        content["summary"]["Gaussian, pooled"]["image_auroc"] = 0.9877

    assert "mutual (MuSc) in PRO by 0.765" not in section()
    _change(copied / "surfaces-test.json", better)
    found = section()
    assert "mutual (MuSc) in PRO by 0.765" in found
    assert "above the Gaussian per position: +0.051, reached" in found
    assert "pixel AUROC of 0.90: 0.812, not reached" in found
    assert "The strongest rival by image AUROC is Gaussian, pooled with 0.988." in found


# --------------------------------------------------------------------------------- the losses


def _method(overall, natural, cluster, rival):
    means = {"overall": overall, "natural": natural, "cluster": cluster, "spread": 0, "cells": {}}
    means |= {"seed_spread": 0, "cells": {"natural 1%": natural, "cluster 1%": cluster}}
    return {"rival": rival, "auroc": means, "ap": means}


def test_every_loss_is_listed_with_its_cause():
    from page.quality import idle_causes, loss_table, losses

    methods = {
        "acr": _method(0.8, 0.7, 0.9, rival=False),
        "better": _method(0.85, 0.9, 0.8, rival=True),
        "here and there": _method(0.75, 0.75, 0.75, rival=True),
        "worse": _method(0.6, 0.6, 0.6, rival=True),
    }
    lost = losses({"made": {"methods": methods}})
    auroc = {one["rival"]: one for one in lost if one["metric"] == "auroc"}
    assert auroc.keys() == {"better", "here and there"}
    assert auroc["better"]["overall"] == pytest.approx(-0.05)
    assert auroc["better"]["cells"] == {"natural 1%": pytest.approx(-0.2)}
    assert auroc["here and there"]["overall"] == pytest.approx(0.05)
    causes = {"made": {"better": "it knows more", "worse": "an old cause"}}
    rows = loss_table(lost, causes).splitlines()
    assert "| made | better | acr | AUROC | -0.050 | natural 1% -0.200 | it knows more |" in rows
    assert sum("not explained yet" in row for row in rows) == 2
    assert idle_causes(lost, causes) == ["made, worse"]


def test_every_loss_in_the_committed_files_is_on_the_page():
    from page.quality import NAMES, losses
    from results_page import PAGE, load

    rows = PAGE.read_text().splitlines()
    causes = load(RESULTS, "causes.json")
    lost = set()
    for part in ("validation", "test"):
        for one in losses(load(RESULTS, f"quality-{part}.json")["sets"]):
            start = f"| {one['set']} | {one['rival']} | {one['ours']} | {NAMES[one['metric']]} |"
            assert sum(row.startswith(start) for row in rows) >= 1, start
            assert causes[one["set"]][one["rival"]], start
            lost.add((one["set"], one["rival"]))
    assert lost == {(set_name, rival) for set_name, rivals in causes.items() for rival in rivals}


def test_all_rivals_are_compared_where_the_file_has_them():
    from page.quality import differences

    def pair(mean):
        return {"mean": mean, "low": -1, "high": 1, "win_share": 0.5, "n_domains": 3}

    best = {"auroc": pair(0.1) | {"rival": "a"}, "ap": pair(0.3) | {"rival": "b"}}
    figures = {"comparison": {"acr": best}}
    short = [row[:4] for row in differences(figures)]
    assert short == [["acr", "a", "AUROC", "+0.100"], ["acr", "b", "AP", "+0.300"]]
    figures["against"] = {"acr": {"a": pair(0.1), "b": pair(0.2)}}
    every = [row[:4] for row in differences(figures)]
    assert every == [short[0], ["acr", "b", "AUROC", "+0.200"], short[1]]
    assert differences(figures)[0][4:] == ["-1.000 to +1.000", "50%", "3"]
