"""The recipes run as they stand, print what they show, and do their jobs."""

import contextlib
import io
import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.M | re.S)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a function that runs a page once: names, what each block printed, what is shown."""
    mpl.use("Agg")
    known = {}

    def run_page(name):
        if name not in known:
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(tmp_path_factory.mktemp("recipe"))
                known[name] = run_blocks(DOCS / name)
        return known[name]

    return run_page


def run_blocks(page):
    names, printed, shown = {}, [], []
    for language, block in BLOCK.findall(page.read_text()):
        if language == "text":
            shown.append((len(printed) - 1, block))
            continue
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(block, page.name, "exec"), names)
        printed.append(out.getvalue())
    return names, printed, dict(shown)


RECIPES = (
    "coming_from/scikit-learn.md",
    "recipes/dataframe_with_sites.md",
    "recipes/ecg_by_patient.md",
    "recipes/images_and_defects.md",
    "recipes/machine_sound.md",
    "recipes/machines_in_csv.md",
    "recipes/sites_on_spark.md",
)


def test_every_recipe_is_run():
    assert {f"recipes/{path.name}" for path in DOCS.glob("recipes/*.md")} < set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_shown_is_what_is_printed(run, name):
    _, printed, shown = run(name)
    assert {number for number, text in enumerate(printed) if text} == set(shown)
    for number, text in shown.items():
        alike(printed[number].rstrip().split("\n"), text.rstrip().split("\n"))


def alike(printed, shown):
    """Fail for other words or figures than shown; of tables the headings and lines count."""
    assert len(printed) == len(shown)
    is_table = shown[0].startswith(" ")
    for is_line, line in zip(printed[:1] if is_table else printed, shown, strict=not is_table):
        assert NUMBER.sub("#", is_line).split() == NUMBER.sub("#", line).split()
        # Machines round otherwise: a row at a cut may fall on its other side.
        for figure, expected in zip(NUMBER.findall(is_line), NUMBER.findall(line), strict=True):
            assert float(figure) == pytest.approx(
                float(expected), abs=0.05 if "." in expected else 3
            )


def test_machines_in_csv(run):
    names, _, _ = run("recipes/machines_in_csv.md")
    alarms = names["alarms"]
    assert alarms[200:212].sum() >= 11
    assert np.delete(alarms, range(200, 212)).sum() <= 4
    assert names["fdr"].sum() <= 2
    assert set(names["report"]["row"]) <= set(range(200, 212))


def test_dataframe_with_sites(run):
    names, _, _ = run("recipes/dataframe_with_sites.md")
    chance = names["sites"]["chance"]
    assert chance["Heide"] < 0.02 < min(chance["Nord"], chance["Kamp"])
    assert names["report"].index.isin(names["faulty"]).sum() >= 7
    gap = names["gap"].to_numpy()
    median, neighbors = (names["flagged"][strategy] for strategy in ("median", "neighbors"))
    assert gap.sum() == 23
    assert median[gap].mean() > 3 * median[~gap].mean()  # the harm that the page warns of
    assert neighbors[gap].mean() < 2 * neighbors[~gap].mean()


def test_sites_on_spark(run):
    names, _, _ = run("recipes/sites_on_spark.md")
    assert names["hit"] >= 0.8 * len(names["report"]) > 0
    assert names["faulty"][names["lowest"]["row"]].mean() > 0.5


def test_the_code_for_spark_can_be_read():
    page = (DOCS / "recipes/sites_on_spark.md").read_text()
    blocks = re.findall(r"^```py\n(.*?)^```$", page, re.M | re.S)
    assert len(blocks) == 3
    for block in blocks:
        compile(block, "sites_on_spark.md", "exec")


def test_machine_sound(run):
    names, _, _ = run("recipes/machine_sound.md")
    assert set(np.argsort(names["scores"])[:8]) == set(range(8))
    assert names["alarms"][:8].sum() >= 7
    assert names["alarms"][8:].mean() <= 0.06
    bands = " ".join(names["report"]["reasons"])
    assert "2511 Hz" in bands  # next to the 2,500 Hz at which the clicks ring


def test_images_and_defects(run):
    names, _, _ = run("recipes/images_and_defects.md")
    truly = np.flatnonzero(names["masks"].any(axis=(1, 2)))
    assert set(truly) <= set(names["flagged"])
    assert len(names["flagged"]) <= len(truly) + 4
    assert names["found"]["pixel_auroc"] > 0.95
    assert set(names["report"]["image"]) == set(names["flagged"])


def test_ecg_by_patient(run):
    names, _, _ = run("recipes/ecg_by_patient.md")
    assert names["alarms"][names["odd"]].sum() >= 9
    assert names["alarms"][~names["odd"]].sum() <= 4
    assert names["called"][names["late"]].sum() >= 9
    assert names["called"][~names["late"]].mean() < 0.15


def test_coming_from_scikit_learn(run):
    worst = run("coming_from/scikit-learn.md")[0]["worst"]
    assert (worst["zero shot"] < 10).sum() > (worst["forest"] < 10).sum()
