"""Draws a predicted map for print: expected moisture, width of the interval, and the probes.

Usage: python scripts/demo_map.py MAP PICTURE [--probes TABLE] [--dem RASTER]
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import rasterio
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from osgeo import ogr, osr
from rasterio.warp import transform

ogr.UseExceptions()
osr.UseExceptions()

INK = "#222222"
UNIT = "m³ m⁻³"


@dataclass(frozen=True)
class Layer:
    """A raster band: values (h, w) with NaN, and its edges left, right, bottom, top."""

    values: np.ndarray
    edges: tuple[float, float, float, float]


def read_band(path: Path, name: str = "") -> Layer:
    """Read a band by its description, or the first one, with scale and offset."""
    with rasterio.open(path) as dataset:
        index = dataset.descriptions.index(name) + 1 if name else 1
        values = dataset.read(index, masked=True).astype("float64").filled(np.nan)
        values = values * dataset.scales[index - 1] + dataset.offsets[index - 1]
        box = dataset.bounds
    return Layer(values, (box.left, box.right, box.bottom, box.top))


def read_title(path: Path) -> tuple[str, str]:
    """Return the map's date as text, and its coordinate system as WKT."""
    with rasterio.open(path) as dataset:
        stamp = dataset.tags().get("TIFFTAG_DATETIME", "")[:10]
        day = datetime.strptime(stamp, "%Y:%m:%d")
        return f"{day.day} {day:%B %Y}", dataset.crs.to_wkt()


def read_probes(path: Path, crs: str) -> dict[str, list[tuple[float, float]]]:
    """Return the places of the stations by role, in the map's coordinates."""
    places: dict[str, tuple[str, float, float]] = {}
    source = ogr.Open(str(path))
    layer = source.GetLayer(0)
    own = layer.GetSpatialRef().ExportToWkt()
    fields = [field.GetName() for field in layer.schema]
    for feature in layer:
        point = feature.GetGeometryRef()
        role = feature.GetField("role") if "role" in fields else "spike"
        places[feature.GetFieldAsString("station")] = (role, point.GetX(), point.GetY())
    probes: dict[str, list[tuple[float, float]]] = {}
    for role, x, y in places.values():
        (east,), (north,) = transform(own, crs, [x], [y])
        probes.setdefault(role, []).append((east, north))
    return probes


def draw_panel(axes: Axes, layer: Layer, title: str, colours: str) -> None:
    """Draw one band with its colour bar, from the 1st to the 99th percentile."""
    low, high = np.nanpercentile(layer.values, [1, 99])
    image = axes.imshow(
        layer.values,
        extent=layer.edges,
        cmap=colours,
        vmin=low,
        vmax=high,
        interpolation="nearest",
    )
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_linewidth(0.6)
    bar = axes.figure.colorbar(image, ax=axes, orientation="horizontal", pad=0.03, aspect=35)
    bar.ax.tick_params(labelsize=8, width=0.6)
    bar.set_label(UNIT, fontsize=8)
    bar.outline.set_linewidth(0.6)


def draw_contours(axes: Axes, dem: Layer) -> None:
    """Draw contour lines of the terrain, about ten."""
    low, high = np.nanmin(dem.values), np.nanmax(dem.values)
    step = nice_step((high - low) / 10)
    height, width = dem.values.shape
    left, right, bottom, top = dem.edges
    x = left + (np.arange(width) + 0.5) * (right - left) / width
    y = top - (np.arange(height) + 0.5) * (top - bottom) / height
    levels = np.arange(math.ceil(low / step), high / step) * step
    axes.contour(x, y, dem.values, levels=levels, colors=INK, linewidths=0.35, alpha=0.5)


def draw_probes(axes: Axes, probes: dict[str, list[tuple[float, float]]]) -> None:
    """Draw the probes, those in the model apart from those kept to judge it."""
    halo = [withStroke(linewidth=2.4, foreground="white")]
    styles = {
        "spike": ("probes in the model", {"marker": "o", "facecolor": "white", "edgecolor": INK}),
        "validate": ("probes kept for checking", {"marker": "x", "color": INK}),
    }
    for role, (label, style) in styles.items():
        places = np.array(probes.get(role, [])).reshape(-1, 2)
        if len(places):
            text = f"{label} ({len(places)})"
            axes.scatter(
                *places.T,
                s=26,
                linewidths=0.9,
                label=text,
                zorder=3,
                clip_on=False,
                path_effects=halo,
                **style,
            )


