"""Axes, colours, and the one place where matplotlib is imported."""

import sys

import pytest
from matplotlib import pyplot

from acr_sklearn import plotting
from acr_sklearn.plotting.canvas import GREY, domain_lines, open_axes


def test_axes_given_are_drawn_on_and_none_opens_a_figure():
    figure, ax = pyplot.subplots()
    assert open_axes(ax, who="me") == (ax, figure)
    own, other = open_axes(None, who="me")
    assert other is not figure
    assert own.figure is other
    pyplot.close("all")


def test_without_matplotlib_the_remedy_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"me draws with matplotlib.* extra \[plot\]"):
        open_axes(None, who="me")


def test_few_domains_are_named_and_told_apart_many_are_grey():
    few = [style for _, style in domain_lines(list("abcdefgh"))]
    assert [style["label"] for style in few] == list("abcdefgh")
    assert len({style["color"] for style in few}) == 8
    many = [style for _, style in domain_lines(range(9))]
    assert {style["color"] for style in many} == {GREY}
    assert not any("label" in style for style in many)
    [(label, style)] = domain_lines([None])
    assert label is None
    assert "label" not in style


@pytest.mark.parametrize("name", plotting.__all__)
def test_every_display_draws_from_an_estimator_and_from_what_is_at_hand(name):
    kind = getattr(plotting, name)
    ways = {way for way in dir(kind) if way.startswith("from_")}
    assert "from_estimator" in ways
    assert ways & {"from_predictions", "from_values", "from_history"}
