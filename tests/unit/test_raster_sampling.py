"""Values of a raster at points."""

from __future__ import annotations

import contextlib
import sqlite3

import numpy as np
import pytest
import rasterio
from raster_files import write_raster
from rasterio.warp import transform
from soil_moisture_mapper.plugin.core.errors import RasterError
from soil_moisture_mapper.plugin.core.rasters import sampling
from soil_moisture_mapper.plugin.core.rasters.reading import RasterReader
from soil_moisture_mapper.plugin.core.rasters.sampling import Points, sample_at, sample_points

UTM = "EPSG:32632"
LEFT, TOP = 500000.0, 5535000.0


def write(path, values, **more):
    return write_raster(path, values, crs=UTM, corner=(LEFT, TOP), **more)


def test_nearest_is_the_cell_that_rasterio_samples(tmp_path):
    rng = np.random.default_rng(0)
    path = write(tmp_path / "a.tif", rng.normal(size=(700, 600)).astype(np.float32))
    x = LEFT + rng.uniform(0, 6000, 500)
    y = TOP - rng.uniform(0, 7000, 500)
    with rasterio.open(path) as dataset:
        expected = [value[0] for value in dataset.sample(zip(x, y))]
    np.testing.assert_array_equal(sample_points(path, 1, x, y, UTM), np.array(expected, float))


def test_bilinear_is_exact_on_a_plane(tmp_path):
    cols, rows = np.meshgrid(np.arange(600) + 0.5, np.arange(500) + 0.5)
    path = write(tmp_path / "a.tif", 2 * cols - 3 * rows + 1)
    rng = np.random.default_rng(1)
    col, row = rng.uniform(0.5, 599.5, 300), rng.uniform(0.5, 499.5, 300)
    found = sample_points(path, 1, LEFT + 10 * col, TOP - 10 * row, UTM, "bilinear")
    np.testing.assert_allclose(found, 2 * col - 3 * row + 1, atol=1e-7)


def test_missing_neighbours_lose_their_weight_and_a_missing_cell_is_missing(tmp_path):
    path = write(tmp_path / "a.tif", np.array([[1.0, 2.0], [np.nan, 4.0]]))
    # A quarter of a cell right of and below the first centre.
    x, y = LEFT + 7.5, TOP - 7.5
    expected = (0.75 * 0.75 * 1 + 0.25 * 0.75 * 2 + 0.25 * 0.25 * 4) / (1 - 0.75 * 0.25)
    found = sample_points(path, 1, [x, LEFT + 5], [y, TOP - 12], UTM, "bilinear")
    assert found[0] == pytest.approx(expected, rel=1e-12)
    assert np.isnan(found[1])  # its own cell is the missing one


def test_beside_the_outermost_centres_the_nearest_ones_count(tmp_path):
    path = write(tmp_path / "a.tif", np.array([[1.0, 2.0], [3.0, 4.0]]))
    found = sample_points(path, 1, [LEFT + 1, LEFT + 19], [TOP - 1, TOP - 10], UTM, "bilinear")
    np.testing.assert_allclose(found, [1.0, 3.0])


def test_points_outside_or_without_position_are_missing(tmp_path):
    path = write(tmp_path / "a.tif", np.ones((3, 3)))
    x = [LEFT - 0.01, LEFT + 30, LEFT + 5, np.nan, LEFT, LEFT + 29.99]
    y = [TOP - 5, TOP - 5, TOP + 1, TOP - 5, TOP, TOP - 29.99]
    for method in ("nearest", "bilinear"):
        found = sample_points(path, 1, x, y, UTM, method)
        np.testing.assert_array_equal(found, [np.nan] * 4 + [1, 1])
    assert sample_points(path, 1, [], [], UTM).shape == (0,)


