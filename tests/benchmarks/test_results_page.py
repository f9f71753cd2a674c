"""The results pages are what their generator makes of the committed files, and nothing else."""

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


def test_the_pages_are_made_from_the_committed_files():
    from results_page import DOCS, pages

    assert DOCS == ROOT / "docs"
    made = pages(RESULTS)
    for name, text in made.items():
        assert (DOCS / name).read_text() == text, "run `make results-page`"
    kept = {f"results/{path.name}" for path in (DOCS / "results").iterdir()}
    assert kept == made.keys() - {"results.md"}


def test_the_command_writes_the_pages(tmp_path, capsys):
    from results_page import main, pages

    main([f"--results={RESULTS}", f"--docs={tmp_path / 'docs'}"])
    for name, text in pages(RESULTS).items():
        assert (tmp_path / "docs" / name).read_text() == text
    assert "explains no loss" not in capsys.readouterr().err


def test_the_headline_is_that_of_the_committed_files():
    from page.headline import END, START
    from results_page import HEADLINES, headline

    for name, (docs, results) in HEADLINES.items():
        text = (ROOT / "docs" / name).read_text()
        found = text.split(START)[1].split(END)[0].strip()
        assert found == headline(RESULTS, docs, results), "run `make results-page`"


def test_the_headline_says_who_is_ahead(copied):
    from page.headline import headline

    def slower(content):
        content["methods"]["iforest"]["auroc"]["mean"] = 0.99

    _change(copied / "native.json", slower)
    (copied / "synthesis.json").unlink()
    lines = headline(copied, "docs", "results").splitlines()
    assert "| 0.990 | IsolationForest 0.990 | -0.1" in lines[2]
    assert len(lines) == len(headline(RESULTS, "docs", "results").splitlines()) - 1


def test_a_page_without_a_place_is_refused():
    from page.headline import written_into

    with pytest.raises(ValueError, match="no place for the headline"):
        written_into("# A page", "")


def test_the_page_with_the_answer_can_be_read_and_leads_to_all_others():
    from results_page import pages

    made = pages(RESULTS)
    answer = made["results.md"]
    assert len(answer.splitlines()) <= 100
    for name in made.keys() - {"results.md"}:
        assert f"]({name})" in answer
        assert "[Results](../results.md)" in made[name]


def test_figures_come_from_the_files(copied):
    from results_page import pages

    def method(content):
        content["sets"]["digits"]["methods"]["acr"]["auroc"]["natural"] = 7.12345

    def machine(content):
        content["run"]["machine"]["processor"] = "Abacus"

    def step(content):
        content["step_seconds"]["package"] = 7.7777

    def real(content):
        content["methods"]["acr"]["auroc"]["mean"] = 5.4321

    def flagged(content):
        content["thresholds"]["acr"]["train, 0.1"]["f1"]["mean"] = 6.5432

    for name, change, shown, on in (
        ("quality-validation.json", method, "| 7.123 |", "results/quality-validation.md"),
        ("quality-validation.json", machine, "Abacus", "results/runs.md"),
        ("quality-test.json", method, "| digits | **7.123** |", "results.md"),
        ("train.json", step, "| 7777.7 |", "results/speed.md"),
        ("native.json", real, "| 5.432 |", "results.md"),
        ("native.json", real, "| 5.432 |", "results/native.md"),
        ("native.json", flagged, "| ours: train, 0.1 | 6.543 |", "results.md"),
        ("native.json", flagged, "| 6.543 |", "results/native.md"),
    ):
        shutil.copy(RESULTS / name, copied / name)
        assert shown not in pages(copied)[on]
        _change(copied / name, change)
        assert shown in pages(copied)[on]


