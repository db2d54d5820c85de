"""Inverse distance weighting: against brute force, GDAL, geodesy and what must hold."""

from __future__ import annotations

import datetime
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.mapping.interpolation import (
    Weighting,
    interpolate,
    interpolate_map,
    score_stations,
)
from soil_moisture_mapper.plugin.core.mapping.interpolation_distance import metric_of
from soil_moisture_mapper.plugin.core.mapping.interpolation_stations import (
    StationValues,
    station_values,
)
from soil_moisture_mapper.plugin.core.progress import RecordingProgress
from soil_moisture_mapper.plugin.core.rasters.grids import Grid
from soil_moisture_mapper.plugin.core.stations.table import Table

UTM = "EPSG:32633"
WEST, NORTH = 500_000.0, 5_600_000.0
GRID = Grid(UTM, Affine(10, 0, WEST, 0, -10, NORTH), 90, 70)


def draw(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = WEST + rng.uniform(0, 900, count)
    y = NORTH - rng.uniform(0, 700, count)
    return x, y, rng.uniform(0.05, 0.45, count)


def stations_of(
    x: np.ndarray, y: np.ndarray, values: np.ndarray, grid: Grid = GRID
) -> StationValues:
    names = [f"S{i:03d}" for i in range(len(values))]
    table = Table({"station": names, "moisture": values}, x, y, grid.crs)
    return station_values(table, metric_of(grid))


def brute_force(
    x: np.ndarray,
    y: np.ndarray,
    values: np.ndarray,
    at: tuple[float, float],
    power: float,
    neighbours: int,
    radius: float = np.inf,
) -> float:
    """Shepard's formula for one place, written out."""
    listed = sorted((np.hypot(sx - at[0], sy - at[1]), v) for sx, sy, v in zip(x, y, values))
    near = [(d, v) for d, v in listed[: neighbours or None] if d <= radius]
    if not near:
        return float("nan")
    if near[0][0] == 0:
        return near[0][1]
    weights = [d**-power for d, _ in near]
    return sum(w * v for w, (_, v) in zip(weights, near)) / sum(weights)


@pytest.mark.parametrize(
    ("power", "neighbours", "radius"),
    [(2.0, 12, None), (1.0, 0, None), (3.5, 4, 150.0), (2.0, 1, None), (0.5, 0, 90.0)],
)
def test_map_is_shepards_formula(
    tmp_path: Path, power: float, neighbours: int, radius: float | None
) -> None:
    x, y, values = draw(40)
    stations, metric = stations_of(x, y, values), metric_of(GRID)
    output = tmp_path / "idw.tif"
    weighting = Weighting(power, neighbours, radius)
    share = interpolate_map(stations, metric, GRID, output, weighting=weighting)
    with rasterio.open(output) as dataset:
        found, distance = dataset.read(masked=True).filled(np.nan)
        assert dataset.descriptions == ("moisture_idw", "distance")
        assert dataset.units == ("m3 m-3", "m")
    cx, cy = GRID.centres()
    expected = [
        brute_force(x, y, values, at, power, neighbours, radius or np.inf)
        for at in zip(cx.ravel(), cy.ravel())
    ]
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-6)
    nearest = np.hypot(cx[..., None] - x, cy[..., None] - y).min(axis=-1)
    np.testing.assert_allclose(distance, nearest, rtol=1e-6)
    assert share == np.isfinite(expected).mean()
    assert output.with_suffix(".qml").exists()


@pytest.mark.parametrize(("block", "threads"), [(7, 1), (32, 3), (256, 2)])
def test_blocks_and_threads_do_not_matter(tmp_path: Path, block: int, threads: int) -> None:
    stations, metric = stations_of(*draw(60)), metric_of(GRID)
    whole, cut = tmp_path / "whole.tif", tmp_path / "cut.tif"
    interpolate_map(stations, metric, GRID, whole, block=1000, threads=1)
    interpolate_map(stations, metric, GRID, cut, block=block, threads=threads)
    with rasterio.open(whole) as first, rasterio.open(cut) as second:
        np.testing.assert_array_equal(first.read(), second.read())


