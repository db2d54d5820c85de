"""The synthetic landscape keeps the law that its documentation states."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import date

import numpy as np
import pytest
import rasterio
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.rasters.reading import describe_raster, read_band
from soil_moisture_mapper.plugin.core.synthetic import LandscapeSettings, make_landscape
from soil_moisture_mapper.plugin.core.synthetic_files import write_landscape
from soil_moisture_mapper.plugin.core.synthetic_land import Area, Land, Soil
from soil_moisture_mapper.plugin.core.synthetic_sensors import CoarseCells, backscatter
from soil_moisture_mapper.plugin.core.synthetic_water import make_weather, step_moisture

SMALL = LandscapeSettings(
    region_cell=2000.0,
    field_columns=20,
    field_rows=16,
    margin=3,
    end=date(2021, 4, 20),
    map_day=date(2021, 4, 6),
    stations=12,
    networks=3,
    probes=9,
)


@pytest.fixture(scope="module")
def landscape():
    return make_landscape(SMALL)


def soil_of(clay, sand, carbon=1.6, density=1.4):
    return Soil(*(np.array([float(value)]) for value in (clay, sand, carbon, density)))


def step(theta, soil, wetness=0.0, rain=0.0, evaporation=0.0, ndvi=0.5):
    arrays = (np.array([float(value)]) for value in (wetness, rain))
    return step_moisture(
        np.array([float(theta)]), soil, *arrays, evaporation, np.array([ndvi])
    ).item()


def test_soil_holds_water_as_documented():
    soil = soil_of(clay=30, sand=40)
    assert soil.wilting.item() == pytest.approx(0.02 + 0.12 + 0.008)
    assert soil.capacity.item() == pytest.approx(0.148 + 0.09 + 0.072)
    assert soil.porosity.item() == pytest.approx(1 - 1.4 / 2.65)


def test_rain_enters_and_what_is_beyond_capacity_drains():
    soil = soil_of(clay=30, sand=40)
    assert step(0.20, soil, rain=5.0) == pytest.approx(0.25)
    assert step(0.30, soil, rain=10.0) == pytest.approx(0.40 - 0.6 * (0.40 - 0.31))
    full = 1 - 1.4 / 2.65
    assert step(0.40, soil, rain=500.0) == pytest.approx(full - 0.6 * (full - 0.31))


def test_evaporation_takes_less_where_water_is_short():
    soil = soil_of(clay=30, sand=40)
    assert step(0.30, soil, evaporation=4.0) == pytest.approx(0.30 - 0.45 * 4 * 0.85 / 100)
    driest, relaxed = 0.6 * 0.148, 0.8 * 0.31
    stress = (0.15 - driest) / (relaxed - driest)
    assert step(0.15, soil, evaporation=4.0) == pytest.approx(0.15 - 0.45 * 4 * 0.85 * stress / 100)
    assert step(driest, soil, evaporation=4.0) == pytest.approx(driest)


def test_water_gathers_at_wet_positions():
    soil = soil_of(clay=30, sand=40)
    assert step(0.25, soil, wetness=2.0) == pytest.approx(0.25 + 0.026 * (0.25 - 0.148))
    assert step(0.25, soil, wetness=-1.0) == pytest.approx(0.25 - 0.013 * (0.25 - 0.148))


def test_bare_soil_follows_the_documented_line_and_plants_hide_it():
    def decibel(band, moisture, ndvi, angle=38.0):
        power = backscatter(band, moisture, np.array(ndvi), np.array(angle), np.array(0.0))
        return 10 * np.log10(power)

    assert decibel("VV", 0.2, 0.0) == pytest.approx(-18 + 26 * 0.2)
    assert decibel("VH", 0.2, 0.0, angle=43.0) == pytest.approx(-25 + 18 * 0.2 - 0.6)
    bare = decibel("VV", 0.4, 0.1) - decibel("VV", 0.1, 0.1)
    dense = decibel("VV", 0.4, 0.9) - decibel("VV", 0.1, 0.9)
    assert 0 < dense < 0.9 * bare


def test_coarse_cells_average_what_lies_in_them():
    x = np.array([1_500_000.0, 1_500_010.0, 1_540_000.0])
    y = np.full(3, 5_500_000.0)
    mean = CoarseCells(x, y).average(np.array([0.1, 0.3, 0.4]))
    np.testing.assert_allclose(mean, [[0.2, 0.4]])


def test_land_is_one_function_of_place():
    """A place has one soil however the grid around it lies; coarse cells see less of it."""
    land = Land(5)
    x, y = Area(500_000.0, 5_300_000.0, 10.0, 30, 20).centres()
    whole, part = land.soil(x, y, 10.0), land.soil(x[5:9, 7:11], y[5:9, 7:11], 10.0)
    np.testing.assert_array_equal(whole.clay[5:9, 7:11], part.clay)
    fine, coarse = land.elevation(x, y, 10.0), land.elevation(x, y, 400.0)
    assert 0.1 < np.abs(fine - coarse).max() < 40.0


def test_weather_is_wet_and_dry_in_turn():
    weather = make_weather(42, np.datetime64("2021-03-01"), np.datetime64("2021-10-01"))
    wet = weather.rain > 0
    assert 0.15 < wet.mean() < 0.45
    assert (weather.rain >= 0).all() and weather.rain.max() < 100
    assert weather.evaporation.min() > 0 and 4.0 < weather.evaporation.max() < 6.0


def test_same_seed_makes_the_same_landscape(landscape):
    again = make_landscape(SMALL)
    np.testing.assert_array_equal(again.stations.moisture, landscape.stations.moisture)
    np.testing.assert_array_equal(again.truth(SMALL.map_day), landscape.truth(SMALL.map_day))
    other = make_landscape(LandscapeSettings(**{**SMALL.__dict__, "seed": 1}))
    assert not np.array_equal(other.probes.truth, landscape.probes.truth)


def test_field_lies_in_the_region_and_probes_within_its_boundary(landscape):
    left, bottom, right, top = landscape.boundary
    assert (right - left, top - bottom) == (200.0, 160.0)
    assert ((landscape.probes.x > left) & (landscape.probes.x < right)).all()
    assert ((landscape.probes.y > bottom) & (landscape.probes.y < top)).all()
    region = landscape.region.area
    assert region.left < left and right < region.left + region.columns * region.cell


def test_probes_see_the_truth_of_their_cells_with_the_documented_offset(landscape):
    probes, area = landscape.probes, landscape.field.area
    columns = ((probes.x - area.left) // area.cell).astype(int)
    rows = ((area.top - probes.y) // area.cell).astype(int)
    day = int(np.flatnonzero(probes.days == np.datetime64(SMALL.map_day))[0])
    np.testing.assert_allclose(probes.truth[day], landscape.truth(SMALL.map_day)[rows, columns])
    x, y = area.centres()
    clay = Land(SMALL.seed).soil(x[rows, columns], y[rows, columns], 10.0).clay
    offset = np.nanmean(probes.moisture - probes.truth, axis=0)
    expected = 0.05 + 0.002 * (clay - 40)
    assert np.abs(offset - expected).mean() < 0.01
    assert 0.03 < offset.mean() < 0.07


def test_stations_of_all_networks_are_nearly_unbiased_together(landscape):
    stations = landscape.stations
    assert Counter(stations.network.tolist()) == {"ALDER": 4, "BIRCH": 4, "CEDAR": 4}
    assert abs(np.nanmean(stations.moisture - stations.truth)) < 0.012
    assert 0.0 < np.isnan(stations.moisture).mean() < 0.1


def test_truth_of_a_day_outside_the_season_is_refused(landscape):
    with pytest.raises(InputError, match="2021-12-24"):
        landscape.truth(date(2021, 12, 24))


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"map_day": date(2021, 11, 1)}, "2021-11-01"),
        ({"stations": 3, "networks": 5}, "3 stations"),
    ],
)
def test_impossible_settings_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        LandscapeSettings(**wrong)


def test_files_hold_what_the_landscape_holds(landscape, tmp_path):
    write_landscape(landscape, tmp_path)
    names = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*.*")}
    assert names == {"region", "field", "coarse", "truth", "stations.csv", "probes.csv"}
    radar = tmp_path / "field" / "s1" / "s1_20210406.tif"
    info = describe_raster(radar)
    assert [(band.name, band.date) for band in info.bands] == [
        (name, date(2021, 4, 6)) for name in ("VV", "VH", "angle")
    ]
    assert {band.dtype for band in info.bands} == {"int16"}
    vertical = landscape.field.radar[np.datetime64("2021-04-06")]["VV"]
    np.testing.assert_allclose(read_band(radar, 1), vertical, atol=0.005 + 1e-9)
    cut = tmp_path / "region" / "s1" / "s1_20210406.tif"
    np.testing.assert_array_equal(
        np.isnan(read_band(cut, 1)),
        np.isnan(landscape.region.radar[np.datetime64("2021-04-06")]["VV"]),
    )
    assert np.isnan(read_band(cut, 1)).any()
    truth = read_band(tmp_path / "truth" / "moisture_20210406.tif", 1)
    np.testing.assert_allclose(truth, landscape.truth(SMALL.map_day), atol=0.00005 + 1e-9)
    with rasterio.open(tmp_path / "coarse" / "smap_20210301.tif") as coarse:
        assert coarse.crs.to_epsg() == 6933
        assert coarse.res == pytest.approx((36032.220840584, 36032.220840584))
    ring = json.loads((tmp_path / "field" / "boundary.geojson").read_text())["features"][0]
    assert len(ring["geometry"]["coordinates"][0]) == 5


def test_tables_hold_every_reading_that_did_not_fail(landscape, tmp_path):
    write_landscape(landscape, tmp_path)
    with (tmp_path / "stations.csv").open(encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    assert len(rows) == np.isfinite(landscape.stations.moisture).sum()
    assert list(rows[0]) == ["station", "network", "date", "moisture", "depth", "x", "y"]
    assert {row["depth"] for row in rows} == {"0.05"}
    moisture = [float(row["moisture"]) for row in rows]
    assert np.mean(moisture) == pytest.approx(np.nanmean(landscape.stations.moisture), abs=1e-4)
    assert all(14 < float(row["x"]) < 17 and 47 < float(row["y"]) < 49 for row in rows)


def test_shipped_landscape_is_small_and_complete(root):
    folder = root / "resources" / "landscape"
    files = [path for path in folder.rglob("*.*") if path.suffix != ".xml"]
    assert sum(path.stat().st_size for path in files) < 5_000_000
    for area in ("region", "field"):
        assert (folder / area / "dem.tif").exists()
        assert len(list((folder / area / "s1").glob("s1_*.tif"))) >= 10
    with (folder / "stations.csv").open(encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    assert len({row["station"] for row in rows}) >= 100
    assert len({row["network"] for row in rows}) >= 5
    with (folder / "probes.csv").open(encoding="utf-8") as text:
        assert len({row["station"] for row in csv.DictReader(text)}) == 60
