"""Figures of a comparison of two maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...errors import InputError
from ...rasters.grids import GDAL_ERRORS, Grid, crs_text, parse_crs
from ..comparison import DRIER_WETTER, Comparison
from ..comparison_statistics import PairCounts, PairMoments
from .figures import (
    BLUE,
    DARK,
    FONT,
    GREY,
    ORANGE,
    metres_per_unit,
    moisture_limits,
    plain_text,
    round_length,
    style_axes,
)

_SIDE = 3.35  # inches: three beside each other on a page
_BEYOND = "#E4E4E4"
_MOISTURE = LinearSegmentedColormap.from_list(
    "moisture", ["#8c510a", "#d8b365", "#f6e8c3", "#c7eae5", "#5ab4ac", "#2166ac"]
)
_DIFFERENCE = LinearSegmentedColormap.from_list("difference", list(DRIER_WETTER))


def map_figure(comparison: Comparison, names: tuple[str, str]) -> Figure:
    """Input and reference in one scale of colours, and their difference; rows as in the grid."""
    first, second, difference = comparison.previews
    grid = comparison.preview_grid
    aspect, metres = _scale(grid)
    ratio = aspect * grid.height / grid.width
    figure = Figure(
        figsize=(3 * _SIDE, min(6.5, max(1.9, _SIDE * ratio)) + 0.85), constrained_layout=True
    )
    both = figure.subplots(1, 3)
    low, high = _shared_ends(first, second)
    panels = (
        (first, names[0], _MOISTURE, (low, high)),
        (second, names[1], _MOISTURE, (low, high)),
        (difference, "difference", _DIFFERENCE, (-comparison.widest, comparison.widest)),
    )
    images = []
    for axes, (values, title, colours, ends) in zip(both, panels):
        shown = ListedColormap(colours(np.linspace(0, 1, 256)))
        shown.set_bad(_BEYOND)
        image = axes.imshow(
            values,
            cmap=shown,
            vmin=ends[0],
            vmax=ends[1],
            aspect=aspect,
            interpolation="nearest",
            origin="lower" if grid.transform.e > 0 else "upper",
        )
        axes.set_title(plain_text(title), size=FONT)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color(GREY)
        images.append(image)
    _bar(figure, images[0], list(both[:2]), "soil moisture (m³ m⁻³)", "both")
    _bar(figure, images[2], [both[2]], "input − reference (m³ m⁻³)", "both")
    if metres and not grid.is_rotated:
        _scale_bar(both[0], grid.width * metres)
    return figure


def distribution_figure(
    counts: PairCounts, moments: PairMoments, widest: float, names: tuple[str, str]
) -> Figure:
    """Histograms of both maps and of their difference, and one map against the other."""
    figure = Figure(figsize=(3 * _SIDE, 3.4), constrained_layout=True)
    panels = figure.subplots(1, 3)
    for axes in panels:
        style_axes(axes)
    _moistures(panels[0], counts, names)
    _differences(panels[1], counts, moments, widest)
    _density(figure, panels[2], counts, names)
    return figure


def _moistures(axes: Any, counts: PairCounts, names: tuple[str, str]) -> None:
    """Draw the share of the cells in equal steps of moisture, for both maps."""
    for bins, name, colour in zip(counts.shown[:2], names, (ORANGE, BLUE)):
        share = 100 * bins.counts / max(1, bins.counts.sum())
        axes.stairs(share, _wide(bins.edges), fill=True, color=colour, alpha=0.25)
        axes.stairs(share, _wide(bins.edges), color=colour, linewidth=1.4, label=plain_text(name))
    axes.set_xlabel("soil moisture (m³ m⁻³)")
    axes.set_ylabel("cells (%)")
    axes.set_ylim(bottom=0)
    _legend(axes, 1)


def _differences(axes: Any, counts: PairCounts, moments: PairMoments, widest: float) -> None:
    """Draw the share of the cells in equal steps of the difference, its mean and thresholds."""
    bins = counts.shown[2]
    edges = _wide(bins.edges)
    share = 100 * bins.counts / max(1, bins.counts.sum())
    middle = (edges[:-1] + edges[1:]) / 2
    colours = _DIFFERENCE(np.clip(middle / (2 * widest) + 0.5, 0, 1))
    axes.bar(middle, share, np.diff(edges), color=colours, edgecolor=GREY, linewidth=0.25)
    axes.axvline(0, color=DARK, linewidth=0.9)
    mean = f"mean {moments.me:+.3f}".replace("-", "−")
    axes.axvline(moments.me, color=ORANGE, linewidth=1.6, label=mean)
    dashes = {"color": DARK, "linewidth": 0.9, "linestyle": (0, (4, 3))}
    axes.axvline(-moments.threshold, **dashes)
    axes.axvline(moments.threshold, label=f"± {moments.threshold:g}", **dashes)
    filled = np.flatnonzero(bins.counts)
    left = min(edges[filled[0]], -1.15 * moments.threshold)
    right = max(edges[filled[-1] + 1], 1.15 * moments.threshold)
    axes.set_xlim(left, right)
    axes.set_xlabel("input − reference (m³ m⁻³)")
    axes.set_ylabel("cells (%)")
    _legend(axes, 2)


def _density(figure: Figure, axes: Any, counts: PairCounts, names: tuple[str, str]) -> None:
    """Draw how many cells lie in each hexagon of input and reference, with the 1:1 line."""
    low, high = counts.ends
    step = (high - low) / counts.density.shape[0]
    rows, cols = np.nonzero(counts.density)
    ends = moisture_limits(np.array([low, high]))
    drawn = axes.hexbin(
        low + (cols + 0.5) * step,
        low + (rows + 0.5) * step,
        C=counts.density[rows, cols],
        reduce_C_function=np.sum,
        gridsize=40,
        extent=(*ends, *ends),
        norm=LogNorm(1, 10),
        cmap="viridis",
        linewidths=0.1,
    )
    drawn.set_clim(1, max(10.0, float(np.max(np.asarray(drawn.get_array()), initial=1.0))))
    axes.plot(ends, ends, color=DARK, linewidth=0.9)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.set_aspect("equal")
    axes.set_xlabel(f"{plain_text(names[0])} (m³ m⁻³)")
    axes.set_ylabel(f"{plain_text(names[1])} (m³ m⁻³)")
    _bar(figure, drawn, [axes], "cells", "neither")


def _legend(axes: Any, columns: int) -> None:
    axes.legend(
        frameon=False,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        fontsize=FONT - 1,
        ncol=columns,
    )


def _bar(figure: Figure, drawn: Any, axes: Sequence[Any], label: str, extend: str) -> None:
    horizontal = extend != "neither"
    place = {"location": "bottom", "shrink": 0.75, "aspect": 34 if len(axes) > 1 else 18}
    if not horizontal:
        place = {"location": "right", "shrink": 0.75, "aspect": 24}
    bar = figure.colorbar(drawn, ax=list(axes), pad=0.02, extend=extend, **place)
    bar.set_label(label, size=FONT - 1)
    if horizontal:
        bar.locator = MaxNLocator(7 if len(axes) > 1 else 5)
        bar.update_ticks()
    bar.ax.tick_params(labelsize=FONT - 2, length=2)
    bar.outline.set_visible(False)


def _shared_ends(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return the ends of the colours for two maps: nearly all of their values."""
    values = np.concatenate([v[np.isfinite(v)] for v in (first, second)])
    if not values.size:
        return 0.0, 0.5
    low, high = (float(q) for q in np.quantile(values, [0.005, 0.995]))
    return (low, high) if high > low else (low - 0.01, high + 0.01)


