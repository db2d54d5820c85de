"""Rasters as they lie on disk: paths that are refused, bands, dates, missing cells."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import rasterio
from raster_files import write_raster
from soil_moisture_mapper.plugin.core.errors import RasterError
from soil_moisture_mapper.plugin.core.progress import RecordingProgress
from soil_moisture_mapper.plugin.core.rasters.grids import Window
from soil_moisture_mapper.plugin.core.rasters.reading import (
    RasterReader,
    check_local_path,
    describe_raster,
    geometry,
    read_band,
)

UTM = "EPSG:32632"
APRIL = date(2021, 4, 1)


ONES = np.ones((2, 3), dtype=np.float32)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("https://example.org/a.tif", "a URL"),
        ("HTTP://example.org/a.tif", "a URL"),
        ("file:///tmp/a.tif", "a URL"),
        ("s3://bucket/a.tif", "a URL"),
        ("zip+https://example.org/a.zip", "a URL"),
        ("/vsicurl/https://example.org/a.tif", "a GDAL virtual file"),
        ("/VSIMEM/a.tif", "a GDAL virtual file"),
        ("\\vsizip\\a.zip", "a GDAL virtual file"),
        ("NETCDF:a.nc:moisture", "a GDAL driver prefix"),
        ('HDF5:"a.h5"://moisture', "a GDAL driver prefix"),
        ("GTIFF_DIR:1:/tmp/a.tif", "a GDAL driver prefix"),
        ("vrt:///tmp/a.tif?bands=1", "a URL"),
        ("<VRTDataset></VRTDataset>", "inline XML"),
        ("  <WMS_Service/>", "inline XML"),
        ("a\0.tif", "not a path"),
    ],
)
def test_paths_that_gdal_would_follow_are_refused(path, kind, monkeypatch):
    def never(*args, **more):
        raise AssertionError("rasterio has seen it")

    monkeypatch.setattr(rasterio, "open", never)
    with pytest.raises(RasterError, match=f"is refused: it is {kind}"):
        describe_raster(path)


VRT = (
    '<VRTDataset rasterXSize="3" rasterYSize="2"><SRS>EPSG:32632</SRS><GeoTransform>500000,10,0,'
    '5535000,0,-10</GeoTransform><VRTRasterBand dataType="Float32" band="1"><SimpleSource>'
    '<SourceFilename relativeToVRT="{}">{}</SourceFilename><SourceBand>1</SourceBand>'
    "</SimpleSource></VRTRasterBand></VRTDataset>"
)


def test_virtual_rasters_of_local_files_are_read_and_others_refused(tmp_path):
    write_raster(tmp_path / "a.tif", 7 * ONES)
    local = tmp_path / "local.vrt"
    local.write_text(VRT.format(1, "a.tif"))
    np.testing.assert_array_equal(read_band(local, 1), 7 * ONES)
    remote = tmp_path / "remote.vrt"
    remote.write_text(VRT.format(0, "/vsicurl/http://example.org/a.tif"))
    with pytest.raises(RasterError, match="a GDAL virtual file"):
        describe_raster(remote)
    nested = tmp_path / "nested.tif"
    nested.write_text(VRT.format(1, "remote.vrt"))
    with pytest.raises(RasterError, match="a GDAL virtual file"):
        describe_raster(nested)
    service = tmp_path / "service.xml"
    service.write_text("<GDAL_WMS><Service/></GDAL_WMS>")
    with pytest.raises(RasterError, match="describes a service"):
        describe_raster(service)


def test_missing_files_folders_and_other_files_are_named(tmp_path):
    with pytest.raises(RasterError, match=r"'.*nichts.tif' does not exist"):
        check_local_path(tmp_path / "nichts.tif")
    with pytest.raises(RasterError, match="does not exist"):
        check_local_path(tmp_path)
    with pytest.raises(RasterError, match="empty"):
        check_local_path("")
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(RasterError, match="cannot be read as a raster"):
        describe_raster(tmp_path / "text.tif")


@pytest.mark.parametrize(
    "name",
    ["with space.tif", "größe ñ.tif", "a#b.tif", "a?b.tif", "a%20b.tif", "a&<b>.tif", "a:b.tif"],
)
def test_odd_file_names_are_read(tmp_path, name):
    path = write_raster(tmp_path / name, ONES)
    assert describe_raster(path).path == path
    np.testing.assert_array_equal(read_band(path, 1), ONES)


def test_bands_are_described(tmp_path):
    path = write_raster(
        tmp_path / "s1_20210401.tif",
        np.zeros((2, 4, 5), np.int16),
        names=("VV", "VH"),
        scales=(0.01, 1.0),
        offsets=(-5.0, 0.0),
        units=("dB", ""),
    )
    info = describe_raster(path)
    assert [band.name for band in info.bands] == ["VV", "VH"]
    assert [band.date for band in info.bands] == [APRIL, APRIL]
    assert (info.bands[0].scale, info.bands[0].offset, info.bands[0].units) == (0.01, -5.0, "dB")
    assert info.grid.shape == (4, 5) and info.grid.matches(geometry(path))
    assert [band.date for band in describe_raster(path, dated=False).bands] == [None, None]


def test_order_of_dates_description_name_tag_range(tmp_path):
    tag = {"TIFFTAG_DATETIME": "2021:04:03 00:00:00"}
    both = write_raster(
        tmp_path / "x_20210402.tif", np.stack([ONES] * 2), names=("2021-04-01", "b"), tags=tag
    )
    progress = RecordingProgress()
    info = describe_raster(both, progress=progress)
    assert [(band.name, band.date) for band in info.bands] == [
        ("x", APRIL),
        ("b", date(2021, 4, 2)),
    ]
    assert not progress.warnings  # a day apart is a matter of time zones
    tagged = write_raster(tmp_path / "x.tif", ONES, tags=tag)
    assert describe_raster(tagged, fallback_date=APRIL).bands[0].date == date(2021, 4, 3)
    plain = write_raster(tmp_path / "y.tif", ONES)
    band = describe_raster(plain, fallback_date=APRIL, fallback_end=date(2021, 4, 8)).bands[0]
    assert (band.date, band.end) == (APRIL, date(2021, 4, 8))
    assert describe_raster(plain).bands[0].date is None


def test_name_and_tag_that_disagree_are_reported(tmp_path):
    tags = {"TIFFTAG_DATETIME": "2021:04:03 00:00:00"}
    path = write_raster(tmp_path / "x_20210401.tif", ONES, tags=tags)
    progress = RecordingProgress()
    assert describe_raster(path, progress=progress).bands[0].date == APRIL
    assert "says 2021-04-01, its TIFFTAG_DATETIME says 2021-04-03" in progress.warnings[0]


def test_several_nameless_bands_are_an_error(tmp_path):
    path = write_raster(tmp_path / "x.tif", np.stack([ONES] * 3), names=("a", None, "Band 3"))
    with pytest.raises(RasterError, match=r"3 bands, of which 2, 3 have no name"):
        describe_raster(path)


def test_raster_without_reference_system_is_an_error(tmp_path):
    path = write_raster(tmp_path / "x.tif", ONES, crs=None)
    with pytest.raises(RasterError, match="no coordinate reference system"):
        geometry(path)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "int32"])
def test_usual_marks_are_missing_only_without_declared_nodata(tmp_path, dtype):
    values = np.array([[1, -9999, -32768], [4, -9999, 6]], dtype=dtype)
    plain = write_raster(tmp_path / "plain.tif", values)
    progress = RecordingProgress()
    np.testing.assert_array_equal(
        read_band(plain, 1, progress=progress), [[1, np.nan, np.nan], [4, np.nan, 6]]
    )
    assert len(progress.warnings) == 1
    assert "Band 1 of" in progress.warnings[0]
    assert "1 × -32768, 2 × -9999" in progress.warnings[0]
    declared = write_raster(tmp_path / "declared.tif", values, nodata=6)
    progress = RecordingProgress()
    np.testing.assert_array_equal(
        read_band(declared, 1, progress=progress), [[1, -9999, -32768], [4, -9999, np.nan]]
    )
    assert not progress.warnings


def test_the_largest_floats_are_missing_without_declared_nodata(tmp_path):
    values = np.array([[-3.4028234663852886e38, 3.4e38, 1e38]], dtype=np.float32)
    np.testing.assert_array_equal(
        read_band(write_raster(tmp_path / "a.tif", values), 1), [[np.nan, np.nan, np.float32(1e38)]]
    )


def test_infinite_and_nan_cells_are_missing_whatever_is_declared(tmp_path):
    values = np.array([[np.inf, -np.inf, np.nan, 4]], dtype=np.float32)
    for nodata in (None, -99, np.nan):
        read = read_band(write_raster(tmp_path / "a.tif", values, nodata=nodata), 1)
        np.testing.assert_array_equal(read, [[np.nan, np.nan, np.nan, 4]])


def test_nodata_that_float32_rounds_is_found(tmp_path):
    """The tag holds −3.4028234663852886e+38 or 0.1 in double, the cells in single precision."""
    for nodata in (-3.4028234663852886e38, 0.1):
        values = np.array([[nodata, 1]], dtype=np.float32)
        read = read_band(write_raster(tmp_path / "a.tif", values, nodata=nodata), 1)
        np.testing.assert_array_equal(read, [[np.nan, 1]])


def test_scale_and_offset_are_applied_after_missing_is_found(tmp_path):
    values = np.array([[100, -32768, 200]], dtype=np.int16)
    path = write_raster(tmp_path / "a.tif", values, nodata=-32768, scales=(0.1,), offsets=(5.0,))
    np.testing.assert_allclose(read_band(path, 1), [[15, np.nan, 25]], rtol=1e-12)


def test_masked_cells_are_missing_beside_declared_nodata(tmp_path):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = write_raster(tmp_path / "a.tif", np.array([[1, 2, 3]], np.int16), nodata=2)
        with rasterio.open(path, "r+") as dataset:
            dataset.write_mask(np.array([[0, 255, 255]], np.uint8))
    np.testing.assert_array_equal(read_band(path, 1), [[np.nan, np.nan, 3]])


def test_windows_may_reach_beyond_the_raster(tmp_path):
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    path = write_raster(tmp_path / "a.tif", values)
    with RasterReader(path) as reader:
        read = reader.read([1, 1], Window(2, -1, 4, 3))
        beside = reader.read([1], Window(10, 10, 2, 2))
    expected = np.full((3, 4), np.nan)
    expected[1:, :2] = values[:2, 2:]
    np.testing.assert_array_equal(read, [expected, expected])
    assert np.isnan(beside).all()


def test_marks_are_warned_of_once_for_any_number_of_windows(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.full((4, 4), -9999, np.float32))
    progress = RecordingProgress()
    with RasterReader(path, progress=progress) as reader:
        for row in range(4):
            assert np.isnan(reader.read([1], Window(0, row, 4, 1))).all()
    assert len(progress.warnings) == 1 and "16 × -9999" in progress.warnings[0]


def test_band_that_is_not_there(tmp_path):
    path = write_raster(tmp_path / "a.tif", ONES)
    with pytest.raises(RasterError, match=r"no band 3 with values. It has 1"):
        read_band(path, 3)


def test_real_series_of_dates(shared_data):
    """Twelve MODIS dates as band descriptions: one covariate, twelve days."""
    info = describe_raster(shared_data / "rasters" / "modis_mod13q1_ndvi_sinop_series.tif")
    assert len({band.date for band in info.bands}) == 12
    assert {band.name for band in info.bands} == {"modis_mod13q1_ndvi_sinop_series"}
    assert info.bands[0].date == date(2013, 9, 14)


def test_real_raster_named_by_its_file(shared_data):
    info = describe_raster(shared_data / "rasters" / "s1_vv_db_20150309_20m.tif")
    assert (info.bands[0].name, info.bands[0].date) == ("s1_vv_db_20m", date(2015, 3, 9))


def test_real_farm_has_the_gaps_its_maker_counted(shared_data):
    path = shared_data / "cookfarm" / "covariates.tif"
    for band in range(1, 14):
        assert np.isnan(read_band(path, band)).sum() == 1993
    dem = read_band(path, 1)
    assert np.nanmin(dem) == pytest.approx(773.79, abs=0.005)
    assert np.nanmax(dem) == pytest.approx(817.66, abs=0.005)
