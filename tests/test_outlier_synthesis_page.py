"""The code of docs/outlier_synthesis.md runs as it stands, and finds what the page says."""

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[1] / "docs" / "outlier_synthesis.md"


@pytest.fixture(scope="module")
def names():
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    assert len(blocks) == 3
    namespace = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), namespace)
    return namespace


def test_broken_rows_are_flagged_and_normal_ones_are_not(names):
    assert names["normal_flags"] < 0.25
    assert names["broken_flags"] > 0.8


def test_contributions_and_a_report_say_why(names):
    assert names["contributions"].shape == names["broken"].shape
    assert len(names["worst"]) == 5


def test_the_source_serves_the_zero_shot_detector(names):
    assert np.isfinite(names["zero_shot"].score_samples(names["sites"])).all()
