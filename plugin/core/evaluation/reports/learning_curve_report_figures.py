"""Figures of the learning curve: medians over draws, and from the smallest to the largest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from ...models.learning_curve_scores import CurveRow, values_of
from .figures import DARK, FONT, GREY, SERIES_COLOURS, SERIES_MARKERS, style_axes

_APART = 1.035  # ranges of designs stand this much beside each other, as a ratio


def error_figure(rows: Sequence[CurveRow], designs: Sequence[str], counts: Sequence[int]) -> Figure:
    """RMSE against the number of spiking stations, one line a design.

    Parameters
    ----------
    rows : sequence of CurveRow
    designs : sequence of str
    counts : sequence of int
        Ascending, above 0.
    """
    figure = Figure(figsize=(5.6, 4.2), constrained_layout=True)
    axes = figure.add_subplot(1, 1, 1)
    _draw(axes, rows, "rmse", designs, counts)
    axes.set_ylabel("RMSE at unseen stations (m³ m⁻³)", size=FONT)
    axes.set_ylim(bottom=0)
    _dress(axes, counts)
    _legend(axes, designs)
    return figure


def interval_figure(
    rows: Sequence[CurveRow], designs: Sequence[str], counts: Sequence[int]
) -> Figure:
    """Coverage and mean width of the 90 % interval against the number of spiking stations.

    Parameters as in `error_figure`.
    """
    figure = Figure(figsize=(5.6, 4.2), constrained_layout=True)
    above, below = figure.subplots(2, 1, sharex=True)
    above.axhline(90, color=DARK, linewidth=0.9)
    _draw(above, rows, "picp90", designs, counts, factor=100.0)
    _draw(below, rows, "width90", designs, counts)
    above.set_ylabel("inside (%)", size=FONT)
    above.set_ylim(0, 103)
    below.set_ylabel("width (m³ m⁻³)", size=FONT)
    below.set_ylim(bottom=0)
    for axes in (above, below):
        _dress(axes, counts)
    above.set_xlabel("")
    _legend(above, designs)
    return figure


def _draw(
    axes: Any,
    rows: Sequence[CurveRow],
    score: str,
    designs: Sequence[str],
    counts: Sequence[int],
    factor: float = 1.0,
) -> None:
    before = factor * values_of(rows, score, "global")
    if np.isfinite(before).all():
        axes.axhspan(before.min(), before.max(), color=GREY, alpha=0.15, linewidth=0)
        axes.axhline(float(np.median(before)), color=GREY, linewidth=1.4)
    for place, design in enumerate(designs):
        colour = SERIES_COLOURS[place % len(SERIES_COLOURS)]
        x = np.asarray(counts, float) * _APART ** (place - (len(designs) - 1) / 2)
        low, middle, high = _spread(rows, score, "spiked", design, counts, factor)
        axes.vlines(x, low, high, color=colour, linewidth=2.2, alpha=0.35)
        marker = SERIES_MARKERS[place % len(SERIES_MARKERS)]
        axes.plot(x, middle, color=colour, marker=marker, markersize=4.5, linewidth=1.5)
        _, alone, _ = _spread(rows, score, "local", design, counts, factor)
        axes.plot(x, alone, color=colour, linewidth=1.1, linestyle=(0, (4, 2.5)))


def _spread(
    rows: Sequence[CurveRow],
    score: str,
    model: str,
    design: str,
    counts: Sequence[int],
    factor: float,
) -> np.ndarray:
    """Return smallest, median and largest over the draws, (3, counts)."""
    columns = []
    for count in counts:
        values = factor * values_of(rows, score, model, design, count)
        columns.append([values.min(), np.median(values), values.max()])
    return np.array(columns).T


def _dress(axes: Any, counts: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(counts)))
    axes.xaxis.set_major_formatter(FixedFormatter([str(count) for count in counts]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(min(counts) / 1.25, max(counts) * 1.25)
    axes.set_xlabel("spiking stations", size=FONT)
    style_axes(axes)


def _legend(axes: Any, designs: Sequence[str]) -> None:
    lines = [
        Line2D(
            [],
            [],
            color=SERIES_COLOURS[i % len(SERIES_COLOURS)],
            marker=SERIES_MARKERS[i % len(SERIES_MARKERS)],
            markersize=4.5,
            label=design,
        )
        for i, design in enumerate(designs)
    ]
    lines.append(Line2D([], [], color=GREY, linewidth=1.4, label="global model"))
    lines.append(Line2D([], [], color=DARK, linewidth=1.1, linestyle="--", label="local only"))
    axes.legend(
        handles=lines,
        frameon=False,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncol=3,
        fontsize=FONT - 1,
    )
