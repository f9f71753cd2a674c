"""The picture and the table of which detector is for which data say what the result files hold."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from which_detector import COLOURS, RESULTS, cases, draw

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "resad.md").read_text().partition("## Which detector")[2]


def test_the_table_of_the_page_has_the_figures_of_the_files():
    rows = re.findall(r"^\|.*\|.*\|(.*)\|$", PAGE, re.M)[2:]
    shown = cases(RESULTS)
    assert len(rows) == len(shown) == 6
    for row, case in zip(rows, sorted(shown, key=_place), strict=True):
        figures = re.findall(r"(?<=\s)\.\d{3}", row)
        assert 2 <= len(figures) <= len(case.auroc)
        # The one that the page advises first, then others of the same case.
        expected = [f"{value:.3f}"[1:] for value in case.auroc.values()]
        assert set(figures) <= set(expected), case
        number = case.data.split()[0]
        assert {"6": "six", "7": "seven", "8": "eight"}.get(number, number) in row


def _place(case):
    """Order of the page's rows."""
    titles = ["4 normal", "64 normal", "4 rows", "feature", "batches", "one normal"]
    return next(i for i, title in enumerate(titles) if case.title.startswith(title))


def test_means_are_over_the_sets_of_both_files(tmp_path):
    def result(**sets):
        names = ("ResAD", "ZeroShotACRDetector.adapt", "1-NN")
        made = {
            name: {m: {"4": v, "64": v} for m, v in zip(names, values, strict=True)}
            for name, values in sets.items()
        }
        return json.dumps({"sets": made})

    (tmp_path / "resad-ablations.json").write_text(result(a=(0.9, 0.8, 0.7)))
    more = json.loads(result(b=(0.5, 0.6, 0.7)))
    del more["sets"]["b"]["1-NN"]["64"]
    (tmp_path / "resad-ablations-more.json").write_text(json.dumps(more))
    four, many = cases(tmp_path)
    assert four.data == "2 sets"
    assert four.auroc == pytest.approx(
        {"ResADDetector": 0.7, "ZeroShotACRDetector": 0.7, "1-NN": 0.7}
    )
    assert (many.data, many.auroc["ResADDetector"]) == ("1 sets", 0.9)


def test_the_picture_shows_all_of_ours(tmp_path):
    assert draw(tmp_path) is None
    copied = Path(shutil.copytree(RESULTS, tmp_path / "results"))
    (copied / "which.png").unlink()
    assert draw(copied).stat().st_size > 10_000
    assert COLOURS.keys() <= {name for case in cases(copied) for name in case.auroc}
