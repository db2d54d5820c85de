"""Terrain covariates from file to file: bands, blocks, odd DEMs and what is refused."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import rasterio
from raster_files import write_raster
from rasterio import Affine
from rasterio.transform import from_origin
from soil_moisture_mapper.plugin.core.covariates.relief import dem as dems
from soil_moisture_mapper.plugin.core.covariates.relief import surface, terrain
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError, RasterError
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress
from soil_moisture_mapper.plugin.core.rasters.grids import Grid


def write_dem(path, z, crs="EPSG:32633", transform=None, units=None):
    place = {"crs": crs, "corner": (500000, 5000000), "transform": transform, "nodata": -9999}
    unit = {"units": (units,)} if units else {}
    return write_raster(path, z, dtype="float32", **place, **unit)


def hills(rows, columns, seed=2):
    y, x = np.indices((rows, columns))
    noise = np.random.default_rng(seed).normal(size=(rows, columns))
    return np.float32(400 + 30 * np.sin(x / 9.0) + 20 * np.cos(y / 7.0) + noise).astype(float)


def read_bands(path):
    with rasterio.open(path) as source:
        values = source.read(masked=True).astype(float).filled(np.nan)
        return dict(zip(source.descriptions, values)), source.profile


def test_bands_come_in_the_order_of_the_contract(tmp_path):
    z = hills(40, 60)
    z[20, 30] = np.nan
    dem = write_dem(tmp_path / "Höhen modell.tif", z)
    terrain.terrain_covariates(dem, 1, tmp_path / "terrain.tif")
    bands, profile = read_bands(tmp_path / "terrain.tif")
    assert tuple(bands) == terrain.PARAMETERS
    assert profile["dtype"] == "float32" and profile["nodata"] == -9999
    expected = surface.terrain_parameters(z, 10.0, 10.0)
    for name, values in expected.items():
        np.testing.assert_array_equal(bands[name], values.astype(np.float32), err_msg=name)
    np.testing.assert_array_equal(bands["elevation"], z)
    np.testing.assert_array_equal(np.isnan(bands["twi"]), np.isnan(bands["slope"]))


def test_threads_do_not_show(tmp_path):
    dem = write_dem(tmp_path / "dem.tif", hills(300, 600))
    files = [tmp_path / f"terrain{threads}.tif" for threads in (1, 2, 3)]
    for threads, out in enumerate(files, start=1):
        terrain.terrain_covariates(dem, 1, out, block=64, threads=threads)
    assert len({out.read_bytes() for out in files}) == 1


@pytest.mark.parametrize("smoothing", [0.0, 1.4])
def test_blocks_do_not_show(tmp_path, smoothing):
    z = hills(70, 90)
    z[30:33, 40] = np.nan
    dem = write_dem(tmp_path / "dem.tif", z)
    written = []
    for block in (16, 37, 256):
        out = tmp_path / f"terrain{block}.tif"
        terrain.terrain_covariates(dem, 1, out, smoothing=smoothing, block=block)
        written.append(read_bands(out)[0])
    for name in terrain.PARAMETERS:
        for other in written[:2]:
            np.testing.assert_array_equal(other[name], written[2][name], err_msg=name)


def test_smoothing_leaves_elevation_and_lowers_slopes(tmp_path):
    z = hills(40, 40)
    dem = write_dem(tmp_path / "dem.tif", z)
    out = tmp_path / "terrain.tif"
    terrain.terrain_covariates(
        dem, 1, out, parameters=["slope", "elevation"], smoothing=2.0, method="horn"
    )
    bands, _ = read_bands(out)
    assert tuple(bands) == ("elevation", "slope")
    np.testing.assert_array_equal(bands["elevation"], z)
    rough = surface.terrain_parameters(z, 10.0, 10.0, "horn", ["slope"])["slope"]
    assert np.nanmean(bands["slope"]) < 0.95 * np.nanmean(rough)


def test_feet_are_taken_to_metres(tmp_path):
    """A slope of 1:2 stays one, whether map and heights are in metres or in feet."""
    z = np.repeat(np.arange(9.0)[None] * 5, 9, axis=0)
    survey_feet = "EPSG:2227"
    dem = write_dem(tmp_path / "dem.tif", z, crs=survey_feet, units="us-ft")
    out = terrain.terrain_covariates(dem, 1, tmp_path / "t.tif", parameters=["slope", "elevation"])
    bands, _ = read_bands(out)
    assert bands["slope"][4, 4] == pytest.approx(np.degrees(np.arctan(0.5)), rel=1e-6)
    assert bands["elevation"][0, 8] == pytest.approx(40 * 1200 / 3937, rel=1e-6)


def test_dem_in_degrees_is_refused_with_the_cure(tmp_path):
    dem = write_dem(
        tmp_path / "dem.tif", hills(9, 9), "EPSG:4326", from_origin(15, 48, 0.001, 0.001)
    )
    with pytest.raises(RasterError, match=r"dem\.tif.*degrees.*EPSG:4326.*Warp"):
        terrain.terrain_covariates(dem, 1, tmp_path / "t.tif")
    assert not (tmp_path / "t.tif").exists()


def test_dem_without_elevation_is_refused_and_leaves_nothing(tmp_path):
    dem = write_dem(tmp_path / "dem.tif", np.full((9, 9), np.nan))
    with pytest.raises(RasterError, match="holds no elevation"):
        terrain.terrain_covariates(dem, 1, tmp_path / "t.tif")
    assert [path.name for path in tmp_path.iterdir()] == ["dem.tif"]


@pytest.mark.parametrize(
    "settings_, message",
    [
        ({"method": "shary"}, "shary"),
        ({"parameters": ["slope", "twist"]}, "twist"),
        ({"smoothing": -1.0}, "-1 cells"),
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path, settings_, message):
    dem = write_dem(tmp_path / "dem.tif", hills(9, 9))
    with pytest.raises(InputError, match=message):
        terrain.terrain_covariates(dem, 1, tmp_path / "t.tif", **settings_)


def test_cancelled_run_leaves_the_earlier_file(tmp_path):
    class Stopped(Progress):
        cancelled = True

    dem = write_dem(tmp_path / "dem.tif", hills(9, 9))
    earlier = tmp_path / "t.tif"
    earlier.write_bytes(b"earlier")
    with pytest.raises(Cancelled):
        terrain.terrain_covariates(dem, 1, earlier, progress=Stopped())
    assert earlier.read_bytes() == b"earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dem.tif", "t.tif"]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 7), (3, 3)])
def test_dems_smaller_than_a_window_have_elevation_only(tmp_path, size):
    z = hills(*size)
    out = terrain.terrain_covariates(write_dem(tmp_path / "dem.tif", z), 1, tmp_path / "t.tif")
    bands, _ = read_bands(out)
    np.testing.assert_array_equal(bands.pop("elevation"), z)
    middle = size == (3, 3)
    for name, values in bands.items():
        there = np.isfinite(values)
        assert there.sum() == (middle and name != "roughness"), name


def test_flat_dem(tmp_path):
    dem = write_dem(tmp_path / "dem.tif", np.full((12, 14), 55.0))
    bands, _ = read_bands(terrain.terrain_covariates(dem, 1, tmp_path / "t.tif"))
    assert np.isnan(bands["aspect"]).all()
    inner = (slice(2, -2), slice(2, -2))
    flat = ("slope", "aspect_sin", "aspect_cos", "elevation_range")
    curved = [name for name in bands if name.endswith("_curvature")]
    assert len(curved) == 4
    for name, value in [*((name, 0.0) for name in (*flat, *curved)), ("roughness", 1.0)]:
        assert (bands[name][inner] == value).all(), name
    assert np.isfinite(bands["twi"][inner]).all()


def test_whole_metres_with_declared_nodata(tmp_path):
    """As SRTM comes: 16-bit, 65535 or -32768 where there is nothing."""
    z = np.round(hills(20, 30))
    expected = z.copy()
    expected[8, 9] = np.nan
    written = []
    for dtype, nodata in (("uint16", 65535), ("int16", -32768)):
        path = tmp_path / f"{dtype}.tif"
        place = {"crs": "EPSG:32633", "cell": 30, "corner": (5e5, 5e6), "nodata": nodata}
        write_raster(path, expected, dtype=dtype, **place)
        out = terrain.terrain_covariates(path, 1, tmp_path / f"{dtype}_terrain.tif")
        written.append(read_bands(out)[0])
    slope = surface.terrain_parameters(expected, 30.0, 30.0, parameters=["slope"])["slope"]
    for bands in written:
        np.testing.assert_array_equal(bands["elevation"], expected)
        np.testing.assert_array_equal(bands["slope"], slope.astype(np.float32))
    np.testing.assert_array_equal(written[0]["twi"], written[1]["twi"])


def test_south_up_and_oblong_cells_give_the_same_land(tmp_path):
    z = hills(30, 20)
    north_up = write_dem(tmp_path / "n.tif", z, transform=Affine(10, 0, 5e5, 0, -25, 5e6))
    south_up = write_dem(
        tmp_path / "s.tif", z[::-1], transform=Affine(10, 0, 5e5, 0, 25, 5e6 - 750)
    )
    found = [
        read_bands(terrain.terrain_covariates(dem, 1, tmp_path / f"{dem.stem}_t.tif"))[0]
        for dem in (north_up, south_up)
    ]
    for name in terrain.PARAMETERS:
        np.testing.assert_allclose(
            found[1][name][::-1], found[0][name], rtol=1e-5, atol=1e-7, err_msg=name
        )
    expected = surface.terrain_parameters(z, 10.0, 25.0)
    np.testing.assert_array_equal(found[0]["slope"], expected["slope"].astype(np.float32))


def test_rotated_dem_is_refused_with_the_cure(tmp_path):
    turned = Affine.translation(5e5, 5e6) @ Affine.rotation(20) @ Affine.scale(10, -10)
    dem = write_dem(tmp_path / "dem.tif", hills(9, 9), transform=turned)
    with pytest.raises(RasterError, match=r"dem\.tif.*west to east.*Warp"):
        terrain.terrain_covariates(dem, 1, tmp_path / "t.tif")


def test_real_dem_in_degrees_is_refused_and_taken_once_warped(shared_data, tmp_path):
    source = shared_data / "rasters" / "srtm_zion_3arcsec.tif"
    with pytest.raises(RasterError, match=r"degrees.*EPSG:4326.*UTM"):
        terrain.terrain_covariates(source, 1, tmp_path / "t.tif")
    if shutil.which("gdalwarp") is None:
        pytest.skip("gdalwarp is not installed")
    warped = tmp_path / "utm.tif"
    subprocess.run(
        ["gdalwarp", "-q", "-t_srs", "EPSG:32612", "-tr", "90", "90", "-r", "cubic",
         str(source), str(warped)],
        check=True,
    )  # fmt: skip
    progress = RecordingProgress()
    out = terrain.terrain_covariates(warped, 1, tmp_path / "t.tif", progress=progress)
    bands, _ = read_bands(out)
    assert progress.warnings == []
    assert 1000 < np.nanmin(bands["elevation"]) < np.nanmax(bands["elevation"]) < 2920
    assert 60 < np.nanmax(bands["slope"]) < 85  # the canyon's walls


@pytest.mark.parametrize(
    "units, factor", [("ft", 0.3048), ("Foot", 0.3048), ("US survey foot", 1200 / 3937),
                      ("cm", 0.01), ("metre", 1.0), ("", 1.0)],
)  # fmt: skip
def test_heights_come_out_in_metres(tmp_path, units, factor):
    z = hills(9, 9)
    dem = write_dem(tmp_path / "dem.tif", z, units=units)
    progress = RecordingProgress()
    out = terrain.terrain_covariates(
        dem, 1, tmp_path / "t.tif", parameters=["elevation"], progress=progress
    )
    np.testing.assert_allclose(read_bands(out)[0]["elevation"], z * factor, rtol=1e-6)
    assert any(units in message for message in progress.messages) == (factor != 1.0)
    assert progress.warnings == []


def test_unknown_units_are_told(tmp_path):
    dem = write_dem(tmp_path / "dem.tif", hills(9, 9), units="fathom")
    progress = RecordingProgress()
    terrain.terrain_covariates(dem, 1, tmp_path / "t.tif", progress=progress)
    assert "'fathom', an unknown unit" in progress.warnings[0]


def test_map_in_feet_with_heights_of_unknown_unit_is_told(tmp_path):
    dem = write_dem(tmp_path / "dem.tif", hills(9, 9), crs="EPSG:2227")
    progress = RecordingProgress()
    terrain.terrain_covariates(dem, 1, tmp_path / "t.tif", progress=progress)
    assert "map units of 'dem.tif' are 0.304801 m" in progress.warnings[0]
    assert "gdal_edit.py -units ft" in progress.warnings[0]


def test_projection_that_stretches_is_told(tmp_path):
    """In Web Mercator at 60° N, 10 m on the map are 5 m on the ground."""
    north = 8399737.89  # of 60° N
    dem = write_dem(
        tmp_path / "dem.tif", hills(9, 9), "EPSG:3857", from_origin(1e6, north + 45, 10, 10)
    )
    progress = RecordingProgress()
    terrain.terrain_covariates(dem, 1, tmp_path / "t.tif", progress=progress)
    assert "10 × 10 m in EPSG:3857 but 5." in progress.warnings[0]
    assert "UTM" in progress.warnings[0]


@pytest.mark.parametrize(
    "crs, x, y", [("EPSG:32633", 500_000, 5_500_000), ("EPSG:3035", 4_321_000, 3_210_000),
                  ("EPSG:26918", 664_692, 4_895_824), ("EPSG:2227", 6_000_000, 2_100_000)],
)  # fmt: skip
def test_common_projections_keep_their_cells(crs, x, y):
    grid = Grid(crs, from_origin(x, y, 30, 30), 50, 60)
    unit = 1200 / 3937 if crs == "EPSG:2227" else 1.0
    assert dems.ground_size(grid) == pytest.approx((30 * unit, 30 * unit), rel=2e-3)


def test_cell_at_the_equator_in_web_mercator():
    """Mercator is true there along the parallel: 2πa over 360°, as PROJ's sphere has it."""
    grid = Grid("EPSG:3857", from_origin(0.0, 500.0, 10.0, 10.0), 100, 100)
    across, along = dems.ground_size(grid)
    assert across == pytest.approx(10.0, rel=1e-6)
    assert along == pytest.approx(10.0 * (1 - dems._SQUARED_ECCENTRICITY), rel=1e-6)


