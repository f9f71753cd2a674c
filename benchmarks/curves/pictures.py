"""Curves as pictures: lines over numbers, dots over names, squares for train and test sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .tables import label, tick

STYLES = {
    "acr": ("#0072B2", "o"),
    "acr, neighbors": ("#56B4E9", "v"),
    "acr, objective": ("#CC79A7", "D"),
    "iforest": ("#E69F00", "^"),
    "knn_batch": ("#009E73", "s"),
    "mahalanobis_centred": ("#555555", "P"),
    "clean batch": ("#0072B2", "o"),
}
LOGARITHMIC = {"size", "domains"}
SHADED = ("acr", "clean batch")


def draw(name: str, curve: dict[str, Any], path: Path) -> None:
    """Save the picture of a curve."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    if name == "foreign":
        fig = _squares(plt, curve)
    elif name in ("shift", "norm", "layers"):
        fig = _panels(plt, curve, _dots, 0.3 * _n_points(curve) + 0.9)
    else:
        fig = _panels(plt, curve, _lines, 2.5, name == "size", log=name in LOGARITHMIC)
    fig.suptitle(f"{curve['title']}: {curve['value']} on unseen domains", fontsize=11)
    fig.savefig(path, dpi=130)
    plt.close(fig)


def _n_points(curve: dict[str, Any]) -> int:
    return max(len(series) for one in curve["sets"].values() for series in one.values())


def _panels(
    plt: Any,
    curve: dict[str, Any],
    panel: Callable[..., None],
    height: float,
    share_x: bool = False,
    **options: Any,
) -> Any:
    sets = curve["sets"]
    n_columns = 2 if len(sets) == 4 else min(3, len(sets))
    n_rows = -(-len(sets) // n_columns)
    fig, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(0.8 + 3.5 * n_columns, height * n_rows + 0.9),
        squeeze=False,
        sharex=share_x,
        sharey=True,
        layout="constrained",
    )
    found: dict[str, Any] = {}
    for ax, (set_name, series) in zip(axes.flat, sets.items(), strict=False):
        panel(ax, series, curve, **options)
        ax.set_title(set_name, fontsize=10, weight="bold", loc="left")
        ax.grid(color="#DDDDDD", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.tick_params(labelsize=8, labelbottom=True)
        ax.spines[["top", "right"]].set_visible(False)
        handles, names = ax.get_legend_handles_labels()
        found |= dict(zip(names, handles, strict=True))
    for ax in axes.flat[len(sets) :]:
        ax.set_visible(False)
    fig.legend(
        found.values(),
        found.keys(),
        loc="outside lower center",
        ncols=min(4, 2 * n_columns),
        frameon=False,
        fontsize=8,
    )
    return fig


def _lines(ax: Any, series: dict[str, Any], curve: dict[str, Any], *, log: bool) -> None:
    flagged = curve["value"] != "AUROC"
    for method, points in series.items():
        if flagged and method != "clean batch":
            continue
        colour, marker = STYLES[method]
        xs, means = ([point[what] for point in points] for what in ("x", "mean"))
        thick = 1.8 if method == "acr" else 1.1
        ax.plot(xs, means, color=colour, marker=marker, ms=3.5, lw=thick, label=label(method))
        if method in SHADED:
            low, high = (
                [np.clip(p["mean"] + sign * p["sd"], 0, 1) for p in points] for sign in (-1, 1)
            )
            ax.fill_between(xs, low, high, color=colour, alpha=0.15, lw=0)
    if flagged:
        points = series["clean batch"]
        lowest, highest = ([point[what] for point in points] for what in ("min", "max"))
        style = {"color": STYLES["clean batch"][0], "lw": 0.8, "ls": ":"}
        ax.plot(xs, lowest, label="least and most over domains", **style)
        ax.plot(xs, highest, **style)
        ax.plot(xs, xs, color="black", lw=0.8, ls="--", label="nominal")
    if log:
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    if min(point["mean"] for points in series.values() for point in points) < 0.55 and not flagged:
        ax.axhline(0.5, color="black", lw=0.8, ls="--")
    if any(isinstance(x, float) for x in xs):
        from matplotlib.ticker import PercentFormatter

        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel(curve["x"], fontsize=8)


def _dots(ax: Any, series: dict[str, Any], curve: dict[str, Any]) -> None:
    names = [point["x"] for point in next(iter(series.values()))]
    offsets = np.linspace(-0.22, 0.22, len(series))
    for offset, (method, points) in zip(offsets, series.items(), strict=True):
        colour, marker = STYLES[method]
        places = [names.index(point["x"]) + offset for point in points]
        ax.errorbar(
            [point["mean"] for point in points],
            places,
            xerr=[point["sd"] for point in points],
            color=colour,
            marker=marker,
            ms=4,
            lw=0.8,
            ls="none",
            label=label(method),
        )
    for place in range(0, len(names), 2):
        ax.axhspan(place - 0.5, place + 0.5, color="#F3F3F3", lw=0, zorder=0)
    ax.set_yticks(range(len(names)), [tick(name) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(right=1.005)
    ax.set_xlabel(curve["value"], fontsize=8)


def _squares(plt: Any, curve: dict[str, Any]) -> Any:
    """Draw a matrix per number of features: rows trained on, columns scored on."""
    cells = {
        (*point["x"].split(", "), target): point["mean"]
        for target, series in curve["sets"].items()
        for point in series["acr"]
    }
    features = list(dict.fromkeys(size for _, size, _ in cells))
    fig, axes = plt.subplots(
        1, len(features), figsize=(4.2 * len(features), 3.4), squeeze=False, layout="constrained"
    )
    for ax, size in zip(axes.flat, features, strict=True):
        names = [n for n in curve["sets"] if (n, size, n) in cells]
        values = np.array([[cells.get((a, size, b), np.nan) for b in names] for a in names])
        ax.imshow(values, vmin=0.5, vmax=1, cmap="Blues")
        for (row, column), value in np.ndenumerate(values):
            colour = "white" if value > 0.8 else "black"
            ax.text(column, row, f"{value:.3f}", ha="center", va="center", color=colour)
        ax.set_xticks(range(len(names)), names, fontsize=8)
        ax.set_yticks(range(len(names)), names, fontsize=8)
        ax.set_title(size, fontsize=10, weight="bold", loc="left")
        ax.set_xlabel("scored on", fontsize=8)
        ax.set_ylabel("trained on", fontsize=8)
    return fig