def draw_scale(axes: Axes, edges: tuple[float, float, float, float]) -> None:
    """Draw a scale bar of about a quarter of the width, and north."""
    left, right, bottom, top = edges
    length = nice_step((right - left) / 4)
    x, y = left + 0.04 * (right - left), bottom + 0.05 * (top - bottom)
    for width, colour in ((5.0, "white"), (2.2, INK)):
        axes.plot([x, x + length], [y, y], color=colour, linewidth=width, solid_capstyle="butt")
    back = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.2}
    middle = x + length / 2
    height = y + 0.025 * (top - bottom)
    axes.text(middle, height, f"{length:g} m", ha="center", va="bottom", fontsize=8, bbox=back)
    axes.annotate(
        "N",
        xy=(0.955, 0.97),
        xytext=(0.955, 0.86),
        xycoords="axes fraction",
        ha="center",
        fontsize=8,
        bbox=back,
        arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1},
    )


def nice_step(length: float) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that is not longer than `length`."""
    power = 10.0 ** math.floor(math.log10(length))
    return max(factor * power for factor in (1, 2, 5) if factor * power <= length)


def crop(layer: Layer, keep: np.ndarray) -> Layer:
    """Blank the cells outside `keep` and cut to those within."""
    rows, columns = np.flatnonzero(keep.any(axis=1)), np.flatnonzero(keep.any(axis=0))
    height, width = keep.shape
    left, right, bottom, top = layer.edges
    cell_x, cell_y = (right - left) / width, (top - bottom) / height
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    edges = (
        left + columns[0] * cell_x,
        left + (columns[-1] + 1) * cell_x,
        top - (rows[-1] + 1) * cell_y,
        top - rows[0] * cell_y,
    )
    return Layer(np.where(keep, layer.values, np.nan)[window], edges)


def draw_map(
    map_path: Path,
    picture: Path,
    probes_path: Path | None = None,
    dem_path: Path | None = None,
) -> None:
    """Write the picture: the mean with all probes, the interval with those in the model."""
    day, crs = read_title(map_path)
    whole = read_band(map_path, "moisture_mean")
    mapped = np.isfinite(whole.values)

    def read(path: Path, name: str = "") -> Layer:
        return crop(read_band(path, name), mapped)

    mean = read(map_path, "moisture_mean")
    lower, upper = (read(map_path, name) for name in ("moisture_q05", "moisture_q95"))
    width = Layer(upper.values - lower.values, mean.edges)
    shown = [
        (mean, f"Soil moisture, {day}", "YlGnBu"),
        (width, "Width of the 90 % prediction interval", "OrRd"),
    ]
    aspect = mean.values.shape[0] / mean.values.shape[1]
    figure = Figure(figsize=(4.4 * len(shown), 4.0 * aspect + 1.6), layout="constrained")
    panels = figure.subplots(1, len(shown))
    for axes, (layer, title, colours) in zip(panels, shown):
        draw_panel(axes, layer, title, colours)
        if dem_path is not None:
            draw_contours(axes, read(dem_path))
        axes.set_xlim(mean.edges[:2])
        axes.set_ylim(mean.edges[2:])
    draw_scale(panels[0], mean.edges)
    if probes_path is not None:
        probes = read_probes(probes_path, crs)
        draw_probes(panels[0], probes)
        draw_probes(panels[-1], {"spike": probes.get("spike", [])})
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower left", ncols=2, fontsize=8, frameon=False)
        figure.get_layout_engine().set(rect=(0, 0.07, 1, 0.93))
    figure.savefig(picture, dpi=160)


def main() -> None:
    """Read the arguments and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("map", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--probes", type=Path, help="point layer with station and role")
    parser.add_argument("--dem", type=Path, help="terrain for contour lines")
    options = parser.parse_args()
    draw_map(options.map, options.picture, options.probes, options.dem)


if __name__ == "__main__":
    main()