def test_dem_in_local_coordinates_is_refused(tmp_path):
    local = 'LOCAL_CS["mine",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
    dem = write_dem(tmp_path / "dem.tif", hills(9, 9), crs=local)
    with pytest.raises(RasterError, match=r"dem\.tif.*no projected.*mine.*Assign"):
        terrain.terrain_covariates(dem, 1, tmp_path / "t.tif")


def test_dem_among_several_bands_without_names(tmp_path):
    dem = tmp_path / "dem.tif"
    write_dem(dem, np.stack([np.zeros((9, 9)), hills(9, 9)]))
    out = terrain.terrain_covariates(dem, 2, tmp_path / "t.tif", parameters=["elevation"])
    np.testing.assert_array_equal(read_bands(out)[0]["elevation"], hills(9, 9))


def test_band_that_is_not_there_is_refused(tmp_path):
    dem = write_dem(tmp_path / "dem.tif", hills(9, 9))
    with pytest.raises(RasterError, match="no band 3"):
        terrain.terrain_covariates(dem, 3, tmp_path / "t.tif")


def test_memory_of_the_wetness_index_is_told(tmp_path, monkeypatch):
    dem = write_dem(tmp_path / "dem.tif", hills(9, 9))
    monkeypatch.setattr(terrain, "_TOLD", 1e-9)
    progress = RecordingProgress()
    terrain.terrain_covariates(dem, 1, tmp_path / "t.tif", parameters=["twi"], progress=progress)
    assert "all 81 cells of 'dem.tif' in memory" in progress.messages[0]
