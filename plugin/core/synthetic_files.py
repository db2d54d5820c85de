"""The synthetic landscape as the files a user would have."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine

from .progress import Progress
from .rasters.grids import Grid, transform_points
from .rasters.packing import write_packed
from .rasters.writing import write_text
from .synthetic import Landscape, Scene
from .synthetic_land import Area, Soil
from .synthetic_sensors import EASE_CELL, EASE_CRS, Readings

LONLAT = "EPSG:4326"
RADAR_SCALE = 0.01
# Values are rounded to these binary steps, which compress well.
_STEPS = {"dem": 1 / 1024, "clay": 1 / 8, "sand": 1 / 8, "soc": 1 / 64, "bulk_density": 1 / 256}
_NDVI_STEP = 1 / 256


def write_landscape(
    landscape: Landscape, folder: str | Path, progress: Progress | None = None
) -> Path:
    """Write a landscape: rasters, tables of readings, the field's boundary and its truth.

    ``region/`` and ``field/`` hold ``dem.tif``, ``soil.tif`` (clay, sand, soc, bulk_density),
    ``s1/s1_YYYYMMDD.tif`` (VV, VH, angle; int16 with scale 0.01) and ``ndvi/ndvi_YYYYMMDD.tif``;
    ``coarse/`` the 36 km series ``smap_YYYYMMDD.tif``; ``truth/`` the field's true moisture on
    the mapping day. ``stations.csv`` and ``probes.csv`` have the columns station, network, date,
    moisture (m³ m⁻³), depth (m), x and y (degrees, EPSG:4326).

    Returns
    -------
    Path
        The folder.
    """
    folder = Path(folder)
    progress = progress or Progress()
    _write_scene(landscape.region, landscape.crs, folder / "region")
    progress.step(0.4)
    _write_scene(landscape.field, landscape.crs, folder / "field")
    progress.step(0.7)
    _write_coarse(landscape, folder / "coarse")
    progress.step(0.9)
    for name, readings in (("stations", landscape.stations), ("probes", landscape.probes)):
        write_text(_readings_text(readings, landscape.crs), folder / f"{name}.csv")
    write_text(_boundary_text(landscape), folder / "field" / "boundary.geojson")
    day = landscape.settings.map_day
    truth = folder / "truth" / f"moisture_{day:%Y%m%d}.tif"
    grid = grid_of_area(landscape.field.area, landscape.crs)
    write_packed(truth, grid, {"moisture": landscape.truth(day)}, scale=0.0001, day=day)
    progress.step(1.0)
    return folder


def grid_of_area(area: Area, crs: str) -> Grid:
    """Return the raster grid of an area."""
    transform = Affine(area.cell, 0.0, area.left, 0.0, -area.cell, area.top)
    return Grid(crs, transform, area.columns, area.rows)


def _write_scene(scene: Scene, crs: str, folder: Path) -> None:
    grid = grid_of_area(scene.area, crs)
    write_packed(folder / "dem.tif", grid, {"": _rounded(scene.elevation, _STEPS["dem"])})
    write_packed(folder / "soil.tif", grid, _soil_bands(scene.soil_map))
    for day, ndvi in scene.vegetation.items():
        path = folder / "ndvi" / f"ndvi_{_stamp(day)}.tif"
        write_packed(path, grid, {"": _rounded(ndvi, _NDVI_STEP)}, day=_date(day))
    for day, bands in scene.radar.items():
        path = folder / "s1" / f"s1_{_stamp(day)}.tif"
        write_packed(path, grid, bands, scale=RADAR_SCALE, day=_date(day))


def _soil_bands(soil: Soil) -> dict[str, np.ndarray]:
    bands = {
        "clay": soil.clay,
        "sand": soil.sand,
        "soc": soil.carbon,
        "bulk_density": soil.density,
    }
    return {name: _rounded(values, _STEPS[name]) for name, values in bands.items()}


def _write_coarse(landscape: Landscape, folder: Path) -> None:
    coarse = landscape.coarse
    rows, columns = next(iter(coarse.series.values())).shape
    transform = Affine(EASE_CELL, 0.0, coarse.left, 0.0, -EASE_CELL, coarse.top)
    grid = Grid(EASE_CRS, transform, columns, rows)
    for day, moisture in coarse.series.items():
        write_packed(folder / f"smap_{_stamp(day)}.tif", grid, {"": moisture}, day=_date(day))


def _readings_text(readings: Readings, crs: str) -> str:
    longitude, latitude = transform_points(crs, LONLAT, readings.x.tolist(), readings.y.tolist())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["station", "network", "date", "moisture", "depth", "x", "y"])
    for number, station in enumerate(readings.station):
        place = [f"{longitude[number]:.6f}", f"{latitude[number]:.6f}"]
        for day, moisture in zip(readings.days, readings.moisture[:, number]):
            if np.isfinite(moisture):
                row = [station, readings.network[number], day, f"{moisture:.3f}", "0.05", *place]
                writer.writerow(row)
    return text.getvalue()


def _boundary_text(landscape: Landscape) -> str:
    left, bottom, right, top = landscape.boundary
    x = [left, right, right, left, left]
    y = [bottom, bottom, top, top, bottom]
    longitude, latitude = transform_points(landscape.crs, LONLAT, x, y)
    ring = [[round(a, 7), round(b, 7)] for a, b in zip(longitude, latitude)]
    feature: dict[str, Any] = {
        "type": "Feature",
        "properties": {"name": "field"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    return json.dumps({"type": "FeatureCollection", "features": [feature]}) + "\n"


def _rounded(values: np.ndarray, step: float) -> np.ndarray:
    rounded: np.ndarray = np.round(values / step) * step
    return rounded


def _date(day: np.datetime64) -> date:
    converted: Callable[[], date] = day.astype("datetime64[D]").item
    return converted()


def _stamp(day: np.datetime64) -> str:
    return f"{_date(day):%Y%m%d}"
