"""Figures of the reports: matplotlib figures made from plain arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator

#: Okabe & Ito's colours, told apart in every common kind of colour blindness.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
GREY, DARK = "#8A8A8A", "#222222"
SERIES_COLOURS = (ORANGE, BLUE, GREEN, VERMILION)
SERIES_MARKERS = ("o", "s", "^", "D")

#: From this many points on a scatter becomes a density of hexagons.
MANY_POINTS = 2000
MOST_BARS = 25

FONT = 9
"""Points; ticks and legends are a point smaller."""
_DEGREE = 111_320.0


def scatter_figure(
    observed: np.ndarray,
    predicted: np.ndarray,
    label: str = "",
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Predicted against measured moisture, with the 1:1 line.

    Parameters
    ----------
    observed, predicted : ndarray, shape (n,)
        m³ m⁻³; rows where either is not finite are left out.
    label : str
        What predicted, for the axis.
    limits : (float, float), optional
        Ends of both axes; figures to be compared share them.
    """
    kept = np.isfinite(observed) & np.isfinite(predicted)
    o, p = observed[kept], predicted[kept]
    figure, axes = new_figure(4.2, 4.0)
    low, high = limits or moisture_limits(o, p)
    if o.size > MANY_POINTS:
        hexagons = axes.hexbin(
            p, o, gridsize=45, extent=(low, high, low, high), bins="log", cmap="viridis", mincnt=1
        )
        _colour_bar(figure, hexagons, axes, "rows")
    else:
        axes.scatter(
            p, o, s=_dot_size(o.size), c=BLUE, alpha=0.55, linewidths=0, rasterized=o.size > 500
        )
    axes.plot([low, high], [low, high], color=DARK, linewidth=0.9)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_aspect("equal")
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.set_xlabel(f"predicted{' ' + label if label else ''} (m³ m⁻³)")
    axes.set_ylabel("measured (m³ m⁻³)")
    return figure


def residual_map(
    x: np.ndarray,
    y: np.ndarray,
    residual: np.ndarray,
    crs: str,
    names: Sequence[str] = (),
    widest: float | None = None,
) -> Figure:
    """Mean error of each station where it stands; north is up.

    Parameters
    ----------
    x, y : ndarray, shape (k,)
        Positions in `crs`; stations without one are left out.
    residual : ndarray, shape (k,)
        Mean of predicted − measured, m³ m⁻³.
    crs : str
        WKT; its unit gives the scale bar.
    names : sequence of str
        Written beside the dots where there are few.
    widest : float, optional
        Error at either end of the colours; maps to be compared share it.
    """
    kept = np.isfinite(x) & np.isfinite(y) & np.isfinite(residual)
    figure, axes = new_figure(4.6, 4.0)
    if widest is None:
        widest = widest_error(residual[kept])
    points = axes.scatter(
        x[kept],
        y[kept],
        c=residual[kept],
        cmap="RdBu",
        vmin=-widest,
        vmax=widest,
        s=38 if int(kept.sum()) <= 150 else 16,
        edgecolors=DARK,
        linewidths=0.5,
    )
    _colour_bar(figure, points, axes, "predicted − measured (m³ m⁻³)")
    if len(names) > 0 and int(kept.sum()) <= 15:
        _name_stations(axes, np.asarray(names, object)[kept], x[kept], y[kept])
    frame_map(axes, x[kept], y[kept], crs)
    return figure


def moisture_limits(*arrays: np.ndarray) -> tuple[float, float]:
    """Return the ends of an axis that holds all values of `arrays`."""
    values = np.concatenate(arrays)
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 0.5
    low, high = float(values.min()), float(values.max())
    margin = max(0.01, 0.04 * (high - low))
    return max(0.0, low - margin) if low >= 0 else low - margin, high + margin


def widest_error(residual: np.ndarray) -> float:
    """Return the end of a colour scale for errors: the largest of them, at least 0.02 m³ m⁻³."""
    finite = residual[np.isfinite(residual)]
    return max(0.02, float(np.max(np.abs(finite), initial=0.0)))


def coverage_figure(levels: Sequence[float], series: Mapping[str, Sequence[float]]) -> Figure:
    """Observed against nominal coverage of the prediction intervals.

    Parameters
    ----------
    levels : sequence of L float
        Nominal coverages, 0–1.
    series : mapping of name to sequence of L float
        Observed coverages, 0–1.
    """
    figure, axes = new_figure(4.0, 3.8)
    axes.plot([0, 100], [0, 100], color=DARK, linewidth=0.9)
    smallest = min([100 * min(v) for v in series.values() if len(v)] or [0.0])
    for place, (name, values) in enumerate(series.items()):
        _line(axes, levels, 100 * np.asarray(values, float), name, place)
    low = max(0.0, 10.0 * np.floor(min(smallest, 100 * min(levels)) / 10.0) - 5.0)
    axes.set_xlim(100 * min(levels) - 5, 102)
    axes.set_ylim(low, 102)
    axes.set_xlabel("nominal coverage (%)")
    axes.set_ylabel("measurements inside (%)")
    axes.legend(frameon=False, loc="lower right", fontsize=FONT - 1)
    return figure


