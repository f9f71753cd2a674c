"""The code of docs/resad.md runs as it stands, and finds what the page says."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "resad.md"


@pytest.fixture(scope="module")
def names():
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    assert len(blocks) == 4
    namespace = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), namespace)
    return namespace


def test_four_references_find_what_is_broken(names):
    assert names["auroc"] > 0.9
    assert names["flags"] < 0.4


def test_contributions_and_a_report_say_why(names):
    assert names["contributions"].shape == names["broken"].shape
    assert len(names["worst"]) == 5


def test_known_faults_are_learnt_from(names):
    assert names["told"].adapt(names["new"][:4]).score(names["X"], names["y"]) > 0.9


def test_the_changed_position_of_the_changed_image_stands_out(names):
    maps = names["maps"]
    assert maps[0, 1, 2] == maps.max()
