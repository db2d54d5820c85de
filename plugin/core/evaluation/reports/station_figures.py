"""Figures about stations: scores as boxes, series with intervals, distances to the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .figures import (
    BLUE,
    DARK,
    FONT,
    GREY,
    SERIES_COLOURS,
    SERIES_MARKERS,
    VERMILION,
    new_figure,
    plain_text,
    short_text,
    style_axes,
)

_COLUMNS = 2
_LONGEST = 26


@dataclass(frozen=True, eq=False)
class Series:
    """Readings and predictions of one station, in order of time.

    Attributes
    ----------
    name : str
    date : (d,) datetime64[D]
        Days, each once.
    predicted, low, high : (d,) float64
        Means over the day's rows; the bounds of the 90 % interval are NaN without calibration.
    read : (n,) datetime64[D]
    measured : (n,) float64
    rmse : float
    baseline : (d,) float64 or None
    """

    name: str
    date: np.ndarray
    predicted: np.ndarray
    low: np.ndarray
    high: np.ndarray
    read: np.ndarray
    measured: np.ndarray
    rmse: float
    baseline: np.ndarray | None = None


def box_figure(
    groups: Sequence[str],
    series: Mapping[str, Sequence[Sequence[float]]],
    label: str,
    *,
    least: float | None = None,
) -> Figure:
    """A score of stations as boxes, by group and source.

    Boxes hold the middle half, whiskers reach 1.5 times its height, dots lie beyond. The number of
    stations stands beside each group.

    Parameters
    ----------
    groups : sequence of g str
    series : mapping of source to g sequences of values
    label : str
        The score, with unit.
    least : float, optional
        Where the axis ends at the latest.
    """
    height = 0.95 + len(groups) * (0.2 + 0.2 * len(series)) + 0.2 * (len(series) > 1)
    figure, axes = new_figure(4.6, height)
    wide = 0.76 / len(series)
    for place, (name, values) in enumerate(series.items()):
        colour = SERIES_COLOURS[(place + 1) % len(SERIES_COLOURS)]
        at = np.arange(len(groups)) + (place - (len(series) - 1) / 2) * wide
        drawn = axes.boxplot(
            [list(v) for v in values], positions=at, widths=0.8 * wide, patch_artist=True,
            manage_ticks=False, vert=False,
            flierprops={"marker": ".", "markersize": 4, "markeredgecolor": GREY},
            medianprops={"color": DARK, "linewidth": 1.4},
            whiskerprops={"color": GREY}, capprops={"color": GREY},
        )  # fmt: skip
        for box in drawn["boxes"]:
            box.set(facecolor=colour, alpha=0.55, edgecolor=GREY)
        axes.plot([], [], color=colour, linewidth=6, alpha=0.55, label=plain_text(name))
    sizes = [max(len(values[i]) for values in series.values()) for i in range(len(groups))]
    axes.set_yticks(range(len(groups)))
    axes.set_yticklabels(
        [f"{plain_text(short_text(g, _LONGEST))} ({n})" for g, n in zip(groups, sizes)],
        fontsize=FONT - 1,
    )
    axes.set_ylim(len(groups) - 0.5, -0.5)
    low, high = axes.get_xlim()
    if least is not None and low < least:
        highest = max(v for values in series.values() for one in values for v in one)
        low = least
        axes.set_xlim(least, max(highest, 0.0) + 0.1)
    if low < 0 < high:
        axes.axvline(0, color=DARK, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel(label)
    if len(series) > 1:
        axes.legend(
            frameon=False, fontsize=FONT - 1, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncol=2,
            borderaxespad=0.1,
        )  # fmt: skip
    return figure


def month_figure(
    months: Sequence[str], series: Mapping[str, Sequence[float | None]], label: str
) -> Figure:
    """A score by month, one line a source.

    Parameters
    ----------
    months : sequence of m str
    series : mapping of source to m values
        None where the month has none.
    label : str
    """
    figure, axes = new_figure(4.6, 2.9)
    place = np.arange(len(months))
    for i, (name, values) in enumerate(series.items()):
        axes.plot(
            place, np.array([np.nan if v is None else v for v in values]), linewidth=1.4,
            color=SERIES_COLOURS[(i + 1) % len(SERIES_COLOURS)], marker=SERIES_MARKERS[i + 1],
            markersize=4.5, label=plain_text(name),
        )  # fmt: skip
    step = -(-len(months) // 8)
    axes.set_xticks(place[::step])
    axes.set_xticklabels(months[::step])
    low, high = axes.get_ylim()
    if low < 0 < high:
        axes.axhline(0, color=DARK, linewidth=0.8)
    elif low > 0:
        axes.set_ylim(bottom=0)
    axes.set_ylabel(label)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=FONT - 1, loc="best")
    return figure


def series_figure(stations: Sequence[Series], baseline: str = "baseline") -> Figure:
    """Measured and predicted moisture over time, one panel a station, with the 90 % interval."""
    rows = -(-len(stations) // _COLUMNS)
    figure = Figure(figsize=(10.6, 0.5 + 1.75 * rows), constrained_layout=True)
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).reshape(-1)
    for axes, one in zip(panels, stations):
        _draw_series(axes, one, baseline)
    for axes in panels[len(stations) :]:
        axes.set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.suptitle(" ", fontsize=FONT + 5)  # keeps a line for the legend
    figure.legend(handles, labels, loc="upper left", ncol=4, frameon=False, fontsize=FONT - 1)
    figure.supylabel("soil moisture (m³ m⁻³)", fontsize=FONT)
    return figure


def _draw_series(axes: Any, one: Series, baseline: str) -> None:
    style_axes(axes)
    days = one.date.astype("datetime64[s]").astype(object)
    if np.isfinite(one.low).any():
        axes.fill_between(
            days, one.low, one.high, color=BLUE, alpha=0.18, linewidth=0, label="90 % interval"
        )
    axes.plot(days, one.predicted, color=BLUE, linewidth=1.2, label="predicted")
    if one.baseline is not None:
        axes.plot(
            days, one.baseline, color=GREY, linewidth=0.9, linestyle="--",
            label=plain_text(baseline),
        )  # fmt: skip
    axes.plot(
        one.read.astype("datetime64[s]").astype(object), one.measured, linestyle="none",
        marker="o", markersize=2.6, color=VERMILION, label="measured",
    )  # fmt: skip
    title = f"{plain_text(one.name)}, RMSE {one.rmse:.3f}"
    axes.set_title(title, fontsize=FONT, loc="left")
    locator = AutoDateLocator(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.xaxis.get_offset_text().set_size(FONT - 1)


def distance_figure(series: Mapping[str, np.ndarray], label: str, share: str) -> Figure:
    """Shares up to a distance, one line a set of rows or stations."""
    figure, axes = new_figure(4.6, 3.4)
    for place, (name, values) in enumerate(series.items()):
        ordered = np.sort(values[np.isfinite(values)])
        part = 100 * np.arange(1, ordered.size + 1) / max(1, ordered.size)
        axes.step(
            ordered, part, where="post", linewidth=1.5, label=plain_text(name),
            color=SERIES_COLOURS[place % len(SERIES_COLOURS)],
        )  # fmt: skip
    axes.set_xlabel(label)
    axes.set_ylabel(share)
    axes.set_ylim(0, 101)
    axes.set_xlim(left=0)
    axes.legend(frameon=False, fontsize=FONT - 1, loc="lower right")
    return figure