def width_figure(levels: Sequence[float], series: Mapping[str, Sequence[float]]) -> Figure:
    """Mean width of the prediction intervals against their nominal coverage.

    The axis ends soon above the 95 % intervals: a line that leaves the figure leads to intervals
    without a finite margin.
    """
    figure, axes = new_figure(4.0, 3.8)
    for place, (name, values) in enumerate(series.items()):
        _line(axes, levels, np.asarray(values, float), name, place)
    axes.set_xlim(100 * min(levels) - 5, 102)
    usual = [w for values in series.values() for c, w in zip(levels, values) if c <= 0.95]
    widest = max(max(values) for values in series.values())
    axes.set_ylim(0, min(1.08 * widest, 1.7 * max(usual)))
    axes.set_xlabel("nominal coverage (%)")
    axes.set_ylabel("mean width (m³ m⁻³)")
    axes.legend(frameon=False, loc="upper left", fontsize=FONT - 1)
    return figure


def importance_figure(
    names: Sequence[str],
    values: Sequence[float],
    sd: Sequence[float] | None = None,
    label: str = "rise of the mean squared error, 10⁻⁴ (m³ m⁻³)²",
    factor: float = 1e4,
) -> Figure:
    """Bars from the most important covariate down, with ± SD where given; 25 at most."""
    order = np.argsort(-np.asarray(values, float), kind="stable")[:MOST_BARS]
    shown = factor * np.asarray(values, float)[order]
    figure, axes = new_figure(5.2, 0.9 + 0.24 * len(order))
    place = np.arange(len(order))
    error = None if sd is None else factor * np.asarray(sd, float)[order]
    axes.barh(
        place, shown, xerr=error, color=BLUE, height=0.66, error_kw={"ecolor": DARK, "lw": 0.8}
    )
    axes.axvline(0, color=DARK, linewidth=0.8)
    axes.set_yticks(place)
    axes.set_yticklabels([plain_text(names[i]) for i in order])
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_xlabel(label)
    return figure


def change_figure(
    names: Sequence[str], series: Mapping[str, np.ndarray], label: str, *, most: int = 40
) -> Figure:
    """Value of each station before and after as joined dots, sorted by the first series.

    Parameters
    ----------
    names : sequence of k str
        Stations; where there are more than `most`, those that changed most are shown.
    series : mapping of name to (k,) array
    label : str
        What the values are, with unit.
    """
    columns = [np.asarray(values, float) for values in series.values()]
    joined = np.column_stack(columns)
    chosen = np.argsort(-np.ptp(joined, axis=1), kind="stable")[:most]
    chosen = chosen[np.argsort(joined[chosen, 0], kind="stable")]
    figure, axes = new_figure(4.8, 1.2 + 0.19 * len(chosen))
    place = np.arange(len(chosen))
    axes.hlines(place, joined[chosen].min(axis=1), joined[chosen].max(axis=1), color="#C8C8C8")
    for i, name in enumerate(series):
        axes.plot(
            joined[chosen, i],
            place,
            linestyle="none",
            marker=SERIES_MARKERS[i],
            color=SERIES_COLOURS[i],
            markersize=5,
            label=name,
        )
    axes.axvline(0, color=DARK, linewidth=0.8)
    axes.set_yticks(place)
    axes.set_yticklabels([plain_text(names[i]) for i in chosen], fontsize=FONT - 2)
    axes.set_ylim(-0.8, len(chosen) - 0.2)
    axes.set_xlabel(label)
    axes.legend(
        frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=3, fontsize=FONT - 1
    )
    return figure


def plain_text(value: Any) -> str:
    """Return a name that matplotlib will not read as mathematics."""
    return str(value).replace("$", r"\$")