def test_a_point_of_a_curve_changes_table_and_reading(copied):
    from results_page import pages

    before = pages(copied)["results/curves.md"].splitlines()

    def collapse(content):
        series = content["share"]["sets"]["digits"]["acr"]
        series[0]["mean"] = 0.0123

    _change(copied / "curves.json", collapse)
    after = pages(copied)["results/curves.md"].splitlines()
    changed = [line for line in after if line not in before]
    assert len(changed) == 2
    assert changed[0].startswith("AUROC of ACR from the fewest")
    assert "| 0.012 |" in changed[1]


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("native.json", 2),
        ("quality-test.json", 3),
        ("quality-validation.json", 1),
        ("surfaces-test.json", 1),
        ("surfaces-validation.json", 1),
        ("curves.json", 1),
        ("train.json", 1),
        ("conv.json", 1),
        ("test-runs.json", 1),
    ],
)
def test_what_is_missing_is_said_to_be_not_measured(copied, name, times):
    from page.runs import FILES
    from results_page import pages

    def unmeasured():
        return "".join(pages(copied).values()).count("Not measured.")

    before = unmeasured()
    (copied / name).unlink()
    assert unmeasured() == before + times
    if name in FILES:
        assert f"| {FILES[name]} | `{name}` | not measured |" in pages(copied)["results/runs.md"]


def test_nothing_measured_is_a_set_of_pages_too(tmp_path):
    from results_page import pages

    found = pages(tmp_path)
    assert found["results.md"].count("Not measured.") == 5
    assert all("Not measured." in text for text in found.values())


def test_a_missing_curve_is_named(copied):
    from results_page import pages

    _change(copied / "curves.json", lambda content: content.pop("norm"))
    assert "## Normalisation\n\nNot measured." in pages(copied)["results/curves.md"]


def test_tables_from_before_the_consensus_say_that_they_are_of_the_former_default():
    from page.runs import FORMER, measured
    from results_page import pages

    run = {"commit": "abc", "date": "2026-11-22T23:32:09+00:00", "seeds": [0, 1]}
    former = 'seeds 0, 1, with the former default, `score_head="combined"`.'
    assert measured(run) == f"Measured at commit abc on 2026-11-22, {former}"
    later = run | {"date": "2026-11-25T10:37:49+00:00"}
    assert measured(later) == "Measured at commit abc on 2026-11-25, seeds 0, 1."
    made = pages(RESULTS)
    assert FORMER in made["results.md"]
    for name in ("quality-test", "quality-validation", "surfaces", "curves", "speed", "reference"):
        assert "Measured at commit " in made[f"results/{name}.md"].replace("measured", "Measured")


# -------------------------------------------------------------------- classes and synthetic kinds


def _quality(**methods):
    def means(natural, shuffled, cluster):
        return {"natural": natural, "shuffled": shuffled, "cluster": cluster}

    found = {
        name: {"rival": name.startswith("rival"), "auroc": means(*v), "ap": means(*v)}
        for name, v in methods.items()
    }
    run = {"commit": "abc", "date": "2026-12-01", "seeds": [0]}
    return {"run": run, "sets": {"made": {"methods": found}}}


def test_kinds_are_held_against_the_rival_that_is_best_in_them():
    from page.answer import of_kinds

    result = _quality(acr=(0.8, 0.9, 0.7), rival_a=(0.9, 0.1, 0.1), rival_b=(0.1, 0.7, 0.6))
    pairs = {name: {"mean": 0.5, "low": 0.4, "high": 0.6} for name in ("rival_a", "rival_b")}
    result["sets"]["made"]["against"] = {"acr": pairs}
    natural, says = of_kinds(result, "natural")
    assert "| made | **0.800** | rival_a | 0.900 | -0.100 | +0.500 | +0.400 to +0.600 |" in natural
    assert "| mean | **0.800** | rival_a | 0.900 | -0.100 |" in natural
    assert "behind the best rival on 1 of 1 sets, at worst on made (-0.100)" in says
    assert "saved no interval for these kinds" in says
    made, says = of_kinds(result, "made")
    assert "| made | **0.800** | rival_b | 0.650 | +0.150 |" in made
    assert "behind the best rival on no set" in says
    own = {"mean": 0.15, "low": 0.11, "high": 0.19}
    result["sets"]["made"]["parts"] = {"acr": {"made": {"rival_b": own}}}
    made, says = of_kinds(result, "made")
    assert "| rival_b | 0.650 | +0.150 | +0.110 to +0.190 |" in made
    assert "saved no interval" not in says