def _scale(grid: Grid) -> tuple[float, float]:
    """Return the height of a cell by its width on the ground, and its width in metres or 0."""
    width, height = grid.resolution
    try:
        middle = (grid.bounds[1] + grid.bounds[3]) / 2
        east, north = metres_per_unit(crs_text(grid.crs), middle if grid.is_geographic else 0.0)
        if not grid.is_geographic and parse_crs(grid.crs).linear_units_factor[1] <= 0:
            east = north = 0.0
    except (InputError, *GDAL_ERRORS, ValueError):
        east = north = 0.0
    if not east:
        return height / width, 0.0
    return height * north / (width * east), width * east


def _scale_bar(axes: Any, width: float) -> None:
    """Draw a bar of a round length of at most a third of the map's `width` in metres."""
    length = round_length(width / 3)
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    axes.plot(
        [0.05, 0.05 + length / width],
        [-0.035, -0.035],
        color=DARK,
        linewidth=2.2,
        transform=axes.transAxes,
        clip_on=False,
    )
    axes.text(
        0.08 + length / width, -0.035, text, size=FONT - 2, va="center", transform=axes.transAxes
    )


def _wide(edges: np.ndarray) -> np.ndarray:
    """Return edges that are apart, also where all values are one."""
    if edges[-1] > edges[0]:
        return edges
    return edges[0] + np.linspace(-0.005, 0.005, edges.size)
