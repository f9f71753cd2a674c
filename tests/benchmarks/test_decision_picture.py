"""The picture of docs/is_this_for_me.md is what its script draws, and every line fits its box."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import acr_sklearn

ROOT = Path(__file__).parents[2]


@pytest.fixture
def decision(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from page import decision

    return decision


def test_the_file_is_what_the_script_draws(decision):
    assert decision.PICTURE.read_text(encoding="utf-8") == decision.draw()
    ET.fromstring(decision.draw())


def test_what_is_called_of_this_package_is_of_it_and_on_the_page(decision):
    page = (ROOT / "docs" / "is_this_for_me.md").read_text(encoding="utf-8")
    for question in (*decision.QUESTIONS, decision.LAST):
        name = question.use[0]
        assert hasattr(acr_sklearn, name) == question.ours
        assert not question.ours or f"[`{name}" in page


def test_lines_are_short_enough_for_their_boxes(decision):
    # An average letter of Helvetica is half as wide as high, a bold one .54: 15 pixels high here.
    for question in decision.QUESTIONS:
        assert max(map(len, question.asked)) * 7.5 < decision.QUESTION_WIDTH - 10
        answer = decision.WIDTH - decision.MARGIN - decision.ANSWER_LEFT - 10
        assert max(map(len, question.use)) * 8.1 < answer
        assert max(map(len, question.why)) * 7.5 < answer


def test_it_has_a_background_of_its_own(decision):
    first = re.search(r"<rect [^>]*>", decision.draw())[0]
    assert f'fill="{decision.PAPER}"' in first
    assert f'width="{decision.WIDTH}"' in first