def test_points_come_in_their_own_reference_system(tmp_path):
    path = write(tmp_path / "a.tif", np.arange(10000.0).reshape(100, 100))
    rng = np.random.default_rng(2)
    x, y = LEFT + rng.uniform(0, 1000, 50), TOP - rng.uniform(0, 1000, 50)
    lon, lat = transform(UTM, "EPSG:4326", x, y)
    np.testing.assert_array_equal(
        sample_points(path, 1, lon, lat, "EPSG:4326"), sample_points(path, 1, x, y, UTM)
    )


def test_points_of_many_rasters_are_carried_to_their_system_once(tmp_path, monkeypatch):
    paths = [write(tmp_path / f"{i}.tif", i + np.arange(10000.0).reshape(100, 100)) for i in (0, 5)]
    rng = np.random.default_rng(4)
    x, y = LEFT + rng.uniform(0, 1000, 50), TOP - rng.uniform(0, 1000, 50)
    lon, lat = transform(UTM, "EPSG:4326", x, y)
    carried = []
    real = sampling.transform_points
    monkeypatch.setattr(
        sampling, "transform_points", lambda *given: carried.append(given) or real(*given)
    )
    points = Points(lon, lat, "EPSG:4326")
    chosen = np.array([40, 3, 7])
    first, inside = sample_at(paths[0], [1], points, chosen, ["nearest"])
    second, _ = sample_at(paths[1], [1], points, np.arange(50), ["nearest"])
    assert len(carried) == 1 and inside.all()
    np.testing.assert_array_equal(first[0], second[0][chosen] - 5)
    np.testing.assert_array_equal(first[0], sample_points(paths[0], 1, x, y, UTM)[chosen])


def test_scaled_integers_are_values(tmp_path):
    values = np.array([[10, -32768], [20, 30]], np.int16)
    path = write(tmp_path / "a.tif", values, scales=(0.5,), offsets=(1.0,))
    found = sample_points(path, 1, [LEFT + 5, LEFT + 15], [TOP - 5, TOP - 5], UTM)
    np.testing.assert_array_equal(found, [6.0, np.nan])


def test_only_the_blocks_with_points_are_read(tmp_path, monkeypatch):
    path = write(tmp_path / "a.tif", np.zeros((2000, 2000), np.uint8))
    sizes = []
    real = RasterReader.read

    def counted(self, bands, window=None):
        sizes.append(window.width * window.height)
        return real(self, bands, window)

    monkeypatch.setattr(RasterReader, "read", counted)
    sample_points(path, 1, [LEFT + 5, LEFT + 19995], [TOP - 5, TOP - 19995], UTM, "bilinear")
    assert len(sizes) == 2 and sum(sizes) <= 18


def test_unknown_method_is_refused(tmp_path):
    path = write(tmp_path / "a.tif", np.ones((3, 3)))
    with pytest.raises(RasterError, match="'cubic'"):
        sample_points(path, 1, [0], [0], UTM, "cubic")


def test_farm_stations_have_the_cells_their_maker_took(shared_data):
    """DEM, TWI and NDRE at the stations equal the raster's cell, bit for bit."""
    farm = shared_data / "cookfarm"
    fields = ("Easting", "Northing", "DEM", "TWI", "NDRE.M", "NDRE.Sd")
    address = f"file:{farm / 'stations.gpkg'}?immutable=1"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as file:
        (layer,) = file.execute("SELECT table_name FROM gpkg_contents").fetchone()
        names = ", ".join(f'"{name}"' for name in fields)
        rows = np.array(file.execute(f'SELECT {names} FROM "{layer}"').fetchall())  # noqa: S608
    stations = dict(zip(fields, rows.T))
    assert len(rows) == 42
    with rasterio.open(farm / "covariates_relabelled.tif") as dataset:
        bands = {name: i for i, name in enumerate(dataset.descriptions, start=1)}
    for name in ("DEM", "TWI", "NDRE.M", "NDRE.Sd"):
        found = sample_points(
            farm / "covariates_relabelled.tif",
            bands[name],
            stations["Easting"],
            stations["Northing"],
            "EPSG:26911",
        )
        np.testing.assert_array_equal(found.astype(np.float32), stations[name].astype(np.float32))