# ------------------------------------------------------------------------------- real anomalies


def _native():
    def means(value):
        return {"mean": value, "sets": {"one": value, "two": value}, "shares": {"2%": value}}

    def pair(value):
        low, high = value - 0.01, value + 0.01
        sets = {"one": value + 0.02, "two": value - 0.02}
        return {"mean": value, "low": low, "high": high, "sets": sets}

    values = {
        "acr": 0.8,
        "untrained": 0.79,
        "iforest": 0.7,
        "a": 0.75,
        "b": 0.6,
        "c": 0.5,
        "d": 0.4,
    }
    roles = {"acr": "ours", "untrained": "control"}
    against = {name: pair(0.8 - value) for name, value in values.items() if name != "acr"}
    return {
        "run": {"commit": "abc", "date": "2026-12-01", "seeds": [0]},
        "methods": {
            name: {"role": roles.get(name, "rival"), "auroc": means(v), "ap": means(1 - v)}
            for name, v in values.items()
        },
        "against": {"acr": {"auroc": against, "ap": against}},
    }


def test_the_answer_on_real_anomalies_shows_ours_controls_and_the_best_rivals():
    from page.native import answer

    table, says, _ = answer(_native())
    shown = [line.split(" | ")[0].strip("| ") for line in table.splitlines()[2:]]
    assert shown == [
        *("**ours**", "ours, untrained network", "IsolationForest", "a", "b", "c", "d")
    ], "by AUROC or by AP"
    assert "| IsolationForest | rival | 0.700 | 0.300 | +0.1000 | +0.0900 to +0.1100 |" in table
    assert "Ours minus a, in AUROC: +0.0500 (90 % interval +0.0400 to +0.0600)." in says
    assert "Ours minus IsolationForest, in AUROC: +0.1000" in says
    assert "behind IsolationForest on 0 of 2 sets, at worst on two (+0.080)" in says
    assert "What training the network adds: +0.0100 (90 % interval +0.0000 to +0.0200)." in says
    few = _native()
    del few["methods"]["d"], few["against"]["acr"]["auroc"]["d"]
    few["methods"]["c"]["ap"]["mean"] = 0.0
    assert "| c |" not in answer(few)[0], "neither among the best by AUROC nor by AP"


def test_looks_at_the_test_domains_are_counted(copied):
    from results_page import pages

    def page():
        return pages(copied)["results/runs.md"]

    (copied / "test-runs.json").write_text("[]")
    assert "Runs on the test domains so far: 0." in page()
    look = {"date": "a day", "commit": "abc", "seeds": [0, 1], "sets": ["fars"], "methods": ["acr"]}
    (copied / "test-runs.json").write_text(json.dumps([look, look]))
    found = page()
    assert "Runs on the test domains so far: 2." in found
    assert found.count("| a day | abc | 0, 1 | fars | acr |") == 2
    assert "Each is counted before it begins.\n" in found
    late = look | {"counted": "afterwards"}
    (copied / "test-runs.json").write_text(json.dumps([look, late]))
    assert "begins, but for 1 that were added afterwards." in page()


def test_aims_and_losses_on_surfaces_are_read_from_the_file(copied):
    from results_page import pages

    def section():
        page = pages(copied)["results/surfaces.md"]
        return page.split("## Defects on test surfaces")[1].split("\n## ")[0]

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
    from page.runs import load
    from results_page import DOCS

    causes = load(RESULTS, "causes.json")
    lost = set()
    for part in ("validation", "test"):
        rows = (DOCS / "results" / f"quality-{part}.md").read_text().splitlines()
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
