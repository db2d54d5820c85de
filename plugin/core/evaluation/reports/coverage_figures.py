"""Figures of interval coverage: one small panel a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...models.calibration import LEVELS
from ..group_coverage import MARK
from .figures import BLUE, DARK, FONT, GREY, VERMILION, plain_text, short_text, style_axes

_COLUMNS = 4
_LONGEST = 26
_SOFT = "#5B656D"


@dataclass(frozen=True, eq=False)
class Panel:
    """What stands in one panel.

    Attributes
    ----------
    title, rests : str
        The group, and what its curve rests on.
    observed : (L,) float64
        Coverage of the intervals of each level of `LEVELS`, 0–1.
    lighter : (L,) float64 or None
        Coverage of the intervals to compare with.
    band : (2, L) float64 or None
        Interval of `observed`.
    short : bool
        Whether the panel is marked as one whose 90 % interval does not hold.
    """

    title: str
    rests: str
    observed: np.ndarray
    lighter: np.ndarray | None = None
    band: np.ndarray | None = None
    short: bool = False


def coverage_panels(panels: Sequence[Panel]) -> Figure:
    """Observed against nominal coverage, one panel a group, all with the same axes."""
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(0.5 + 2.35 * columns, 0.4 + 2.25 * rows), constrained_layout=True)
    drawn = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).reshape(-1)
    curves = [v for p in panels for v in (p.observed, p.lighter, p.band) if v is not None]
    lowest = min(float(np.min(values)) for values in curves)
    for axes, panel in zip(drawn, panels):
        _draw(axes, panel)
        axes.set_ylim(max(0.0, 10.0 * np.floor(10.0 * min(lowest, LEVELS[0])) - 4.0), 103)
    for axes in drawn[len(panels) :]:
        axes.set_visible(False)
    for axes in drawn[max(0, len(panels) - columns) : len(panels)]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel("nominal coverage (%)", fontsize=FONT)
    figure.supylabel("measurements inside (%)", fontsize=FONT)
    return figure


def _draw(axes: Any, panel: Panel) -> None:
    style_axes(axes)
    levels = 100 * np.asarray(LEVELS)
    colour = VERMILION if panel.short else BLUE
    axes.plot([0, 100], [0, 100], color=DARK, linewidth=0.8)
    if panel.band is not None:
        low, high = 100 * panel.band
        axes.fill_between(levels, low, high, color=colour, alpha=0.18, linewidth=0)
    if panel.lighter is not None:
        axes.plot(levels, 100 * panel.lighter, color=GREY, linewidth=1.1, alpha=0.75)
    axes.plot(levels, 100 * panel.observed, color=colour, marker="o", markersize=3, linewidth=1.4)
    axes.text(
        0.97, 0.05, f"90 % held {100 * panel.observed[MARK]:.0f} %", transform=axes.transAxes,
        ha="right", va="bottom", fontsize=FONT - 1, color=colour,
        fontweight="bold" if panel.short else "normal",
    )  # fmt: skip
    title = short_text(panel.title, _LONGEST)
    axes.set_title(
        plain_text(title), fontsize=FONT, loc="left", pad=13, color=colour if panel.short else DARK
    )
    axes.text(0, 1.02, panel.rests, transform=axes.transAxes, fontsize=FONT - 1, color=_SOFT)
    axes.set_xlim(47, 102)
    axes.set_xticks([50, 60, 70, 80, 90, 100])