@pytest.mark.skipif(not shutil.which("gdal_grid"), reason="gdal_grid is not installed")
def test_gdal_gives_the_same_map(tmp_path: Path) -> None:
    x, y, values = draw(30, 5)
    features = [
        {
            "type": "Feature",
            "properties": {"v": float(v)},
            "geometry": {"type": "Point", "coordinates": [float(a), float(b)]},
        }
        for a, b, v in zip(x, y, values)
    ]
    points = tmp_path / "points.geojson"
    points.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    given = "invdistnn:power=2:smoothing=0:radius=5000:max_points=12:min_points=1:nodata=-9999"
    command = ["gdal_grid", "-q", "-zfield", "v", "-a", given, "-ot", "Float64"]
    command += ["-txe", str(WEST), str(WEST + 900), "-tye", str(NORTH), str(NORTH - 700)]
    command += ["-outsize", "90", "70", str(points), str(tmp_path / "gdal.tif")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    with rasterio.open(tmp_path / "gdal.tif") as dataset:
        theirs = dataset.read(1)
    ours, _ = interpolate(stations_of(x, y, values), metric_of(GRID), *GRID.centres())
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


points = st.tuples(
    st.floats(0, 900, allow_subnormal=False),
    st.floats(0, 700, allow_subnormal=False),
    st.floats(0.0, 0.6, allow_subnormal=False),
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(points, min_size=3, max_size=25, unique_by=lambda p: (round(p[0], 1), round(p[1], 1))),
    st.floats(0.5, 12.0),
    st.integers(0, 30),
)
def test_estimates_stay_within_the_readings_and_meet_them(
    drawn: list[tuple[float, float, float]], power: float, neighbours: int
) -> None:
    x, y, values = (np.array(part) for part in zip(*drawn))
    x, y = WEST + np.round(x, 1), NORTH - np.round(y, 1)
    stations, metric = stations_of(x, y, values), metric_of(GRID)
    weighting = Weighting(power, neighbours)
    found, _ = interpolate(stations, metric, *GRID.centres(), weighting)
    assert np.isfinite(found).all()
    assert found.min() >= values.min() and found.max() <= values.max()
    own, distance = interpolate(stations, metric, x, y, weighting)
    np.testing.assert_array_equal(own, values)
    np.testing.assert_array_equal(distance, 0.0)


@settings(max_examples=25, deadline=None)
@given(st.integers(-200_000, 200_000), st.integers(-3_000_000, 3_000_000), st.integers(0, 100))
def test_moving_everything_changes_nothing(east: int, north: int, seed: int) -> None:
    x, y, values = draw(15, seed)
    here = Grid(UTM, GRID.transform, 20, 20)
    there = Grid(UTM, Affine(10, 0, WEST + east, 0, -10, NORTH + north), 20, 20)
    first, _ = interpolate(stations_of(x, y, values, here), metric_of(here), *here.centres())
    second, _ = interpolate(
        stations_of(x + east, y + north, values, there), metric_of(there), *there.centres()
    )
    np.testing.assert_allclose(first, second, rtol=1e-7)


def test_order_of_rows_does_not_matter() -> None:
    x, y, values = draw(30)
    order = np.random.default_rng(3).permutation(30)
    names = np.array([f"S{i}" for i in range(30)], dtype=object)
    first = Table({"station": names, "moisture": values}, x, y, UTM)
    found = [
        interpolate(station_values(table, metric_of(GRID)), metric_of(GRID), *GRID.centres())[0]
        for table in (first, first.take(order))
    ]
    np.testing.assert_array_equal(*found)


def degrees(degree: int, minute: int, second: float) -> float:
    return degree + minute / 60 + second / 3600


def test_distances_in_degrees_are_geodesics() -> None:
    """Flinders Peak–Buninyong, GDA94 technical manual (GRS 80): 54 972.271 m."""
    flinders = (degrees(144, 25, 29.52440), -degrees(37, 57, 3.72030))
    buninyong = (degrees(143, 55, 35.38390), -degrees(37, 39, 10.15610))
    grid = Grid("EPSG:4326", Affine(0.01, 0, 143, 0, -0.01, -37), 10, 10)
    x = np.array([flinders[0], flinders[0] + 3, flinders[0] + 4])
    y = np.array([flinders[1], flinders[1] + 3, flinders[1] + 4])
    stations = stations_of(x, y, np.array([0.1, 0.2, 0.3]), grid)
    _, distance = interpolate(
        stations, metric_of(grid), np.array([buninyong[0]]), np.array([buninyong[1]])
    )
    assert distance[0] == pytest.approx(54_972.271, abs=0.05)


def test_web_mercator_is_measured_on_the_globe() -> None:
    """At 60° its metres are half as long: 1000 of them are some 500 m."""
    north = 8_399_737.89
    grid = Grid("EPSG:3857", Affine(100, 0, 1_000_000, 0, -100, north), 10, 10)
    metric = metric_of(grid)
    assert metric.on_globe and not metric_of(GRID).on_globe
    x = 1_000_000.0 + np.array([0, 50_000, 90_000])
    stations = stations_of(x, np.full(3, north), np.array([0.1, 0.2, 0.3]), grid)
    _, distance = interpolate(stations, metric, np.array([1_001_000.0]), np.array([north]))
    # radius of the parallel at 60° on WGS 84: a cos φ / √(1 − e² sin² φ)
    radius = 6_378_137 * 0.5 / np.sqrt(1 - 0.00669437999014 * 0.75)
    assert distance[0] == pytest.approx(radius * 1000 / 6_378_137, rel=1e-5)


def test_feet_are_turned_into_metres() -> None:
    grid = Grid("EPSG:2263", Affine(10, 0, 980_000, 0, -10, 200_000), 10, 10)
    x, y = np.array([980_000.0, 985_000, 990_000]), np.full(3, 200_000.0)
    stations = stations_of(x, y, np.array([0.1, 0.2, 0.3]), grid)
    _, distance = interpolate(stations, metric_of(grid), x[:1] + 1000, y[:1])
    assert distance[0] == pytest.approx(1000 * 1200 / 3937, rel=1e-9)


def test_readings_are_averaged_by_station_and_place() -> None:
    days = ["2021-05-01", "2021-05-01", "2021-05-02", "2021-05-01", "2021-05-01", "2021-05-01", ""]
    table = Table(
        {
            "station": ["A", "A", "A", "B", "C", "D", "A"],
            "moisture": [0.1, 0.3, 0.9, 0.2, 0.4, 0.3, 0.8],
            "date": days,
        },
        WEST + np.array([0, 0, 0, 100, 200, 200, 0.0]),
        np.full(7, NORTH),
        UTM,
    )
    day = datetime.date(2021, 5, 1)
    heard = RecordingProgress()
    found = station_values(table, metric_of(GRID), start=day, end=day, progress=heard)
    assert list(found.names) == ["A", "B", "C + D"]
    np.testing.assert_allclose(found.value, [0.2, 0.2, 0.35])
    assert found.readings == 5
    assert heard.warnings == ["Stations at one place are averaged: C + D."]
    period = station_values(table, metric_of(GRID), start=day)
    assert period.value[0] == pytest.approx((0.1 + 0.3 + 0.9) / 3)


def test_stations_of_one_name_in_two_networks_stay_apart() -> None:
    x = WEST + np.array([0.0, 100, 200])
    columns = {"station": ["1", "1", "2"], "network": ["A", "B", "A"], "moisture": [0.1, 0.2, 0.3]}
    found = station_values(Table(columns, x, np.full(3, NORTH), UTM), metric_of(GRID))
    assert list(found.names) == ["A/1", "B/1", "A/2"]


def test_moved_station_is_told() -> None:
    x = WEST + np.array([0.0, 30, 100, 200])
    columns = {"station": ["1", "1", "2", "3"], "moisture": [0.1, 0.2, 0.3, 0.4]}
    heard = RecordingProgress()
    table = Table(columns, x, np.full(4, NORTH), UTM)
    found = station_values(table, metric_of(GRID), progress=heard)
    assert found.position[0, 0] == pytest.approx(15)
    assert "1 stations lie at several places, up to 30 m apart" in heard.warnings[0]


@pytest.mark.parametrize("weighting", [Weighting(), Weighting(1.0, 0), Weighting(2, 3, 120.0)])
def test_scores_leave_each_station_out(weighting: Weighting) -> None:
    x, y, values = draw(25, 9)
    found = score_stations(stations_of(x, y, values), metric_of(GRID), weighting)
    reach = weighting.radius or np.inf
    estimates = []
    for out in range(25):
        rest = np.arange(25) != out
        estimates.append(
            brute_force(
                x[rest],
                y[rest],
                values[rest],
                (x[out], y[out]),
                weighting.power,
                weighting.neighbours,
                reach,
            )
        )
    error = np.array(estimates) - values
    known = np.isfinite(error)
    assert (found.n, found.alone) == (known.sum(), 25 - known.sum())
    assert found.rmse == pytest.approx(np.sqrt(np.mean(error[known] ** 2)))
    assert found.me == pytest.approx(error[known].mean())
    r = np.corrcoef(np.array(estimates)[known], values[known])[0, 1]
    assert found.r == pytest.approx(r)


def test_mask_leaves_cells_empty(tmp_path: Path) -> None:
    ring = [[WEST, NORTH], [WEST + 300, NORTH], [WEST + 300, NORTH - 200], [WEST, NORTH - 200]]
    mask = [{"type": "Polygon", "coordinates": [[*ring, ring[0]]]}]
    output = tmp_path / "idw.tif"
    stations = stations_of(*draw(10))
    day = datetime.date(2021, 5, 1)
    share = interpolate_map(stations, metric_of(GRID), GRID, output, mask=mask, day=day)
    with rasterio.open(output) as dataset:
        there = dataset.read_masks() > 0
        assert dataset.tags()["TIFFTAG_DATETIME"].startswith("2021:05:01")
    assert share == 1.0
    assert there[:, :20, :30].all() and there.sum() == 2 * 20 * 30


@pytest.mark.parametrize(("shift", "warned"), [(0, False), (1_000, False), (50_000, True)])
def test_stations_far_from_the_map_are_told(tmp_path: Path, shift: float, warned: bool) -> None:
    x, y, values = draw(5)
    heard = RecordingProgress()
    stations = stations_of(x + shift, y, values)
    interpolate_map(stations, metric_of(GRID), GRID, tmp_path / "idw.tif", progress=heard)
    assert ["more than the map is wide" in text for text in heard.warnings] == [True] * warned


def table_of(**columns: Any) -> Table:
    x, y, values = draw(4)
    given = {"station": list("ABCD"), "date": ["2021-05-01"] * 4, "moisture": values, **columns}
    return Table(given, x, y, UTM)


def test_bad_input_is_refused(tmp_path: Path) -> None:
    metric, day = metric_of(GRID), datetime.date(2021, 6, 1)
    with pytest.raises(InputError, match=r"no reading on 2021-06-01\. The readings run"):
        station_values(table_of(), metric, start=day, end=day)
    with pytest.raises(InputError, match="Only 2 stations have a value; at least 3"):
        station_values(table_of(moisture=[0.1, 0.2, np.nan, np.nan]), metric)
    with pytest.raises(InputError, match="looks like percent"):
        station_values(table_of(moisture=[10.0, 20, 30, 40]), metric)
    with pytest.raises(InputError, match="lies before START"):
        station_values(table_of(), metric, start=day, end=datetime.date(2021, 5, 1))
    with pytest.raises(InputError, match="no points"):
        station_values(Table({"moisture": [0.1]}), metric)
    with pytest.raises(InputError, match="POWER is 0"):
        Weighting(0.0)
    nowhere = Grid('LOCAL_CS["field",UNIT["metre",1]]', GRID.transform, 5, 5)
    with pytest.raises(InputError, match="does not say how long its unit is"):
        metric_of(nowhere)
    far = [{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}]
    stations, output = station_values(table_of(), metric), tmp_path / "idw.tif"
    with pytest.raises(InputError, match="No cell's centre lies inside the mask"):
        interpolate_map(stations, metric, GRID, output, mask=far)
    with pytest.raises(InputError, match="No station lies within the radius"):
        interpolate_map(stations, metric, GRID, output, weighting=Weighting(radius=0.001))
    assert not output.exists()
