"""Axes and colours that all displays share; the only door to matplotlib."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, tzinfo
from typing import Any

__all__ = [
    "ANOMALY",
    "GREY",
    "MEAN",
    "NORMAL",
    "add_legend",
    "date_axis",
    "domain_lines",
    "draw_svg",
    "open_axes",
    "open_panels",
    "open_pyplot",
]

#: Okabe and Ito's colours, which readers with any colour vision can tell apart.
NORMAL, ANOMALY, MEAN, GREY = "#0072B2", "#D55E00", "#000000", "#999999"
_SEVERAL = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#666666")
_DASHES = ("-", "--", ":")
#: Above this many domains their lines are grey, and only the mean is named.
_MOST_NAMED = 8


def open_pyplot(*, who: str) -> Any:
    """Import matplotlib.

    Parameters
    ----------
    who : str
        For the message.

    Returns
    -------
    module
        ``matplotlib.pyplot``.

    Raises
    ------
    ImportError
        When matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            f"{who} draws with matplotlib, which is not installed: "
            "pip install matplotlib, or this package with its extra [plot]."
        ) from error
    return pyplot


def open_axes(ax: Any, *, who: str) -> tuple[Any, Any]:
    """Take the axes given, or open a figure.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        None opens a figure of its own.
    who : str
        For the message.

    Returns
    -------
    ax : matplotlib.axes.Axes
        Without the frame's upper and right line.
    figure : matplotlib.figure.Figure
        That of the axes.

    Raises
    ------
    ImportError
        When matplotlib is not installed.
    """
    pyplot = open_pyplot(who=who)
    if ax is None:
        _, ax = pyplot.subplots(layout="constrained")
    ax.spines[["top", "right"]].set_visible(False)
    return ax, ax.figure


def open_panels(ax: Any, n_panels: int, *, who: str) -> tuple[list[Any], Any]:
    """Open a figure with panels below one another, or take the axes given as the only one.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        None opens a figure of its own.
    n_panels : int
        How many.
    who : str
        For the messages.

    Returns
    -------
    axes : list of matplotlib.axes.Axes
        From the top, without the frames' upper and right lines.
    figure : matplotlib.figure.Figure
        That of the axes.

    Raises
    ------
    ImportError
        When matplotlib is not installed.
    ValueError
        For axes given where several panels are needed.
    """
    if ax is not None and n_panels > 1:
        raise ValueError(
            f"{who} got ax= and rows of {n_panels} domains, each of which needs a panel of its "
            "own. Leave ax out, or pass the rows of one domain."
        )
    if n_panels == 1:
        ax, figure = open_axes(ax, who=who)
        return [ax], figure
    pyplot = open_pyplot(who=who)
    size = (6.4, 1.0 + 1.7 * n_panels)
    figure, axes = pyplot.subplots(n_panels, figsize=size, layout="constrained")
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    return list(axes), figure


def draw_svg(draw: Callable[[Any], Any], size: tuple[float, float], *, who: str) -> str:
    """Draw a picture that stands by itself, for a page: no window, no backend, no figure kept.

    Parameters
    ----------
    draw : callable
        Draws on the axes that it is given.
    size : tuple of float
        Width and height in inches.
    who : str
        For the message.

    Returns
    -------
    str
        The picture as SVG; the same text for the same picture.

    Raises
    ------
    ImportError
        When matplotlib is not installed.
    """
    open_pyplot(who=who)
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "acr_sklearn"}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        held = io.StringIO()
        figure.savefig(held, format="svg", metadata={"Date": None})
    return held.getvalue()


def add_legend(ax: Any, loc: str = "best") -> None:
    """Name what was drawn, on a ground that lines shine through but do not disturb."""
    ax.legend(framealpha=0.8, edgecolor="none", fontsize="small", loc=loc)


def date_axis(ax: Any, zone: tzinfo | None = None) -> None:
    """Label a horizontal axis of time stamps of UTC with few and short dates of a zone."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    zone = UTC if zone is None else zone
    locator = AutoDateLocator(tz=zone, minticks=3, maxticks=8)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))


def domain_lines(labels: Sequence[Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield each domain's label and how its line is drawn.

    Parameters
    ----------
    labels : sequence of n_domains labels
        None is a single domain without a name.

    Yields
    ------
    label : object
        As given.
    style : dict
        For `Axes.plot`: a colour, a width, a legend entry unless there are more than 8 domains.
    """
    for i, label in enumerate(labels):
        if len(labels) > _MOST_NAMED:
            yield label, {"color": GREY, "linewidth": 0.8, "alpha": 0.7}
        else:
            named = {} if label is None else {"label": str(label)}
            dash = _DASHES[i % len(_DASHES)]
            yield label, {"color": _SEVERAL[i], "linewidth": 1.5, "linestyle": dash, **named}