def short_text(value: Any, longest: int) -> str:
    """Return a name cut to `longest` characters, with an ellipsis where it was longer."""
    text = str(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def metres_per_unit(crs: str, latitude: float) -> tuple[float, float]:
    """Metres that one unit of x and of y stands for, (0, 0) where the CRS does not say.

    Parameters
    ----------
    crs : str
        WKT 1 or 2.
    latitude : float
        Middle of the map, used where the coordinates are degrees.
    """
    text = crs.lstrip().upper()
    if text.startswith(("GEOGCRS", "GEOGCS", "GEODCRS", "BOUNDCRS[SOURCECRS[GEOG")):
        return _DEGREE * float(np.cos(np.radians(latitude))), _DEGREE
    factors = re.findall(r'(?:LENGTHUNIT|UNIT)\["[^"]*",\s*([0-9.eE+-]+)', crs)
    if not factors or not text.startswith(("PROJCRS", "PROJCS", "COMPOUNDCRS", "COMPD_CS")):
        return 0.0, 0.0
    return float(factors[-1]), float(factors[-1])


def round_length(metres: float) -> float:
    """Return the largest of 1, 2, 5 · 10ⁿ that is not above `metres`."""
    power = 10.0 ** np.floor(np.log10(metres))
    return float(max(step * power for step in (1, 2, 5) if step * power <= metres * (1 + 1e-9)))


def new_figure(width: float, height: float) -> tuple[Figure, Any]:
    """Return a figure of a size in inches, with its axes."""
    figure = Figure(figsize=(width, height), constrained_layout=True)
    axes = figure.add_subplot(1, 1, 1)
    style_axes(axes)
    return figure, axes


def style_axes(axes: Any) -> None:
    """Give axes the look of all reports."""
    axes.tick_params(labelsize=FONT - 1, length=3, color=GREY)
    axes.xaxis.label.set_size(FONT)
    axes.yaxis.label.set_size(FONT)
    axes.grid(color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)


def _colour_bar(figure: Figure, drawn: Any, axes: Any, label: str) -> None:
    bar = figure.colorbar(drawn, ax=axes, shrink=0.8, aspect=24, pad=0.02)
    bar.set_label(label, size=FONT - 1)
    if isinstance(bar.norm, LogNorm):
        bar.formatter = LogFormatter(minor_thresholds=(2, 1))
        bar.update_ticks()
    bar.ax.tick_params(labelsize=FONT - 2, length=2)
    bar.outline.set_visible(False)


def _line(axes: Any, levels: Sequence[float], values: np.ndarray, name: str, place: int) -> None:
    axes.plot(
        100 * np.asarray(levels, float),
        values,
        color=SERIES_COLOURS[place % len(SERIES_COLOURS)],
        marker=SERIES_MARKERS[place % len(SERIES_MARKERS)],
        markersize=4.5,
        linewidth=1.4,
        label=name,
    )


def _dot_size(n: int) -> float:
    return 24.0 if n <= 100 else 14.0 if n <= 500 else 7.0


def frame_map(axes: Any, x: np.ndarray, y: np.ndarray, crs: str) -> None:
    """Give a map of points its frame, scale bar and north arrow."""
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(GREY)
    if not x.size:
        return
    latitude = float(np.mean([y.min(), y.max()]))
    east, north = metres_per_unit(crs, latitude)
    axes.set_aspect(north / east if east else 1.0)
    span = max(float(np.ptp(x)), float(np.ptp(y)), 1e-9 * (abs(float(x[0])) + 1.0))
    middle = (float(x.min() + x.max()) / 2, latitude)
    reach = [max(0.62 * float(np.ptp(v)), 0.2 * span) for v in (x, y)]
    left, bottom = middle[0] - reach[0], middle[1] - reach[1] - 0.12 * span
    axes.set_xlim(left, middle[0] + reach[0])
    axes.set_ylim(bottom, middle[1] + reach[1])
    _north_arrow(axes)
    width = 2 * reach[0] * east
    if width > 0.1:
        _scale_bar(axes, width)


def _name_stations(axes: Any, names: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """Write names beside the dots, less those that another name would cover."""
    near = 0.05 * max(float(np.ptp(x)), float(np.ptp(y)))
    written: list[int] = []
    for i, name in enumerate(names):
        if any(abs(x[i] - x[j]) < 2 * near and abs(y[i] - y[j]) < near for j in written):
            continue
        written.append(i)
        axes.annotate(
            plain_text(name), (x[i], y[i]), xytext=(4, 4), textcoords="offset points", size=6
        )


def _north_arrow(axes: Any) -> None:
    axes.annotate(
        "N",
        xy=(0.95, 0.97),
        xytext=(0.95, 0.86),
        xycoords="axes fraction",
        ha="center",
        va="center",
        size=FONT - 1,
        arrowprops={"arrowstyle": "-|>", "color": DARK, "lw": 0.9},
    )


def _scale_bar(axes: Any, width: float) -> None:
    """Draw a bar of a round length of at most a third of the map's `width` in metres."""
    length = round_length(width / 3)
    share = length / width
    axes.plot(
        [0.05, 0.05 + share], [0.04, 0.04], color=DARK, linewidth=2.2, transform=axes.transAxes
    )
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    axes.text(0.05, 0.065, text, size=FONT - 2, transform=axes.transAxes)
