"""Figures about stations: scores as boxes, series with intervals, distances to the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from .figures import BLUE, DARK, GREY, SERIES_COLOURS, VERMILION, new_figure, plain_text, style_axes

_FONT = 9
_COLUMNS = 2


@dataclass(frozen=True)
class Series:
    """Readings and predictions of one station, in order of time.

    Attributes
    ----------
    name : str
    date : (n,) datetime64[D]
    measured, predicted : (n,) float64
    low, high : (n,) float64
        Bounds of the 90 % interval; NaN without calibration.
    baseline : (n,) float64 or None
    """

    name: str
    date: np.ndarray
    measured: np.ndarray
    predicted: np.ndarray
    low: np.ndarray
    high: np.ndarray
    baseline: np.ndarray | None = None


def box_figure(
    groups: Sequence[str], series: Mapping[str, Sequence[Sequence[float]]], label: str
) -> Figure:
    """A score of stations as boxes, by group and source.

    Boxes hold the middle half, whiskers reach 1.5 times its height, dots lie beyond. The number of
    stations stands below each group.

    Parameters
    ----------
    groups : sequence of g str
    series : mapping of source to g sequences of values
    label : str
        The score, with unit.
    """
    figure, axes = new_figure(max(3.6, 1.2 + 0.75 * len(groups)), 3.1)
    wide = 0.7 / len(series)
    for place, (name, values) in enumerate(series.items()):
        colour = SERIES_COLOURS[(place + 1) % len(SERIES_COLOURS)]
        at = np.arange(len(groups)) + (place - (len(series) - 1) / 2) * wide
        drawn = axes.boxplot(
            [list(v) for v in values], positions=at, widths=0.85 * wide, patch_artist=True,
            manage_ticks=False,
            flierprops={"marker": ".", "markersize": 3, "markeredgecolor": GREY},
            medianprops={"color": DARK, "linewidth": 1.4},
            whiskerprops={"color": GREY}, capprops={"color": GREY},
        )  # fmt: skip
        for box in drawn["boxes"]:
            box.set(facecolor=colour, alpha=0.55, edgecolor=GREY)
        axes.plot([], [], color=colour, linewidth=6, alpha=0.55, label=plain_text(name))
    first = next(iter(series.values()))
    axes.set_xticks(range(len(groups)))
    axes.set_xticklabels(
        [f"{plain_text(g)}\n({len(v)})" for g, v in zip(groups, first)], fontsize=_FONT - 1
    )
    low, high = axes.get_ylim()
    if low < 0 < high:
        axes.axhline(0, color=DARK, linewidth=0.8)
    axes.set_ylabel(label)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=_FONT - 1, loc="best")
    return figure


def series_figure(stations: Sequence[Series]) -> Figure:
    """Measured and predicted moisture over time, one panel a station, with the 90 % interval."""
    rows = -(-len(stations) // _COLUMNS)
    figure = Figure(figsize=(9.2, 0.5 + 1.75 * rows), constrained_layout=True)
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).reshape(-1)
    for axes, one in zip(panels, stations):
        style_axes(axes)
        order = np.argsort(one.date, kind="stable")
        days = one.date[order].astype("datetime64[s]").astype(object)
        if np.isfinite(one.low).any():
            axes.fill_between(
                days, one.low[order], one.high[order], color=BLUE, alpha=0.18, linewidth=0,
                label="90 % interval",
            )  # fmt: skip
        axes.plot(days, one.predicted[order], color=BLUE, linewidth=1.2, label="predicted")
        if one.baseline is not None:
            axes.plot(
                days, one.baseline[order], color=GREY, linewidth=0.9, linestyle="--",
                label="baseline",
            )  # fmt: skip
        axes.plot(
            days, one.measured[order], linestyle="none", marker="o", markersize=2.6,
            color=VERMILION, label="measured",
        )  # fmt: skip
        axes.set_title(plain_text(one.name), fontsize=_FONT, loc="left")
        locator = AutoDateLocator(minticks=3, maxticks=7)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    for axes in panels[len(stations) :]:
        axes.set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.suptitle(" ", fontsize=_FONT)  # keeps a line for the legend
    figure.legend(handles, labels, loc="upper right", ncol=4, frameon=False, fontsize=_FONT - 1)
    figure.supylabel("soil moisture (m³ m⁻³)", fontsize=_FONT)
    return figure


def distance_figure(series: Mapping[str, np.ndarray], label: str) -> Figure:
    """Shares of rows up to a distance, one line a set of rows."""
    figure, axes = new_figure(4.2, 3.4)
    for place, (name, values) in enumerate(series.items()):
        ordered = np.sort(values[np.isfinite(values)])
        share = 100 * np.arange(1, ordered.size + 1) / max(1, ordered.size)
        axes.step(
            ordered, share, where="post", linewidth=1.5, label=plain_text(name),
            color=SERIES_COLOURS[place % len(SERIES_COLOURS)],
        )  # fmt: skip
    axes.set_xlabel(label)
    axes.set_ylabel("rows (%)")
    axes.set_ylim(0, 101)
    axes.set_xlim(left=0)
    axes.legend(frameon=False, fontsize=_FONT - 1, loc="lower right")
    return figure
